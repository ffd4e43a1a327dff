"""HLIP's image encoder: a 3D ViT that attends within slices, and at times within the scan."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch
from timm.models.vision_transformer import Block
from torch import Tensor, nn

from napari_ctclip.core.errors import CtClipError

__all__ = ["HlipNetwork"]

_norm = partial(nn.LayerNorm, eps=1e-6)  # as timm's vision transformers have it


class HlipNetwork(nn.Module):
    """Images to tokens and a class token, as they are before the last block.

    Names of parameters are those of the release. Each slice of tokens begins with the same class
    token; where attention widens from slices to the scan their mean is passed on, and where it
    narrows every slice gets a copy.

    Parameters
    ----------
    width, depth, heads, mlp_width : int
        The sizes of the tokens and of the blocks.
    patch_size : tuple of int
        Voxels (z, y, x) behind one token.
    grid : tuple of int
        Tokens (d, h, w) of an image.
    scan_blocks : sequence of int
        Blocks, counted from 0, that attend within the scan, the last among them; the others attend
        within slices.
    embedding_width : int
        E of the shared space.

    Raises
    ------
    CtClipError
        If the last block does not attend within the scan.

    References
    ----------
    Zhao et al. 2025 (HLIP, arXiv 2505.21862), section 3: hierarchical attention; numbers of the
    released chest CT model.
    """

    def __init__(
        self,
        *,
        width: int = 768,
        depth: int = 12,
        heads: int = 12,
        mlp_width: int = 3072,
        patch_size: tuple[int, int, int] = (8, 24, 24),
        grid: tuple[int, int, int] = (14, 14, 14),
        scan_blocks: Sequence[int] = (2, 5, 8, 11),
        embedding_width: int = 512,
    ) -> None:
        super().__init__()
        if depth - 1 not in scan_blocks:
            raise CtClipError(
                f"expected the last of {depth} blocks to attend within the scan, got scan_blocks "
                f"{tuple(scan_blocks)}"
            )
        self.width, self.depth, self.heads, self.mlp_width = width, depth, heads, mlp_width
        self.patch_size, self.grid, self.scan_blocks = patch_size, grid, tuple(scan_blocks)
        self.embedding_width = embedding_width
        projection = nn.Conv3d(1, width, patch_size, stride=patch_size)
        self.patch_embed = nn.ModuleDict({"proj": projection})
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        self.spatial_posemb = nn.Parameter(torch.zeros(1, *grid, width))
        self.blocks = nn.ModuleList(
            Block(width, heads, mlp_width / width, qkv_bias=True, norm_layer=_norm)  # type: ignore[arg-type]
            for _ in range(depth)
        )
        self.norm = _norm(width)

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Voxels (z, y, x) of an image."""
        z, y, x = (n * p for n, p in zip(self.grid, self.patch_size, strict=True))
        return z, y, x

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Return tokens (B, width, d, h, w) and class tokens (B, width, 1, 1, 1).

        The image is (B, 1, D, H, W). Both are what the last block takes, see :meth:`finish`.
        """
        patches = self.patch_embed["proj"](image).permute(0, 2, 3, 4, 1) + self.spatial_posemb
        B, d, h, w, C = patches.shape
        tokens = patches.reshape(B * d, h * w, C)
        first = self.cls_token.expand(B * d, 1, C)
        for number, block in enumerate(self.blocks[:-1]):
            first, tokens = _regrouped(first, tokens, B if number in self.scan_blocks else B * d)
            x = block(torch.cat([first, tokens], dim=1))
            first, tokens = x[:, :1], x[:, 1:]
        first, tokens = _regrouped(first, tokens, B)
        grid = tokens.transpose(1, 2).reshape(B, C, d, h, w)
        return grid, first.transpose(1, 2)[..., None, None]

    def finish(self, sequence: Tensor) -> Tensor:
        """Return (N, width): what the last block makes of the first token of each (N, L, width)."""
        finished: Tensor = self.norm(self.blocks[-1](sequence)[:, 0])
        return finished


def _regrouped(first: Tensor, tokens: Tensor, groups: int) -> tuple[Tensor, Tensor]:
    """Return class tokens (groups, 1, C) and tokens (groups, L, C) in so many sequences."""
    now, _, C = first.shape
    if groups < now:
        first = first.reshape(groups, now // groups, C).mean(dim=1, keepdim=True)
    elif groups > now:
        first = first.repeat_interleave(groups // now, dim=0)
    return first, tokens.reshape(groups, -1, C)
