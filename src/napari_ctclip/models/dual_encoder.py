"""DualEncoder: an image encoder and a text encoder that share one space, parts passed in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from napari_ctclip.core.errors import CtClipError
from napari_ctclip.models.interface import (
    Calibration,
    EncodingWindows,
    FeatureMap,
    RegionEmbeddings,
)
from napari_ctclip.models.runtime.device import in_fast_precision
from napari_ctclip.models.runtime.weights_hash import HashedWeights
from napari_ctclip.models.text.text_cache import CachesTexts
from napari_ctclip.models.towers.locked_tower import LockedTower3d
from napari_ctclip.models.towers.pooling import masked_mean, masks_to_tokens
from napari_ctclip.preprocessing.specification import Preprocessing

__all__ = ["DualEncoder"]


class DualEncoder(HashedWeights, CachesTexts):
    """A vision-language model with a dense token grid; keeps ``VisionLanguageModel``.

    Parameters
    ----------
    image_encoder : nn.Module
        Image (B, C, D, H, W) to token features: a ``ResidualPyramid3d`` or a ``TokenVit3d``.
    text_encoder : nn.Module
        Texts to vectors: a ``WordPieceTransformer`` or a ``BertTextEncoder``.
    name : str
        What the user calls it.
    preprocessing : Preprocessing
        What the image encoder was trained on.
    embedding_width : int
        E, width of the shared space.
    background_prompts : sequence of str
        Sentences for normal anatomy.
    suggested_prompts : sequence of str
        Findings the model was trained to know.
    organ_names : sequence of str
        Anatomies whose names its regions were trained to be recognised by; empty if none.
    calibration : Calibration or None
        From region scores to probabilities.
    unit_tokens : bool
        Whether tokens have unit norm before they are averaged into a region or the whole. False is
        CT-GLIP's average of features, whose long tokens count for more.
    logit_bias : float or None
        Where a sigmoid loss starts its bias; None for a model without one.
    """

    region_readout: Literal["dense", "regions"] = "dense"
    # most chests at 2 mm are one window, which takes 1.3 GB at its largest
    encoding_windows = EncodingWindows(shape=(192, 256, 256), overlap=(32, 32, 32))

    def __init__(
        self,
        image_encoder: Any,
        text_encoder: Any,
        *,
        name: str,
        preprocessing: Preprocessing,
        embedding_width: int = 64,
        background_prompts: Sequence[str] = (),
        suggested_prompts: Sequence[str] = (),
        organ_names: Sequence[str] = (),
        calibration: Calibration | None = None,
        unit_tokens: bool = True,
        logit_bias: float | None = None,
    ) -> None:
        super().__init__()
        self.image_encoder = image_encoder
        self.text_encoder = text_encoder
        self.image_projection = nn.Conv3d(image_encoder.token_width, embedding_width, 1)
        self.text_projection = nn.Linear(text_encoder.embedding_width, embedding_width, bias=False)
        self.logit_scale = nn.Parameter(torch.tensor(2.7))  # exp(2.7) = 15
        self.logit_bias = None if logit_bias is None else nn.Parameter(torch.tensor(logit_bias))
        self.unit_tokens = unit_tokens
        # a training that brings its own autocast switches this one off
        self.own_autocast = True
        self.name = name
        self.preprocessing = preprocessing
        self.embedding_width = embedding_width
        self.background_prompts = tuple(background_prompts)
        self.suggested_prompts = tuple(suggested_prompts)
        self.organ_names = tuple(organ_names)
        self.calibration = calibration

    @property
    def patch_size(self) -> tuple[int, int, int]:
        """Voxels (z, y, x) behind one token."""
        z, y, x = self.image_encoder.patch_size
        return z, y, x

    def encode_image(self, image: Tensor) -> FeatureMap:
        """Return token features of prepared images (B, C, D, H, W).

        Raises
        ------
        CtClipError
            If channels or axis lengths do not fit the model.
        """
        multiple, channels = self.image_encoder.multiple_of, len(self.preprocessing.windows_hu)
        encoder = self.image_encoder
        made_ahead = isinstance(encoder, LockedTower3d) and encoder.is_ahead(image)
        fits = image.ndim == 5 and image.shape[1] == channels
        fits &= not any(n % m for n, m in zip(image.shape[2:], multiple, strict=True))
        if not fits and not made_ahead:
            raise CtClipError(
                f"model {self.name!r} expected an image (B, {channels}, D, H, W) with D, H, W "
                f"divisible by {multiple}, got {tuple(image.shape)}; "
                "prepare the scan with model.preprocessing.prepare"
            )
        if not self.own_autocast:
            return FeatureMap((self.image_encoder(image),))
        with in_fast_precision(image.device):
            return FeatureMap((self.image_encoder(image),))

    def embed_text(self, texts: Sequence[str]) -> Tensor:
        """Return (T, E), unit norm; texts seen before come from a cache when nothing is trained."""
        if self.training:
            return self._embed_texts(texts)
        with torch.no_grad():
            return self._texts.embed(texts, self._embed_texts)

    def project_text(self, vectors: Tensor) -> Tensor:
        """Return text encoder outputs (T, C) in the shared space (T, E), unit norm."""
        return functional.normalize(
            self.text_projection(functional.normalize(vectors, dim=-1)), dim=-1
        )

    def embed_dense(self, features: FeatureMap, anatomy: str | None = None) -> Tensor:
        """Return (B, E, d, h, w), unit norm along E; the same for every anatomy."""
        return functional.normalize(self._projected(features), dim=1)

    def embed_global(self, features: FeatureMap) -> Tensor:
        """Return (B, E), unit norm: the mean of all tokens."""
        return functional.normalize(self._pooled(features).flatten(2).mean(dim=2), dim=-1)

    def embed_regions(self, features: FeatureMap, masks: Tensor) -> RegionEmbeddings:
        """Return the mean token of each of the masks (B, R, D, H, W) bool."""
        regions = masks_to_tokens(masks, self.patch_size)
        return RegionEmbeddings(*masked_mean(self._pooled(features), regions))

    def _embed_texts(self, texts: Sequence[str]) -> Tensor:
        return self.project_text(self.text_encoder.encode(texts))

    def _pooled(self, features: FeatureMap) -> Tensor:
        """Return the tokens (B, E, d, h, w) that are averaged."""
        return self.embed_dense(features) if self.unit_tokens else self._projected(features)

    def _projected(self, features: FeatureMap) -> Tensor:
        tokens = features.levels[-1]
        with torch.autocast(tokens.device.type, enabled=False):
            tokens = tokens.float()
            if self.image_encoder.final_activation:
                tokens = functional.relu(tokens)
            projected: Tensor = self.image_projection(tokens)
            return projected
