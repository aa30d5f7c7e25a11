"""The harness finds what was planted, says it in full, and finds nothing where nothing is."""

import time
from functools import partial

import pytest
from hypothesis import settings
from hypothesis import strategies as st

from grpo_core.rewards import (
    magistral_reward,
    verify_code,
    verify_format,
    verify_language,
    verify_math,
)
from grpo_core.testing import check_verifier
from testing import planted, planted_more

BUGS = planted.BUGS | planted_more.BUGS
MISSED = {"first words alone"}
UNFOUND = pytest.mark.xfail(reason="no text here changes its language within a part", strict=True)
NUMBERS = st.integers(-99, 99)
FEW = settings(max_examples=15, derandomize=True, database=None)


def boxed(text):
    return f"<think>So.</think>It is \\boxed{{{text}}}."


SOURCES = {
    "right": NUMBERS.map(lambda n: (boxed(n), str(n))),
    "wrong": {
        "off by one": NUMBERS.map(lambda n: (boxed(n + 1), str(n))),
        "sign": NUMBERS.filter(bool).map(lambda n: (boxed(-n), str(n))),
        "percent": NUMBERS.filter(bool).map(lambda n: (boxed(f"{n}\\%"), str(n))),
    },
    "hostile": {
        "several": NUMBERS.map(lambda n: (boxed(n) + boxed(n + 1)[20:], str(n))),
        "tag": NUMBERS.map(
            lambda n: (f"<think></think>\\boxed{{{n}}}</think>\\boxed{{7.5}}", str(n))
        ),
    },
}
QUICK = ["no sign", "first box", "loops", "above one", "by order of a set", "not picklable"]


def checked(verifier, **options):
    return check_verifier(
        verifier,
        **{**SOURCES, "settings": FEW, "deadline_seconds": 1.0, "seconds": 40.0, **options},
    )


@pytest.mark.parametrize("name", QUICK)
def test_a_planted_bug_is_found(name):
    bug = planted.BUGS[name]
    report = checked(bug.verifier)
    assert set(report.failed) & set(bug.checks), report
    with pytest.raises(AssertionError, match="ways to fail"):
        report.check()


def test_a_clean_toy_has_no_failure_and_every_check_was_run():
    report = checked(planted.clean)
    report.check()
    assert [result.name for result in report.results if not result.is_run] == ["symmetric"]


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=UNFOUND) if name in MISSED else name for name in BUGS]
)
def test_a_planted_bug_is_found_by_the_default_settings_in_a_minute(name):
    bug = BUGS[name]
    began = time.monotonic()
    report = check_verifier(bug.verifier, kind=bug.kind)
    assert set(report.failed) & set(bug.checks), report
    assert time.monotonic() - began < 60


def our_reward(completion, reference):
    return magistral_reward("", completion, reference, language=None).total


OURS = {
    "math": (verify_math, {"kind": "math", "symmetric": True}),
    "clean": (planted.clean, {"kind": "math"}),
    "reward": (our_reward, {"kind": "math"}),
    "format": (partial(verify_format, kind="math"), {"kind": "format"}),
    "language": (verify_language, {"kind": "language"}),
    "code": (partial(verify_code, allow_weak=True), {"kind": "code"}),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", OURS)
def test_our_own_verifiers_have_no_failure(name):
    verifier, options = OURS[name]
    check_verifier(verifier, **options).check()


def test_the_report_is_the_same_each_time():
    first, second = (checked(planted.no_sign) for _ in range(2))
    assert first["rejects_wrong"].failures == second["rejects_wrong"].failures


def test_failures_are_shrunk_and_can_be_pasted():
    report = checked(planted.no_sign)
    assert report.failed == ("rejects_wrong",)
    (failure,) = report["rejects_wrong"].failures
    assert failure.label == "sign"
    assert failure.example in {f"no_sign({boxed(-n)!r}, '{n}')" for n in (-1, 1)}
    scope = {}
    exec(failure.test, scope)  # noqa: S102 - what is tested
    with pytest.raises(AssertionError):
        scope["test_rejects_wrong"]()
    assert "    def test_rejects_wrong():" in str(report)


def test_all_that_fails_is_reported_and_not_the_first_alone():
    def several(completion, reference):
        if "7.5" in completion:
            raise KeyError("7.5")
        return 2.0 if "%" in completion else planted.first_box(completion, reference)

    report = checked(several)
    assert {"total", "bounded", "not_gamed", "process_safe"} <= set(report.failed)
    assert "cannot be pickled" in report["process_safe"].failures[0].message


@pytest.mark.slow
def test_a_verifier_that_never_ends_is_no_harm_to_the_harness():
    began = time.monotonic()
    report = checked(loops_always, deadline_seconds=0.5)
    assert "in_time" in report.failed
    assert time.monotonic() - began < 90


def loops_always(completion, reference):
    while "box" in completion:
        time.sleep(0.01)
    return 0.0


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"bounds": (1, 0)}, ValueError, "bounds must be two finite numbers"),
        ({"passing": 2.0}, ValueError, r"passing must be in \(0, 1\]"),
        ({"deadline_seconds": 0}, ValueError, "deadline_seconds must be finite and more than 0"),
        ({"kind": "maths"}, ValueError, "kind must be one of 'math'"),
        ({"wrong": None}, ValueError, "give both right and wrong"),
        ({"right": [1]}, TypeError, "right must be a strategy, got list"),
        ({"right": {}}, ValueError, "right must hold at least one strategy"),
        ({"right": NUMBERS}, TypeError, "must generate tuples of the verifier's arguments"),
    ],
)
def test_wrong_use_raises(options, error, message):
    with pytest.raises(error, match=message):
        checked(planted.clean, **options)
