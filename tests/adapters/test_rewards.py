"""What holds in every trainer: a score arrives, and what has none is never a silent zero."""

import asyncio
import logging
import multiprocessing
import pickle
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from functools import partial
from operator import itemgetter
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

import adapter_verifiers as own
from adapter_verifiers import TRAINERS
from grpo_core.adapters.areal import NotScoredError, areal_reward
from grpo_core.adapters.openrlhf import openrlhf_reward
from grpo_core.adapters.prime_rl import verifiers_reward
from grpo_core.adapters.skyrl import skyrl_env
from grpo_core.adapters.slime import slime_reward
from grpo_core.adapters.trl import trl_reward
from grpo_core.adapters.verl import verl_reward
from grpo_core.rewards import magistral_reward, verify_code, verify_format, verify_math

every_trainer = pytest.mark.parametrize("ask", TRAINERS.values(), ids=TRAINERS)
REWARDS = {
    "trl": trl_reward(verify_math, column="answer"),
    "verl": verl_reward(verify_math),
    "openrlhf": openrlhf_reward(verify_math),
    "areal": areal_reward(verify_math, column="answer"),
    "verifiers": verifiers_reward(verify_math, column="answer"),
    "slime": slime_reward(verify_math),
}

# A plain call of each, and where its answer has the score.
CALLS = {
    "trl": ((), {"completions": [r"\boxed{2}"], "answer": ["2"]}, itemgetter(0)),
    "verl": (("data", r"\boxed{2}", "2"), {}, itemgetter("score")),
    "openrlhf": (([r"\boxed{2}"], [""], ["2"]), {}, lambda answer: answer["rewards"].item()),
    "areal": (("?", r"\boxed{2}", [1], [2]), {"answer": "2"}, float),
    "verifiers": ((), {"task": own.Task("2"), "trace": own.Trace(r"\boxed{2}")}, float),
    "slime": ((None, own.Sample(r"\boxed{2}", "2")), {}, float),
}


@every_trainer
def test_a_right_answer_earns_its_score_and_a_wrong_one_none(ask):
    assert ask(verify_math, r"\boxed{2}", "2") == (1.0, False)
    assert ask(verify_math, r"\boxed{3}", "2") == (0.0, False)
    assert ask(own.share_of_a, "abab", "") == (0.5, False)
    assert ask(own.own_verdict, "", "") == (0.5, False)


@every_trainer
@pytest.mark.parametrize(
    "verifier", [own.crash, own.nothing, own.not_a_number, own.a_text], ids=lambda v: v.__name__
)
def test_what_has_no_score_is_counted_and_no_zero(ask, verifier):
    score, is_missing = ask(verifier, "abab", "2")
    assert is_missing
    assert score in (None, -7.0)


@every_trainer
def test_a_reference_that_nobody_can_read_is_counted_and_logged(ask, caplog):
    with caplog.at_level(logging.WARNING, "grpo_core.adapters"):
        score, is_missing = ask(verify_math, r"\boxed{2}", "{2")
    assert is_missing
    assert score in (None, -7.0)
    assert "invalid_reference" in caplog.text
    assert "row 0" in caplog.text
    assert "got '{2'" in caplog.text


@every_trainer
def test_a_row_without_a_reference_is_another_tasks(ask, caplog):
    assert ask(verify_math, r"\boxed{2}", None)[1]
    assert not caplog.records


@every_trainer
def test_a_completion_that_is_no_text_is_an_error_that_says_so(ask):
    with pytest.raises(TypeError, match=r"must be a text.*got int: 7"):
        ask(verify_math, 7, "2")


@every_trainer
@given(completion=st.text())
def test_no_text_at_all_breaks_a_trainer(ask, completion):
    assert ask(verify_math, completion, "2")[0] in (0.0, 1.0)


@pytest.mark.parametrize("name", REWARDS)
def test_a_reward_function_survives_pickling(name):
    copy = pickle.loads(pickle.dumps(REWARDS[name]))  # noqa: S301 - our own
    assert copy.__name__ == "verify_math"
    assert copy.question == REWARDS[name].question


@pytest.fixture(scope="module")
def spawned():
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        yield pool


@every_trainer
def test_a_spawned_process_scores_as_this_one_does(ask, spawned):
    assert spawned.submit(ask, verify_math, r"\boxed{2}", "2").result() == (1.0, False)
    assert spawned.submit(ask, own.crash, "a", "2").result() == ask(own.crash, "a", "2")


@pytest.mark.parametrize(("name", "call"), CALLS.items(), ids=CALLS)
def test_a_reward_function_is_sent_to_a_spawned_process(name, call, spawned):
    arguments, options, score = call
    result = spawned.submit(own.called, REWARDS[name], *arguments, **options).result()
    assert score(result) == 1.0


