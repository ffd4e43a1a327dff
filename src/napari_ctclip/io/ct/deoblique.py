"""Gantry tilt: a sheared stack of slices to an upright one, by shifting each slice in its plane."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from napari_ctclip.core.geometry import Geometry
from napari_ctclip.io.ct.hounsfield import AIR_HU

__all__ = ["shear_degrees", "without_shear"]


def shear_degrees(geometry: Geometry) -> float:
    """Return the largest deviation of two array axes from a right angle."""
    axes = geometry.affine[:3, :3] / np.asarray(geometry.spacing_mm)
    cosines = np.abs(axes.T @ axes - np.eye(3))
    return float(np.degrees(np.arcsin(np.clip(cosines.max(), 0.0, 1.0))))


def without_shear(
    voxels: npt.NDArray[np.int16], geometry: Geometry
) -> tuple[npt.NDArray[np.int16], Geometry]:
    """Return the scan on a grid with right angles that holds all of the old one.

    Slices keep their place and are shifted in their own plane by linear interpolation; what lies
    beside a slice becomes air.
    """
    axes = geometry.affine[:3, :3]
    unit = axes / np.asarray(geometry.spacing_mm)
    cosines = np.abs(unit.T @ unit - np.eye(3))
    stacking = int(np.argmax(cosines.sum(axis=0)))  # the axis that leans against both others
    first, second = (a for a in range(3) if a != stacking)
    plane = axes[:, [first, second]]
    # In-plane voxels that one step along the stack moves sideways.
    lean, *_ = np.linalg.lstsq(plane, axes[:, stacking], rcond=None)
    count = geometry.shape[stacking]
    shifts = np.outer(np.arange(count), lean)
    before = np.ceil(np.maximum(0.0, -shifts.min(axis=0)) - 1e-6).astype(int)
    after = np.ceil(np.maximum(0.0, shifts.max(axis=0)) - 1e-6).astype(int)
    shape = list(geometry.shape)
    shape[first] += int(before[0] + after[0])
    shape[second] += int(before[1] + after[1])
    upright = np.full(shape, AIR_HU, dtype=np.int16, order="F")
    source, target = np.moveaxis(voxels, stacking, 0), np.moveaxis(upright, stacking, 0)
    for index in range(count):
        target[index] = _shifted(source[index], shifts[index] + before, target[index].shape)
    affine = geometry.affine.copy()
    affine[:3, stacking] = axes[:, stacking] - plane @ lean
    affine[:3, 3] = geometry.affine[:3, 3] - plane @ before
    return upright, Geometry((shape[0], shape[1], shape[2]), affine)


def _shifted(
    image: npt.NDArray[np.int16], shift: npt.NDArray[np.float64], shape: tuple[int, ...]
) -> npt.NDArray[np.int16]:
    """Return ``image`` moved by ``shift`` pixels (>= 0) inside a larger frame of air."""
    whole = np.floor(shift + 1e-9).astype(int)
    part = np.clip(shift - whole, 0.0, 1.0)
    frame = np.full((shape[0] + 1, shape[1] + 1), AIR_HU, dtype=np.float32)
    mixed = np.full_like(frame, AIR_HU)
    frame[whole[0] : whole[0] + image.shape[0], whole[1] : whole[1] + image.shape[1]] = image
    mixed[1:] = frame[1:] * (1 - part[0]) + frame[:-1] * part[0]
    mixed[0] = frame[0] * (1 - part[0]) + AIR_HU * part[0]
    frame[:, 1:] = mixed[:, 1:] * (1 - part[1]) + mixed[:, :-1] * part[1]
    frame[:, 0] = mixed[:, 0] * (1 - part[1]) + AIR_HU * part[1]
    return np.rint(frame[: shape[0], : shape[1]]).astype(np.int16)
