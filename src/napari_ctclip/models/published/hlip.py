"""HLIP: a 3D ViT with attention within slices and scan, and a report encoder, for chest CT."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from napari_ctclip.core.errors import DataError
from napari_ctclip.models.interface import FeatureMap, RegionEmbeddings
from napari_ctclip.models.published.hlip_network import HlipNetwork
from napari_ctclip.models.published.whole_scan import WholeScanModel
from napari_ctclip.models.runtime.device import in_fast_precision
from napari_ctclip.models.text.bert_text_encoder import BertTextEncoder
from napari_ctclip.models.towers.pooling import masks_to_tokens, pooled_alone
from napari_ctclip.preprocessing.specification import Preprocessing

__all__ = ["HLIP_PREPROCESSING", "Hlip"]

HLIP_PREPROCESSING = Preprocessing(
    orientation="SPL",
    spacing_mm=(3.0, 1.0, 1.0),
    windows_hu=((-1150.0, 350.0),),
    resampling="linear",
    shape=(112, 336, 336),
)
"""The central 336 mm; what lies further out is not seen. HLIP never turns an array; SPL is how the
volumes of CT-RATE, its training set, lie in their files as it reads them. Where an odd number of
voxels is cropped or padded, the odd one is taken from the start, by HLIP from the end."""

_MEAN, _STD = 0.449, 0.226
"""Of the values 0..1: the means over colours of ImageNet's statistics."""


class Hlip(WholeScanModel):
    """HLIP as ``VisionLanguageModel``.

    The tokens before the last block are kept. That block is the pooling: with the class token in
    front of all of them it gives the embedding of the scan, over a token alone that of the token,
    as for the vision transformers of open_clip.

    Parameters
    ----------
    image_encoder : HlipNetwork
        Image (B, 1, D, H, W) to tokens.
    text_encoder : BertTextEncoder
        Texts to vectors.
    name : str
        What the user calls it.
    preprocessing : Preprocessing
        The preprocessing of the voxels that the image encoder was made for.

    Raises
    ------
    DataError
        If the preprocessing gives images of another shape than the image encoder takes.

    References
    ----------
    Zhao et al. 2025, "Towards scalable language-image pre-training for 3D medical imaging", arXiv
    2505.21862. Zhou et al. 2022 (MaskCLIP, arXiv 2112.01071), section 3.
    """

    def __init__(
        self,
        image_encoder: HlipNetwork,
        text_encoder: BertTextEncoder,
        *,
        name: str = "hlip",
        preprocessing: Preprocessing = HLIP_PREPROCESSING,
    ) -> None:
        super().__init__(name=name, preprocessing=preprocessing)
        if preprocessing.shape != image_encoder.image_shape:
            raise DataError(
                f"expected a preprocessing to images of {image_encoder.image_shape} voxels, which "
                f"the image encoder takes, got {preprocessing.shape}"
            )
        self.image_encoder = image_encoder
        self.text_encoder = text_encoder
        width = image_encoder.embedding_width
        self.image_projection = nn.Linear(image_encoder.width, width, bias=False)
        self.text_projection = nn.Linear(text_encoder.embedding_width, width, bias=False)
        self.logit_scale = nn.Parameter(torch.tensor(1.0 / 0.07).log())

    @property
    def patch_size(self) -> tuple[int, int, int]:
        """Voxels (z, y, x) behind one token."""
        return self.image_encoder.patch_size

    def encode_image(self, image: Tensor) -> FeatureMap:
        """Return tokens (B, C, d, h, w) and class tokens (B, C, 1, 1, 1) of (B, 1, D, H, W).

        Raises
        ------
        CtClipError
            If an image is not of the one shape the model takes.
        """
        self.require_whole_scan(image)
        with in_fast_precision(image.device):
            tokens, first = self.image_encoder((image - _MEAN) / _STD)
        return FeatureMap((tokens.float(), first.float()))

    def embed_dense(self, features: FeatureMap, anatomy: str | None = None) -> Tensor:
        """Return (B, E, d, h, w), unit norm along E; the same for every anatomy."""
        B, C, d, h, w = features.levels[0].shape
        alone = features.levels[0].flatten(2).transpose(1, 2).reshape(-1, 1, C)
        return self._embed(alone).reshape(B, d, h, w, -1).permute(0, 4, 1, 2, 3)

    def embed_global(self, features: FeatureMap) -> Tensor:
        """Return (B, E), unit norm: HLIP's own embedding."""
        return self._embed(torch.cat(_sequences(features), dim=1))

    def embed_regions(self, features: FeatureMap, masks: Tensor) -> RegionEmbeddings:
        """Return one vector for each of the masks (B, R, D, H, W) bool.

        Ours: HLIP's last block over its class token and the tokens of a region alone.
        """
        members = masks_to_tokens(masks, self.patch_size).flatten(2)
        first, tokens = _sequences(features)
        width = self.image_encoder.embedding_width
        return RegionEmbeddings(
            *pooled_alone(tokens, members, self._embed, width=width, first=first)
        )

    def _embed(self, sequences: Tensor) -> Tensor:
        """Return (N, E), unit norm, of tokens (N, L, C) as they are before the last block."""
        pooled = self.image_projection(self.image_encoder.finish(sequences))
        return functional.normalize(pooled, dim=1)

    def _embed_texts(self, texts: Sequence[str]) -> Tensor:
        return functional.normalize(self.text_projection(self.text_encoder.encode(texts)), dim=-1)


def _sequences(features: FeatureMap) -> tuple[Tensor, Tensor]:
    """Return class tokens (B, 1, C) and tokens (B, d h w, C)."""
    tokens, first = (level.flatten(2).transpose(1, 2) for level in features.levels)
    return first, tokens
