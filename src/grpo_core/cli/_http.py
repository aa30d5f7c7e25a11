"""OpenRLHF's `remote_url` as an application: what a request must be, and what it may cost."""

import asyncio
import json
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from logging import getLogger
from typing import Any, cast

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from grpo_core.adapters._rewards.openrlhf import OpenrlhfReward

FIELDS = ("query", "prompts", "labels")
MEGABYTE = 1_000_000
_LOG = getLogger("grpo_core.cli")


@dataclass(frozen=True)
class Limits:
    """What a request may cost."""

    body_mb: float = 16.0  # more is answered 413
    batch: int = 1024  # completions in a request; more is answered 413
    read_seconds: float = 30.0  # for the body to arrive; longer is answered 408
    requests: int = 1024  # at once; more are answered 503, which OpenRLHF tries again


class RefusedError(Exception):
    """A request that is not scored, and the status that says so."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def application(reward: OpenrlhfReward, limits: Limits) -> Starlette:
    """The application: POST to `/` or `/get_reward` is scored, GET of `/health` counts."""
    # OpenRLHF sends completions one by one: as many requests are at work as keep the workers so.
    threads = ThreadPoolExecutor(2 * (reward.workers or 1))
    counts = Counter(requests=0, completions=0, not_applicable=0, refused=0)

    async def score(request: Request) -> JSONResponse:
        counts["requests"] += 1
        try:
            batch = batch_of(await body_of(request, limits), limits)
            loop = asyncio.get_running_loop()
            answer = await loop.run_in_executor(threads, reward.answer, *batch)
        except RefusedError as error:
            counts["refused"] += 1
            # OpenRLHF's log has the status alone.
            _LOG.warning("refused with %d: %s", error.status, error)
            return JSONResponse({"error": str(error)}, error.status)
        missing = sum(answer["extra_logs"]["not_applicable"])
        counts.update(completions=len(answer["rewards"]), not_applicable=int(missing))
        return JSONResponse(answer)

    async def health(_: Request) -> JSONResponse:
        return JSONResponse({"verifier": reward.__name__, **counts})

    posts = [Route(path, score, methods=["POST"]) for path in ("/", "/get_reward")]
    return Starlette(routes=[*posts, Route("/health", health)])


async def body_of(request: Request, limits: Limits) -> bytes:
    """The body, of which no more is read than is allowed.

    Raises:
        RefusedError: 413 if it is too long, 408 if it does not arrive.
    """
    largest = int(limits.body_mb * MEGABYTE)
    too_long = RefusedError(413, f"the body must have at most {largest:,} bytes")
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced[:20]) > largest:
        raise too_long
    body = bytearray()
    try:
        async with asyncio.timeout(limits.read_seconds):
            async for piece in request.stream():
                body += piece
                if len(body) > largest:
                    raise too_long
    except TimeoutError:
        message = f"the body must arrive within {limits.read_seconds:g} s"
        raise RefusedError(408, message) from None
    return bytes(body)


def batch_of(body: bytes, limits: Limits) -> tuple[list[str], list[str], list[Any]]:
    """Queries, prompts and labels.

    Raises:
        RefusedError: 422 if they are not what OpenRLHF sends, 413 if they are too many.
    """
    try:
        payload = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise RefusedError(422, f"the body must be JSON: {error}") from None
    if not isinstance(payload, dict):
        raise RefusedError(422, f"the body must be an object, got {type(payload).__name__}")
    fields = cast("dict[str, Any]", payload)
    lists: list[list[Any]] = []
    for name in FIELDS:
        value = fields.get(name)
        if not isinstance(value, list):
            got = type(value).__name__ if name in fields else "nothing"
            raise RefusedError(422, f"{name} must be a list, got {got}")
        lists.append(cast("list[Any]", value))
    sizes = [len(values) for values in lists]
    if max(sizes) > limits.batch:
        raise RefusedError(413, f"need at most {limits.batch:,} completions, got {max(sizes):,}")
    if len(set(sizes)) > 1:
        given = ", ".join(f"{n} {name}" for n, name in zip(sizes, FIELDS, strict=True))
        raise RefusedError(422, f"need as many query, prompts and labels, got {given}")
    for name, values in zip(FIELDS[:2], lists[:2], strict=True):
        for row, value in enumerate(values):
            if not isinstance(value, str):
                got = type(value).__name__
                raise RefusedError(422, f"row {row}: {name} must be a text, got {got}")
    queries, prompts, labels = lists
    return queries, prompts, labels
