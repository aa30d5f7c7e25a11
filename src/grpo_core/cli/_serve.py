"""`grpo-core serve`: a verifier over HTTP, for OpenRLHF's `remote_url`."""

import os
import signal
import socket
import sys
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from grpo_core.adapters._rewards.openrlhf import openrlhf_reward
from grpo_core.cli._status import stop
from grpo_core.rewards import verify_code, verify_math

if TYPE_CHECKING:  # the extra `serve`
    from starlette.applications import Starlette

    from grpo_core.cli._http import Limits

VERIFIERS: dict[str, Callable[..., object]] = {"math": verify_math, "code": verify_code}


def serve(
    verifier: Annotated[
        str,
        typer.Argument(help="math, code, or package.module:function; a module may be a file here."),
    ] = "math",
    host: Annotated[str, typer.Option(help="Where to listen; 0.0.0.0 is everywhere.")] = (
        "127.0.0.1"
    ),
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: any that is free.")] = 5000,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes; as many as cores if not given.")
    ] = None,
    timeout_seconds: Annotated[
        float, typer.Option(min=0.001, help="For one completion; then it has no score.")
    ] = 60.0,
    max_body_mb: Annotated[float, typer.Option(min=0.001, help="Of a request; else 413.")] = 16.0,
    max_batch: Annotated[int, typer.Option(min=1, help="Completions a request; else 413.")] = 1024,
    max_requests: Annotated[int, typer.Option(min=1, help="At once; else 503.")] = 1024,
    read_seconds: Annotated[
        float, typer.Option(min=0.001, help="For a request to arrive; else 408.")
    ] = 30.0,
    end: Annotated[str, typer.Option(help="What ends a completion: <|im_end|>.")] = "",
    reason: Annotated[
        list[str] | None, typer.Option(help="Of verdicts, logged one by one; may be repeated.")
    ] = None,
    unscored: Annotated[
        float, typer.Option(help="The reward where the verifier has no score.")
    ] = 0.0,
) -> None:
    """Score for OpenRLHF's --reward.remote_url: POST {query, prompts, labels}, GET /health.

    Wrong input is answered 422 and says what was expected. Ctrl-C or SIGTERM: no new requests,
    those at work are answered, status 0.
    """
    if missing := [name for name in ("starlette", "uvicorn") if find_spec(name) is None]:
        stop(f"serve needs {', '.join(missing)}: pip install 'grpo_core[serve]'")
    from grpo_core.cli._http import Limits, application  # noqa: PLC0415 - the extra

    sys.path.insert(0, str(Path.cwd()))
    try:
        reward = openrlhf_reward(
            verifier_of(verifier),
            end=end,
            reasons=reason or (),
            unscored=unscored,
            workers=workers or os.cpu_count() or 1,
            timeout_seconds=timeout_seconds,
        )
        limits = Limits(max_body_mb, max_batch, read_seconds, max_requests)
        _listen(application(reward, limits), limits, host, port)
    except (OSError, ValueError) as error:
        stop(str(error))


def verifier_of(name: str) -> Callable[..., object]:
    """`math`, `code`, or what `package.module:function` names.

    Raises:
        ValueError: If it names nothing that can be called.
    """
    if name in VERIFIERS:
        return VERIFIERS[name]
    module, _, attribute = name.partition(":")
    if not (module and attribute):
        known = ", ".join(VERIFIERS)
        raise ValueError(f"a verifier is {known} or package.module:function, got {name!r}")
    try:
        verifier = getattr(import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise ValueError(f"{name}: {error}") from error
    if not callable(verifier):
        raise ValueError(f"{name} is no function but {type(verifier).__name__}")
    return verifier


def _listen(application: "Starlette", limits: "Limits", host: str, port: int) -> None:
    """Serve until SIGTERM or Ctrl-C; what is being scored then is still answered.

    However long that takes: a request is bounded already, by its completions and their timeout.
    """
    import uvicorn  # noqa: PLC0415 - the extra

    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, port), family=family, backlog=2048) as listener:
        config = uvicorn.Config(
            application,
            log_level="warning",
            access_log=False,
            lifespan="off",
            limit_concurrency=limits.requests,
        )
        # uvicorn raises the signal again once all is answered: then it has been heeded.
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, _heeded)
        shown = f"[{host}]" if family == socket.AF_INET6 else host
        typer.echo(f"http://{shown}:{listener.getsockname()[1]}/get_reward")
        uvicorn.Server(config).run(sockets=[listener])


def _heeded(*_: object) -> None:
    pass
