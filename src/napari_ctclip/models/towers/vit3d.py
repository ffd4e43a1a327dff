"""VisionTransformer3d: a plain 3D ViT that gives its token maps at several depths."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from napari_ctclip.core.errors import CtClipError

__all__ = [
    "FastDropout",
    "TokenVit3d",
    "TransformerBlock",
    "VisionTransformer3d",
    "dropout_attention",
]


class VisionTransformer3d(nn.Module):
    """Conv patch embedding, learnable positions, pre-norm blocks, no class token.

    Parameter names are those of the released state dict below ``visual_encoder.``.

    Parameters
    ----------
    in_channels : int
        The channels C of the image.
    width, depth, heads, mlp_width : int
        The sizes of the tokens and of the blocks.
    patch_size : tuple of int
        Voxels (z, y, x) behind one token.
    position_grid : tuple of int
        Tokens (d, h, w) the table of positions was made for; resized for any other grid.
    level_blocks : sequence of int
        Blocks, counted from 0, whose raw output is a level; the normed last one comes after them.
    dropout : float
        On attention weights and every sum, in training.

    References
    ----------
    Dosovitskiy et al. 2021 (ViT), section 3.1; Shui et al. 2025 (fVLM, arXiv 2501.14548), section
    3: a ViT-B; patch, grid and levels are those of its CT-RATE release.
    """

    def __init__(
        self,
        *,
        in_channels: int = 1,
        width: int = 768,
        depth: int = 12,
        heads: int = 12,
        mlp_width: int = 3072,
        patch_size: tuple[int, int, int] = (16, 16, 32),
        position_grid: tuple[int, int, int] = (7, 16, 11),
        level_blocks: Sequence[int] = (3, 6, 9),
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        self.in_channels, self.width, self.patch_size = in_channels, width, patch_size
        self.depth, self.heads, self.mlp_width = depth, heads, mlp_width
        self.position_grid, self.level_blocks = position_grid, tuple(level_blocks)
        self.patch_embedding = _PatchEmbedding(in_channels, width, patch_size, position_grid)
        self.blocks = nn.ModuleList(
            TransformerBlock(width, heads, mlp_width, dropout) for _ in range(depth)
        )
        self.norm = nn.LayerNorm(width)
        self.dropout = FastDropout(dropout)

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """Return token maps, each (B, width, d, h, w), of an image (B, C, D, H, W).

        Raises
        ------
        CtClipError
            If the channels differ or an axis is no multiple of the patch.
        """
        self._check(image)
        x, grid = self.patch_embedding(image)
        x = self.dropout(x)
        levels = []
        for number, block in enumerate(self.blocks):
            x = block(x)
            if number in self.level_blocks:
                levels.append(_as_map(x, grid))
        return (*levels, _as_map(self.norm(x), grid))

    def _check(self, image: Tensor) -> None:
        sizes = image.shape[2:]
        fits = image.ndim == 5 and image.shape[1] == self.in_channels
        if not fits or any(n % p for n, p in zip(sizes, self.patch_size, strict=True)):
            raise CtClipError(
                f"expected an image (B, {self.in_channels}, D, H, W) with D, H, W multiples of "
                f"{self.patch_size}, got {tuple(image.shape)}; prepare the scan with "
                "model.preprocessing.prepare"
            )


class TokenVit3d(VisionTransformer3d):
    """The same transformer, giving its last token map only: the image encoder of a dual encoder."""

    final_activation = False

    @property
    def token_width(self) -> int:
        """Channels of a token."""
        return self.width

    @property
    def multiple_of(self) -> tuple[int, int, int]:
        """What the axes of an image must be multiples of."""
        return self.patch_size

    def forward(self, image: Tensor) -> Tensor:  # type: ignore[override]
        """Return tokens (B, width, d, h, w) of an image (B, C, D, H, W)."""
        tokens: Tensor = super().forward(image)[-1]
        return tokens

    def attended(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Return tokens (B, width, d, h, w) and how much each is attended to (B, 1, d, h, w).

        Attention rolled out through the blocks, ``prod_l (A_l + I) / 2``, heads averaged. Ours: the
        transformer has no class token, so the mean over all tokens takes its row.

        References
        ----------
        Abnar and Zuidema 2020 (attention rollout, arXiv 2005.00928), section 3.
        """
        self._check(image)
        x, grid = self.patch_embedding(image)
        x = self.dropout(x)
        flow = x.new_full((x.shape[0], 1, x.shape[1]), 1.0 / x.shape[1])
        maps = []
        for block in self.blocks:
            assert isinstance(block, TransformerBlock)
            maps.append(block.attn.weights(block.norm1(x)).mean(dim=1))
            x = block(x)
        for attention in reversed(maps):  # from the output back to the patches
            flow = (flow @ attention + flow) / 2
        return _as_map(self.norm(x), grid), _as_map(flow.transpose(1, 2), grid)


