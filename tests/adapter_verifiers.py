"""Verifiers of a user's own, in a module that processes can import; and each trainer's call."""

import asyncio
import inspect
import os
from dataclasses import dataclass
from types import SimpleNamespace

from grpo_core.adapters.areal import NotScoredError, areal_reward
from grpo_core.adapters.openrlhf import openrlhf_reward
from grpo_core.adapters.prime_rl import verifiers_reward
from grpo_core.adapters.slime import slime_reward
from grpo_core.adapters.trl import trl_reward
from grpo_core.adapters.verl import verl_reward
from grpo_core.rewards import Verdict


def crash(completion, reference):
    raise RuntimeError("out of luck")


def die(completion, reference):
    os._exit(3)


def share_of_a(completion, reference):
    """A number, as many a user's reward gives one."""
    return completion.count("a") / max(len(completion), 1)


def nothing(completion, reference):
    return None


def not_a_number(completion, reference):
    return float("nan")


def a_text(completion, reference):
    return "1.0"


def own_verdict(completion, reference):
    return Verdict(0.5, "half_right")


def with_length(completion, reference, *, length):
    return float(length)


def with_problem(problem, completion, reference):
    return Verdict(float(problem == "Why?"), "asked")


# What a trainer hands over, of a class that another process can import.


@dataclass
class Task:
    answer: str


@dataclass
class Trace:
    last_reply: str

    def record_metric(self, name, value):
        pass


@dataclass
class Sample:
    response: str
    label: str
    metadata: dict | None = None
    remove_sample: bool = False


def called(reward, *arguments, **options):
    """What a reward function answers, awaited where it has to be."""
    answer = reward(*arguments, **options)
    return asyncio.run(answer) if inspect.iscoroutine(answer) else answer


# Each trainer's call of one completion, as (score, whether it is left out or counted as missing).


def ask_trl(verifier, completion, reference):
    metrics = {}
    (score,) = trl_reward(verifier, column="answer", name="it")(
        prompts=["Why?"],
        completions=[completion],
        completion_ids=[[1]],
        answer=[reference],
        log_metric=metrics.__setitem__,
    )
    return score, bool(metrics["reward/it/not_applicable"])


def ask_verl(verifier, completion, reference):
    result = verl_reward(verifier, unscored=-7.0)("data", completion, reference, {})
    return result["score"], bool(result["not_applicable"])


def ask_openrlhf(verifier, completion, reference):
    reward = openrlhf_reward(verifier, unscored=-7.0)
    query = "Why?" + completion if isinstance(completion, str) else completion
    result = reward([query], ["Why?"], [reference])
    return result["rewards"].item(), bool(result["extra_logs"]["not_applicable"].item())


def ask_areal(verifier, completion, reference):
    try:
        reward = areal_reward(verifier, column="answer")
        return reward("Why?", completion, [1], [2], answer=reference), False
    except NotScoredError:
        return None, True


def ask_verifiers(verifier, completion, reference):
    metrics = {}
    reward = verifiers_reward(verifier, column="answer")
    trace = SimpleNamespace(last_reply=completion, record_metric=metrics.__setitem__)
    try:
        score = asyncio.run(reward(task=SimpleNamespace(answer=reference), trace=trace))
    except NotScoredError:
        score = None
    return score, bool(metrics[f"{reward.__name__}/not_applicable"])


def ask_slime(verifier, completion, reference):
    sample = SimpleNamespace(
        response=completion, label=reference, metadata=None, remove_sample=False
    )
    score = asyncio.run(slime_reward(verifier, unscored=-7.0)(None, sample))
    missing = bool(sample.metadata["grpo_core_not_applicable"])
    assert sample.remove_sample == missing
    return score, missing


TRAINERS = {
    "trl": ask_trl,
    "verl": ask_verl,
    "openrlhf": ask_openrlhf,
    "areal": ask_areal,
    "verifiers": ask_verifiers,
    "slime": ask_slime,
}


def has_word(completion, reference):
    """For TRL's tiny model: whether it said a word; a reference `?` is one that breaks it."""
    if reference == "?":
        raise RuntimeError("out of luck")
    return Verdict(
        float(reference in completion.split()), "said" if reference in completion else "unsaid"
    )
