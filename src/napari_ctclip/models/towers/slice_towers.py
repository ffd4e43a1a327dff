"""Slice towers: 2D CLIP image encoders read out whole and token by token in one pass."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import torch
from timm.layers.format import Format
from timm.layers.pos_embed import resample_abs_pos_embed
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn
from torch.nn import functional

from napari_ctclip.core.errors import CtClipError

__all__ = ["SliceTower", "slice_tower"]


class SliceTower(Protocol):
    """An image encoder whose tokens can be compared with text.

    Every encoder ends in a pooling of tokens into one vector. The dense read-out applies that same
    pooling to each token alone, as if it were all of the image. For attention this is the value
    path: over a single token the softmax is 1, whatever query and key are.

    Attributes
    ----------
    stride : int
        Pixels along each side of a token.

    References
    ----------
    Zhou et al. 2022, "Extract Free Dense Labels from CLIP" (MaskCLIP, arXiv 2112.01071), section 3:
    value and output projection of the last attention, then the projection into the text's space,
    for ResNets and ViTs alike.
    """

    stride: int

    def __call__(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return tokens (B, E, h, w) and wholes (B, E), not normalised, of images (B, 3, H, W).

        Position embeddings are resized to the image (bicubic), as for fine-tuning at a higher
        resolution (Dosovitskiy et al. 2021, section 3.2).
        """
        ...


def slice_tower(visual: nn.Module) -> SliceTower:
    """Return how the image tower of an open_clip model is read out.

    Raises
    ------
    CtClipError
        If nothing is known about such a tower.
    """
    if hasattr(visual, "attnpool"):
        return _ClipResNet(visual)
    if hasattr(visual, "transformer") and hasattr(visual, "conv1"):
        return _ClipViT(visual)
    trunk = getattr(visual, "trunk", None)
    if type(trunk) is VisionTransformer:
        return _TimmViT(visual)
    if trunk is not None:
        return _TimmConvolutions(visual)
    raise _unsupported(type(visual).__name__)


class _ClipViT:
    """CLIP's own ViT; the last block is the pooling where the class token is the answer."""

    def __init__(self, visual: Any) -> None:
        if getattr(visual, "attn_pool_contrastive", None) is not None:
            raise _unsupported("a ViT with two attention poolings")
        self._visual = visual
        self.stride = int(visual.patch_size[0])

    def __call__(self, images: Tensor) -> tuple[Tensor, Tensor]:
        visual = self._visual
        tokens = visual.conv1(images)
        B, C, h, w = tokens.shape
        first = visual.class_embedding.to(tokens.dtype).expand(B, 1, C)
        x = torch.cat([first, tokens.flatten(2).transpose(1, 2)], dim=1)
        x = visual.ln_pre(x + _positions(visual.positional_embedding, visual.grid_size, (h, w)))
        *blocks, last = visual.transformer.resblocks
        for block in blocks:
            x = block(x)
        end = last(x)
        whole, _ = visual._pool(end)
        dense = self._pool_alone(x[:, 1:], end[:, 1:], last)
        if visual.proj is not None:
            whole, dense = whole @ visual.proj, dense @ visual.proj
        return _grid(dense, h, w), whole

    def _pool_alone(self, before: Tensor, after: Tensor, last: nn.Module) -> Tensor:
        """Return each token (B, h w, C) pooled alone; ``before`` and ``after`` the last block."""
        visual = self._visual
        if visual.attn_pool is not None:
            tokens = _alone(self._attention_pool, after)
        else:  # a mean over tokens is pooled alone by leaving each as it is
            tokens = after if visual.pool_type == "avg" else _alone(last, before)
        pooled: Tensor = visual.ln_post(tokens)
        return pooled

    def _attention_pool(self, single: Tensor) -> Tensor:
        pool = self._visual.attn_pool
        # over one token every query reads the same: one of them is enough
        query = pool.ln_q(pool.query[:1]).expand(len(single), -1, -1)
        key = pool.ln_k(single)
        pooled: Tensor = pool.attn(query, key, key, need_weights=False)[0]
        return pooled


class _ClipResNet:
    """CLIP's ResNet: attention pooling over the tokens of the last layer."""

    stride = 32

    def __init__(self, visual: Any) -> None:
        self._visual = visual

    def __call__(self, images: Tensor) -> tuple[Tensor, Tensor]:
        visual, pool = self._visual, self._visual.attnpool
        x = visual.stem(images)
        for layer in (visual.layer1, visual.layer2, visual.layer3, visual.layer4):
            x = layer(x)
        h, w = x.shape[2:]
        x = x.flatten(2).transpose(1, 2)
        side = round((len(pool.positional_embedding) - 1) ** 0.5)
        x = torch.cat([x.mean(dim=1, keepdim=True), x], dim=1)
        x = x + _positions(pool.positional_embedding, (side, side), (h, w))
        value = pool.v_proj(x)
        query, key, split = (
            part.unflatten(2, (pool.num_heads, -1)).transpose(1, 2)
            for part in (pool.q_proj(x[:, :1]), pool.k_proj(x), value)
        )
        attended = functional.scaled_dot_product_attention(query, key, split)
        whole = pool.c_proj(attended.transpose(1, 2).flatten(2))[:, 0]
        return _grid(pool.c_proj(value[:, 1:]), h, w), whole


