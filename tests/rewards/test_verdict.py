"""What every verifier answers: checked when it is made, and as good after a pickle."""

import math
import pickle
from dataclasses import FrozenInstanceError

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grpo_core.rewards import Verdict

verdicts = st.builds(
    Verdict,
    st.none() | st.floats(0, 1),
    st.text(min_size=1),
    st.dictionaries(st.text(), st.text()),
)


def test_a_verdict_has_no_detail_unless_it_is_given_some():
    assert Verdict(1.0, "correct").detail == {}
    assert Verdict(0.0, "different", {"rule": "number"}).detail == {"rule": "number"}


def test_not_applicable_is_none_and_no_zero():
    assert Verdict(None, "infrastructure") != Verdict(0.0, "infrastructure")


@pytest.mark.parametrize("score", [0, 1])
def test_an_integer_score_becomes_a_float(score):
    assert type(Verdict(score, "correct").score) is float


@given(verdicts)
def test_a_verdict_survives_a_pickle(verdict):
    assert pickle.loads(pickle.dumps(verdict)) == verdict  # noqa: S301 - ours


@given(verdicts)
def test_equal_verdicts_have_equal_hashes(verdict):
    assert hash(Verdict(verdict.score, verdict.reason, dict(verdict.detail))) == hash(verdict)


def test_verdicts_share_no_detail():
    detail = {"rule": "number"}
    verdict = Verdict(1.0, "correct", detail)
    detail["rule"] = "text"
    assert verdict.detail == {"rule": "number"}
    assert Verdict(1.0, "correct").detail is not Verdict(1.0, "correct").detail


def test_a_verdict_is_frozen():
    with pytest.raises(FrozenInstanceError):
        Verdict(1.0, "correct").score = 0.5


@pytest.mark.parametrize("score", [-0.1, 1.1, 2, math.nan, math.inf, -math.inf])
def test_a_score_outside_its_range_raises(score):
    with pytest.raises(ValueError, match=r"score must be in \[0, 1\] or None, got"):
        Verdict(score, "correct")


@pytest.mark.parametrize("score", [True, "1", 1j])
def test_a_score_that_is_no_number_raises(score):
    with pytest.raises(TypeError):
        Verdict(score, "correct")


def test_a_reason_is_a_text_that_is_not_empty():
    with pytest.raises(ValueError, match="reason must not be empty"):
        Verdict(1.0, "")
    with pytest.raises(TypeError, match="reason must be a str, got int"):
        Verdict(1.0, 3)
