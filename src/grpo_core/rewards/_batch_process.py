"""One worker process, its caller's side and its own."""

import pickle
import signal
from collections.abc import Callable
from math import inf
from time import monotonic
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # imported when a worker starts: `import grpo_core.rewards` stays light
    from multiprocessing.connection import Connection

Task = tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]

_GLANCE = 1.0  # seconds between looks at a silent worker: its pipe may outlive it in a grandchild
_FAREWELL = 2.0  # seconds for an idle worker to leave by itself


class StartError(RuntimeError):
    """No worker gets as far as its first task."""


class DeadWorkerError(Exception):
    """The process that had the task ended without an answer."""


class OverrunError(Exception):
    """The process that had the task was killed, since its time was up."""


class Worker:
    """One process and the pipe to it."""

    def __init__(
        self,
        initializer: Callable[..., object] | None,
        initargs: tuple[Any, ...],
    ) -> None:
        import multiprocessing  # noqa: PLC0415 - when first needed

        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(
            target=_serve, args=(theirs, initializer, initargs), name="grpo_core worker"
        )
        self.tasks = 0
        self._process.start()
        theirs.close()
        try:
            self._answer(inf)
        except DeadWorkerError:
            self.kill()
            raise StartError(
                "a worker process ended before its first task: its initializer failed, or the "
                'script that made it lacks `if __name__ == "__main__":`'
            ) from None

    def ask(self, message: bytes, seconds: float) -> tuple[bool, Any]:
        """Whether the task succeeded, and its result or error."""
        self.tasks += 1
        try:
            self._pipe.send_bytes(message)
        except OSError:
            raise DeadWorkerError(self._epitaph()) from None
        return self._answer(seconds)

    def _answer(self, seconds: float) -> tuple[bool, Any]:
        from multiprocessing.connection import wait  # noqa: PLC0415 - when first needed

        deadline = monotonic() + seconds
        while True:
            left = deadline - monotonic()
            if left <= 0:
                raise OverrunError(f"no answer within {seconds:g} s")
            ready = wait([self._pipe, self._process.sentinel], min(left, _GLANCE))
            try:
                if self._pipe in ready or self._pipe.poll():
                    return self._pipe.recv()
            except (EOFError, OSError):
                raise DeadWorkerError(self._epitaph()) from None
            if ready or not self._process.is_alive():
                raise DeadWorkerError(self._epitaph())

    def kill(self) -> None:
        """End it now; from another thread, its own hears of it."""
        self._process.kill()
        self._process.join()

    def close(self) -> None:
        """Let it leave by itself."""
        self._pipe.close()
        self._process.join(_FAREWELL)
        self._process.kill()
        self._process.join()

    def _epitaph(self) -> str:
        self._process.join(_GLANCE)
        status = self._process.exitcode
        if status is None:
            return "worker closed its pipe"
        if status >= 0:
            return f"worker ended with status {status}"
        try:
            return f"worker was killed by {signal.Signals(-status).name}"
        except ValueError:  # a real-time signal
            return f"worker was killed by signal {-status}"


def _serve(
    pipe: "Connection", initializer: Callable[..., object] | None, initargs: tuple[Any, ...]
) -> None:
    """What a worker does: tasks, one after the other, until the pipe is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the caller's to handle
    if initializer:
        initializer(*initargs)
    pipe.send((True, None))
    while True:
        try:
            message = pipe.recv_bytes()
        except (EOFError, OSError):
            return
        outcome = _outcome(message)
        try:
            pipe.send(outcome)
        except (BrokenPipeError, ConnectionError):
            return
        except Exception as error:  # noqa: BLE001 - whatever a pickle may raise
            pipe.send((False, RuntimeError(f"result cannot be sent: {error!r:.500}")))


def pickled(task: Task) -> memoryview:
    from multiprocessing.reduction import ForkingPickler  # noqa: PLC0415 - when first needed

    return ForkingPickler.dumps(task)


def _outcome(message: bytes) -> tuple[bool, Any]:
    try:
        task: Task = pickle.loads(message)  # noqa: S301 - from the process that started this one
        function, arguments, keywords = task
        return True, function(*arguments, **keywords)
    except Exception as error:  # noqa: BLE001 - the caller's to see
        return False, error
