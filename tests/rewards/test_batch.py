"""Scoring in bulk: one result an item, in order, whatever happens to one of them."""

import asyncio
import gc
import multiprocessing
import os
import random
import resource
import subprocess
import sys
import threading
import time
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from functools import partial

import pytest

from batch_verifiers import (
    delayed,
    dies_once,
    needs_set_up,
    number,
    refuse,
    set_up,
    sleepy,
    troubled,
)
from grpo_core.rewards import Verdict, WorkerPool, score_batch, score_batch_async, verify_math

# Python 3.12 and later warn of what a test of forked pools does on purpose.
pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")


class OneThreadEach(Executor):
    """The least that is an executor: a thread for each task."""

    def submit(self, fn, /, *args, **kwargs):
        future = Future()

        def work():
            if not future.set_running_or_notify_cancel():
                return
            try:
                future.set_result(fn(*args, **kwargs))
            except Exception as error:  # noqa: BLE001 - whatever the task raises
                future.set_exception(error)

        threading.Thread(target=work, daemon=True).start()
        return future


class LosesChunks(OneThreadEach):
    """As an executor over actors: a chunk with an `exit` in it fails, and no other."""

    def submit(self, fn, verifier, items, *rest):
        if any("exit" in item for item in items):
            future = Future()
            future.set_exception(ConnectionError("the actor died"))
            return future
        return super().submit(fn, verifier, items, *rest)


class Forgets(OneThreadEach):
    """As a process pool that breaks while it is handed a task, and never hears of it again."""

    def submit(self, fn, /, *args, **kwargs):
        self._broken = "a worker died"
        return Future()


def process_pool(method):
    context = multiprocessing.get_context(method)
    # One that broke is left to itself: shutting it down is its owner's.
    return ProcessPoolExecutor(2, mp_context=context)


EXECUTORS = {
    "none": lambda: nullcontext(None),
    "a number": lambda: nullcontext(2),
    "workers": lambda: WorkerPool(2),
    "threads": lambda: ThreadPoolExecutor(2),
    "spawn": lambda: process_pool("spawn"),
    "fork": lambda: process_pool("fork"),
    "a stand-in": lambda: nullcontext(OneThreadEach()),
}
PROCESSES = ["a number", "workers", "spawn", "fork"]
every_executor = pytest.mark.parametrize("kind", EXECUTORS)
every_process = pytest.mark.parametrize("kind", PROCESSES)


def numbers(results):
    return [int(result.detail["n"]) if result.score else result.reason for result in results]


def expected(troubles, reasons):
    return [reasons.get(trouble, n) for n, trouble in enumerate(troubles)]


@contextmanager
def no_process_left():
    before = set(multiprocessing.active_children())
    yield
    assert set(multiprocessing.active_children()) <= before


# ---- by hand


@every_executor
def test_results_stand_where_their_items_stood_though_some_take_longer(kind):
    rng = random.Random(5)  # noqa: S311 - repeatable
    items = [(n, rng.choice([0, 0, 0.001, 0.02])) for n in range(120)]
    with EXECUTORS[kind]() as executor:
        results = list(score_batch(items, delayed, executor=executor))
    assert numbers(results) == list(range(120))


@every_executor
def test_what_a_verifier_raises_costs_its_item_alone(kind):
    troubles = ["", "reference", "", "error", "", "leave", ""] * 10
    with EXECUTORS[kind]() as executor:
        results = list(score_batch(enumerate(troubles), troubled, executor=executor))
    assert numbers(results) == expected(
        troubles, {"reference": "invalid_reference", "error": "error", "leave": "error"}
    )
    refused = results[1]
    assert refused.score is None
    assert refused.detail["error"] == "ValueError"
    assert "got '{'" in refused.detail["message"]


def test_a_reference_that_cannot_be_read_is_none_and_counted_apart():
    items = [(r"\boxed{2}", "2"), (r"\boxed{2}", r"\frac{1}{"), (r"\boxed{3}", "2")]
    verdicts = list(score_batch(items, verify_math))
    assert [verdict.score for verdict in verdicts] == [1.0, None, 0.0]
    assert verdicts[1].reason == "invalid_reference"


# ---- workers that die


@every_process
def test_a_worker_that_dies_costs_one_item_and_the_message_says_how(kind):
    troubles = [""] * 400
    troubles[3], troubles[70], troubles[71], troubles[399] = "exit", "kill", "exit", "exit"
    with no_process_left(), EXECUTORS[kind]() as executor:
        results = list(score_batch(enumerate(troubles), troubled, executor=executor))
    died = {"exit": "worker_died", "kill": "worker_died"}
    assert numbers(results) == expected(troubles, died)
    assert results[3].score is None
    assert "status 3" in results[3].detail["message"]
    assert "SIGKILL" in results[70].detail["message"]


