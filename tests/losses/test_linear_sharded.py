"""linear_token_loss with parameters that FSDP 2 has sharded, and inside DistributedDataParallel."""

import pytest
import torch
from torch import distributed, nn
from torch.distributed.tensor import DTensor

from grpo_core.losses import (
    clipped_loss,
    linear_token_log_probs,
    linear_token_loss,
    linear_token_statistics,
    log_ratio,
)

pytestmark = pytest.mark.skipif(not distributed.is_gloo_available(), reason="torch without gloo")

MASK = torch.tensor([[True, True, False], [False, True, True]], device="cpu")


def per_token(log_probs, old_log_probs, advantages, mask):
    return clipped_loss(log_ratio(log_probs, old_log_probs, mask), advantages)


class Policy(nn.Module):
    """A body and a head; what it gives is the loss."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.body, self.head = nn.Linear(4, 8), nn.Linear(8, 11, bias=False)

    def forward(self, x, weight=None):
        torch.manual_seed(1)
        tokens, advantages = torch.randint(11, (2, 3)), torch.randn(2, 3)
        old_log_probs = torch.full((2, 3), -2.4)
        return linear_token_loss(
            per_token, self.body(x), self.head.weight if weight is None else weight, tokens,
            old_log_probs, advantages, MASK, mask=MASK, total=None,
        ).loss  # fmt: skip


@pytest.fixture(autouse=True)
def one_process():
    with torch.device("cpu"):
        distributed.init_process_group("gloo", store=distributed.HashStore(), rank=0, world_size=1)
        yield
        distributed.destroy_process_group()


def sharded(module):
    fsdp = pytest.importorskip("torch.distributed.fsdp", reason="needs FSDP 2")
    mesh = distributed.device_mesh.init_device_mesh("cpu", (1,))
    return fsdp.fully_shard(module, mesh=mesh)


@pytest.fixture
def expected():
    plain, x = Policy(), torch.ones(2, 3, 4)
    plain(x).backward()
    assert plain.head.weight.grad.any()
    return x, [p.grad for p in plain.parameters()]


@pytest.mark.no_shape_hook
def test_a_sharded_weight_raises_and_says_what_to_give():
    head, hidden, tokens = sharded(nn.Linear(8, 11)), torch.ones(2, 3, 8), torch.zeros(2, 3).long()
    for call in (
        lambda: linear_token_log_probs(hidden, head.weight, tokens),
        lambda: linear_token_statistics(hidden, head.weight, tokens),
        lambda: linear_token_loss(lambda x: x, hidden, head.weight, tokens, mask=MASK, total=None),
    ):
        with pytest.raises(TypeError, match=r"weight must be .* got a DTensor: .*full_tensor\(\)"):
            call()
    weight = head.weight.full_tensor()
    with pytest.raises(TypeError, match="bias must be a plain tensor, got a DTensor"):
        linear_token_log_probs(hidden, weight, tokens, bias=head.bias)


def test_inside_the_module_that_gathers_it_gradients_reach_the_shards(expected):
    x, gradients = expected
    policy = sharded(Policy())
    policy(x).backward()
    for parameter, gradient in zip(policy.parameters(), gradients, strict=True):
        assert isinstance(parameter.grad, DTensor)
        assert torch.equal(parameter.grad.full_tensor(), gradient)


def test_of_a_head_that_is_gathered_by_hand_gradients_reach_the_shards(expected):
    x, gradients = expected
    policy = Policy()
    sharded(policy.head)
    policy(x, policy.head.weight.full_tensor()).backward()
    assert torch.equal(policy.head.weight.grad.full_tensor(), gradients[2])
    assert torch.equal(policy.body.weight.grad, gradients[0])


@pytest.mark.parametrize("options", [{}, {"gradient_as_bucket_view": True}])
def test_inside_distributed_data_parallel_steps_add_up(expected, options):
    x, gradients = expected
    policy = nn.parallel.DistributedDataParallel(Policy(), **options)
    with policy.no_sync():
        policy(x).backward()
    policy(x).backward()
    for parameter, gradient in zip(policy.parameters(), gradients, strict=True):
        torch.testing.assert_close(parameter.grad, 2 * gradient)
