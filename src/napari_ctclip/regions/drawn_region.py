"""The voxels of a region of interest: a box, a sphere, an organ, and random controls of them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from napari_ctclip.core.anatomy import anatomy_label
from napari_ctclip.core.errors import DataError
from napari_ctclip.core.geometry import Geometry
from napari_ctclip.core.organ_masks import OrganMasks
from napari_ctclip.core.region import Region
from napari_ctclip.core.roi import Roi, RoiKind
from napari_ctclip.core.study import Study

__all__ = [
    "box_about",
    "box_region",
    "control_regions",
    "organ_region",
    "roi_region",
    "sphere_region",
]

Index = tuple[float, float, float]

_SHARES_IN_ORGAN = (0.9, 0.5)
"""Ours: so much of a control lies in the organ; half where the organ is too thin for more."""

_MOST_TRIES = 4000

Box = tuple[slice, slice, slice]


def roi_region(roi: Roi, study: Study) -> Region:
    """Return the voxels of a region of interest; those of an organ take a while.

    Raises
    ------
    DataError
        If it lies outside the scan, or the masks lack the organ.
    """
    geometry = study.volume.geometry
    match roi.kind:
        case RoiKind.POINT | RoiKind.SPHERE:
            return sphere_region(geometry, roi.centre, radius_mm=roi.radius_mm)
        case RoiKind.BOX:
            return box_about(geometry, roi.centre, roi.sides_mm)
        case RoiKind.FINDING if roi.region is not None:
            return roi.region
        case _:
            return organ_region(study.organ_masks, roi.name)


def box_region(geometry: Geometry, corner: Index, opposite: Index) -> Region:
    """Return the voxels between two corners (z, y, x), both included, as far as the scan goes.

    Raises
    ------
    DataError
        If the box lies outside the scan.
    """
    corners = np.rint(np.sort([corner, opposite], axis=0)).astype(int)
    low = np.maximum(corners[0], 0)
    high = np.minimum(corners[1] + 1, geometry.shape)
    if (low >= high).any():
        raise DataError(
            f"the box from {corner} to {opposite} lies outside the scan of {geometry.shape} voxels"
        )
    z, y, x = low.tolist()
    return Region((z, y, x), np.ones(tuple(high - low), dtype=bool))


def box_about(geometry: Geometry, centre: Index, size_mm: Index) -> Region:
    """Return the box of a size (z, y, x) in mm about a voxel, as far as the scan goes.

    Raises
    ------
    DataError
        If it lies outside the scan or a side is not above 0.
    """
    if min(size_mm) <= 0:
        raise DataError(f"a box needs sides above 0 mm, got {size_mm}")
    count = np.maximum(np.rint(np.divide(size_mm, geometry.spacing_mm)), 1)
    first = np.floor(np.asarray(centre) - (count - 1) / 2 + 0.5)
    low, high = first.tolist(), (first + count - 1).tolist()
    return box_region(geometry, (low[0], low[1], low[2]), (high[0], high[1], high[2]))


def sphere_region(geometry: Geometry, centre: Index, *, radius_mm: float) -> Region:
    """Return the voxels at most ``radius_mm`` from a voxel (z, y, x); that voxel at least.

    Raises
    ------
    DataError
        If the centre lies outside the scan or the radius is negative.
    """
    if radius_mm < 0:
        raise DataError(f"a sphere needs a radius of at least 0 mm, got {radius_mm}")
    if not geometry.contains_index(centre):
        raise DataError(f"voxel {centre} lies outside the scan of {geometry.shape} voxels")
    spacing, middle = np.asarray(geometry.spacing_mm), np.rint(centre).astype(int)
    reach = np.floor(radius_mm / spacing).astype(int)
    low = np.maximum(middle - reach, 0)
    high = np.minimum(middle + reach + 1, geometry.shape)
    steps = [
        (np.arange(a, b) - m) * s for a, b, m, s in zip(low, high, middle, spacing, strict=True)
    ]
    z, y, x = np.ix_(*steps)
    return Region.of(
        z**2 + y**2 + x**2 <= radius_mm**2 + 1e-9, start=(int(low[0]), int(low[1]), int(low[2]))
    )


def organ_region(masks: OrganMasks | None, organ: str) -> Region:
    """Return the voxels of an organ, or of a group of organs such as ``"lung"``.

    Raises
    ------
    DataError
        If the organ masks do not have it; says which there are.
    """
    if masks is None:
        raise DataError("there are no organ masks, so no organ can be taken")
    mask = masks.mask(organ) if masks.labels_of(organ) else None
    if mask is None or not mask.any():
        known = ", ".join(masks.legend)
        raise DataError(f"the organ masks hold no {anatomy_label(organ)!r}; they hold {known}")
    return Region.of(mask)


def control_regions(
    study: Study, region: Region, *, organ: str, number: int, rng: np.random.Generator
) -> tuple[Region, ...]:
    """Return regions of the same shape and size in an organ, apart from it and from each other.

    Fewer than ``number`` where the organ has no room for more; none without organ masks.

    Parameters
    ----------
    study : Study
        The scan with its organ masks.
    region : Region
        What they match.
    organ : str
        Where they lie.
    number : int
        How many are wanted.
    rng : numpy.random.Generator
        Draws the positions.
    """
    masks = study.organ_masks
    if masks is None or not organ or not masks.labels_of(organ):
        return ()
    member = np.isin(masks.labels, masks.labels_of(organ))
    centres = np.argwhere(member)
    drawn = centres[rng.permutation(len(centres))[:_MOST_TRIES]]
    shape = np.asarray(region.mask.shape)
    chosen: list[Region] = []
    for least in _SHARES_IN_ORGAN:
        for start in drawn - shape // 2:
            if len(chosen) >= number:
                return tuple(chosen)
            moved = _moved(region, start, study.volume.geometry.shape)
            if moved is None or any(_touch(moved.box, other.box) for other in (region, *chosen)):
                continue
            if member[moved.box][moved.mask].mean() >= least:
                chosen.append(moved)
        if chosen:  # controls of one kind only
            break
    return tuple(chosen)


def _moved(
    region: Region, start: npt.NDArray[np.intp], shape: tuple[int, int, int]
) -> Region | None:
    """Return the region at another position; None if it would leave the scan."""
    z, y, x = start.tolist()
    fits = all(
        a >= 0 and a + n <= m for a, n, m in zip(start, region.mask.shape, shape, strict=True)
    )
    return Region((z, y, x), region.mask) if fits else None


def _touch(one: Box, other: Box) -> bool:
    return all(a.start < b.stop and b.start < a.stop for a, b in zip(one, other, strict=True))
