"""Verifiers that misbehave, in a module that a worker process can import."""

import os
import signal
import sys
import time
from pathlib import Path

from grpo_core.rewards import Verdict


def number(n):
    """The item's own number, to see that results stand where their items stood."""
    return Verdict(1.0, "correct", {"n": str(n)})


def delayed(n, seconds):
    time.sleep(seconds)
    return number(n)


def troubled(n, trouble):
    """Number `n`, after or instead of some trouble."""
    if trouble == "exit":
        os._exit(3)
    elif trouble == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    elif trouble == "hang":
        time.sleep(1000)
    elif trouble == "late":
        time.sleep(0.5)
    elif trouble == "reference":
        raise ValueError("reference must be an answer that can be read, got '{'")
    elif trouble == "error":
        raise RuntimeError("out of luck")
    elif trouble == "leave":
        sys.exit(1)
    elif trouble == "unsendable":
        return lambda: n
    return number(n)


def dies_once(n, marker):
    """Kill the worker at the first item 7 only, as the machine's memory killer might."""
    if n == 7 and not Path(marker).exists():
        Path(marker).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return number(n)


def sleepy(n):
    """So slow that a batch is under way when it is left."""
    time.sleep(0.05)
    return number(n)


STATE = {}


def set_up(value):
    STATE["value"] = value


def needs_set_up(n):
    if n == 5:
        os._exit(1)
    return Verdict(1.0, STATE["value"])


def refuse():
    raise RuntimeError("no model here")
