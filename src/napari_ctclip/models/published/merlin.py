"""Merlin: a 3D ResNet and a report encoder for abdominal CT."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from napari_ctclip.models.interface import FeatureMap, RegionEmbeddings
from napari_ctclip.models.published.merlin_network import MerlinNetwork
from napari_ctclip.models.published.whole_scan import WholeScanModel
from napari_ctclip.models.runtime.device import in_fast_precision
from napari_ctclip.models.text.longformer_text_encoder import LongformerTextEncoder
from napari_ctclip.models.towers.pooling import masks_to_tokens
from napari_ctclip.preprocessing.specification import Preprocessing

__all__ = ["MERLIN_PREPROCESSING", "Merlin"]

MERLIN_PREPROCESSING = Preprocessing(
    orientation="RAS",
    spacing_mm=(1.5, 1.5, 3.0),
    windows_hu=((-1000.0, 1000.0),),
    resampling="linear",
    shape=(224, 224, 160),
)
"""The transforms of its package: the central 336 x 336 x 480 mm, what lies further out is not seen.
The package's resampled grid starts at the first voxel, ours lies about the centre: at most half a
voxel apart."""

_STRIDE = (2, 2, 2)  # of the network's own positions among those read out


class Merlin(WholeScanModel):
    """Merlin as ``VisionLanguageModel``.

    Its embedding of a scan is a linear layer of the mean over the last layer's positions. Both are
    linear, so the layer can be applied to each position first: the result is the share of that
    position in the answer, and the mean of all shares is the answer.

    Parameters
    ----------
    image_encoder : MerlinNetwork
        Image (B, 1, D, H, W), slices along D, to positions.
    text_encoder : LongformerTextEncoder
        Texts to vectors.
    name : str
        What the user calls it.
    preprocessing : Preprocessing
        The preprocessing of the voxels that the image encoder was made for; axes R, A, S.

    Raises
    ------
    DataError
        If the preprocessing names no shape.

    References
    ----------
    Blankemeier et al. 2024, "Merlin: a vision language foundation model for 3D computed
    tomography", arXiv 2406.06512. Zhou et al. 2016 (CAM, arXiv 1512.04150), section 2.
    """

    patch_size = (16, 16, 8)

    def __init__(
        self,
        image_encoder: MerlinNetwork,
        text_encoder: LongformerTextEncoder,
        *,
        name: str = "merlin",
        preprocessing: Preprocessing = MERLIN_PREPROCESSING,
    ) -> None:
        super().__init__(name=name, preprocessing=preprocessing)
        self.image_encoder = image_encoder
        self.text_encoder = text_encoder
        self.text_projection = nn.Linear(
            text_encoder.embedding_width, image_encoder.embedding_width
        )
        # its package stores this number and never uses it; ours: a logarithm, as CLIP's is
        self.logit_scale = nn.Parameter(torch.tensor(1.0))

    def encode_image(self, image: Tensor) -> FeatureMap:
        """Return the last layer's positions (B, C, r, a, s) of prepared images (B, 1, R, A, S).

        Raises
        ------
        CtClipError
            If an image is not of the one shape the model takes.
        """
        self.require_whole_scan(image)
        with in_fast_precision(image.device):
            positions = self.image_encoder(image.permute(0, 1, 4, 2, 3))
        return FeatureMap((positions.permute(0, 1, 3, 4, 2).float(),))

    def embed_dense(self, features: FeatureMap, anatomy: str | None = None) -> Tensor:
        """Return (B, E, r, a, s), unit norm along E; the same for every anatomy."""
        return functional.normalize(self.image_encoder.contrastive_head(_tokens(features)), dim=1)

    def embed_global(self, features: FeatureMap) -> Tensor:
        """Return (B, E), unit norm: Merlin's own embedding."""
        r, a, s = _STRIDE
        own = features.levels[0][:, :, ::r, ::a, ::s]
        return self._project(own.mean(dim=(2, 3, 4)))

    def embed_regions(self, features: FeatureMap, masks: Tensor) -> RegionEmbeddings:
        """Return one vector for each of the masks (B, R, D, H, W) bool.

        Ours: Merlin's mean over the tokens of a region alone.
        """
        members = masks_to_tokens(masks, self.patch_size).flatten(2).float()
        present = members.sum(dim=2) > 0
        total = torch.einsum("brn,bcn->brc", members, _tokens(features).flatten(2))
        mean = total / members.sum(dim=2, keepdim=True).clamp(min=1.0)
        vectors = self._project(mean.flatten(0, 1)).reshape(*present.shape, -1)
        return RegionEmbeddings(vectors * present.unsqueeze(2), present)

    def _project(self, pooled: Tensor) -> Tensor:
        """Return (N, E), unit norm, of pooled positions (N, C)."""
        projected = self.image_encoder.contrastive_head(pooled[:, :, None, None, None])
        return functional.normalize(projected.flatten(1), dim=1)

    def _embed_texts(self, texts: Sequence[str]) -> Tensor:
        return functional.normalize(self.text_projection(self.text_encoder.encode(texts)), dim=-1)


def _tokens(features: FeatureMap) -> Tensor:
    """Return tokens (B, C, r, a, s) from the positions on their corners.

    A position of the network looks at a corner of what :class:`Geometry` calls the token; the
    mean of the eight corners looks at its middle.
    """
    corners = functional.pad(features.levels[0], (0, 1) * 3, mode="replicate")
    return functional.avg_pool3d(corners, kernel_size=2, stride=1)
