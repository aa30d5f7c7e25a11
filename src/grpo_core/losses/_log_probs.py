"""Log-probs and entropies of sampled tokens, from logits, a block of rows at a time."""

from collections.abc import Iterator
from typing import Any, Literal, NamedTuple, cast, get_args

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from grpo_core._tensors import (
    HAS_TRITON,
    check_bool,
    check_float,
    check_integer,
    check_ndim,
    check_positive,
    check_same_shape,
    widen,
)

Backend = Literal["auto", "torch", "triton"]
_BACKENDS: tuple[Backend, ...] = get_args(Backend)

# Elements of temporaries that exist at a time: 64 MiB in float32.
_BLOCK = 1 << 24


class TokenStatistics(NamedTuple):
    """Log-prob of each sampled token and entropy of the distribution that it came from, in nats."""

    log_probs: Float[Tensor, "batch seq"]
    entropy: Float[Tensor, "batch seq"]


def token_log_probs(
    logits: Float[Tensor, "batch seq vocab"],
    tokens: Int[Tensor, "batch seq"],
    *,
    mask: Bool[Tensor, "batch seq"] | None = None,
    temperature: float | Float[Tensor, "batch seq"] = 1.0,
    support: Bool[Tensor, "batch seq vocab"] | None = None,
    overwrite_logits: bool = False,
    backend: Backend = "auto",
) -> Float[Tensor, "batch seq"]:
    r"""Log-probability of each sampled token.

    $$
    \log \pi(y_t) = \frac{z_{t, y_t}}{T} - \log \sum_{c \in S_t} \exp \frac{z_{t, c}}{T}
    $$

    `logits[:, t]` predicts `tokens[:, t]`: nothing is shifted here. Logits are widened to float32
    before the temperature divides them: in PyTorch a block of rows at a time, so that beside the
    logits and their gradient 64 MiB exist (more only where a single row of the vocabulary is
    larger); in Triton nothing is stored but a few numbers a row. Gradients reach `logits` alone; a
    row whose log-prob gets no gradient gives none, whatever it holds.

    Args:
        logits: Of any floating dtype and any strides; a slice is not copied.
        tokens: Sampled ids, in [0, vocab) where `mask` is True.
        mask: True where a token counts. Elsewhere neither logits nor tokens are read, the log-prob
            is 0 and the gradient is 0. None: every token counts.
        temperature: What the sampler divided by, above 0; one for all, or one for each token.
        support: True for the ids that a truncated sampler (top-k, top-p, min-p) kept: the
            log-prob is of the distribution renormalised over them. Without it, ratios against the
            log-probs of a truncated sampler are biased by the mass it dropped. A sampled token
            outside its support has log-prob -inf.
        overwrite_logits: Write the gradient over the logits, which are lost in backward: nothing of
            their size is allocated. Only where nobody reads them later, and where they are no leaf
            (PyTorch copies the gradient of a leaf).
        backend: `"torch"` is the reference; `"triton"` one kernel each way, in float32; `"auto"`
            is Triton on CUDA, if it is installed and the logits are not float64.

    Returns:
        float32, or float64 if `logits` are, in nats.

    Raises:
        TypeError: If a dtype is not as annotated.
        ValueError: If a shape differs, the temperature is not above 0, the backend is unknown or
            cannot do it (Triton has no float64), or logits to be overwritten share memory.

    Example:
        >>> import torch
        >>> from grpo_core.losses import token_log_probs
        >>> logits = torch.tensor([[[0.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0]]])
        >>> kept = torch.tensor([[[True, True, True, True], [True, True, False, False]]])
        >>> token_log_probs(logits, torch.tensor([[3, 0]]), support=kept).exp()
        tensor([[0.2500, 0.5000]])
    """
    return _statistics(
        logits, tokens, mask, temperature, support, overwrite_logits, backend, entropy=False
    )[0]


def token_statistics(
    logits: Float[Tensor, "batch seq vocab"],
    tokens: Int[Tensor, "batch seq"],
    *,
    mask: Bool[Tensor, "batch seq"] | None = None,
    temperature: float | Float[Tensor, "batch seq"] = 1.0,
    support: Bool[Tensor, "batch seq vocab"] | None = None,
    overwrite_logits: bool = False,
    backend: Backend = "auto",
) -> TokenStatistics:
    r"""Log-probability of each sampled token, and the entropy at its position, in one pass.

    $$
    H_t = -\sum_{c \in S_t} \pi(c) \log \pi(c)
    $$

    The log-prob is that of `token_log_probs`, with its arguments, widening and blocks. An id of
    probability 0 (a banned one, with logit -inf) adds nothing to the entropy. Both are
    differentiable, so that an entropy bonus is one more term of the loss,
    `per_token - coefficient * entropy`. Gradients reach `logits` alone.

    Args:
        logits: Of any floating dtype and any strides; a slice is not copied.
        tokens: Sampled ids, in [0, vocab) where `mask` is True.
        mask: True where a token counts; elsewhere both are 0 and nothing is read.
        temperature: What the sampler divided by, above 0; one for all, or one for each token.
        support: True for the ids that a truncated sampler kept.
        overwrite_logits: As in `token_log_probs`.
        backend: As in `token_log_probs`.

    Returns:
        Both as float32, or float64 if `logits` are, in nats.

    Raises:
        TypeError: If a dtype is not as annotated.
        ValueError: If a shape differs, the temperature is not above 0, the backend is unknown or
            cannot do it (Triton has no float64), or logits to be overwritten share memory.

    Example:
        >>> import torch
        >>> from grpo_core.losses import token_statistics
        >>> log_probs, entropy = token_statistics(torch.zeros(1, 1, 4), torch.tensor([[2]]))
        >>> entropy.exp()
        tensor([[4.]])
    """
    return TokenStatistics(
        *_statistics(
            logits, tokens, mask, temperature, support, overwrite_logits, backend, entropy=True
        )
    )


