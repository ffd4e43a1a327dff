"""Preprocessing: the frozen specification of what a model sees, one for viewer and training."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from hashlib import sha256
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from napari_ctclip.core.errors import DataError
from napari_ctclip.core.geometry import Geometry
from napari_ctclip.core.volume import Volume
from napari_ctclip.preprocessing.intensity import window_channels
from napari_ctclip.preprocessing.spatial import Resampling, on_model_grid

__all__ = ["ModelInput", "Padding", "Preprocessing"]

Padding = Literal["air", "minimum"]
"""What lies outside the scan: the lowest HU of the windows, or the lowest the scan itself has."""

_ADDED = ("resampling", "shape", "padding")


@dataclass(frozen=True, eq=False)
class ModelInput:
    """A scan as the model sees it.

    Attributes
    ----------
    image : ndarray, shape (C, D, H, W), float32
        One channel a window, values 0..1.
    geometry : Geometry
        The prepared grid in the patient.
    inside : ndarray, shape (D, H, W), bool
        Where the scan's field of view lies: padding is False.
    """

    image: npt.NDArray[np.float32]
    geometry: Geometry
    inside: npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Preprocessing:
    """What is done to a scan before a model sees it: orient, resample, crop and pad, window.

    Attributes
    ----------
    orientation : str
        Axis code of the prepared image, e.g. ``"IPL"``.
    spacing_mm : tuple of float
        The spacing of the prepared image (z, y, x).
    windows_hu : tuple of (low, high)
        One channel each; HU clipped to it and scaled to 0..1.
    multiple_of : tuple of int
        The image is padded at its end until each axis is a multiple of this.
    resampling : {"average", "linear"}
        See :data:`~napari_ctclip.preprocessing.spatial.Resampling`.
    shape : tuple of int or None
        Voxels (z, y, x) that the image is cropped or padded to about its centre; None keeps all of
        the scan.
    padding : {"air", "minimum"}
        What the image is padded with.
    """

    orientation: str
    spacing_mm: tuple[float, float, float]
    windows_hu: tuple[tuple[float, float], ...]
    multiple_of: tuple[int, int, int] = (1, 1, 1)
    resampling: Resampling = "average"
    shape: tuple[int, int, int] | None = None
    padding: Padding = "air"

    def prepare(self, volume: Volume) -> ModelInput:
        """Return the scan as the model sees it."""
        resampled, geometry = on_model_grid(
            volume, self.orientation, self.spacing_mm, resampling=self.resampling
        )
        hounsfield, inside, geometry = self._fit(resampled, geometry)
        return ModelInput(window_channels(hounsfield, self.windows_hu), geometry, inside)

    def hash(self) -> str:
        """Return a hash (hex) of the specification: part of every cache key."""
        return sha256(json.dumps(self.to_dict(), sort_keys=True).encode()).hexdigest()

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for ``model.toml``; later fields only where they are used."""
        added = {f.name: f.default for f in fields(self) if f.name in _ADDED}
        return {
            key: _plain(value)
            for key, value in asdict(self).items()
            if key not in added or value != added[key]
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Preprocessing:
        """Return the specification written by :meth:`to_dict`.

        Raises
        ------
        DataError
            If a key is missing or unknown, or a choice does not exist.
        """
        known = set(cls.__dataclass_fields__)
        unknown, missing = set(values) - known, known - set(values) - {"multiple_of", *_ADDED}
        if unknown or missing:
            raise DataError(
                f"preprocessing: unknown keys {sorted(unknown)}, missing keys {sorted(missing)}"
            )
        return cls(
            orientation=str(values["orientation"]),
            spacing_mm=_triple(values["spacing_mm"], float),
            windows_hu=tuple((float(low), float(high)) for low, high in values["windows_hu"]),
            multiple_of=_triple(values.get("multiple_of", (1, 1, 1)), int),
            resampling=_choice(values, "resampling", Resampling),
            shape=_triple(values["shape"], int) if values.get("shape") else None,
            padding=_choice(values, "padding", Padding),
        )

    def _fit(
        self, voxels: npt.NDArray[Any], geometry: Geometry
    ) -> tuple[npt.NDArray[Any], npt.NDArray[np.bool_], Geometry]:
        """Return the voxels cropped and padded, which of them the scan has, and their grid."""
        before, after = self._margins(voxels.shape)
        air = min(low for low, _ in self.windows_hu)
        fill = air if self.padding == "air" else float(voxels.min())
        kept = tuple(
            slice(max(-b, 0), min(n + a, n))
            for b, a, n in zip(before, after, voxels.shape, strict=True)
        )
        voxels, inside = voxels[kept], np.ones(voxels[kept].shape, dtype=bool)
        width = [(max(b, 0), max(a, 0)) for b, a in zip(before, after, strict=True)]
        if any(pair != (0, 0) for pair in width):
            voxels, inside = np.pad(voxels, width, constant_values=fill), np.pad(inside, width)
        return voxels, inside, geometry.padded(before, after)

    def _margins(self, shape: tuple[int, ...]) -> tuple[list[int], list[int]]:
        """Return voxels to add before and after each axis; negative ones are cropped."""
        if self.shape is None:
            return [0, 0, 0], [-n % m for n, m in zip(shape, self.multiple_of, strict=True)]
        missing = [target - n for n, target in zip(shape, self.shape, strict=True)]
        # an odd voxel goes to the start, of the padding as of the crop: TorchIO's CropOrPad
        before = [(abs(n) + 1) // 2 * (1 if n > 0 else -1) for n in missing]
        return before, [n - b for n, b in zip(missing, before, strict=True)]


def _triple(values: Any, kind: Any) -> Any:
    z, y, x = values
    return kind(z), kind(y), kind(x)


def _plain(value: Any) -> Any:
    return [_plain(v) for v in value] if isinstance(value, (list, tuple)) else value


def _choice(values: Mapping[str, Any], key: str, choices: Any) -> Any:
    """Return the value of an added key, the first of its choices where it is left out."""
    known = get_args(choices)
    value = values.get(key, known[0])
    if value not in known:
        raise DataError(f"preprocessing: {key} is {value!r}; expected one of {', '.join(known)}")
    return value
