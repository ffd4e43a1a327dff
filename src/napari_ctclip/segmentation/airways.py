"""The trachea and main airways: a tube of air followed down from the neck into the lungs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from napari_ctclip.segmentation.morphology import Mask, components, dilated, touching
from napari_ctclip.segmentation.working_grid import WorkingGrid

__all__ = ["find_airways"]

_LUMEN_BELOW_HU = (-600, -700, -800, -880)
"""Ours: limits tried for the trachea: high ones keep it where slices of 8 mm cut it obliquely,
low ones part it from a lung beside it in voxels of 5 mm."""

_AREA_MM2 = (40.0, 900.0)
"""Ours: lumen of trachea or larynx in one axial slice; 900 is a sabre or ectatic trachea."""

_LENGTH_MM = 25.0
"""Ours: a tube shorter than this is a pocket of gas, not the trachea."""

_ASPECT = 3.0
"""Ours: a trachea is at most so much longer than wide in an axial slice."""

_FROM_MIDLINE_MM = 55.0
"""Ours: the trachea lies within this of the middle of the lungs."""

_STEPS = (0.75, 0.6, 0.45, 0.3)
"""Ours: thresholds tried for the bronchi, as a share of the way from lumen to lung in HU."""

_BRONCHI_ML = 45.0
"""Ours: main and lobar bronchi together; more has leaked into the lung."""

_REACH_MM = 90.0
"""Ours: main and lobar bronchi end within this of the trachea's axis, sideways."""

_RIDGE = 0.6
"""Ours: share of the way from lumen to lung that the ridge of a thin wall surpasses."""

_FOLLOW_MM = 90.0
"""Ours: from the lung's apex, where the wall may be lost, to the carina it is less."""

_LEAST_CONTRAST_HU = 60.0
"""Ours: lung is taken to be at least so much denser than the lumen; emphysema is not."""

_LUNG_ABOVE_HU = -955
_LEAST_LUNG_ML = 250.0
"""Ours: air denser than gas, and how much of it there must be for a trachea to be looked for."""

_ABOVE_LUNG_MM = 30.0
"""Ours: the tube ends at most so far above the lungs' top, or it is not theirs."""

_WALL_MM = 2.2
"""Ours: wall of trachea and main bronchi with its partial volume."""


@dataclass(frozen=True)
class _Pocket:
    """One piece of air in one axial slice: its label, centre (y, x) in mm."""

    label: int
    centre_mm: tuple[float, float]


def find_airways(grid: WorkingGrid, air: Mask) -> Mask:
    """Return trachea and main airways with their walls (d, h, w); empty if there is no trachea.

    A tube counts as trachea only where it enters air of the volume of lungs: bowel gas can be as
    long and round.

    Parameters
    ----------
    grid : WorkingGrid
        Block means, HU.
    air : ndarray of bool, shape (d, h, w)
        Air and lung inside the body.
    """
    lung = air & (grid.hu > _LUNG_ABOVE_HU)
    if lung.sum() * grid.voxel_ml < _LEAST_LUNG_ML:
        return np.zeros_like(air)
    tubes = [_longest_tube(grid, air & (grid.hu < limit)) for limit in _LUMEN_BELOW_HU]
    trachea = max(tubes, key=lambda tube: int(tube.any(axis=(1, 2)).sum()))
    if not trachea.any() or not _enters(grid, trachea, lung):
        return np.zeros_like(air)
    trachea = _followed_down(grid, air, trachea)
    lumen = trachea | _bronchi(grid, air, trachea)
    return dilated(lumen, _WALL_MM, spacing_mm=grid.spacing_mm)


def _enters(grid: WorkingGrid, trachea: Mask, lung: Mask) -> bool:
    """Return whether a tube comes from above the middle of the lungs and reaches their top."""
    depths = np.cumsum(lung.sum(axis=(1, 2)))
    top, middle = (int(np.searchsorted(depths, share * depths[-1])) for share in (0.02, 0.5))
    slices = np.flatnonzero(trachea.any(axis=(1, 2)))
    below_top = (slices[-1] - top) * grid.spacing_mm[0]
    return bool(slices[0] < middle and below_top > -_ABOVE_LUNG_MM)


