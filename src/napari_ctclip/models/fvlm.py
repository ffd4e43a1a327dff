"""FVLM: one embedding per anatomy, contrasted with text about that anatomy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional

from napari_ctclip.core.errors import CtClipError
from napari_ctclip.models.interface import (
    Calibration,
    CropProtocol,
    EncodingWindows,
    FeatureMap,
    RegionEmbeddings,
)
from napari_ctclip.models.runtime.weights_hash import HashedWeights
from napari_ctclip.models.text.text_cache import CachesTexts
from napari_ctclip.models.towers.locked_tower import LockedTower3d
from napari_ctclip.models.towers.organ_query import OrganQuery
from napari_ctclip.models.towers.pooling import masks_to_tokens
from napari_ctclip.models.towers.vit3d import VisionTransformer3d
from napari_ctclip.preprocessing.specification import Preprocessing

__all__ = ["FVLM", "FVLM_ANATOMIES", "FVLM_PREPROCESSING", "TextEncoder"]

FVLM_ANATOMIES = ("lung", "heart", "esophagus", "aorta")
"""Anatomies of the CT-RATE release, in the order of its weights."""

FVLM_PREPROCESSING = Preprocessing(
    orientation="SPL",
    spacing_mm=(3.0, 1.0, 1.0),
    windows_hu=((-1150.0, 350.0),),
    multiple_of=(16, 16, 32),
)
"""CT-RATE release: axes to Superior, Posterior, Left; lung window as one channel 0..1, padded
with 0. Our resampling averages where the grid gets coarser; fVLM's own is plainly linear."""

_WINDOWS = EncodingWindows(shape=(112, 288, 352), overlap=(48, 96, 96))
_LOWEST_TEMPERATURE, _HIGHEST_TEMPERATURE = 0.001, 0.5


class TextEncoder(Protocol):
    """Texts to vectors, before the projection into the shared space."""

    embedding_width: int

    def encode(self, texts: Sequence[str]) -> Tensor:
        """Return (T, embedding_width)."""
        ...


