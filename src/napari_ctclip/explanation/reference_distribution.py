"""Reference distribution of a region: the same read-out in matched regions of the same organ."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.signal import oaconvolve

from napari_ctclip.core.geometry import Geometry
from napari_ctclip.scoring.region_scores import READOUT_ML

__all__ = [
    "FEWEST_CONTROLS",
    "Placements",
    "percentile_among",
    "placements",
    "readout_of",
    "share_as_high",
]

FEWEST_CONTROLS = 20
"""Ours: fewer control regions give percentiles in steps of more than 5 and are not shown."""

_MOST_CONTROLS = 400
_LEAST_OF_LARGE = 100
_MOST_MEMBERS = 400_000
"""Ours: tokens of all control regions together; a region of more than 1000 tokens gets fewer than
400 of them, down to 100, so that the answer comes within a second."""

_MOSTLY = 0.5

Tokens = npt.NDArray[np.intp]
Values = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Placements:
    """A region moved through an organ: its matched control regions.

    Attributes
    ----------
    tokens : ndarray of intp, shape (K,)
        Every token that some placement holds, flat and ascending.
    members : ndarray of intp, shape (N, R)
        The positions in ``tokens`` of each placement's R tokens; -1 outside the organ.
    """

    tokens: Tokens
    members: npt.NDArray[np.intp]

    def __len__(self) -> int:
        return len(self.members)


def placements(
    region: Tokens,
    organ: Tokens,
    grid: Geometry,
    *,
    rng: np.random.Generator,
    most: int = _MOST_CONTROLS,
) -> Placements:
    """Return placements of a region's shape in an organ that do not touch the region.

    A placement counts if at least half of its tokens lie in the organ; only those are read out.

    Parameters
    ----------
    region, organ : ndarray of intp
        The flat indices of their tokens.
    grid : Geometry
        The token grid.
    rng : numpy.random.Generator
        The generator that draws which of the possible placements are taken.
    most : int
        The largest number of placements.
    """
    own = np.stack(np.unravel_index(region, grid.shape), axis=1)
    middle = own[np.argmin(((own - own.mean(axis=0)) ** 2).sum(axis=1))]
    offsets = own - middle
    most = min(most, max(_LEAST_OF_LARGE, _MOST_MEMBERS // len(region)))
    shuffled = organ[rng.permutation(len(organ))]
    usable = shuffled[_fits(shuffled, region, offsets, grid)][:most]
    at = np.stack(np.unravel_index(usable, grid.shape), axis=1)[:, None, :] + offsets[None]
    inside = ((at >= 0) & (at < grid.shape)).all(axis=2)
    slot = np.full(int(np.prod(grid.shape)) + 1, -1, dtype=np.intp)
    slot[organ] = np.arange(len(organ))
    flat = np.full(inside.shape, slot.size - 1, dtype=np.intp)
    flat[inside] = np.ravel_multi_index(tuple(at[inside].T), grid.shape)
    members = slot[flat]
    used = np.unique(members[members >= 0])
    back = np.full(len(organ) + 1, -1, dtype=np.intp)
    back[used] = np.arange(len(used))
    return Placements(np.asarray(organ[used], dtype=np.intp), back[members])


def _fits(
    organ: Tokens, region: Tokens, offsets: npt.NDArray[np.intp], grid: Geometry
) -> npt.NDArray[np.bool_]:
    """Return for each organ token whether the region's shape, moved there, is a usable control.

    What a moved shape holds of the organ and of the region is a correlation: one Fourier
    transform for all placements at once, where looking at each takes a minute for half a lung.
    """
    if not len(organ):
        return np.zeros(0, dtype=bool)
    tokens = np.stack(np.unravel_index(np.concatenate([organ, region]), grid.shape), axis=1)
    low = tokens.min(axis=0)
    tokens -= low
    here, own = tokens[: len(organ)], tokens[len(organ) :]
    reach = offsets.max(axis=0)
    shape = np.zeros(reach - offsets.min(axis=0) + 1)
    shape[tuple((reach - offsets).T)] = 1  # turned round, so that convolving correlates
    size = tokens.max(axis=0) + 1
    held = []
    for positions in (here, own):
        mask = np.zeros(size)
        mask[tuple(positions.T)] = 1
        found = oaconvolve(mask, shape)
        held.append(np.rint(found[tuple((here + reach).T)]))
    in_organ, in_region = held
    return np.asarray((in_region == 0) & (in_organ >= _MOSTLY * len(region)))


def readout_of(
    values: Values, grid: Geometry, members: npt.NDArray[np.intp] | None = None
) -> Values:
    """Return the read-out of regions by the rule of ``region_scores``: the mean of the highest.

    Parameters
    ----------
    values : ndarray, shape (P, K)
        The similarity of P prompts at K tokens; NaN counts as not there.
    grid : Geometry
        The token grid.
    members : ndarray of intp, shape (N, R), optional
        The tokens of each region, -1 for none; one region of all K tokens by default.

    Returns
    -------
    ndarray, shape (P, N)
        NaN where a region has no token that answers.
    """
    if members is None:
        members = np.arange(values.shape[1])[None]
    padded = np.concatenate([values, np.full((len(values), 1), np.nan, dtype=np.float32)], axis=1)
    count = max(1, round(READOUT_ML / grid.voxel_volume_ml))
    out = np.empty((len(values), len(members)), dtype=np.float32)
    for row, own in enumerate(padded):  # one prompt at a time: N x R numbers
        filled = np.nan_to_num(own[members], nan=-np.inf)
        if filled.shape[1] > count:
            filled = np.partition(filled, filled.shape[1] - count, axis=1)[:, -count:]
        there = np.isfinite(filled)
        summed = np.where(there, filled, 0.0).sum(axis=1)
        with np.errstate(invalid="ignore", divide="ignore"):
            out[row] = np.where(there.any(axis=1), summed / there.sum(axis=1), np.nan)
    return out


def percentile_among(value: float, others: npt.NDArray[np.floating]) -> float | None:
    """Return the percent of other values below one, ties by half; None if there are too few."""
    known = others[np.isfinite(others)]
    if len(known) < FEWEST_CONTROLS or not np.isfinite(value):
        return None
    return float(100 * ((known < value).mean() + 0.5 * (known == value).mean()))


def share_as_high(value: float, others: npt.NDArray[np.floating]) -> float | None:
    """Return (1 + how many others are at least a value) / (1 + how many); None if too few.

    References
    ----------
    Phipson and Smyth 2010, "Permutation P-values should never be zero", (b + 1) / (m + 1): the
    value itself is one of those it is compared with.
    """
    known = others[np.isfinite(others)]
    if len(known) < FEWEST_CONTROLS or not np.isfinite(value):
        return None
    return float((1 + (known >= value).sum()) / (1 + len(known)))