def test_the_row_that_is_logged_is_the_trainers_own(caplog):
    bad = {"response": "2", "label": "{2", "metadata": {}}
    asyncio.run(REWARDS["slime"](None, [SimpleNamespace(index=40, **bad)]))
    assert "row 40, column 'label'" in caplog.text
    REWARDS["verl"]("gsm8k", "2", "{2", {"index": 41})
    assert "row 41, column 'ground_truth'" in caplog.text
    task = SimpleNamespace(answer="{2", idx=42)
    trace = SimpleNamespace(last_reply="2", record_metric=lambda *_: None)
    with pytest.raises(NotScoredError):
        asyncio.run(REWARDS["verifiers"](task=task, trace=trace))
    assert "row 42, column 'answer'" in caplog.text
    with pytest.raises(TypeError, match="row 41, solution_str must be a text, got int"):
        REWARDS["verl"]("gsm8k", 7, "2", {"index": 41})
    with pytest.raises(LookupError, match="no column 'answer' in row 41, the extra_info of 'gsm8k"):
        verl_reward(verify_math, column="answer")("gsm8k", "2", "2", {"index": 41})
    with pytest.raises(TypeError, match="row 42, the trace's last reply must be a text, got int"):
        asyncio.run(REWARDS["verifiers"](task=task, trace=SimpleNamespace(last_reply=7)))
    with pytest.raises(TypeError, match="row 40: the response must be a text, got int"):
        asyncio.run(REWARDS["slime"](None, SimpleNamespace(index=40, **{**bad, "response": 7})))


@pytest.mark.parametrize("name", ["trl", "verl", "areal", "slime"])
def test_a_partial_with_options_is_called_by_its_verifiers_name(name):
    verifier = partial(partial(verify_math, rounding="digits"), order="set")
    makers = {"trl": trl_reward, "verl": verl_reward, "areal": areal_reward, "slime": slime_reward}
    assert makers[name](verifier, column="answer").__name__ == "verify_math"
    assert makers[name](verifier, column="answer", name="mine").__name__ == "mine"


@every_trainer
def test_many_threads_may_ask_at_once(ask):
    with ThreadPoolExecutor(8) as threads:
        futures = [
            threads.submit(ask, verify_math, rf"\boxed{{{n}}}", str(n - n % 2)) for n in range(40)
        ]
        assert [f.result() for f in futures] == [(float(n % 2 == 0), False) for n in range(40)]


@pytest.mark.parametrize("make", [trl_reward, verl_reward, areal_reward, slime_reward])
def test_wrong_options_raise_when_the_reward_is_made(make):
    with pytest.raises(TypeError, match="verifier must be callable, got str"):
        make("verify_math", column="answer")
    with pytest.raises(ValueError, match="column must be the name of a column or None, got ''"):
        make(verify_math, column="")
    with pytest.raises(ValueError, match="problem must be the name of a column or None, got 3"):
        make(verify_math, column="answer", problem=3)


@pytest.mark.parametrize(
    ("verifier", "column", "completion", "reference", "score"),
    [
        (partial(verify_format, kind="math"), None, "<think>a</think>\\boxed{2}", None, 1.0),
        (partial(verify_code, allow_weak=True), "answer", "```python\nprint(1)\n```",
         [{"stdin": "", "stdout": "1"}], 1.0),
    ],
    ids=["format", "code"],
)  # fmt: skip
def test_the_other_verifiers_are_asked_the_same_way(verifier, column, completion, reference, score):
    reward = trl_reward(verifier, column=column)
    assert reward(prompts=["Why?"], completions=[completion], answer=[reference]) == [score]


def test_the_reward_of_the_report_goes_beyond_1_and_knows_the_length():
    reward = trl_reward(
        partial(magistral_reward, language=None, max_length=100, buffer=20),
        column="answer", problem="prompt", length=True,
    )  # fmt: skip
    text = r"<think>6 * 7</think>\boxed{42}"
    rewards = reward(
        prompts=["6 times 7?"] * 3,
        completions=[text, text, "42"],
        completion_ids=[[0] * 10, [0] * 110, [0]],
        answer=["42"] * 3,
    )
    assert rewards == [1.0, 0.9, 0.0]


def test_adapters_import_neither_torch_nor_a_trainer_for_a_reward():
    code = "import grpo_core.adapters, sys; from grpo_core.adapters._rewards import trl, verl"
    code += ", openrlhf, areal, skyrl, nemo_rl, prime_rl, slime; print(*sys.modules)"
    command = [sys.executable, "-W", "error", "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    heavy = {"torch", "numpy", "trl", "verl", "ray", "skyrl_gym", "verifiers"}
    assert not heavy & set(done.stdout.split())


@pytest.mark.parametrize("make", [verl_reward, openrlhf_reward, slime_reward, skyrl_env])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_stands_for_no_score_is_a_number(make, value):
    with pytest.raises(ValueError, match="unscored must be a finite number"):
        make(verify_math, unscored=value)()
