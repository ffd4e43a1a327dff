"""Preprocessing: the frozen specification of what a model sees, one for viewer and training."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from hashlib import sha256
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_ctclip.core.errors import DataError
from napari_ctclip.core.geometry import Geometry
from napari_ctclip.core.volume import Volume
from napari_ctclip.preprocessing.intensity import window_channels
from napari_ctclip.preprocessing.spatial import resample_volume

__all__ = ["ModelInput", "Preprocessing"]


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
    """What is done to a scan before a model sees it, in this order: orient, resample, pad, window.

    Attributes
    ----------
    orientation : str
        Axis code of the prepared image, e.g. ``"IPL"``.
    spacing_mm : tuple of float
        Of the prepared image (z, y, x).
    windows_hu : tuple of (low, high)
        One channel each; HU clipped to it and scaled to 0..1.
    multiple_of : tuple of int
        The image is padded at its end with air until each axis is a multiple of this.
    """

    orientation: str
    spacing_mm: tuple[float, float, float]
    windows_hu: tuple[tuple[float, float], ...]
    multiple_of: tuple[int, int, int] = (1, 1, 1)

    def prepare(self, volume: Volume) -> ModelInput:
        """Return the scan as the model sees it."""
        transform = volume.geometry.transform_to(self.orientation)
        resampled, geometry = resample_volume(
            transform.apply(volume.voxels), volume.geometry.reoriented(transform), self.spacing_mm
        )
        hounsfield, inside, geometry = self._pad(resampled, geometry)
        return ModelInput(window_channels(hounsfield, self.windows_hu), geometry, inside)

    def hash(self) -> str:
        """Return a hash (hex) of the specification: part of every cache key."""
        return sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for ``model.toml``."""
        return {key: _plain(value) for key, value in asdict(self).items()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Preprocessing:
        """Return the specification written by :meth:`to_dict`.

        Raises
        ------
        DataError
            If a key is missing or unknown.
        """
        known = set(cls.__dataclass_fields__)
        unknown, missing = set(values) - known, known - set(values) - {"multiple_of"}
        if unknown or missing:
            raise DataError(
                f"preprocessing: unknown keys {sorted(unknown)}, missing keys {sorted(missing)}"
            )
        return cls(
            orientation=str(values["orientation"]),
            spacing_mm=_triple(values["spacing_mm"], float),
            windows_hu=tuple((float(low), float(high)) for low, high in values["windows_hu"]),
            multiple_of=_triple(values.get("multiple_of", (1, 1, 1)), int),
        )

    def _pad(
        self, voxels: npt.NDArray[Any], geometry: Geometry
    ) -> tuple[npt.NDArray[Any], npt.NDArray[np.bool_], Geometry]:
        after = [-n % multiple for n, multiple in zip(voxels.shape, self.multiple_of, strict=True)]
        inside = np.ones(voxels.shape, dtype=bool)
        if not any(after):
            return voxels, inside, geometry
        width = [(0, n) for n in after]
        air = min(low for low, _ in self.windows_hu)
        voxels = np.pad(voxels, width, constant_values=air)
        return voxels, np.pad(inside, width), geometry.padded((0, 0, 0), after)


def _triple(values: Any, kind: Any) -> Any:
    z, y, x = values
    return kind(z), kind(y), kind(x)


def _plain(value: Any) -> Any:
    return [_plain(v) for v in value] if isinstance(value, (list, tuple)) else value