def _statistics(
    logits: Tensor,
    tokens: Tensor,
    mask: Tensor | None,
    temperature: float | Tensor,
    support: Tensor | None,
    overwrite: bool,
    backend: Backend,
    *,
    entropy: bool,
) -> tuple[Tensor, Tensor]:
    tokens = checked_tokens(logits, tokens, mask, temperature, support, overwrite, backend)
    if backend == "triton" or (backend == "auto" and has_kernel(logits)):
        return _from_kernel(logits, tokens, mask, temperature, support, overwrite, entropy=entropy)
    return cast(
        "tuple[Tensor, Tensor]",
        _TokenStatistics.apply(  # pyright: ignore[reportUnknownMemberType] - torch's, untyped
            logits, tokens.long(), mask, temperature, support, entropy, overwrite
        ),
    )


def checked_tokens(
    logits: Tensor,
    tokens: Tensor,
    mask: Tensor | None,
    temperature: float | Tensor,
    support: Tensor | None,
    overwrite: bool,
    backend: Backend,
) -> Tensor:
    """Raise on what is wrong; tokens that are safe to look up, 0 off the mask."""
    if backend not in _BACKENDS:
        raise ValueError(f"backend must be one of {', '.join(_BACKENDS)}, got {backend!r}")
    check_ndim(3, logits=logits)
    check_float(logits=logits)
    check_integer(tokens=tokens)
    check_same_shape(**{"logits[..., 0]": logits[..., 0], "tokens": tokens})
    if mask is not None:
        check_bool(mask=mask)
        check_same_shape(tokens=tokens, mask=mask)
        tokens = torch.where(mask, tokens, 0)
    if support is not None:
        check_bool(support=support)
        check_same_shape(logits=logits, support=support)
    if isinstance(temperature, Tensor):
        check_float(temperature=temperature)
        check_same_shape(tokens=tokens, temperature=temperature)
        if temperature.requires_grad:
            raise ValueError("temperature gets no gradient: detach it, got requires_grad=True")
    else:
        check_positive(temperature=temperature)
    if overwrite and any(
        stride == 0 and size > 1 for stride, size in zip(logits.stride(), logits.shape, strict=True)
    ):
        raise ValueError(f"expanded logits cannot be overwritten, got strides {logits.stride()}")
    return tokens


def has_kernel(logits: Tensor) -> bool:
    """Whether Triton computes it by itself."""
    return logits.is_cuda and logits.dtype != torch.float64 and HAS_TRITON


def _from_kernel(
    logits: Tensor,
    tokens: Tensor,
    mask: Tensor | None,
    temperature: float | Tensor,
    support: Tensor | None,
    overwrite: bool,
    *,
    entropy: bool,
) -> tuple[Tensor, Tensor]:
    if logits.dtype == torch.float64:
        raise ValueError("backend 'triton' computes in float32, got float64 logits")
    from grpo_core._kernels.log_probs import token_statistics as kernel  # noqa: PLC0415 - Triton

    per_token = temperature.float().contiguous() if isinstance(temperature, Tensor) else None
    log_probs, entropies, _ = kernel(
        logits,
        tokens.long().contiguous(),
        mask.contiguous() if mask is not None else None,
        1.0 if isinstance(temperature, Tensor) else float(temperature),
        per_token,
        support,
        entropy,
        overwrite,
    )
    return log_probs, entropies