def _longest_tube(grid: WorkingGrid, lumen: Mask) -> Mask:
    """Return the longest chain of overlapping round pockets of air (d, h, w)."""
    labels, count = components(lumen, within_slices=True)
    pockets = _round_pockets(grid, labels, count)
    best: list[int] = []
    chains: dict[int, list[int]] = {}  # last pocket of the slice above -> labels from the top
    for z in range(labels.shape[0]):
        grown: dict[int, list[int]] = {}
        for pocket in pockets.get(z, []):
            here = labels[z] == pocket.label
            above = labels[z - 1][here] if z else np.zeros(0, dtype=np.int32)
            parents = [chains[a] for a in np.unique(above) if a in chains]
            chain = [*max(parents, key=len, default=[]), pocket.label]
            grown[pocket.label] = chain
            best = max(best, chain, key=len)
        chains = grown
    if len(best) * grid.spacing_mm[0] < _LENGTH_MM:
        return np.zeros_like(lumen)
    keep = np.zeros(count + 1, dtype=bool)
    keep[best] = True
    return np.asarray(keep[labels])


def _round_pockets(
    grid: WorkingGrid, labels: npt.NDArray[np.int32], count: int
) -> dict[int, list[_Pocket]]:
    """Return the pockets that could be a cut through the trachea, by slice."""
    _, dy, dx = grid.spacing_mm
    area = np.bincount(labels.ravel(), minlength=count + 1) * dy * dx
    middle = _middle_mm(labels, dx)
    pockets: dict[int, list[_Pocket]] = {}
    for label, box in enumerate(ndimage.find_objects(labels), start=1):
        if box is None or not _AREA_MM2[0] <= area[label] <= _AREA_MM2[1]:
            continue
        z, rows, columns = box
        height, width = (rows.stop - rows.start) * dy, (columns.stop - columns.start) * dx
        centre = (rows.start + rows.stop) / 2 * dy, (columns.start + columns.stop) / 2 * dx
        elongated = max(height, width) > _ASPECT * min(height, width)
        sparse = area[label] < 0.45 * height * width
        if elongated or sparse or abs(centre[1] - middle) > _FROM_MIDLINE_MM:
            continue
        pockets.setdefault(z.start, []).append(_Pocket(label, centre))
    return pockets


def _middle_mm(labels: npt.NDArray[np.int32], dx: float) -> float:
    """Return the median x of all air, mm."""
    columns = np.cumsum((labels > 0).sum(axis=(0, 1)))
    return float(np.searchsorted(columns, columns[-1] / 2) + 0.5) * dx


def _followed_down(grid: WorkingGrid, air: Mask, trachea: Mask) -> Mask:
    """Return the tube continued slice by slice where it touches a lung, until it widens or ends.

    In voxels of 4 mm and more the wall between trachea and lung is only a ridge of HU.
    """
    lumen_hu, lung_hu = _lumen_and_lung_hu(grid, air, trachea)
    limit = lumen_hu + _RIDGE * (lung_hu - lumen_hu)
    pixel = grid.spacing_mm[1] * grid.spacing_mm[2]
    followed = trachea.copy()
    z = int(np.flatnonzero(trachea.any(axis=(1, 2)))[-1])
    for below in range(z + 1, min(len(followed), z + 1 + round(_FOLLOW_MM / grid.spacing_mm[0]))):
        near = np.asarray(ndimage.binary_dilation(followed[below - 1]))
        lumen = near & air[below] & (grid.hu[below] < limit)
        if lumen.sum() * pixel < _AREA_MM2[0]:
            break
        followed[below] = lumen
        if lumen.sum() * pixel > _AREA_MM2[1]:
            return trachea
    return followed


def _lumen_and_lung_hu(grid: WorkingGrid, air: Mask, trachea: Mask) -> tuple[float, float]:
    """Return typical CT numbers of the tube and of all air inside the body, HU."""
    inside = float(np.percentile(grid.hu[trachea], 25))
    return inside, max(float(np.median(grid.hu[air])), inside + _LEAST_CONTRAST_HU)


def _bronchi(grid: WorkingGrid, air: Mask, trachea: Mask) -> Mask:
    """Return the air reached from the trachea at the highest threshold that does not leak."""
    inside, lung = _lumen_and_lung_hu(grid, air, trachea)
    reach = np.zeros_like(trachea)
    columns = np.flatnonzero(trachea.any(axis=(0, 1)))
    margin = round(_REACH_MM / grid.spacing_mm[2])
    reach[..., max(0, columns[0] - margin) : columns[-1] + margin] = True
    best = trachea
    for share in reversed(_STEPS):
        wall = inside + share * (lung - inside)
        reached = touching((air & (grid.hu < wall)) | trachea, trachea)
        leaked = (reached & ~trachea).sum() * grid.voxel_ml > _BRONCHI_ML
        if leaked or (reached & ~reach).any():
            break
        best = reached
    return best