@every_process
def test_an_item_whose_worker_died_by_chance_is_scored_at_the_second_try(kind, tmp_path):
    verifier = partial(dies_once, marker=str(tmp_path / "died"))
    with EXECUTORS[kind]() as executor:
        results = list(score_batch([(n,) for n in range(50)], verifier, executor=executor))
    assert (tmp_path / "died").exists()
    assert numbers(results) == list(range(50))


def test_a_batch_of_nothing_but_deaths_ends():
    results = list(score_batch([(n, "exit") for n in range(6)], troubled, executor=2))
    assert numbers(results) == ["worker_died"] * 6


def test_a_worker_pool_serves_the_next_batch_after_a_death():
    with WorkerPool(1) as workers:
        for _ in range(2):
            items = [(0, ""), (1, "kill"), (2, "")]
            results = list(score_batch(items, troubled, executor=workers))
            assert numbers(results) == [0, "worker_died", 2]
        assert workers.submit(number, n=4).result() == number(4)


def test_after_a_broken_pool_its_initializer_is_run_in_workers_of_ours():
    with ProcessPoolExecutor(1, initializer=set_up, initargs=("ready",)) as pool:
        items = [(n,) for n in range(20)]
        results = list(score_batch(items, needs_set_up, executor=pool))
    assert [result.reason for result in results] == [*["ready"] * 5, "worker_died", *["ready"] * 14]


def test_a_chunk_that_an_executor_loses_is_scored_elsewhere():
    troubles = ["", "exit", "", ""] * 5
    results = list(score_batch(enumerate(troubles), troubled, executor=LosesChunks()))
    assert numbers(results) == expected(troubles, {"exit": "worker_died"})


def test_a_task_that_a_breaking_pool_forgets_is_scored_elsewhere():
    results = list(score_batch([(n,) for n in range(20)], number, executor=Forgets()))
    assert numbers(results) == list(range(20))


def test_workers_that_cannot_start_are_said_so_at_once():
    with (
        WorkerPool(1, initializer=refuse) as workers,
        pytest.raises(RuntimeError, match="before its first task"),
    ):
        list(score_batch([(1,)], number, executor=workers))


# ---- items that hang


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")  # of 3.11
@every_process
def test_an_item_that_hangs_is_a_timeout_without_a_score(kind):
    troubles = [""] * 60
    troubles[0] = troubles[31] = "hang"
    begin = time.monotonic()
    with EXECUTORS[kind]() as executor:
        results = score_batch(enumerate(troubles), troubled, executor=executor, timeout_seconds=1)
        results = list(results)
        if isinstance(executor, ProcessPoolExecutor):  # what hangs there is its owner's to end
            for process in multiprocessing.active_children():
                process.kill()
    assert numbers(results) == expected(troubles, {"hang": "timeout"})
    assert results[0].score is None
    assert time.monotonic() - begin < 20


def test_threads_that_all_hang_do_not_hold_the_batch():
    release = threading.Event()

    def wait_for_it(n):  # no process can be sent this one
        if n < 2:
            release.wait()
        return number(n)

    with ThreadPoolExecutor(2) as threads:
        items = [(n,) for n in range(4)]
        results = list(score_batch(items, wait_for_it, executor=threads, timeout_seconds=0.2))
        release.set()
    assert numbers(results) == ["timeout"] * 4  # the pool was full: nobody else's fault


def test_threads_that_hang_leave_the_rest_to_processes():
    items = [(n, 3.0 if n < 2 else 0.0) for n in range(30)]
    with ThreadPoolExecutor(2) as threads:
        results = list(score_batch(items, delayed, executor=threads, timeout_seconds=0.7))
    assert numbers(results) == ["timeout", "timeout", *range(2, 30)]


@pytest.mark.parametrize("kind", ["none", "threads", "a number"])
def test_a_result_that_comes_late_is_a_timeout_too(kind):
    troubles = ["", "late", ""]
    with EXECUTORS[kind]() as executor:
        results = score_batch(enumerate(troubles), troubled, executor=executor, timeout_seconds=0.3)
        assert numbers(results) == [0, "timeout", 2]


# ---- what cannot be sent


@pytest.mark.parametrize("kind", ["a number", "spawn"])
def test_an_item_or_a_result_that_cannot_be_sent_is_an_error_of_its_own(kind):
    troubles = ["", "unsendable", lambda: 0, ""] * 4
    with EXECUTORS[kind]() as executor:
        results = list(score_batch(enumerate(troubles), troubled, executor=executor))
    refused = {"unsendable"}
    assert numbers(results) == [
        "error" if callable(trouble) or trouble in refused else n
        for n, trouble in enumerate(troubles)
    ]