class _PatchEmbedding(nn.Module):
    def __init__(
        self,
        in_channels: int,
        width: int,
        patch_size: tuple[int, int, int],
        position_grid: tuple[int, int, int],
    ) -> None:
        super().__init__()
        d, h, w = position_grid
        self.position_grid = position_grid
        self.patch_embeddings = nn.Conv3d(in_channels, width, patch_size, stride=patch_size)
        self.position_embeddings = nn.Parameter(torch.empty(1, d * h * w, width))
        nn.init.trunc_normal_(self.position_embeddings, std=0.02, a=-0.04, b=0.04)

    def forward(self, image: Tensor) -> tuple[Tensor, tuple[int, int, int]]:
        """Return tokens (B, d*h*w, width) in z, y, x order and their grid."""
        B, C, *shape = image.shape
        z, y, x = self.patch_embeddings.kernel_size
        d, h, w = (n // p for n, p in zip(shape, (z, y, x), strict=True))
        blocks = image.view(B, C, d, z, h, y, w, x).permute(0, 2, 4, 6, 1, 3, 5, 7)
        # a convolution without overlap is one product: in bfloat16 on a CPU 30 times faster
        kernel = self.patch_embeddings.weight.flatten(1)
        patches = functional.linear(
            blocks.reshape(B, d * h * w, -1), kernel, self.patch_embeddings.bias
        )
        return patches + self._positions((d, h, w)), (d, h, w)

    def _positions(self, grid: tuple[int, int, int]) -> Tensor:
        if grid == self.position_grid:
            return self.position_embeddings
        table = self.position_embeddings.transpose(1, 2).reshape(1, -1, *self.position_grid)
        resized = functional.interpolate(table, size=grid, mode="trilinear", align_corners=False)
        return resized.flatten(2).transpose(1, 2)


class FastDropout(nn.Dropout):
    """The usual dropout; on a CPU its mask costs a quarter of a random number per element."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - nn.Dropout calls it so
        """Return the input with elements set to zero and the others enlarged."""
        if not self.training or self.p in (0.0, 1.0) or input.device.type != "cpu":
            return super().forward(input)
        from napari_ctclip.models.towers.dropout import dropped

        out: Tensor = dropped(input, self.p)
        return out


def dropout_attention(q: Tensor, k: Tensor, v: Tensor, *, dropout: float) -> Tensor:
    """Return softmax(q kᵀ / √c) v with dropout on the softmax, (B, heads, L, c) as its arguments.

    On a CPU by kernels of ours; on other devices, and without dropout, by PyTorch's.
    """
    if dropout == 0.0 or q.device.type != "cpu":
        return functional.scaled_dot_product_attention(q, k, v, dropout_p=dropout)
    from napari_ctclip.models.towers.dropout import block_attention

    mixed: Tensor = block_attention(q, k, v, dropout)
    return mixed


class TransformerBlock(nn.Module):
    """x + attention(norm(x)), then x + perceptron(norm(x))."""

    def __init__(self, width: int, heads: int, mlp_width: int, dropout: float) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width)
        self.attn = _SelfAttention(width, heads, dropout)
        self.norm2 = nn.LayerNorm(width)
        self.mlp = _Perceptron(width, mlp_width, dropout)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(self.norm1(x))
        out: Tensor = x + self.mlp(self.norm2(x))
        return out


class _SelfAttention(nn.Module):
    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.out_proj = nn.Linear(width, width)
        self.dropout = FastDropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, L, width) of tokens (B, L, width)."""
        q, k, v = self._split(x)
        drop = self.dropout.p if self.training else 0.0
        mixed = dropout_attention(q, k, v, dropout=drop)
        out: Tensor = self.dropout(self.out_proj(mixed.transpose(1, 2).flatten(2)))
        return out

    def weights(self, x: Tensor) -> Tensor:
        """Return who looks at whom (B, heads, L, L); rows sum to 1."""
        q, k, _ = self._split(x)
        weights: Tensor = (q @ k.transpose(-1, -2) * q.shape[-1] ** -0.5).softmax(dim=-1)
        return weights

    def _split(self, x: Tensor) -> Tensor:
        """Return queries, keys, values (3, B, heads, L, width / heads)."""
        B, L, width = x.shape
        qkv: Tensor = self.qkv(x).view(B, L, 3, self.heads, width // self.heads)
        return qkv.permute(2, 0, 3, 1, 4)


class _Perceptron(nn.Module):
    def __init__(self, width: int, mlp_width: int, dropout: float) -> None:
        super().__init__()
        self.linear1 = nn.Linear(width, mlp_width)
        self.linear2 = nn.Linear(mlp_width, width)
        self.dropout = FastDropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.dropout(functional.gelu(self.linear1(x)))
        out: Tensor = self.dropout(self.linear2(hidden))
        return out


def _as_map(tokens: Tensor, grid: tuple[int, int, int]) -> Tensor:
    return tokens.transpose(1, 2).reshape(tokens.shape[0], -1, *grid)
