"""Micro-batches of completions of unequal length."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grpo_core.batching import first_fit_decreasing

LENGTHS = st.lists(st.integers(0, 50), max_size=60)


def plainly(lengths, max_tokens):
    """First fit, by looking at every micro-batch in turn."""
    batches, loads = [], []
    for place in sorted(range(len(lengths)), key=lambda i: (-lengths[i], i)):
        for which, load in enumerate(loads):
            if load + lengths[place] <= max_tokens:
                batches[which].append(place)
                loads[which] += lengths[place]
                break
        else:
            batches.append([place])
            loads.append(lengths[place])
    return batches


@given(LENGTHS, st.integers(50, 120))
def test_it_is_first_fit(lengths, max_tokens):
    assert first_fit_decreasing(lengths, max_tokens=max_tokens) == plainly(lengths, max_tokens)


@given(LENGTHS, st.integers(50, 120))
def test_every_sequence_once_and_never_too_many_tokens(lengths, max_tokens):
    batches = first_fit_decreasing(lengths, max_tokens=max_tokens)
    assert sorted(place for batch in batches for place in batch) == list(range(len(lengths)))
    assert all(sum(lengths[place] for place in batch) <= max_tokens for batch in batches)
    assert all(batches)


def test_a_whole_step_takes_little_time():
    lengths = [1 + (7919 * place) % 16_000 for place in range(8_192)]
    start = time.perf_counter()
    batches = first_fit_decreasing(lengths, max_tokens=16_384)
    assert time.perf_counter() - start < 2
    assert len(batches) <= 1.05 * sum(lengths) / 16_384


@pytest.mark.parametrize(
    ("lengths", "max_tokens", "message"),
    [
        ([3], 0, "max_tokens must be at least 1, got 0"),
        ([3, 11], 10, r"each length must be in \[0, 10\], got 11 at 1"),
        ([-1], 10, r"each length must be in \[0, 10\], got -1 at 0"),
    ],
)
def test_what_does_not_fit_raises(lengths, max_tokens, message):
    with pytest.raises(ValueError, match=message):
        first_fit_decreasing(lengths, max_tokens=max_tokens)