@pytest.mark.parametrize("kind", ["a number", "workers", "spawn"])
def test_a_verifier_that_cannot_be_sent_is_refused_before_anything_is_scored(kind):
    with EXECUTORS[kind]() as executor, pytest.raises((AttributeError, TypeError, Exception)) as e:
        score_batch([(1,)], lambda n: n, executor=executor)
    assert "ickle" in str(e.value)


# ---- streams


@pytest.mark.parametrize("window", [1, 7, 64])
@every_executor
def test_never_more_than_the_window_is_taken_ahead(kind, window):
    taken = 0

    def stream():
        nonlocal taken
        for taken in range(1, 301):
            yield (taken - 1,)

    most = 0
    with EXECUTORS[kind]() as executor:
        results = score_batch(stream(), number, executor=executor, window=window)
        for given, result in enumerate(results):
            assert result.detail["n"] == str(given)
            most = max(most, taken - given)
    assert given == 299
    assert most <= window


def test_nothing_is_taken_before_it_is_asked_for():
    taken = []
    results = score_batch(((taken.append(n), n)[1:] for n in range(9)), number, executor=1)
    assert not taken
    results.close()
    assert not taken


@pytest.mark.parametrize("kind", ["none", "a number"])
def test_a_stream_of_a_million_rows_needs_no_more_memory_than_a_short_one(kind):
    text = "x" * 1000

    def peak():
        gc.collect()
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024  # MiB

    with EXECUTORS[kind]() as executor:
        assert sum(1 for _ in score_batch(((n,) for n in range(20_000)), len_of, executor=None))
        before, count = peak(), 0
        stream = ((text + str(n),) for n in range(1_000_000))  # a gigabyte in all
        for result in score_batch(stream, len_of, executor=executor):
            count += result > 1000
    assert count == 1_000_000
    assert peak() - before < 100


len_of = len


def test_progress_hears_of_every_result_and_of_the_number_if_there_is_one():
    heard = []
    items = [(n,) for n in range(3)]
    list(score_batch(items, number, progress=lambda *said: heard.append(said)))
    list(score_batch(iter(items), number, executor=1, progress=lambda *said: heard.append(said)))
    assert heard == [(1, 3), (2, 3), (3, 3), (1, None), (2, None), (3, None)]


# ---- leaving early


@every_process
def test_closing_early_leaves_no_process_and_no_task(kind):
    with EXECUTORS[kind]() as executor, no_process_left() if kind == "a number" else nullcontext():
        results = score_batch([(n,) for n in range(5000)], sleepy, executor=executor)
        assert numbers([next(results), next(results)]) == [0, 1]
        begin = time.monotonic()
        results.close()
        assert time.monotonic() - begin < 5
        if isinstance(executor, Executor):  # free at once: nothing of the batch stands before it
            begin = time.monotonic()
            executor.submit(sleepy, 0).result(timeout=5)
            assert time.monotonic() - begin < 1


def test_closing_early_waits_for_what_a_thread_has_begun():
    running = 0

    def counted(n):
        nonlocal running
        running += 1
        time.sleep(0.05)
        running -= 1

    with ThreadPoolExecutor(1) as threads:
        results = score_batch([(n,) for n in range(100)], counted, executor=threads)
        next(results)
        results.close()
        assert running == 0
        time.sleep(0.1)
        assert running == 0


LEFT_OPEN = """
from batch_verifiers import sleepy, troubled
from grpo_core.rewards import WorkerPool, score_batch
if __name__ == "__main__":
    pool = WorkerPool(1)
    slow = score_batch([(n,) for n in range(5000)], sleepy, executor=pool)
    hung = score_batch(((n, "hang" if n else "") for n in range(50)), troubled, executor=1)
    print(next(slow).reason, next(hung).reason)
"""


def test_a_program_that_leaves_a_batch_open_ends_all_the_same(tmp_path):
    script = tmp_path / "left_open.py"
    script.write_text(LEFT_OPEN)
    path = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-W", "error", str(script)],
        env=path, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (0, "correct correct\n", "")


def test_a_pool_that_was_shut_down_takes_no_more():
    pool = WorkerPool(1)
    done = pool.submit(number, 1)
    pool.shutdown()
    assert done.result() == number(1)
    with pytest.raises(RuntimeError, match="shut down"):
        pool.submit(number, 2)
    pool.shutdown()


def test_a_stream_that_fails_ends_the_batch_and_its_workers():
    def stream():
        yield (0,)
        raise OSError("disk gone")

    with no_process_left(), pytest.raises(OSError, match="disk gone"):
        list(score_batch(stream(), number, executor=1))


class UnprintableError(Exception):
    def __str__(self):
        raise RuntimeError("not even its text")


def unprintable(_):
    raise UnprintableError


def test_an_error_whose_text_is_an_error_costs_its_item_alone():
    results = list(score_batch([(1,), (2,)], unprintable))
    assert [(result.score, result.reason) for result in results] == [(None, "error")] * 2


