"""Organ queries: one vector an organ, from its tokens at all levels, in one batched attention."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from napari_ctclip.core.errors import CtClipError

__all__ = ["OrganQuery", "intact_organs"]

ATTENTION_HEADS = 4


def intact_organs(masks: Tensor, *, margin: int = 0) -> Tensor:
    """Return (B, R) bool: organs that are there and reach no face of the crop.

    An organ cut by the crop no longer matches what the report says of it.

    Parameters
    ----------
    masks : Tensor (B, R, D, H, W) bool
        One mask an organ.
    margin : int
        Voxels next to a face that count as the face too.

    References
    ----------
    Shui et al. 2025 (arXiv 2501.14548), section 3: incomplete anatomies are left out.
    """
    # as numbers: on a CPU their maximum takes a tenth of the time that any() takes
    present = masks.to(torch.bool).view(torch.uint8).flatten(2).amax(dim=2).bool()
    cut = torch.zeros_like(present)
    reach = margin + 1
    for axis in (2, 3, 4):
        size = masks.shape[axis]
        for start in (0, max(size - reach, 0)):
            face = masks.narrow(axis, start, min(reach, size))
            cut |= face.flatten(2).any(dim=2)
    return present & ~cut


class OrganQuery(nn.Module):
    """A learned query an organ, one attention shared by all, one projection an organ.

    Parameters
    ----------
    organs : int
        The number R of regions.
    width : int
        The channels C of a token.
    embedding_width : int
        The width E of the shared space.
    heads : int
        The number of heads of the shared attention.
    dropout : float
        On its weights, in training.

    References
    ----------
    Shui et al. 2025 (arXiv 2501.14548), section 3: the organ's visual tokens are keys and values
    of a learnable query; the output is projected per anatomy.
    """

    def __init__(
        self,
        *,
        organs: int,
        width: int,
        embedding_width: int,
        heads: int = ATTENTION_HEADS,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(width, heads, dropout=dropout, batch_first=True)
        self.queries = nn.Parameter(torch.zeros(organs, width))
        self.projections = nn.ModuleList(nn.Linear(width, embedding_width) for _ in range(organs))

    def forward(self, levels: Sequence[Tensor], members: Tensor) -> tuple[Tensor, Tensor]:
        """Return unit vectors (B, R, E) and which are present (B, R).

        Parameters
        ----------
        levels : sequence of Tensor, each (B, C, d, h, w)
            Token maps; an organ's tokens of all levels are keys and values together.
        members : Tensor (B, R, d, h, w) bool
            Tokens of each organ. An organ without any gives zeros and no gradient.

        Raises
        ------
        CtClipError
            If grids or the number of organs differ.
        """
        self._check(levels, members)
        tokens = torch.cat([level.flatten(2) for level in levels], dim=2).transpose(1, 2)
        member = members.flatten(2)  # (B, R, n)
        present = member.any(dim=2)
        # an empty row would make the softmax 0 / 0: let it see all, its result is dropped below
        hidden = (~member & present.unsqueeze(2)).repeat(1, 1, len(levels))
        pooled = self._attend(tokens, hidden.repeat_interleave(self.attention.num_heads, dim=0))
        vectors = functional.normalize(self._project(pooled), dim=-1)
        return torch.where(present.unsqueeze(-1), vectors, torch.zeros_like(vectors)), present

    def embed_tokens(self, levels: Sequence[Tensor]) -> Tensor:
        """Return unit vectors (B, R, E, d, h, w): every token as if it were the whole organ.

        The organ's query weighs the token's levels; value, output and organ projection follow. With
        a single level the query has nothing to weigh, and this is the value-projection trick of
        MaskCLIP.

        References
        ----------
        Zhou et al. 2022 (MaskCLIP, arXiv 2112.01071), section 3.
        """
        B, C, *grid = levels[0].shape
        tokens = torch.stack([level.flatten(2) for level in levels], dim=1)  # (B, L, C, n)
        pooled = self._attend(tokens.permute(0, 3, 1, 2).reshape(-1, len(levels), C))
        vectors = functional.normalize(self._project(pooled), dim=-1)  # (B * n, R, E)
        return vectors.reshape(B, *grid, *vectors.shape[1:]).permute(0, 4, 5, 1, 2, 3)

    def _attend(self, tokens: Tensor, hidden: Tensor | None = None) -> Tensor:
        """Return (N, R, C): every query over tokens (N, S, C); hidden (N * heads, R, S) bool."""
        queries = self.queries.expand(len(tokens), -1, -1)
        pooled, _ = self.attention(queries, tokens, tokens, attn_mask=hidden, need_weights=False)
        out: Tensor = pooled
        return out

    def _project(self, pooled: Tensor) -> Tensor:
        weight = torch.stack([linear.weight for linear in self._linears()])  # (R, E, C)
        bias = torch.stack([linear.bias for linear in self._linears()])
        return torch.einsum("nrc,rec->nre", pooled, weight) + bias

    def _linears(self) -> list[nn.Linear]:
        return [linear for linear in self.projections if isinstance(linear, nn.Linear)]

    def _check(self, levels: Sequence[Tensor], members: Tensor) -> None:
        expected = (levels[0].shape[0], len(self.queries), *levels[0].shape[2:])
        if tuple(members.shape) != expected:
            raise CtClipError(
                f"expected one mask for each of {len(self.queries)} organs on the token grid, "
                f"(B, R, d, h, w) = {expected}, got {tuple(members.shape)}; give masks in the "
                "model's order, on the voxels that were encoded"
            )
