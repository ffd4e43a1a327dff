"""Region statistics: what a region of a scan is, in numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_ctclip.core.organ_masks import OrganMasks
from napari_ctclip.core.region import Region
from napari_ctclip.core.study import Study

__all__ = [
    "PERCENTS",
    "HounsfieldHistogram",
    "RegionStatistics",
    "hounsfield_histogram",
    "organ_shares",
    "region_organ",
    "region_statistics",
]

PERCENTS = (5, 25, 50, 75, 95)
_MOST_BINS = 40
_REST = ("body",)


@dataclass(frozen=True)
class RegionStatistics:
    """A region in numbers.

    Attributes
    ----------
    voxels : int
        How many there are.
    volume_ml : float
        Millilitres.
    mean_hounsfield, sd_hounsfield : float
        HU; the standard deviation over voxels.
    percentiles_hounsfield : tuple of float
        HU at ``PERCENTS``.
    extent_mm : tuple of float
        Sides (z, y, x) of the box that holds it, mm.
    centre : tuple of int
        The voxel (z, y, x) of it that is nearest to its centre of mass.
    world_mm : tuple of float
        The same point in the file's RAS world, mm.
    organs : mapping of str to float
        Share of it in every organ it touches, largest first; empty without organ masks.
    """

    voxels: int
    volume_ml: float
    mean_hounsfield: float
    sd_hounsfield: float
    percentiles_hounsfield: tuple[float, ...]
    extent_mm: tuple[float, float, float]
    centre: tuple[int, int, int]
    world_mm: tuple[float, float, float]
    organs: Mapping[str, float]


@dataclass(frozen=True, eq=False)
class HounsfieldHistogram:
    """How often each CT number occurs in a region.

    Attributes
    ----------
    edges : ndarray, shape (n + 1,)
        HU where the bins begin and end; a bin holds its lower edge.
    shares : ndarray, shape (n,)
        Share of the region's voxels in each bin; they sum to 1.
    """

    edges: npt.NDArray[np.int64]
    shares: npt.NDArray[np.float64]


def hounsfield_histogram(study: Study, region: Region) -> HounsfieldHistogram:
    """Return the histogram of a region's CT numbers, at most 40 bins of a round width.

    Raises
    ------
    IndexError
        If the region does not lie on the scan.
    """
    values = study.volume.voxels[region.box][region.mask].astype(np.int64)
    low, high = int(values.min()), int(values.max())
    fits = (width for width in (1, 2, 5, 10, 20, 50) if (high - low) / width < _MOST_BINS - 1)
    width = next(fits, 100 * -(-(high - low) // (100 * (_MOST_BINS - 1))))
    first = low // width
    counts = np.bincount(values // width - first)
    edges = (first + np.arange(len(counts) + 1)) * width
    return HounsfieldHistogram(edges, counts / counts.sum())


def region_statistics(study: Study, region: Region) -> RegionStatistics:
    """Return the numbers of a region of a study.

    Raises
    ------
    IndexError
        If the region does not lie on the scan.
    """
    geometry = study.volume.geometry
    values = study.volume.voxels[region.box][region.mask].astype(np.float32)
    voxels = np.argwhere(region.mask)
    nearest = voxels[np.argmin(((voxels - voxels.mean(axis=0)) ** 2).sum(axis=1))]
    cz, cy, cx = (int(i) for i in nearest + region.start)
    right, anterior, superior = geometry.index_to_world((cz, cy, cx)).tolist()
    sz, sy, sx = (n * s for n, s in zip(region.mask.shape, geometry.spacing_mm, strict=True))
    return RegionStatistics(
        voxels=len(values),
        volume_ml=region.volume_ml(geometry),
        mean_hounsfield=float(values.mean()),
        sd_hounsfield=float(values.std()),
        percentiles_hounsfield=tuple(float(v) for v in np.percentile(values, PERCENTS)),
        extent_mm=(sz, sy, sx),
        centre=(cz, cy, cx),
        world_mm=(right, anterior, superior),
        organs=organ_shares(study.organ_masks, region),
    )


def organ_shares(masks: OrganMasks | None, region: Region) -> dict[str, float]:
    """Return the share of a region in every organ it touches, largest first."""
    if masks is None:
        return {}
    counts = np.bincount(masks.labels[region.box][region.mask])
    shares = {
        name: float(counts[label] / counts.sum())
        for name, label in masks.legend.items()
        if label < len(counts) and counts[label]
    }
    return dict(sorted(shares.items(), key=lambda item: -item[1]))


def region_organ(shares: Mapping[str, float]) -> str:
    """Return the organ that holds most of a region; the body only where there is no other."""
    organs = [name for name in shares if name not in _REST]
    return next(iter([*organs, *shares]), "")
