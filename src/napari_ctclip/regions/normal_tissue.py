"""Normal tissue: what a region of a scan might look like if nothing were there."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy import ndimage, signal

from napari_ctclip.core.anatomy import anatomy_label
from napari_ctclip.core.errors import DataError
from napari_ctclip.core.region import Region
from napari_ctclip.core.study import Study
from napari_ctclip.core.volume import Volume
from napari_ctclip.regions.region_statistics import organ_shares, region_organ

__all__ = ["NormalFill", "fill_with_normal_tissue", "organ_of"]

_GAP_MM = 2.0
"""Ours: the rim of a region holds half of what is occluded; nothing is taken from there."""

_REACHES_MM = (40.0, 80.0, 160.0)
"""Ours: how far around the region tissue is taken from; further only where there is too little."""

_LEAST_DONORS = 200
_OUTLIER_SPREADS = 3.0
_SPREAD_OF_MAD = 1.4826  # a normal distribution's SD is so many median absolute deviations
_LEAST_SMOOTHING_MM = 4.0
_REST = ("", "body")

Mask = npt.NDArray[np.bool_]
Values = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class NormalFill:
    """CT numbers that stand in for those of a region.

    Attributes
    ----------
    region : Region
        The voxels that are replaced: those of the region that belong to no other organ.
    hounsfield : ndarray, shape (N,), int16
        Their new values, HU, in the order of the region's mask.
    organ : str
        Whose tissue it is; ``"body"`` or empty where no organ holds the region.
    donors : int
        How many voxels around it were taken from.
    donor_mean, donor_sd : float
        HU of those.
    """

    region: Region
    hounsfield: npt.NDArray[np.int16]
    organ: str
    donors: int
    donor_mean: float
    donor_sd: float

    def on(self, volume: Volume) -> Volume:
        """Return another volume with the region filled; the one given is never changed."""
        voxels = volume.voxels.copy()
        voxels[self.region.box][self.region.mask] = self.hounsfield
        return replace(volume, voxels=voxels)


@dataclass(frozen=True, eq=False)
class _Surroundings:
    """The box about a region: what is occluded in it, and what may be taken from."""

    hounsfield: Values
    occluded: Mask
    donors: Mask
    spacing_mm: tuple[float, float, float]


def fill_with_normal_tissue(
    study: Study, region: Region, *, rng: np.random.Generator
) -> NormalFill:
    """Return a region's CT numbers as if it held the normal tissue around it.

    Ours: mean and texture apart. The mean runs smoothly on from the surroundings (a normalised
    Gaussian over the donors, as wide as the region is deep). The texture is what the donors differ
    from that mean by, moved as a whole from the position where the region's shape holds the most
    donors, so that noise keeps its grain; where that position has none, single donors are drawn.
    Donors are voxels of the same organ 2 to 40 mm away (80 or 160 where these are too few), without
    those more than three spreads (MAD) from their median: another lesion, a large vessel.

    Parameters
    ----------
    study : Study
        The scan; without organ masks any tissue around the region is taken.
    region : Region
        What is occluded. Voxels of another organ in it (a rib beside a nodule) stay as they are.
    rng : numpy.random.Generator
        Draws single donors.

    Raises
    ------
    DataError
        If there is too little tissue around.
    """
    organ = organ_of(study, region)
    occluded = _without_other_organs(study, region, organ)
    around = next(
        (s for s in (_surroundings(study, occluded, organ, r) for r in _REACHES_MM) if _enough(s)),
        None,
    )
    if around is None:
        where = anatomy_label(organ) if organ else "surroundings"
        raise DataError(
            f"the region cannot be filled: too little normal tissue of the {where} lies within "
            f"{_REACHES_MM[-1]:.0f} mm (at least {_LEAST_DONORS} voxels); choose a smaller region"
        )
    values = around.hounsfield[around.donors]
    smooth = _smooth(around)
    texture = _texture(around, smooth, rng)
    filled = np.clip(np.rint(smooth[around.occluded] + texture), -32768, 32767).astype(np.int16)
    return NormalFill(
        occluded, filled, organ, len(values), float(values.mean()), float(values.std())
    )


def organ_of(study: Study, region: Region) -> str:
    """Return the organ that a region lies in; empty without organ masks."""
    return region_organ(organ_shares(study.organ_masks, region))


def _without_other_organs(study: Study, region: Region, organ: str) -> Region:
    masks = study.organ_masks
    if masks is None or organ in _REST:
        return region
    own = (0, *masks.labels_of(organ), *(masks.legend[n] for n in _REST if n in masks.legend))
    return Region.of(region.mask & np.isin(masks.labels[region.box], own), start=region.start)


def _surroundings(study: Study, region: Region, organ: str, reach_mm: float) -> _Surroundings:
    geometry = study.volume.geometry
    spacing = np.asarray(geometry.spacing_mm)
    steps = np.ceil(reach_mm / spacing).astype(int)
    low = np.maximum(np.asarray(region.start) - steps, 0)
    high = np.minimum([s.stop for s in region.box] + steps, geometry.shape)
    box = tuple(slice(a, b) for a, b in zip(low.tolist(), high.tolist(), strict=True))
    occluded = np.zeros(tuple(high - low), dtype=bool)
    at = tuple(
        slice(s.start - a, s.stop - a) for s, a in zip(region.box, low.tolist(), strict=True)
    )
    occluded[at] = region.mask
    away = ndimage.distance_transform_edt(~occluded, sampling=geometry.spacing_mm)
    donors = (away > _GAP_MM) & (away <= reach_mm)
    masks = study.organ_masks
    if masks is not None and organ:
        donors &= np.isin(masks.labels[box], masks.labels_of(organ))
    hounsfield = study.volume.voxels[box].astype(np.float32)
    return _Surroundings(
        hounsfield, occluded, donors & _usual(hounsfield, donors), geometry.spacing_mm
    )


def _usual(hounsfield: Values, donors: Mask) -> Mask:
    """Return which voxels lie within three spreads of the donors' median."""
    if not donors.any():
        return donors
    median = float(np.median(hounsfield[donors]))
    spread = _SPREAD_OF_MAD * float(np.median(np.abs(hounsfield[donors] - median)))
    return np.asarray(np.abs(hounsfield - median) <= _OUTLIER_SPREADS * max(spread, 1.0))


