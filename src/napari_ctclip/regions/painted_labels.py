"""Painted labels: regions drawn as one label map, and what a brush changed of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import numpy.typing as npt

from napari_ctclip.core.region import Region

__all__ = ["Box", "draw_regions", "repainted"]

Box = tuple[slice, slice, slice]


def draw_regions(
    labels: npt.NDArray[np.integer], regions: Mapping[int, Region], *, start: Iterable[int] = ()
) -> None:
    """Draw regions into a label map, in place; where they overlap the smaller is seen.

    Parameters
    ----------
    labels : ndarray of int, shape (D, H, W)
        The map, or the part of it that begins at ``start``.
    regions : mapping of int to Region
        By their label.
    start : iterable of int
        First voxel (z, y, x) of the part; the whole map if empty.
    """
    first = tuple(start) or (0, 0, 0)
    ends = tuple(a + n for a, n in zip(first, labels.shape, strict=True))
    by_size = sorted(regions.items(), key=lambda item: int(item[1].mask.sum()), reverse=True)
    for label, region in by_size:
        inner = [
            (max(s.start, a), min(s.stop, e))
            for s, a, e in zip(region.box, first, ends, strict=True)
        ]
        if any(low >= high for low, high in inner):
            continue
        there = tuple(slice(lo - a, hi - a) for (lo, hi), a in zip(inner, first, strict=True))
        own = tuple(slice(lo - s, hi - s) for (lo, hi), s in zip(inner, region.start, strict=True))
        labels[there][region.mask[own]] = label


def repainted(
    labels: npt.NDArray[np.integer], regions: Mapping[int, Region], box: Box
) -> dict[int, Region | None]:
    """Return what a brush made of the regions drawn in a label map, within a box.

    A voxel that shows another label than :func:`draw_regions` put there was painted: it leaves the
    region that was seen and joins that of its new label. Regions hidden beneath keep their voxels.

    Parameters
    ----------
    labels : ndarray of int, shape (D, H, W)
        The map as it is now.
    regions : mapping of int to Region
        What was drawn, by label.
    box : tuple of slice
        Part of the map that was painted in.

    Returns
    -------
    dict of int to Region or None
        Only those that changed, new labels too; None where nothing is left.
    """
    start = tuple(s.start for s in box)
    now = np.asarray(labels[box])
    drawn = np.zeros_like(now)
    draw_regions(drawn, regions, start=start)
    differs = now != drawn
    touched = {int(label) for label in np.unique(now[differs])}
    touched |= {int(label) for label in np.unique(drawn[differs])}
    return {
        label: _changed(
            regions.get(label),
            start,
            gained=differs & (now == label),
            lost=differs & (drawn == label),
        )
        for label in sorted(touched - {0})
    }


def _changed(
    region: Region | None,
    start: tuple[int, ...],
    *,
    gained: npt.NDArray[np.bool_],
    lost: npt.NDArray[np.bool_],
) -> Region | None:
    """Return a region with voxels gained and lost in a box that begins at ``start``."""
    low = list(start)
    high = [a + n for a, n in zip(start, gained.shape, strict=True)]
    if region is not None:
        low = [min(a, b) for a, b in zip(low, region.start, strict=True)]
        high = [max(e, s.stop) for e, s in zip(high, region.box, strict=True)]
    mask = np.zeros([b - a for a, b in zip(low, high, strict=True)], dtype=np.bool_)
    if region is not None:
        old = tuple(slice(s.start - a, s.stop - a) for s, a in zip(region.box, low, strict=True))
        mask[old] = region.mask
    here = tuple(slice(a - b, a - b + n) for a, b, n in zip(start, low, gained.shape, strict=True))
    mask[here] = (mask[here] & ~lost) | gained
    z, y, x = low
    return Region.of(mask, start=(z, y, x)) if mask.any() else None
