"""COLIPRI: a 3D ViT and a report encoder for chest CT, through their own package."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor, nn
from torch.nn import functional

from napari_ctclip.models.interface import FeatureMap, RegionEmbeddings
from napari_ctclip.models.published.whole_scan import WholeScanModel
from napari_ctclip.models.runtime.device import in_fast_precision
from napari_ctclip.models.text.bert_text_encoder import BertTextEncoder
from napari_ctclip.models.towers.pooling import masks_to_tokens, pooled_alone
from napari_ctclip.preprocessing.specification import Preprocessing

__all__ = ["COLIPRI_PREPROCESSING", "Colipri"]

COLIPRI_PREPROCESSING = Preprocessing(
    orientation="RAS",
    spacing_mm=(2.0, 2.0, 2.0),
    windows_hu=((-1000.0, 1000.0),),
    resampling="linear",
    shape=(192, 192, 192),
    padding="minimum",
)
"""The package's own processor (its configuration says RAS, an example in its README SAR): the
central 384 mm of a scan; what lies further out is not seen. The model maps 0..1 to -1..1 itself."""


class Colipri(WholeScanModel):
    """COLIPRI as ``VisionLanguageModel``.

    The tokens of the last layer are kept; its attention pooling turns them into a vector of the
    whole, of a region, or, token by token, into the dense map: value and output projection of the
    pooling, as the package's ``encode_image(project=True, pool=False)`` does.

    Parameters
    ----------
    network : colipri.model.multimodal.Model
        Image encoder, and text encoder with its pooling.
    text_encoder : BertTextEncoder
        Holds the network's BERT and the tokenizer.
    name : str
        What the user calls it.
    preprocessing : Preprocessing
        The preprocessing of the voxels that the image encoder was made for.

    References
    ----------
    Wald et al. 2026, "Comprehensive language-image pre-training for 3D medical image
    understanding", arXiv 2510.15042. Zhou et al. 2022 (MaskCLIP, arXiv 2112.01071), section 3.
    """

    def __init__(
        self,
        network: nn.Module,
        text_encoder: BertTextEncoder,
        *,
        name: str = "colipri",
        preprocessing: Preprocessing = COLIPRI_PREPROCESSING,
    ) -> None:
        super().__init__(name=name, preprocessing=preprocessing)
        self.network = network
        # the network owns the BERT's weights: registered here too they would be stored twice
        self._tokens: Callable[[Sequence[str]], tuple[Tensor, Tensor]] = text_encoder.tokenize

    @property
    def patch_size(self) -> tuple[int, int, int]:
        """Voxels (R, A, S) behind one token."""
        z, y, x = self._image_encoder.patch_size
        return int(z), int(y), int(x)

    @property
    def logit_scale(self) -> Tensor:
        """Logarithm of the factor on a cosine: COLIPRI divides by a temperature instead."""
        temperature: Tensor = self.network.softmax_temperature  # type: ignore[assignment]
        return -temperature.float().log()

    def encode_image(self, image: Tensor) -> FeatureMap:
        """Return the last layer's tokens (B, C, d, h, w) of prepared images (B, 1, D, H, W).

        Raises
        ------
        CtClipError
            If an image is not of the one shape the model takes.
        """
        self.require_whole_scan(image)
        with in_fast_precision(image.device):
            return FeatureMap((self._image_encoder.encode(2.0 * image - 1.0),))

    def embed_dense(self, features: FeatureMap, anatomy: str | None = None) -> Tensor:
        """Return (B, E, d, h, w), unit norm along E; the same for every anatomy."""
        sequence, pooling = self._sequence(features), self._image_encoder.pooler.attn
        width = sequence.shape[2]
        value = functional.linear(
            sequence, pooling.in_proj_weight[2 * width :], pooling.in_proj_bias[2 * width :]
        )
        dense = functional.normalize(pooling.out_proj(value), dim=2).transpose(1, 2)
        return dense.reshape(*dense.shape[:2], *features.levels[0].shape[2:])

    def embed_global(self, features: FeatureMap) -> Tensor:
        """Return (B, E), unit norm: COLIPRI's own pooled embedding."""
        return self._pooled(self._sequence(features))

    def embed_regions(self, features: FeatureMap, masks: Tensor) -> RegionEmbeddings:
        """Return one vector for each of the masks (B, R, D, H, W) bool.

        Ours: COLIPRI's pooling over the tokens of a region alone.
        """
        members = masks_to_tokens(masks, self.patch_size).flatten(2)
        sequence = self._sequence(features)
        width = sequence.shape[2]
        return RegionEmbeddings(*pooled_alone(sequence, members, self._pooled, width=width))

    @property
    def _image_encoder(self) -> Any:
        return self.network.image_encoder

    def _pooled(self, sequence: Tensor) -> Tensor:
        """Return (N, E), unit norm, of projected tokens (N, L, E)."""
        return functional.normalize(self._image_encoder.pooler(sequence), dim=1)

    def _sequence(self, features: FeatureMap) -> Tensor:
        projected: Tensor = self._image_encoder.projector(features.levels[0].float())
        return projected.flatten(2).transpose(1, 2)

    def _embed_texts(self, texts: Sequence[str]) -> Tensor:
        ids, real = self._tokens(texts)
        vectors: Tensor = self.network.encode_text(ids, real)  # type: ignore[operator]
        return vectors.float()