# ---- in an event loop


async def collected(*args, **kwargs):
    return [result async for result in score_batch_async(*args, **kwargs)]


@every_executor
def test_the_async_variant_gives_the_same_and_the_loop_goes_on(kind):
    troubles = ["", "reference", ""] * 10
    ticks = 0

    async def main(executor):
        nonlocal ticks

        async def tick():
            nonlocal ticks
            while True:
                await asyncio.sleep(0.01)
                ticks += 1

        ticking = asyncio.create_task(tick())
        found = await collected(
            [(n, 0.05 * (n < 8)) for n in range(30)], delayed, executor=executor
        )
        ticking.cancel()
        return found, await collected(enumerate(troubles), troubled, executor=executor)

    with EXECUTORS[kind]() as executor:
        found, other = asyncio.run(main(executor))
    assert numbers(found) == list(range(30))
    assert numbers(other) == expected(troubles, {"reference": "invalid_reference"})
    assert ticks >= 2


def test_deaths_and_hangs_cost_one_item_each_in_an_event_loop_too():
    troubles = ["", "exit", "", "hang", ""]
    results = asyncio.run(collected(enumerate(troubles), troubled, executor=2, timeout_seconds=0.7))
    assert numbers(results) == [0, "worker_died", 2, "timeout", 4]


def test_cancelling_the_task_ends_the_workers():
    async def main():
        task = asyncio.create_task(collected([(n,) for n in range(5000)], sleepy, executor=2))
        await asyncio.sleep(0.6)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    begin = time.monotonic()
    with no_process_left():
        asyncio.run(main())
    assert time.monotonic() - begin < 10


def test_leaving_an_async_batch_early_ends_the_workers():
    async def main():
        results = score_batch_async([(n,) for n in range(5000)], sleepy, executor=2)
        assert (await anext(results)).detail["n"] == "0"
        await results.aclose()

    with no_process_left():
        asyncio.run(main())


# ---- wrong use


@pytest.mark.parametrize("kind", ["none", "threads"])
@pytest.mark.parametrize("item", ["\\boxed{2}", ["\\boxed{2}", "2"], 2])
def test_an_item_that_is_no_tuple_is_refused(kind, item):
    with EXECUTORS[kind]() as executor, pytest.raises(TypeError, match="must be a tuple"):
        list(score_batch([item], verify_math, executor=executor))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"timeout_seconds": 0}, "timeout_seconds must be more than 0, got 0"),
        ({"timeout_seconds": float("nan")}, "timeout_seconds must be more than 0, got nan"),
        ({"window": 0}, "window must be at least 1, got 0"),
        ({"executor": 0}, "executor must be at least 1 worker, got 0"),
    ],
)
def test_options_out_of_range_are_refused_at_the_call(options, message):
    with pytest.raises(ValueError, match=message):
        score_batch([], number, **options)
    with pytest.raises(ValueError, match=message):
        asyncio.run(collected([], number, **options))


def test_a_pool_of_no_workers_is_refused():
    with pytest.raises(ValueError, match="workers must be at least 1, got 0"):
        WorkerPool(0)


def test_no_items_give_no_results():
    assert list(score_batch([], number)) == []
    assert list(score_batch([], number, executor=2)) == []


# ---- others' executors, where they are installed


@pytest.mark.slow
def test_dask():
    distributed = pytest.importorskip("distributed")
    with distributed.Client(processes=False, dashboard_address=None) as client:
        items = [(n,) for n in range(200)]
        results = list(score_batch(items, number, executor=client.get_executor()))
    assert numbers(results) == list(range(200))


@pytest.mark.slow
def test_ray_actors():
    ray = pytest.importorskip("ray")

    class RayExecutor(Executor):
        """Tasks over actors, in turn."""

        def __init__(self, count):
            @ray.remote
            class Actor:
                def call(self, fn, args, kwargs):
                    return fn(*args, **kwargs)

            self.actors = [Actor.remote() for _ in range(count)]
            self.sent = 0

        def submit(self, fn, /, *args, **kwargs):
            actor = self.actors[self.sent % len(self.actors)]
            self.sent += 1
            return actor.call.remote(fn, args, kwargs).future()

    ray.init(num_cpus=2, include_dashboard=False)
    try:
        troubles = [""] * 100
        troubles[40] = "exit"  # kills an actor, and so whatever stands in line for it
        results = list(score_batch(enumerate(troubles), troubled, executor=RayExecutor(2)))
    finally:
        ray.shutdown()
    assert numbers(results) == expected(troubles, {"exit": "worker_died"})


def test_a_verdict_is_what_comes_for_a_verdict_and_anything_else_passes_through():
    assert list(score_batch([("ab",)], len, executor=1)) == [2]
    assert isinstance(next(score_batch([(1,)], number)), Verdict)