class FVLM(HashedWeights, CachesTexts):
    """fVLM: ViT tokens, one query an anatomy, anatomy-level text; keeps ``VisionLanguageModel``.

    Regions are anatomies here: ``embed_regions`` takes one mask for each of ``anatomies``, in their
    order. Written from the paper and published facts about the release; no code of it is used.

    Parameters
    ----------
    image_encoder : VisionTransformer3d or LockedTower3d
        Image (B, C, D, H, W) to token maps at several depths, or to one.
    text_encoder : TextEncoder and nn.Module
        Texts to vectors.
    name : str
        What the user calls it.
    anatomies : sequence of str
        What each query is for.
    embedding_width : int
        E of the shared space.
    preprocessing : Preprocessing
        What the image encoder was trained on.
    suggested_prompts : sequence of str
        Findings the model was trained to know.
    calibration : Calibration or None
        From region scores to probabilities.
    crop_protocol : CropProtocol or None
        How organs were cropped in training; None for the CT-RATE release's.

    References
    ----------
    Shui et al. 2025, "Large-scale and fine-grained vision-language pre-training for enhanced CT
    image understanding", arXiv 2501.14548, section 3.
    """

    region_readout: Literal["dense", "regions"] = "regions"
    encoding_windows = _WINDOWS
    crop_protocol = CropProtocol()
    background_prompts: tuple[str, ...] = ()

    def __init__(
        self,
        image_encoder: VisionTransformer3d | LockedTower3d,
        text_encoder: nn.Module,
        *,
        name: str = "fvlm",
        anatomies: Sequence[str] = FVLM_ANATOMIES,
        embedding_width: int = 256,
        preprocessing: Preprocessing = FVLM_PREPROCESSING,
        suggested_prompts: Sequence[str] = (),
        calibration: Calibration | None = None,
        crop_protocol: CropProtocol | None = None,
    ) -> None:
        super().__init__()
        self.image_encoder = image_encoder
        self.text_encoder = text_encoder
        self.organ_query = OrganQuery(
            organs=len(anatomies), width=image_encoder.width, embedding_width=embedding_width
        )
        self.text_projection = nn.Linear(_text_width(text_encoder), embedding_width)
        self.temperature = nn.Parameter(torch.tensor(0.07))
        self.name = name
        self.anatomies = tuple(anatomies)
        self.embedding_width = embedding_width
        self.preprocessing = preprocessing
        self.suggested_prompts = tuple(suggested_prompts)
        self.calibration = calibration
        if crop_protocol is not None:
            self.crop_protocol = crop_protocol
            self.encoding_windows = crop_protocol.windows(self.patch_size)

    @property
    def patch_size(self) -> tuple[int, int, int]:
        """Voxels (z, y, x) behind one token."""
        return self.image_encoder.patch_size

    @property
    def logit_scale(self) -> Tensor:
        """Logarithm of the factor on a cosine: fVLM divides by a temperature instead."""
        return -self.temperature.clamp(_LOWEST_TEMPERATURE, _HIGHEST_TEMPERATURE).log()

    def encode_image(self, image: Tensor) -> FeatureMap:
        """Return the token maps (B, C', d, h, w) of images (B, C, D, H, W), the last one last.

        Raises
        ------
        CtClipError
            If channels or axis lengths do not fit the model.
        """
        levels = self.image_encoder(image)
        return FeatureMap(levels if isinstance(levels, tuple) else (levels,))

    def embed_regions(self, features: FeatureMap, masks: Tensor) -> RegionEmbeddings:
        """Return one vector for each of ``anatomies`` from its mask (B, R, D, H, W) bool.

        A token belongs to an anatomy if any voxel behind it does (max-pooling of the mask).
        Anatomies cut by the crop are the caller's to leave out, see ``intact_organs``.

        Raises
        ------
        CtClipError
            If there is not one mask an anatomy, on the encoded voxels.
        """
        members = masks_to_tokens(masks, self.patch_size)
        return RegionEmbeddings(*self.organ_query(features.levels, members))

    def embed_global(self, features: FeatureMap) -> Tensor:
        """Return (B, E), unit norm.

        Ours: fVLM has no embedding of the whole; this is the mean over anatomies of what each
        would say if every token were its own.
        """
        B, _, *grid = features.levels[0].shape
        everywhere = torch.ones(
            (B, len(self.anatomies), *grid), dtype=torch.bool, device=features.levels[0].device
        )
        vectors, _ = self.organ_query(features.levels, everywhere)
        return functional.normalize(vectors.mean(dim=1), dim=-1)

    def embed_dense(self, features: FeatureMap, anatomy: str | None = None) -> Tensor:
        """Return (B, E, d, h, w), unit norm along E.

        Ours: each token is read as if it were the whole of ``anatomy``, see
        ``OrganQuery.embed_tokens``. fVLM was trained on organs of many tokens, never on one, so
        this shows where an organ's score comes from rather than a score of its own. Without an
        anatomy, or with one the model has no query for: the mean over anatomies, renormalised.
        """
        vectors = self.organ_query.embed_tokens(features.levels)  # (B, R, E, d, h, w)
        if anatomy in self.anatomies:
            return vectors[:, self.anatomies.index(anatomy)]
        return functional.normalize(vectors.mean(dim=1), dim=1)

    def _embed_texts(self, texts: Sequence[str]) -> Tensor:
        encoder: TextEncoder = self.text_encoder  # type: ignore[assignment]
        return functional.normalize(self.text_projection(encoder.encode(texts)), dim=-1)


def _text_width(text_encoder: nn.Module) -> int:
    width = getattr(text_encoder, "embedding_width", None)
    if not isinstance(width, int) or not hasattr(text_encoder, "encode"):
        raise CtClipError(
            f"expected a text encoder with embedding_width and encode(texts), got "
            f"{type(text_encoder).__name__}"
        )
    return width