class _TimmViT:
    """A timm ViT: class token, mean, or attention pooling (SigLIP)."""

    def __init__(self, visual: Any) -> None:
        trunk = visual.trunk
        fixed = trunk.attn_pool is not None and trunk.attn_pool.pos_embed is not None
        if fixed or (trunk.attn_pool is None and trunk.global_pool not in ("token", "avg")):
            raise _unsupported(f"a timm ViT with pooling {trunk.global_pool!r}")
        # what timm's own option dynamic_img_size=True sets when a model is made
        trunk.dynamic_img_size = True
        trunk.patch_embed.strict_img_size = False
        trunk.patch_embed.flatten = False
        trunk.patch_embed.output_fmt = Format.NHWC
        self._visual = visual
        self.stride = int(trunk.patch_embed.patch_size[0])

    def __call__(self, images: Tensor) -> tuple[Tensor, Tensor]:
        trunk = self._visual.trunk
        h, w = (n // self.stride for n in images.shape[2:])
        x = trunk.norm_pre(trunk._pos_embed(trunk.patch_embed(images)))
        *blocks, last = trunk.blocks
        for block in blocks:
            x = block(x)
        end = trunk.norm(last(x))
        first = trunk.num_prefix_tokens
        if trunk.attn_pool is not None:
            dense = _alone(trunk.attn_pool, end[:, first:])
        elif trunk.global_pool == "avg":
            dense = end[:, first:]
        else:
            dense = trunk.norm(_alone(last, x[:, first:]))
        return _grid(self._project(dense), h, w), self._project(trunk.pool(end))

    def _project(self, pooled: Tensor) -> Tensor:
        trunk = self._visual.trunk
        projected: Tensor = self._visual.head(trunk.head(trunk.fc_norm(pooled)))
        return projected


class _TimmConvolutions:
    """Any timm trunk that ends in a map (B, C, h, w) and its mean, as ConvNeXt and ResNet do."""

    def __init__(self, visual: Any) -> None:
        height, width = visual.image_size
        trunk = visual.trunk
        shape = _shape_of_features(trunk, height, width)
        is_map = len(shape) == 4 and shape[1] == trunk.num_features
        if not is_map or hasattr(visual.head, "pool") or height % shape[2]:
            raise _unsupported(f"timm's {type(trunk).__name__}")
        self._visual = visual
        self.stride = height // shape[2]

    def __call__(self, images: Tensor) -> tuple[Tensor, Tensor]:
        visual = self._visual
        x = visual.trunk.forward_features(images)
        B, C, h, w = x.shape
        single = x.permute(0, 2, 3, 1).reshape(-1, C, 1, 1)
        dense = visual.head(visual.trunk.forward_head(single)).reshape(B, h * w, -1)
        return _grid(dense, h, w), visual.head(visual.trunk.forward_head(x))


def _alone(pooling: Callable[[Tensor], Tensor], tokens: Tensor) -> Tensor:
    """Return ``pooling`` of each of the tokens (B, N, C) as a sequence of its own."""
    B, N, C = tokens.shape
    return pooling(tokens.reshape(B * N, 1, C)).reshape(B, N, -1)


def _shape_of_features(trunk: Any, height: int, width: int) -> torch.Size:
    was_training = trunk.training
    trunk.eval()  # a batch normalisation in training would learn from this empty picture
    with torch.inference_mode():
        empty = next(trunk.parameters()).new_zeros(1, 3, height, width)
        shape: torch.Size = trunk.forward_features(empty).shape
    trunk.train(was_training)
    return shape


def _positions(embedding: Tensor, grid: tuple[int, int], wanted: tuple[int, int]) -> Tensor:
    """Return position embeddings (1, 1 + h w, C) resized from one grid to another."""
    resized: Tensor = resample_abs_pos_embed(
        embedding[None], new_size=list(wanted), old_size=list(grid), num_prefix_tokens=1
    )
    return resized


def _grid(tokens: Tensor, h: int, w: int) -> Tensor:
    B, _, E = tokens.shape
    return tokens.transpose(1, 2).reshape(B, E, h, w)


def _unsupported(tower: str) -> CtClipError:
    return CtClipError(
        f"no heatmap can be read out of {tower}: supported are CLIP's own ViTs and ResNets, timm's "
        "VisionTransformer (class token, mean or attention pooling) and timm's convolutional "
        "networks that end in a mean"
    )
