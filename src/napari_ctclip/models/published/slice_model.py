"""SliceModel: a 2D CLIP applied to a CT slice by slice, parts passed in."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from hashlib import sha256
from typing import Any, Literal, Self

import torch
from torch import Tensor, nn
from torch.nn import functional

from napari_ctclip.core.errors import CtClipError, DataError
from napari_ctclip.core.volume import WINDOWS
from napari_ctclip.models.interface import (
    Calibration,
    EncodingWindows,
    FeatureMap,
    RegionEmbeddings,
)
from napari_ctclip.models.runtime.device import in_fast_precision
from napari_ctclip.models.text.text_cache import CachesTexts
from napari_ctclip.models.towers.pooling import masked_mean, masks_to_tokens
from napari_ctclip.models.towers.slice_towers import slice_tower
from napari_ctclip.preprocessing.specification import Preprocessing

__all__ = ["PLANES", "Plane", "SliceModel", "slice_preprocessing"]

Plane = Literal["axial", "coronal", "sagittal"]

PLANES: Mapping[Plane, str] = {"axial": "IPL", "coronal": "PIL", "sagittal": "LIP"}
"""Axis code of the prepared image: slices along its first axis, shown as radiologists see them."""

SLICE_SPACING_MM = 5.0
"""Ours: thinner slices are averaged to this. A nodule of 8 mm still fills one, noise goes, and a
chest is some 60 encoder passes."""

_TOKEN_MM, _FINEST_MM = 12.0, 0.7
"""Ours: a token of the image encoder is 12 mm wide, about the smallest that patches of 16 pixels
reach without enlarging what a scanner resolves (0.7 mm); patches of 32 pixels make it 22 mm."""

CHANNELS_HU = (WINDOWS["Lung"].limits, WINDOWS["Mediastinum"].limits, (-1000.0, 1000.0))
"""Ours: lung, mediastinum, and the whole range, in place of red, green and blue."""

_SLICES_AT_ONCE = 4  # already at the processor's rate, and a cancel waits for no more
_WHOLE = 1 << 16  # pixels: a slice is never cut
_READOUT_VERSION = 1  # part of the hash: other features, another cache entry


def slice_preprocessing(stride: int, plane: Plane = "axial") -> Preprocessing:
    """Return what an encoder with tokens of ``stride`` pixels is shown of a scan.

    Raises
    ------
    DataError
        If there is no such plane.
    """
    if plane not in PLANES:
        raise DataError(f"no plane {plane!r}; expected one of {', '.join(PLANES)}")
    pixel = round(max(_FINEST_MM, _TOKEN_MM / stride), 3)
    return Preprocessing(
        orientation=PLANES[plane],
        spacing_mm=(SLICE_SPACING_MM, pixel, pixel),
        windows_hu=CHANNELS_HU,
        multiple_of=(1, stride, stride),
    )


class SliceModel(CachesTexts):
    """A CLIP of 2D images on CT slices; keeps ``VisionLanguageModel``.

    One encoder pass a slice gives both read-outs: its tokens (see :mod:`slice_towers`) and the
    slice as a whole. Three HU windows stand for the colours; the model's own mean and standard
    deviation follow.

    Parameters
    ----------
    clip : nn.Module
        With ``visual``, ``encode_text(tokens, normalize)`` and ``logit_scale``.
    tokenizer : callable
        Texts to token ids.
    config : mapping
        ``model_cfg`` and ``preprocess_cfg`` (``mean``, ``std``) as in ``open_clip_config.json``.
    name : str
        What the user calls it.
    preprocessing : Preprocessing or None
        Three windows, one voxel a slice; :func:`slice_preprocessing` if None.

    Raises
    ------
    CtClipError
        If the image tower cannot be read out token by token.
    DataError
        If the preprocessing does not fit a model of three-channel slices.
    """

    region_readout: Literal["dense", "regions"] = "dense"
    encoding_windows = EncodingWindows((_SLICES_AT_ONCE, _WHOLE, _WHOLE), (0, 0, 0))
    background_prompts: tuple[str, ...] = ()
    suggested_prompts: tuple[str, ...] = ()
    calibration: Calibration | None = None
    mean: Tensor
    std: Tensor

    def __init__(
        self,
        clip: nn.Module,
        tokenizer: Callable[[list[str]], Tensor],
        *,
        config: Mapping[str, Any],
        name: str,
        preprocessing: Preprocessing | None = None,
    ) -> None:
        super().__init__()
        self.clip = clip
        self.tokenizer = tokenizer
        self.config = config
        # a training that brings its own autocast switches this one off
        self.own_autocast = True
        self.name = name
        self._tower = slice_tower(clip.visual)  # type: ignore[arg-type]
        stride = self._tower.stride
        self.preprocessing = preprocessing or slice_preprocessing(stride)
        _check(self.preprocessing, stride)
        self.patch_size = (1, stride, stride)
        for statistic in ("mean", "std"):
            values = torch.tensor(config["preprocess_cfg"][statistic])
            self.register_buffer(statistic, values.view(3, 1, 1), persistent=False)
        self._hash = ""

    @property
    def logit_scale(self) -> Tensor:
        """Logarithm of the factor on a cosine."""
        scale: Tensor = self.clip.logit_scale  # type: ignore[assignment]
        return scale.reshape(())

    @property
    def image_size(self) -> tuple[int, int]:
        """Pixels (rows, columns) of the images the encoder was trained on."""
        size: Any = self.clip.visual.image_size  # type: ignore[union-attr]
        return (size, size) if isinstance(size, int) else (int(size[0]), int(size[1]))

    def weights_hash(self) -> str:
        """Return a hash of weights, architecture, mean and standard deviation."""
        if not self._hash:
            made_of = [_READOUT_VERSION, self.config["model_cfg"], self.config["preprocess_cfg"]]
            digest = sha256(json.dumps(made_of, sort_keys=True).encode())
            for name, tensor in sorted(self.clip.state_dict().items()):
                digest.update(name.encode())
                digest.update(tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy())
            self._hash = digest.hexdigest()
        return self._hash

    def encode_image(self, image: Tensor) -> FeatureMap:
        """Return tokens (B, E, D, h, w) and slices (B, E, D, 1, 1) of images (B, 3, D, H, W).

        Raises
        ------
        CtClipError
            If channels or axis lengths do not fit the model.
        """
        stride = self._tower.stride
        if image.ndim != 5 or image.shape[1] != 3 or any(n % stride for n in image.shape[3:]):
            raise CtClipError(
                f"model {self.name!r} expected an image (B, 3, D, H, W) with H, W divisible by "
                f"{stride}, got {tuple(image.shape)}; prepare it with model.preprocessing.prepare"
            )
        B, _, D, *_ = image.shape
        slices = image.transpose(1, 2).flatten(0, 1)
        with self._autocast(image):
            tokens, wholes = self._tower((slices - self.mean) / self.std)
        _, E, h, w = tokens.shape
        levels = (tokens.reshape(B, D, E, h, w), wholes.reshape(B, D, E, 1, 1))
        return FeatureMap(tuple(level.transpose(1, 2) for level in levels))

    def embed_dense(self, features: FeatureMap, anatomy: str | None = None) -> Tensor:
        """Return (B, E, D, h, w), unit norm along E; the same for every anatomy."""
        return functional.normalize(features.levels[0].float(), dim=1)

    def embed_global(self, features: FeatureMap) -> Tensor:
        """Return (B, E), unit norm: the mean over slices of what each is as a whole (ours)."""
        slices = functional.normalize(features.levels[1].float().flatten(2), dim=1)
        return functional.normalize(slices.mean(dim=2), dim=1)

    def embed_regions(self, features: FeatureMap, masks: Tensor) -> RegionEmbeddings:
        """Return the mean token of each of the masks (B, R, D, H, W) bool."""
        regions = masks_to_tokens(masks, self.patch_size)
        return RegionEmbeddings(*masked_mean(self.embed_dense(features), regions))

    def embed_patches(self, patches: Tensor) -> Tensor:
        """Return (N, E), unit norm, of pictures (N, 3, H, W) of prepared values, each as a whole.

        They are resized to the size the encoder was trained on.
        """
        resized = functional.interpolate(
            patches, self.image_size, mode="bilinear", align_corners=False, antialias=True
        )
        with self._autocast(patches):
            vectors: Tensor = self.clip.encode_image((resized - self.mean) / self.std)  # type: ignore[operator]
        return functional.normalize(vectors.float(), dim=-1)

    def train(self, mode: bool = True) -> Self:
        """Switch between training and inference; what depends on weights is forgotten."""
        self._hash = ""
        return super().train(mode)

    def _autocast(self, image: Tensor) -> AbstractContextManager[Any]:
        if not self.own_autocast:
            return nullcontext()
        return in_fast_precision(image.device)

    def _embed_texts(self, texts: Sequence[str]) -> Tensor:
        if any(not text.strip() for text in texts):
            raise DataError("a text to embed is empty; expected at least one word")
        tokens = self.tokenizer(list(texts)).to(self.mean.device)
        vectors: Tensor = self.clip.encode_text(tokens, normalize=True)  # type: ignore[operator]
        return vectors.float()


def _check(preprocessing: Preprocessing, stride: int) -> None:
    """Pass a specification of three-channel slices whose tokens fit the image."""
    z, y, x = preprocessing.multiple_of
    if len(preprocessing.windows_hu) != 3 or z != 1 or y % stride or x % stride:
        raise DataError(
            f"a model of slices takes three HU windows and multiple_of = [1, {stride}, {stride}]; "
            f"got {len(preprocessing.windows_hu)} windows and {[z, y, x]}"
        )
