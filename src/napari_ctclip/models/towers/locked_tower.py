"""LockedTower3d: an image tower that stays as it is, and a small transformer that learns on it."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from napari_ctclip.models.runtime.device import in_fast_precision
from napari_ctclip.models.towers.image_encoders import ResidualPyramid3d
from napari_ctclip.models.towers.vit3d import TransformerBlock

__all__ = ["LockedTower3d"]


class LockedTower3d(nn.Module):
    """Tokens of a locked convolutional tower, averaged over blocks, then transformer blocks.

    What the tower makes of an image never changes, so a training may make it ahead, once, and give
    it in the image's place: ``forward`` takes either. It stands where a ``TokenVit3d`` does.

    Parameters
    ----------
    tower : ResidualPyramid3d
        The tower; it is locked here.
    channels : int
        The channels of an image.
    pool : int
        Tokens of the tower along each axis that become one.
    width, depth, heads, mlp_width : int
        The sizes of the tokens and of the blocks that learn.

    References
    ----------
    Zhai et al. 2022 (LiT, arXiv 2111.07991), section 3: a locked image tower. Ours: the blocks on
    it, since a tower that has seen neither report nor organ must be adapted to both.
    """

    final_activation = False

    def __init__(
        self,
        tower: ResidualPyramid3d,
        *,
        channels: int,
        pool: int = 4,
        width: int = 128,
        depth: int = 1,
        heads: int = 2,
        mlp_width: int = 256,
    ) -> None:
        super().__init__()
        self.tower = tower.requires_grad_(False)
        self.channels, self.pool = channels, pool
        self.width, self.heads, self.mlp_width = width, heads, mlp_width
        self.enter = nn.Sequential(
            nn.LayerNorm(tower.token_width), nn.Linear(tower.token_width, width)
        )
        self.blocks = nn.ModuleList(
            TransformerBlock(width, heads, mlp_width, 0.0) for _ in range(depth)
        )
        self.norm = nn.LayerNorm(width)

    @property
    def token_width(self) -> int:
        """Channels of a token."""
        return self.width

    @property
    def patch_size(self) -> tuple[int, int, int]:
        """Voxels (z, y, x) behind one token."""
        z, y, x = (n * self.pool for n in self.tower.patch_size)
        return z, y, x

    @property
    def multiple_of(self) -> tuple[int, int, int]:
        """What the axes of an image must be multiples of."""
        z, y, x = (max(a, b) for a, b in zip(self.patch_size, self.tower.multiple_of, strict=True))
        return z, y, x

    @torch.no_grad()
    def ahead(self, image: Tensor) -> Tensor:
        """Return what the locked part makes of images (B, C, D, H, W): (B, T, d, h, w).

        In bfloat16 where that is fast: nothing is learned here.
        """
        with in_fast_precision(image.device):
            tokens = functional.relu(self.tower(image))
        return functional.avg_pool3d(tokens.float(), self.pool)

    def is_ahead(self, given: Tensor) -> bool:
        """Return whether something given to ``forward`` comes from ``ahead``."""
        return given.shape[1] == self.tower.token_width != self.channels

    def forward(self, image: Tensor) -> Tensor:
        """Return tokens (B, width, d, h, w) of images, or of what ``ahead`` made of them."""
        locked = image if self.is_ahead(image) else self.ahead(image)
        B, _, *grid = locked.shape
        x = self.enter(locked.flatten(2).transpose(1, 2))
        for block in self.blocks:
            x = block(x)
        tokens: Tensor = self.norm(x)
        return tokens.transpose(1, 2).reshape(B, self.width, *grid)
