"""A model small enough for any test, whose answers are known in advance."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from napari_ctclip.models.interface import (
    Calibration,
    EncodingWindows,
    FeatureMap,
    RegionEmbeddings,
)
from napari_ctclip.preprocessing.specification import Preprocessing

__all__ = ["WIDTH", "TinyModel"]

WIDTH = 8
"""Length of an embedding."""


class TinyModel:
    """A model without weights: similarity is brightness.

    A token is the mean of its patch. Texts with "bright", "nodule", "bone" or "mass" point to high
    HU, those with "dark" to low HU, and any other text to a fixed random direction.

    Parameters
    ----------
    orientation : str
        The axis code that it wants of a scan.
    patch_size : tuple of int
        Voxels (z, y, x) behind a token.
    spacing_mm : tuple of float
        The voxel spacing (z, y, x) that it wants, mm.
    windows : EncodingWindows, optional
        The windows in which a scan is encoded.
    """

    def __init__(
        self,
        *,
        orientation: str = "IPL",
        patch_size: tuple[int, int, int] = (2, 2, 2),
        spacing_mm: tuple[float, float, float] = (2.0, 2.0, 2.0),
        windows: EncodingWindows | None = None,
    ) -> None:
        self.name = "tiny"
        self.preprocessing = Preprocessing(
            orientation, spacing_mm, ((-1000.0, 1000.0),), multiple_of=patch_size
        )
        self.patch_size = patch_size
        self.region_readout = "dense"
        self.encoding_windows = windows or EncodingWindows((16, 512, 512), (4, 0, 0))
        self.background_prompts = ("dark air",)
        self.suggested_prompts = ("bright spot", "dark hole")
        self.calibration = Calibration(20.0, -5.0, "nothing; a test double")
        self.encoded_on: list[int] = []

    @property
    def logit_scale(self) -> Tensor:
        """The log of the scale of similarities: 20."""
        return torch.tensor(float(np.log(20.0)))

    def weights_hash(self) -> str:
        """Return a hash of the preprocessing: there are no weights."""
        return hashlib.sha256(repr(self.preprocessing).encode()).hexdigest()

    def encode_image(self, image: Tensor) -> FeatureMap:
        """Return the mean of every patch of images (B, 1, D, H, W)."""
        self.encoded_on.append(threading.get_ident())
        return FeatureMap((functional.avg_pool3d(image, self.patch_size),))

    def embed_text(self, texts: Sequence[str]) -> Tensor:
        """Return one unit vector (T, E) for each text."""
        return torch.stack([self._embed(text) for text in texts])

    def embed_global(self, features: FeatureMap) -> Tensor:
        """Return the normalised mean of all tokens (B, E)."""
        return functional.normalize(self.embed_dense(features).mean(dim=(2, 3, 4)), dim=1)

    def embed_regions(self, features: FeatureMap, masks: Tensor) -> RegionEmbeddings:
        """Return the normalised mean of the tokens of each region."""
        dense = self.embed_dense(features)
        member = functional.max_pool3d(masks.float(), self.patch_size)
        summed = torch.einsum("bedhw,brdhw->bre", dense, member)
        return RegionEmbeddings(functional.normalize(summed, dim=2), member.flatten(2).any(dim=2))

    def embed_dense(self, features: FeatureMap, anatomy: str | None = None) -> Tensor:
        """Return the embedding (B, E, d, h, w) of every token."""
        brightness = features.levels[0]
        axes = [brightness, 1.0 - brightness]
        rest = brightness.new_zeros((1, WIDTH - 2, *brightness.shape[2:]))
        return functional.normalize(torch.cat([*axes, rest], dim=1), dim=1)

    def _embed(self, text: str) -> Tensor:
        vector = torch.zeros(WIDTH)
        negated = text.startswith("no ")
        if any(word in text for word in ("bright", "nodule", "bone", "mass")):
            vector[1 if negated else 0] = 1.0
        elif "dark" in text:
            vector[0 if negated else 1] = 1.0
        else:
            seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big")
            vector = torch.randn(WIDTH, generator=torch.Generator().manual_seed(seed))
        return functional.normalize(vector, dim=0)
