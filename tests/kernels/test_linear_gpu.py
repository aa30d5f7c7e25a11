"""What only a GPU shows of the kernels on hidden states: graphs, streams, and offsets past 2^31."""

import pytest
import torch

pytest.importorskip("triton", reason="Triton is not installed")
linear = pytest.importorskip("grpo_core._kernels.linear")

from grpo_core.losses import (  # noqa: E402 - after the check
    linear_token_log_probs,
    linear_token_loss,
    token_log_probs,
)

pytestmark = pytest.mark.gpu


def inputs(rows, width, vocab):
    torch.manual_seed(0)
    hidden = torch.randn(rows, width, dtype=torch.bfloat16, device="cuda")
    weight = torch.empty(vocab, width, dtype=torch.bfloat16, device="cuda").normal_(std=width**-0.5)
    tokens = torch.randint(vocab, (rows,), device="cuda")
    tokens[-1] = vocab - 1
    return hidden, weight, tokens, torch.full((rows,), 1e-3, device="cuda")


def step(hidden, weight, tokens, g):
    """Log-probs, and both gradients."""
    log_probs, state, kept = linear.exponentials(
        hidden, weight, tokens, None, None, 1.0, None, None
    )
    grads = torch.empty_like(hidden), torch.empty_like(weight)
    linear.gradients(kept, state, g, g, None, hidden, weight, None, *grads, None, False, None, 0, 1)
    return log_probs, *grads


def test_a_step_is_captured_in_a_graph_and_replayed():
    given = inputs(300, 256, 5000)
    wanted = step(*given)
    stream = torch.cuda.Stream()
    with torch.cuda.stream(stream):
        step(*given)
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        found = step(*given)
    for tensor in found:
        tensor.fill_(float("nan"))
    graph.replay()
    assert all(torch.equal(a, b) for a, b in zip(found, wanted, strict=True))


def test_another_stream_gives_the_same_bits():
    given = inputs(300, 256, 5000)
    wanted = step(*given)
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        found = step(*given)
    stream.synchronize()
    assert all(torch.equal(a, b) for a, b in zip(found, wanted, strict=True))


@pytest.mark.parametrize(
    ("rows", "width", "vocab"), [(40, 8192, 262_208), (16_500, 64, 131_072)], ids=["V H", "N V"]
)
def test_offsets_pass_two_to_the_31(rows, width, vocab):
    assert max(vocab * width, rows * vocab) > 2**31
    hidden, weight, tokens, g = inputs(rows, width, vocab)
    log_probs, hidden_grad, weight_grad = step(hidden, weight, tokens, g)
    for part in (slice(0, 8), slice(rows - 8, rows)):
        z = hidden[part].double() @ weight.double().T
        log_p = z.log_softmax(-1)
        at = tokens[part, None]
        true = log_p.gather(1, at)[:, 0]
        torch.testing.assert_close(log_probs[part].double(), true, rtol=0, atol=1e-3)
        slope = -log_p.exp()
        slope.scatter_add_(1, at, torch.ones_like(at, dtype=torch.float64))
        wanted = 1e-3 * slope @ weight.double()
        error = (hidden_grad[part].double() - wanted).norm() / wanted.norm()
        assert error < 4e-3
    last = hidden[tokens == vocab - 1].double().sum(0) * 1e-3
    # nearly all of the last id's gradient is of the rows that drew it
    assert (weight_grad[-1].double() - last).norm() < 0.1 * last.norm()


def test_the_default_backend_compiles_as_one_graph():
    hidden, weight, tokens, _ = inputs(64, 64, 500)
    hidden, tokens = hidden[None], tokens[None]
    mask = torch.ones_like(tokens, dtype=torch.bool)
    logits = torch.randn(1, 64, 500, device="cuda")

    def whole(hidden, logits):
        loss = linear_token_loss(
            lambda log_probs: -log_probs, hidden, weight, tokens, mask=mask, total=None
        ).loss
        scored = linear_token_log_probs(hidden, weight, tokens).sum()
        of_logits = token_log_probs(logits, tokens).sum()
        return loss, scored, of_logits

    for given in ((hidden, logits), (hidden.clone().requires_grad_(), logits)):
        for a, b in zip(torch.compile(whole, fullgraph=True)(*given), whole(*given), strict=True):
            torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-3)
