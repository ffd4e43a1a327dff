"""Texts as rows of subword tokens, with little padding: in buckets of one length, or packed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["PackedTexts", "in_length_buckets", "length_buckets", "packed", "padded"]

_MOST_PADDING = 0.15  # Ours: below it another pass of the encoder costs more than the padding

_NO_TEXT = -1


@dataclass(frozen=True, eq=False)
class PackedTexts:
    """Rows of subword tokens; N rows of L tokens hold T texts.

    Attributes
    ----------
    ids : Tensor (N, L) int64
        Piece numbers, zero where there is none.
    positions : Tensor (N, L) int64
        The position of each token in its own text.
    owner : Tensor (N, L) int64
        Which text a token is of; -1 where there is none.
    first : Tensor (T,) int64
        Where each text begins, counted through all rows.
    """

    ids: Tensor
    positions: Tensor
    owner: Tensor
    first: Tensor

    def hidden(self) -> Tensor | None:
        """Return which tokens (N, 1, L, L) must not look at which; None where all may.

        Padding looks at padding: a row of a softmax must not be empty.
        """
        same = self.owner[:, None, :, None] == self.owner[:, None, None, :]
        return None if bool(same.all()) else ~same


def length_buckets(
    lengths: Sequence[int], *, most_padding: float = _MOST_PADDING
) -> list[list[int]]:
    """Return the indices of all texts, grouped so that a group padded to its longest wastes little.

    Parameters
    ----------
    lengths : sequence of int
        Pieces of each text.
    most_padding : float
        Highest share of padding in a group.
    """
    buckets: list[list[int]] = []
    real = 0
    for index in sorted(range(len(lengths)), key=lambda n: lengths[n]):
        length = lengths[index]
        wide = length * (len(buckets[-1]) + 1) if buckets else 0
        if buckets and wide - (real + length) <= most_padding * wide:
            buckets[-1].append(index)
            real += length
        else:
            buckets.append([index])
            real = length
    return buckets


def padded(rows: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
    """Return token ids (T, L), zero where there is none, and which are real (T, L) bool."""
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
    order = torch.tensor([n for bucket in buckets for n in bucket], device=encoded.device)
    return encoded[order.argsort()]


def packed(rows: Sequence[Sequence[int]], *, capacity: int) -> PackedTexts:
    """Return texts of token ids in as few rows as first-fit finds, the longest texts first.

    Every pass of an encoder reads each of its weights, and writes its gradient: on two CPU cores in
    bfloat16 that takes as long as computing 220 tokens. So one pass for all, however long they are.

    Parameters
    ----------
    rows : sequence of sequence of int
        Piece numbers of each text.
    capacity : int
        Most tokens of a row; a longer text has a row of its own.

    References
    ----------
    Krell et al. 2021 (efficient sequence packing, arXiv 2107.02027), section 3.
    """
    bins: list[list[int]] = []
    room: list[int] = []
    for text in sorted(range(len(rows)), key=lambda n: -len(rows[n])):
        length = len(rows[text])
        fitting = next((n for n, left in enumerate(room) if left >= length), len(bins))
        if fitting == len(bins):
            bins.append([])
            room.append(max(capacity, length))
        bins[fitting].append(text)
        room[fitting] -= length
    longest = max(sum(len(rows[text]) for text in texts) for texts in bins)
    ids = torch.zeros(len(bins), longest, dtype=torch.long)
    positions, owner = torch.zeros_like(ids), torch.full_like(ids, _NO_TEXT)
    first = torch.zeros(len(rows), dtype=torch.long)
    for row, texts in enumerate(bins):
        start = 0
        for text in texts:
            own = slice(start, start + len(rows[text]))
            ids[row, own] = torch.tensor(rows[text])
            positions[row, own] = torch.arange(len(rows[text]))
            owner[row, own] = text
            first[text] = row * longest + start
            start = own.stop
    return PackedTexts(ids, positions, owner, first)
