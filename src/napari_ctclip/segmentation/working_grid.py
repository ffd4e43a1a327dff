"""A coarser grid to find organs on: blocks of voxels averaged, so that noise and cost drop."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_ctclip.core.volume import Volume

__all__ = ["WorkingGrid"]

TARGET_SPACING_MM = 2.1
"""Ours: airway walls are still seen, and a chest has fewer than 6 million voxels."""

_LOWEST_HU = -1024
_HIGHEST_HU = 3071
"""Scanner range: paddings of -2048 and metal beyond it would bias a mean."""


@dataclass(frozen=True, eq=False)
class WorkingGrid:
    """Block means of a volume.

    Attributes
    ----------
    hu : ndarray, shape (d, h, w), int16
        Mean CT number of each block, HU, clipped to the scanner range first.
    factor : tuple of int
        Voxels of the volume along each axis of one block; the last blocks may be incomplete.
    spacing_mm : tuple of float
        Size of one block along each axis, mm.
    """

    hu: npt.NDArray[np.int16]
    factor: tuple[int, int, int]
    spacing_mm: tuple[float, float, float]

    @classmethod
    def of(cls, volume: Volume) -> WorkingGrid:
        """Return the grid of a volume, with blocks of about 2 mm, never less than one voxel."""
        spacing = volume.geometry.spacing_mm
        fz, fy, fx = (max(1, round(TARGET_SPACING_MM / s)) for s in spacing)
        depth = -(-volume.voxels.shape[0] // fz)
        slabs = [_block_means(volume.voxels[k * fz : (k + 1) * fz], fy, fx) for k in range(depth)]
        return cls(
            np.stack(slabs), (fz, fy, fx), (spacing[0] * fz, spacing[1] * fy, spacing[2] * fx)
        )

    @property
    def voxel_ml(self) -> float:
        """Volume of one block, millilitres."""
        z, y, x = self.spacing_mm
        return z * y * x / 1000.0

    def expanded_slice(
        self, values: npt.NDArray[np.uint8], index: int, shape: tuple[int, int]
    ) -> npt.NDArray[np.uint8]:
        """Return slice ``index`` of the volume, (H, W), from block values (d, h, w)."""
        fz, fy, fx = self.factor
        plane = values[index // fz]
        return np.repeat(np.repeat(plane, fy, axis=0), fx, axis=1)[: shape[0], : shape[1]]


def _block_means(slab: npt.NDArray[np.int16], fy: int, fx: int) -> npt.NDArray[np.int16]:
    """Return the means (h, w) of blocks of a slab (n, H, W), int16 HU."""
    plane: npt.NDArray[np.float32] = np.zeros_like(slab[0], dtype=np.float32)
    for one in slab:
        plane += np.clip(one, _LOWEST_HU, _HIGHEST_HU)
    plane /= len(slab)
    height, width = slab.shape[1:]
    plane = np.pad(plane, ((0, -height % fy), (0, -width % fx)), mode="edge")
    rows = np.add.reduce([plane[i::fy] for i in range(fy)])
    means = np.add.reduce([rows[:, i::fx] for i in range(fx)])
    return np.asarray(np.rint(means / (fy * fx)), dtype=np.int16)
