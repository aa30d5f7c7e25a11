"""sparse= of linear_token_loss where no kernel can run: what is refused, and with which reason."""

import math

import pytest
import torch

from grpo_core._tensors import HAS_TRITON
from grpo_core.losses import linear_token_loss
from grpo_core.losses._linear_sparse import Sparsity


def call(**options):
    hidden = torch.zeros(1, 3, 8, requires_grad=True)
    tokens = torch.zeros(1, 3, dtype=torch.long)
    return linear_token_loss(
        lambda log_probs: log_probs, hidden, torch.zeros(5, 8), tokens,
        mask=tokens == 0, total=None, **options,
    )  # fmt: skip


@pytest.mark.parametrize("share", [0.0, 1.0, -0.1, 2.0, math.nan, math.inf])
def test_a_share_lies_between_none_and_all(share):
    with pytest.raises(ValueError, match=r"sparse must be None or in \(0, 1\), got"):
        call(sparse=share)


def test_pytorch_is_dense():
    with pytest.raises(ValueError, match="got 'torch', which is dense"):
        call(sparse=0.1, backend="torch")


@pytest.mark.skipif(not HAS_TRITON, reason="Triton is not installed")
def test_where_the_kernels_cannot_run_the_reason_is_said():
    with torch.device("cpu"), pytest.raises(ValueError, match=r"cannot do this: .*float64"):
        linear_token_loss(
            lambda log_probs: log_probs,
            torch.zeros(1, 1, 8, dtype=torch.float64, requires_grad=True),
            torch.zeros(5, 8), torch.zeros(1, 1, dtype=torch.long),
            mask=torch.ones(1, 1, dtype=torch.bool), total=None, sparse=0.1,
        )  # fmt: skip


def test_sums_add_up_and_shares_are_quotients():
    one = Sparsity(*torch.tensor([1.0, 10.0, 2.0, 40.0]))
    other = Sparsity(*torch.tensor([2.0, 30.0, 8.0, 60.0]))
    both = one + other
    assert both.left_out_share() == 3 / 40 and both.work_share() == 10 / 100