def _enough(around: _Surroundings) -> bool:
    return int(around.donors.sum()) >= _LEAST_DONORS


def _smooth(around: _Surroundings) -> Values:
    """Return the mean of the tissue at every voxel of the box, carried on into the region."""
    depth = float(ndimage.distance_transform_edt(around.occluded, sampling=around.spacing_mm).max())
    width = max(_LEAST_SMOOTHING_MM, depth)
    sigma = [width / s for s in around.spacing_mm]
    middle = np.float32(np.median(around.hounsfield[around.donors]))
    offset = np.where(around.donors, around.hounsfield - middle, np.float32(0))
    weight = ndimage.gaussian_filter(around.donors.astype(np.float32), sigma)
    mean = ndimage.gaussian_filter(offset, sigma)
    # far from every donor the weight vanishes, and the median stands in
    return np.asarray(mean / np.maximum(weight, 1e-3) + middle, dtype=np.float32)


def _texture(around: _Surroundings, smooth: Values, rng: np.random.Generator) -> Values:
    """Return what the donors differ from their mean by, for each voxel of the region."""
    residual = around.hounsfield - smooth
    voxels = np.argwhere(around.occluded)
    source = voxels + _best_shift(around)
    inside = np.asarray(((source >= 0) & (source < around.occluded.shape)).all(axis=1))
    source = np.where(inside[:, None], source, 0)
    z, y, x = source.T
    taken = inside & around.donors[z, y, x]
    pool = residual[around.donors]
    return np.where(taken, residual[z, y, x], rng.choice(pool, size=len(voxels)))


def _best_shift(around: _Surroundings) -> npt.NDArray[np.intp]:
    """Return by how many voxels the region moves to hold most donors; the nearest of such."""
    first = np.argwhere(around.occluded).min(axis=0)
    last = np.argwhere(around.occluded).max(axis=0) + 1
    kernel = around.occluded[tuple(slice(a, b) for a, b in zip(first, last, strict=True))]
    held = signal.fftconvolve(
        around.donors.astype(np.float32),
        kernel[::-1, ::-1, ::-1].astype(np.float32),
        mode="valid",
    )
    good = np.argwhere(held >= held.max() - 0.5)  # whole voxels, but for rounding
    shifts = good - first
    away = ((shifts * np.asarray(around.spacing_mm)) ** 2).sum(axis=1)
    return np.asarray(shifts[int(np.argmin(away))], dtype=np.intp)
