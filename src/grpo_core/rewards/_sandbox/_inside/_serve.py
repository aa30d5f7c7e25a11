"""The launcher's loop: one program at a time, from its fresh directory to its last process."""

import errno
import json
import os
import select
import socket
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, NoReturn

from . import _box, _system, _tree
from ._cgroups import Group
from ._confine import Cell, Limits
from ._watch import Reply, Watch

MESSAGE_BYTES = 100_000  # below the size from which memory comes as a mapping of its own
DESCRIPTORS = 250
_SETUP_SECONDS = 10.0
_MAIN = "main.py"
_BEGINS = b"+"
_LOWEST = 3  # the first descriptor that is no stream
_DIGITS = 8


@dataclass
class Launcher:
    """The state between runs: none of it is about a program."""

    cell: Cell
    ruleset: int
    box: "_box.MountedBox | _box.DirectoryBox"
    group: Group | None
    run_main: Callable[[str, bytes, int], NoReturn] | None

    def serve(self, control: socket.socket) -> None:
        """Answer requests until the other end closes."""
        while True:
            message, descriptors, _, _ = socket.recv_fds(
                control, MESSAGE_BYTES, DESCRIPTORS, socket.MSG_CMSG_CLOEXEC
            )
            if not message:
                return
            if message == b"kill":  # it crossed with the answer
                continue
            collected: list[int] = []
            try:
                reply, collected = self._one(json.loads(message), descriptors, control)
            except OSError as error:
                code = errno.errorcode.get(error.errno or 0, "")
                reply = Reply("infrastructure", detail=f"{code} {error.strerror or error}".strip())
            finally:
                _close(descriptors)
            socket.send_fds(control, [json.dumps(vars(reply)).encode()], collected)
            _close(collected)

    def _one(
        self, request: Mapping[str, Any], descriptors: list[int], control: socket.socket
    ) -> tuple[Reply, list[int]]:
        stdin, stdout, *sources = descriptors
        limits = Limits(**request["limits"])
        room = limits.file_bytes + sum(os.fstat(source).st_size for source in sources)
        if self.group is not None:
            self.group.limit(limits.memory_mb, limits.processes)
        if self.cell.user is not None:
            os.fchown(stdout, self.cell.user, -1)  # so that /dev/stdout can be opened by name
        box = self.box.fresh(room + 65536 * (8 + len(sources)))
        try:
            for (name, mode), source in zip(request["files"], sources, strict=True):
                _box.put(box, name, source, mode, self.cell.user)
            reply = self._run(request, limits, (stdin, stdout, box), control)
            found = {name: _box.take(box, name) for name in request["collect"]}
            reply.collected = [name for name, opened in found.items() if opened is not None]
            return reply, [opened for opened in found.values() if opened is not None]
        finally:
            os.close(box)
            self.box.clear()

    def _run(
        self,
        request: Mapping[str, Any],
        limits: Limits,
        streams: tuple[int, int, int],
        control: socket.socket,
    ) -> Reply:
        group = self.group
        before, kills = (group.usage_mb(), group.kills()) if group else (0.0, 0)
        environment = {"HOME": self.box.path, "TMPDIR": self.box.path, **request["environment"]}
        if dict(os.environ) != environment:  # seldom, and then here: a fork would copy the pages
            os.environ.clear()
            os.environ.update(environment)
        started, failure = os.pipe2(os.O_CLOEXEC)
        child = os.fork()
        if child == 0:
            self._become(request, limits, streams, failure)
        os.close(failure)
        watch = Watch(
            child, limits, request["wall_seconds"], control, polled=not self.cell.memory_counted
        )
        try:
            problem = _read_start(started)
            if not problem:
                watch.until_the_end()
        finally:
            namespaces = self.cell.namespaces
            watch.note(_tree.end(first_of_namespace=namespaces, user=self.cell.user))
            line = os.read(started, _DIGITS)  # nobody is left to write
            os.close(started)
        if problem:
            return Reply("infrastructure", detail=problem)
        if group is not None and self.cell.memory_counted:
            watch.memory = max(watch.memory, group.peak_mb() - before)
            if group.kills() > kills:
                watch.verdict = "memory"
        reply = watch.reply()
        if line and reply.status == "exited":
            reply.status, reply.code = "syntax_error", int(line)
        return reply

    def _become(
        self,
        request: Mapping[str, Any],
        limits: Limits,
        streams: tuple[int, int, int],
        failure: int,
    ) -> None:
        """In the child: take the streams, confine, and turn into the program. Never returns."""
        try:
            stdin, stdout, box = streams
            os.fchdir(box)
            os.dup2(stdin, 0)  # the launcher's own streams are /dev/null, and so stays the third
            os.dup2(stdout, 1)
            here = self.box.path
            self.cell.confine(limits, here, self.ruleset)
            words: list[str] = request["command"] or []
            if not words and self.run_main is not None:
                with open(_MAIN, "rb") as file:  # noqa: PTH123
                    source = file.read()
                os.write(failure, _BEGINS)
                os.dup2(failure, _LOWEST)
                _system.close_from(_LOWEST + 1)
                self.run_main(_MAIN, source, _LOWEST)
            command = [part.replace("{box}", here) for part in words]
            _system.close_on_exec_from(3)
            os.execvp(command[0], command)  # noqa: S606
        except BaseException as error:  # noqa: BLE001 - said to the launcher, whatever it is
            with suppress(BaseException):
                os.write(failure, f"{type(error).__name__}: {error}".encode()[:2000])
        finally:
            os._exit(127)


def _read_start(started: int) -> str:
    """Wait until the program begins; what the child says instead is why it does not."""
    ready, _, _ = select.select([started], [], [], _SETUP_SECONDS)
    if not ready:
        return "the child did not start"
    first = os.read(started, 1)
    return (
        ""
        if first in (b"", _BEGINS)
        else (first + os.read(started, 4096)).decode("utf-8", "replace")
    )


def _close(descriptors: list[int]) -> None:
    for descriptor in descriptors:
        os.close(descriptor)
