"""The soft length penalty: the report's equation, and the same without torch."""

import pytest
import torch

import oracles
from grpo_core.advantages import soft_length_penalty
from grpo_core.rewards import soft_length_penalty as soft_length_penalty_of_one

SETTINGS = [(100, 10, 0.1), (16384, 4096, 0.1), (7, 7, 1.0), (1, 1, 0.5), (50, 3, 0.0)]


@pytest.mark.parametrize(("max_length", "buffer", "penalty"), SETTINGS)
def test_it_is_the_reports_equation_at_every_length_and_equal_to_the_one_without_torch(
    max_length, buffer, penalty
):
    lengths = range(max_length + 20)
    options = {"max_length": max_length, "buffer": buffer, "penalty": penalty}
    torch.set_default_dtype(torch.float64)
    try:
        got = soft_length_penalty(torch.tensor(lengths), **options).tolist()
    finally:
        torch.set_default_dtype(torch.float32)
    assert got == [soft_length_penalty_of_one(n, **options) for n in lengths]
    assert got == pytest.approx(
        [oracles.soft_length_penalty(n, *options.values()) for n in lengths]
    )
    assert str(got[0]) == "0.0"  # not -0.0, which a log would show


@pytest.mark.parametrize(("max_length", "buffer", "penalty"), SETTINGS)
def test_by_default_it_is_the_same_rounded_once_to_float32(max_length, buffer, penalty):
    lengths, options = range(max_length + 20), {"max_length": max_length, "buffer": buffer}
    got = soft_length_penalty(torch.tensor(lengths), penalty=penalty, **options)
    alone = [soft_length_penalty_of_one(n, penalty=penalty, **options) for n in lengths]
    assert got.dtype == torch.float32
    assert torch.equal(got, torch.tensor(alone, dtype=torch.float32))
    assert (got.diff() <= 0).all()


@pytest.mark.no_shape_hook  # which takes unsigned integers for another kind
@pytest.mark.parametrize("dtype", [torch.uint8, torch.int16, torch.int32])
def test_narrow_integers_do_not_wrap_around(dtype):
    got = soft_length_penalty(torch.tensor([10, 80, 95], dtype=dtype), max_length=100, buffer=10)
    assert got.tolist() == pytest.approx([0.0, 0.0, -0.05])
    long = soft_length_penalty(torch.tensor([10], dtype=dtype), max_length=40_000, buffer=10)
    assert long.tolist() == [0.0]


@pytest.mark.no_shape_hook
def test_wrong_use_raises():
    lengths = torch.tensor([3])
    with pytest.raises(ValueError, match=r"buffer must be in \[1, 10\], got 11"):
        soft_length_penalty(lengths, max_length=10, buffer=11)
    with pytest.raises(ValueError, match=r"buffer must be in \[1, 10\], got 0"):
        soft_length_penalty(lengths, max_length=10, buffer=0)
    with pytest.raises(ValueError, match=r"penalty must be at least 0, got -0\.1"):
        soft_length_penalty(lengths, max_length=10, buffer=5, penalty=-0.1)
    with pytest.raises(TypeError, match="lengths must be of an integer dtype"):
        soft_length_penalty(lengths.float(), max_length=10, buffer=5)
