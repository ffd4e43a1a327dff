"""Pooling: which tokens a voxel mask reaches, and one vector from them."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["masked_mean", "masks_to_tokens", "pooled_alone"]


def masks_to_tokens(masks: Tensor, patch_size: tuple[int, int, int]) -> Tensor:
    """Return (B, R, d, h, w) bool: tokens with any voxel in the masks (B, R, D, H, W).

    Tokens behind an incomplete last patch count too.
    """
    pad = [
        amount
        for n, p in zip(masks.shape[:1:-1], patch_size[::-1], strict=True)
        for amount in (0, -n % p)
    ]
    whole = masks.to(torch.bool).view(torch.uint8)  # no copy of masks that are bool already
    padded = functional.pad(whole, pad) if any(pad) else whole
    B, R, D, H, W = padded.shape
    z, y, x = patch_size
    blocks = padded.reshape(B, R, D // z, z, H // y, y, W // x, x)
    return blocks.amax(dim=(3, 5, 7)).bool()


def masked_mean(tokens: Tensor, regions: Tensor) -> tuple[Tensor, Tensor]:
    """Return unit vectors (B, R, E) and presence (B, R) of tokens (B, E, d, h, w) in regions.

    An empty region gives zeros and no gradient.
    """
    weight = regions.flatten(2).to(tokens.dtype)
    total = torch.einsum("brn,ben->bre", weight, tokens.flatten(2))
    present = weight.sum(dim=2) > 0
    vectors = functional.normalize(total, dim=-1, eps=1e-6)
    return torch.where(present.unsqueeze(-1), vectors, torch.zeros_like(vectors)), present


def pooled_alone(
    tokens: Tensor,
    regions: Tensor,
    pool: Callable[[Tensor], Tensor],
    *,
    width: int,
    first: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Return vectors (B, R, E) and presence (B, R): a model's pooling over a region's tokens alone.

    Parameters
    ----------
    tokens : Tensor
        (B, N, C).
    regions : Tensor
        (B, R, N) bool; an empty region gives zeros.
    pool : callable
        Tokens (1, n, C) -> vector (1, E).
    width : int
        E.
    first : Tensor, optional
        (B, k, C): tokens before those of each region, as a class token is.
    """
    present = regions.any(dim=2)
    vectors = tokens.new_zeros((*present.shape, width))
    for b, r in present.nonzero().tolist():
        alone = tokens[b, regions[b, r]]
        vectors[b, r] = pool((alone if first is None else torch.cat([first[b], alone]))[None])[0]
    return vectors, present
