"""What only a GPU shows of the sparse gradients: graphs, offsets past 2^31, and no wait."""

import pytest
import torch

pytest.importorskip("triton", reason="Triton is not installed")
pytest.importorskip("grpo_core._kernels.linear")

from grpo_core._kernels import linear, linear_sparse

pytestmark = pytest.mark.gpu


def inputs(rows, width, vocab):
    torch.manual_seed(0)
    hidden = 4 * torch.randn(rows, width, dtype=torch.bfloat16, device="cuda")
    weight = torch.empty(vocab, width, dtype=torch.bfloat16, device="cuda").normal_(std=width**-0.5)
    tokens = torch.randint(vocab, (rows,), device="cuda")
    tokens[-1] = vocab - 1
    return hidden, weight, tokens, torch.full((rows,), 1e-3, device="cuda")


def sparse(hidden, weight, tokens, g, share):
    given = hidden, weight, tokens, None, None, 1.0, None, None
    log_probs, state, whole, sums = linear_sparse.exponentials(*given)
    grads = torch.empty_like(hidden), torch.empty_like(weight)
    tally = linear_sparse.gradients(
        whole, sums, state, g, hidden, weight, None, *grads, None, False, share
    )
    return log_probs, *grads, tally


def dense(hidden, weight, tokens, g):
    given = hidden, weight, tokens, None, None, 1.0, None, None
    log_probs, state, kept = linear.exponentials(*given)
    grads = torch.empty_like(hidden), torch.empty_like(weight)
    linear.gradients(kept, state, g, g, None, hidden, weight, None, *grads, None, False)
    return log_probs, *grads


def test_a_step_is_captured_in_a_graph_and_replayed():
    given = (*inputs(300, 256, 5000), 0.05)
    wanted = sparse(*given)
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        found = sparse(*given)
    for tensor in found:
        tensor.fill_(float("nan"))
    graph.replay()
    assert all(torch.equal(a, b) for a, b in zip(found, wanted, strict=True))


def test_the_host_waits_for_nothing():
    given = (*inputs(300, 256, 5000), 0.05)
    sparse(*given)
    torch.cuda.set_sync_debug_mode("error")
    try:
        sparse(*given)
    finally:
        torch.cuda.set_sync_debug_mode("default")


@pytest.mark.parametrize("share", [1e-9, 0.05])
@pytest.mark.parametrize(
    ("rows", "width", "vocab"), [(40, 8192, 262_208), (16_500, 64, 131_072)], ids=["V H", "N V"]
)
def test_offsets_pass_two_to_the_31(rows, width, vocab, share):
    assert max(vocab * width, rows * vocab) > 2**31
    given = inputs(rows, width, vocab)
    found, wanted = sparse(*given, share), dense(*given)
    assert torch.equal(found[0], wanted[0])
    left_out = (found[3][0] / found[3][1]).item()
    assert left_out < share
    for a, b in zip(found[1:3], wanted[1:], strict=True):
        for part in (slice(0, 64), slice(len(a) - 64, len(a))):
            error = (a[part].double() - b[part].double()).norm() / b[part].double().norm()
            assert error < 5e-3 + left_out