class _TokenStatistics(torch.autograd.Function):
    """Saves the logits, which the caller holds anyway, and a few numbers a row.

    Eager, every operation on a block is in place, so that `_BLOCK` bounds all that exists at once.
    A compiler fuses the pass over the logits and stores no block at all: there, the whole is one.
    """

    @staticmethod
    def forward(
        ctx: Any,
        logits: Tensor,
        tokens: Tensor,
        mask: Tensor | None,
        temperature: float | Tensor,
        support: Tensor | None,
        with_entropy: bool,
        overwrite: bool,
    ) -> tuple[Tensor, Tensor]:
        dtype = torch.float64 if logits.dtype == torch.float64 else torch.float32
        log_norm = torch.empty(tokens.shape, dtype=dtype, device=logits.device)
        log_probs, entropy = torch.empty_like(log_norm), torch.empty_like(log_norm)
        for at in _blocks(logits, 1):
            log_norm[at], log_probs[at], entropy[at] = _rows_of(
                _scaled(logits, temperature, support, at), tokens[at][..., None], with_entropy
            )
        if mask is not None:
            log_probs, entropy = (torch.where(mask, x, 0.0) for x in (log_probs, entropy))
        per_token = temperature if isinstance(temperature, Tensor) else None
        ctx.save_for_backward(logits, tokens, mask, per_token, support, log_norm, entropy)
        ctx.temperature = temperature if per_token is None else None
        ctx.overwrite = overwrite
        return log_probs, entropy

    @staticmethod
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, log_probs_grad: Tensor, entropy_grad: Tensor
    ) -> tuple[Tensor | None, ...]:
        if torch.is_grad_enabled() and not torch.compiler.is_compiling():
            raise RuntimeError("log-probs and entropy have no second derivative here")
        logits, tokens, mask, per_token, support, log_norm, entropy = ctx.saved_tensors
        temperature = ctx.temperature if per_token is None else per_token
        # A row without a gradient stays out by selection: 0 * NaN would let padding in.
        live = (log_probs_grad != 0) | (entropy_grad != 0)
        if mask is not None:
            live = live & mask
        grad = (
            logits
            if ctx.overwrite
            else torch.empty(logits.shape, dtype=logits.dtype, device=logits.device)
        )
        for at in _blocks(logits, 2):
            g, h, index = (x[at][..., None] for x in (log_probs_grad, entropy_grad, tokens))
            # h (-p log p - p H) - g p, and g at the token.
            p = _scaled(logits, temperature, support, at).sub_(log_norm[at][..., None]).exp_()
            block = _entr(p).mul_(h).addcmul_(p, g + h * entropy[at][..., None], value=-1)
            here = g if support is None else torch.where(support[at].gather(-1, index), g, 0.0)
            block = _add_at(block, index, here).div_(_per_token(temperature, at))
            grad[at] = block.masked_fill_(~live[at][..., None], 0.0)
            del p, block  # before the next ones are made
        return grad, None, None, None, None, None, None


def _blocks(logits: Tensor, buffers: int) -> Iterator[tuple[slice, slice]]:
    """Pieces of [batch, seq] whose `buffers` copies are about `_BLOCK`: rows, or parts of one."""
    batch, seq, vocab = logits.shape
    if torch.compiler.is_compiling():
        yield slice(None), slice(None)
        return
    size = _BLOCK // buffers
    rows = max(1, size // max(1, seq * vocab))
    columns = max(1, size // max(1, vocab)) if rows == 1 else max(1, seq)
    for row in range(0, batch, rows):
        for column in range(0, seq, columns):
            yield slice(row, row + rows), slice(column, column + columns)


def _rows_of(
    block: Tensor, index: Tensor, with_entropy: bool
) -> tuple[Tensor, Tensor, Tensor | float]:
    """Log of the normaliser, log-prob and entropy of each row of a block, which is overwritten."""
    target = block.gather(-1, index)[..., 0]
    top = block.amax(-1)
    exp = block.sub_(top[..., None]).exp_()
    norm = exp.sum(-1)
    log_norm = top + norm.log()
    entropy = _entr(exp.div_(norm[..., None]), exp).sum(-1) if with_entropy else 0.0
    return log_norm, target - log_norm, entropy


def _scaled(
    logits: Tensor, temperature: float | Tensor, support: Tensor | None, at: tuple[slice, slice]
) -> Tensor:
    """A new tensor, free to be overwritten."""
    dtype = torch.float64 if logits.dtype == torch.float64 else torch.float32
    block = logits[at].to(dtype, copy=True).div_(_per_token(temperature, at))
    return block if support is None else block.masked_fill_(~support[at], float("-inf"))


def _entr(p: Tensor, out: Tensor | None = None) -> Tensor:
    """-p log p, and 0 at p = 0, where the product would be NaN; into `out`, which may be `p`."""
    if torch.compiler.is_compiling():
        return torch.where(p > 0, -p * p.log(), 0.0)
    return torch.xlogy(p, p, out=out).neg_()


def _add_at(block: Tensor, index: Tensor, values: Tensor) -> Tensor:
    """`block` with `values` added at `index` of the last axis; it may be overwritten."""
    if torch.compiler.is_compiling():  # a scatter would not fuse
        columns = torch.arange(block.shape[-1], device=block.device)
        return block + torch.where(columns == index, values, 0.0)
    return block.scatter_add_(-1, index, values)


def _per_token(temperature: float | Tensor, at: tuple[slice, slice]) -> float | Tensor:
    return widen(temperature[at])[..., None] if isinstance(temperature, Tensor) else temperature
