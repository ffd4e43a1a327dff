"""Dropout kernels for a CPU: four masks from one random number, and attention in blocks.

PyTorch draws a random number for every element of a mask, one after the other, which takes longer
than the matrix products between them where those run in bfloat16. Its fast attention for CPUs has
no dropout at all: with it every weight, mask and product is written to memory. Here a block of rows
stays in the cache from the product to its use, and the backward pass makes it again from the same
seed. A mask of bools is multiplied with the bits of the numbers, which takes a quarter of the time
of a mask of numbers and half of its memory in bfloat16.

Imported on use only: the decorator that hides the kernels from ``torch.compile`` loads PyTorch's
compiler, two CPU seconds that inference does not need.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

__all__ = ["block_attention", "dropped"]

_BLOCK = 2**19  # Ours: weights of a block, one megabyte in bfloat16
_TILE = 32  # rows that a matrix unit takes at once: a fifth faster than a number between two
_BITS = {2: torch.int16, 4: torch.int32, 8: torch.int64}  # integers by their bytes
_VALUES = 2**16  # of a quarter of a random number: a probability is kept to 1 in 65,536


@torch.compiler.disable  # type: ignore[untyped-decorator]
def block_attention(q: Tensor, k: Tensor, v: Tensor, dropout: float) -> Tensor:
    """Return softmax(q kᵀ / √c) v with dropout on the softmax, (B, heads, L, c) as its arguments.

    References
    ----------
    Dao et al. 2022 (FlashAttention, arXiv 2205.14135), section 3: recomputation in blocks.
    """
    mixed: Tensor = _BlockAttention.apply(q, k, v, dropout, _seed())
    return mixed


@torch.compiler.disable  # type: ignore[untyped-decorator]
def dropped(values: Tensor, dropout: float) -> Tensor:
    """Return the values with a share of ``dropout`` set to zero and the others enlarged."""
    out: Tensor = _Dropout.apply(values, dropout, _seed())
    return out


class _Dropout(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor, dropout: float, seed: int) -> Tensor:
        kept = _kept(tuple(values.shape), dropout, _generator(seed))
        ctx.save_for_backward(torch.from_numpy(kept))
        ctx.factor = 1 / (1 - dropout)
        return _keep_only(values.contiguous() * ctx.factor, kept)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (kept,) = ctx.saved_tensors
        return _keep_only(gradients[0].contiguous() * ctx.factor, kept.numpy()), None, None


class _BlockAttention(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, q: Tensor, k: Tensor, v: Tensor, dropout: float, seed: int) -> Tensor:
        q, k, v = q.contiguous(), k.contiguous(), v.contiguous()
        out, rng = v.new_empty((*q.shape[:-1], v.shape[-1])), _generator(seed)
        with torch.autocast("cpu", enabled=False):
            for row, rows in _blocks(q):
                weights = _weights(q[row][rows], k[row])
                _keep_only(weights, _kept(tuple(weights.shape), dropout, rng))
                out[row][rows] = weights @ v[row]
            out /= 1 - dropout
        ctx.save_for_backward(q, k, v)
        ctx.dropout, ctx.seed = dropout, seed
        return out

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        q, k, v = ctx.saved_tensors
        given = gradients[0].contiguous() / (1 - ctx.dropout)
        # keys and values by columns: the small factor of a product is then turned, not the block
        to_q, to_k, to_v = torch.empty_like(q), _sums_of_columns(k), _sums_of_columns(v)
        scale, rng = q.shape[-1] ** -0.5, _generator(ctx.seed)
        with torch.autocast("cpu", enabled=False):
            for row, rows in _blocks(q):
                weights = _weights(q[row][rows], k[row])
                kept = _kept(tuple(weights.shape), ctx.dropout, rng)
                to_weights = _keep_only(given[row][rows] @ v[row].T, kept)
                to_scores = torch._softmax_backward_data(to_weights, weights, -1, weights.dtype)
                to_v[row] += given[row][rows].T @ _keep_only(weights, kept)
                to_q[row][rows] = to_scores @ k[row]
                to_k[row] += q[row][rows].T @ to_scores
        to_k, to_v = (to_k * scale).mT.to(k.dtype), to_v.mT.to(v.dtype)
        return to_q * scale, to_k, to_v, None, None


def _blocks(q: Tensor) -> list[tuple[tuple[int, int], slice]]:
    """Return (sample, head) and rows of each block, in the order in which the masks are drawn."""
    B, heads, L, _ = q.shape
    rows = max(1, _BLOCK // L)
    rows -= rows % _TILE if rows > _TILE else 0
    return [
        ((b, h), slice(start, start + rows))
        for b in range(B)
        for h in range(heads)
        for start in range(0, L, rows)
    ]


def _weights(q: Tensor, k: Tensor) -> Tensor:
    """Return softmax(q kᵀ / √c), (rows, L)."""
    return torch.softmax((q * q.shape[-1] ** -0.5) @ k.T, dim=-1)


def _sums_of_columns(tensor: Tensor) -> Tensor:
    """Return zeros to add blocks to, the last two axes exchanged; in float32 at least."""
    dtype = torch.promote_types(tensor.dtype, torch.float32)
    return torch.zeros_like(tensor.mT, dtype=dtype, memory_format=torch.contiguous_format)


def _seed() -> int:
    """Return a seed from torch's generator, so that ``torch.manual_seed`` governs the masks."""
    return int(torch.randint(2**62, ()))


def _generator(seed: int) -> np.random.Generator:
    return np.random.Generator(np.random.SFC64(seed))


def _kept(
    shape: tuple[int, ...], dropout: float, rng: np.random.Generator
) -> npt.NDArray[np.bool_]:
    """Return a mask that is False with a probability of ``dropout``."""
    count = math.prod(shape)
    drawn = rng.integers(0, 2**64, size=-(-count // 4), dtype=np.uint64).view(np.uint16)
    return (drawn[:count] >= round(dropout * _VALUES)).reshape(shape)


def _keep_only(values: Tensor, kept: npt.NDArray[np.bool_]) -> Tensor:
    """Set the contiguous values that are not kept to zero, in place, and return them."""
    bits = values.detach().view(_BITS[values.element_size()]).numpy()
    np.multiply(bits, kept, out=bits)
    return values
