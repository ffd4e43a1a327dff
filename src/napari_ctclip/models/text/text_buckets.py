"""Texts of similar length together, so that a text encoder computes little on padding."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

__all__ = ["in_length_buckets", "length_buckets", "padded"]

_MOST_PADDING = 0.15  # Ours: below it another pass of the encoder costs more than the padding


def length_buckets(
    lengths: Sequence[int], *, most_padding: float = _MOST_PADDING
) -> list[list[int]]:
    """Return the places of all texts, grouped so that a group padded to its longest wastes little.

    Parameters
    ----------
    lengths : sequence of int
        Pieces of each text.
    most_padding : float
        Highest share of padding in a group.
    """
    buckets: list[list[int]] = []
    real = 0
    for place in sorted(range(len(lengths)), key=lambda n: lengths[n]):
        length = lengths[place]
        wide = length * (len(buckets[-1]) + 1) if buckets else 0
        if buckets and wide - (real + length) <= most_padding * wide:
            buckets[-1].append(place)
            real += length
        else:
            buckets.append([place])
            real = length
    return buckets


def padded(rows: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
    """Return piece ids (T, L), zero where there is none, and which are real (T, L) bool."""
    longest = max(len(row) for row in rows)
    ids = torch.tensor([[*row, *[0] * (longest - len(row))] for row in rows])
    lengths = torch.tensor([len(row) for row in rows])
    return ids, torch.arange(longest) < lengths[:, None]


def in_length_buckets(
    rows: Sequence[Sequence[int]], encode: Callable[[Tensor, Tensor], Tensor]
) -> Tensor:
    """Return what ``encode(ids, real)`` says of every text (T, ...), bucket by bucket."""
    buckets = length_buckets([len(row) for row in rows])
    encoded = torch.cat([encode(*padded([rows[n] for n in bucket])) for bucket in buckets])
    places = torch.tensor([n for bucket in buckets for n in bucket], device=encoded.device)
    return encoded[places.argsort()]
