"""Binary morphology with balls in millimetres, by distance transform, inside the bounding box."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy import ndimage

__all__ = ["bounding_box", "closed", "components", "dilated", "eroded", "opened", "touching"]

Mask = npt.NDArray[np.bool_]

_RADIUS_UNITS = 10_000
_FAR = 30_000
"""Ours: squared distances in units that make the squared radius 10 000, and one that is beyond it
and leaves room in 16 bits for three more squared radii."""

_FACES = ndimage.generate_binary_structure(3, 1)


def bounding_box(mask: Mask, margin: Sequence[int] = (0, 0, 0)) -> tuple[slice, slice, slice]:
    """Return the smallest box around a mask (d, h, w) plus a margin in voxels, cut at the edge."""
    box = []
    for axis in range(3):
        others = tuple(a for a in range(3) if a != axis)
        filled = np.flatnonzero(mask.any(axis=others))
        if not filled.size:
            return slice(0, 0), slice(0, 0), slice(0, 0)
        start = max(0, int(filled[0]) - margin[axis])
        box.append(slice(start, min(mask.shape[axis], int(filled[-1]) + 1 + margin[axis])))
    return box[0], box[1], box[2]


def dilated(mask: Mask, radius_mm: float, *, spacing_mm: Sequence[float]) -> Mask:
    """Return every voxel whose centre is at most ``radius_mm`` from a voxel of ``mask``."""
    grown = np.zeros_like(mask)
    box = bounding_box(mask, _voxels(radius_mm, spacing_mm))
    if mask[box].any():
        grown[box] = _within(mask[box], radius_mm, spacing_mm)
    return grown


def eroded(mask: Mask, radius_mm: float, *, spacing_mm: Sequence[float]) -> Mask:
    """Return the voxels of ``mask`` farther than ``radius_mm`` from every other voxel.

    What lies beyond the edge of the array counts as mask.
    """
    shrunk = np.zeros_like(mask)
    box = bounding_box(mask, (1, 1, 1))
    shrunk[box] = ~_within(~mask[box], radius_mm, spacing_mm)
    return shrunk


def opened(mask: Mask, radius_mm: float, *, spacing_mm: Sequence[float]) -> Mask:
    """Return the mask without what a sphere of ``radius_mm`` cannot enter."""
    return dilated(eroded(mask, radius_mm, spacing_mm=spacing_mm), radius_mm, spacing_mm=spacing_mm)


def closed(mask: Mask, radius_mm: float, *, spacing_mm: Sequence[float]) -> Mask:
    """Return the mask with every gap filled that a sphere of ``radius_mm`` cannot enter.

    The array is continued by its edge: a hollow that runs out of the field of view is not filled
    from there.
    """
    margin = _voxels(radius_mm, spacing_mm)
    result = mask.copy()
    box = bounding_box(mask, margin)
    if mask[box].any():
        padded = np.pad(mask[box], [(m, m) for m in margin], mode="edge")
        filled = ~_within(~_within(padded, radius_mm, spacing_mm), radius_mm, spacing_mm)
        result[box] |= filled[tuple(slice(m, -m) for m in margin)]
    return result


def components(mask: Mask, *, within_slices: bool = False) -> tuple[npt.NDArray[np.int32], int]:
    """Return face-connected components (d, h, w), numbered from 1, and how many there are.

    ``within_slices`` connects voxels only along y and x.
    """
    structure = _FACES.copy()
    if within_slices:
        structure[0] = structure[2] = False
    labels, count = ndimage.label(mask, structure=structure)
    return labels.astype(np.int32, copy=False), int(count)


def touching(mask: Mask, seed: Mask) -> Mask:
    """Return the components of ``mask`` that share a voxel with ``seed``."""
    labels, count = components(mask)
    keep = np.zeros(count + 1, dtype=bool)
    keep[np.unique(labels[seed & mask])] = True
    keep[0] = False
    return np.asarray(keep[labels])


def _within(mask: Mask, radius_mm: float, spacing_mm: Sequence[float]) -> Mask:
    """Return the voxels at most ``radius_mm`` from ``mask``, by squared distances axis by axis.

    Exact like a distance transform, and three times as fast: distances end at the radius and fit
    in 16 bits.
    """
    units = _RADIUS_UNITS / radius_mm**2  # a squared millimetre
    squared = np.where(mask, np.uint16(0), np.uint16(_FAR))
    for axis, spacing in enumerate(spacing_mm):
        nearest = squared.copy()
        there, here = np.moveaxis(squared, axis, 0), np.moveaxis(nearest, axis, 0)
        for shift in range(1, min(int(radius_mm / spacing), len(here) - 1) + 1):
            cost = np.uint16(round((shift * spacing) ** 2 * units))
            np.minimum(here[shift:], there[:-shift] + cost, out=here[shift:])
            np.minimum(here[:-shift], there[shift:] + cost, out=here[:-shift])
        squared = nearest
    return np.asarray(squared <= _RADIUS_UNITS)


def _voxels(radius_mm: float, spacing_mm: Sequence[float]) -> tuple[int, int, int]:
    """Return a margin in voxels that holds a sphere of ``radius_mm``."""
    z, y, x = (int(np.ceil(radius_mm / s)) + 1 for s in spacing_mm)
    return z, y, x
