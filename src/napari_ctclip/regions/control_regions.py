"""Control places: the same shape elsewhere in the same organ, drawn at random."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from napari_ctclip.core.region import Region
from napari_ctclip.core.study import Study

__all__ = ["control_regions"]

_SHARES_IN_ORGAN = (0.9, 0.5)
"""Ours: so much of a control lies in the organ; half where the organ is too thin for more."""

_TRIES = 4000

Box = tuple[slice, slice, slice]


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
        Draws the places.
    """
    masks = study.organ_masks
    if masks is None or not organ or not masks.labels_of(organ):
        return ()
    member = np.isin(masks.labels, masks.labels_of(organ))
    centres = np.argwhere(member)
    drawn = centres[rng.permutation(len(centres))[:_TRIES]]
    shape = np.asarray(region.mask.shape)
    chosen: list[Region] = []
    for least in _SHARES_IN_ORGAN:
        for start in drawn - shape // 2:
            if len(chosen) >= number:
                return tuple(chosen)
            place = _moved(region, start, study.volume.geometry.shape)
            if place is None or any(_touch(place.box, other.box) for other in (region, *chosen)):
                continue
            if member[place.box][place.mask].mean() >= least:
                chosen.append(place)
        if chosen:  # controls of one kind only
            break
    return tuple(chosen)


def _moved(
    region: Region, start: npt.NDArray[np.intp], shape: tuple[int, int, int]
) -> Region | None:
    """Return the region at another place; None if it would leave the scan."""
    z, y, x = start.tolist()
    fits = all(
        a >= 0 and a + n <= m for a, n, m in zip(start, region.mask.shape, shape, strict=True)
    )
    return Region((z, y, x), region.mask) if fits else None


def _touch(one: Box, other: Box) -> bool:
    return all(a.start < b.stop and b.start < a.stop for a, b in zip(one, other, strict=True))
