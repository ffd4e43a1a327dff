"""Where slices lie along their normal, and the regular stack they are brought to."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_ctclip.core.errors import DataError
from napari_ctclip.core.notice import Notice, Severity

__all__ = ["StackPlan", "plan_stack"]

_JITTER = 0.1  # of the spacing: rounding in headers, not geometry
_EXACT = 1e-3  # of the spacing
_SAME_PLACE_MM = 1e-2
_MOST_GROWTH = 4  # more invented than scanned slices is no scan any more
_OFF_LINE_MM = 0.5


@dataclass(frozen=True, eq=False)
class StackPlan:
    """How scanned slices make a regular stack.

    Attributes
    ----------
    order : ndarray of int, shape (S,)
        Scanned slices kept, sorted along the normal.
    lower, upper : ndarray of int, shape (D,)
        For each slice of the stack, the places in ``order`` it lies between.
    weight : ndarray of float, shape (D,)
        Share of ``upper``; 0 where a scanned slice is taken as it is.
    origin, step : ndarray, shape (3,)
        LPS mm of the first slice's first voxel, and from slice to slice.
    notices : tuple of Notice
        What was wrong with the scanned positions.
    """

    order: npt.NDArray[np.intp]
    lower: npt.NDArray[np.intp]
    upper: npt.NDArray[np.intp]
    weight: npt.NDArray[np.float64]
    origin: npt.NDArray[np.float64]
    step: npt.NDArray[np.float64]
    notices: tuple[Notice, ...]

    @property
    def is_as_scanned(self) -> bool:
        """Whether every slice of the stack is a scanned one."""
        return not self.weight.any()


def plan_stack(
    positions: npt.NDArray[np.float64], normal: npt.NDArray[np.float64], path: str
) -> StackPlan:
    """Return the regular stack for slices at ``positions`` (S, 3), LPS mm.

    Missing slices and unequal steps are bridged linearly, so that positions stay true.

    Raises
    ------
    DataError
        If the slices do not make one stack.
    """
    heights = positions @ normal
    order = np.argsort(heights, kind="stable")
    keep = np.concatenate([[True], np.diff(heights[order]) > _SAME_PLACE_MM])
    notices: list[Notice] = []
    if not keep.all():
        doubled = int((~keep).sum())
        message = f"{doubled} of {len(keep)} slices lie at the same place as another; left out."
        notices.append(Notice(Severity.WARNING, "duplicate-slices", message, path))
    order = order[keep]
    if len(order) < 2:
        raise DataError(f"{path}: all slices lie at one place, expected a stack of slices")
    sorted_heights = heights[order]
    _refuse_scattered(positions[order], sorted_heights, path)
    places = _places(sorted_heights)
    count = round(float(places[-1])) + 1
    spacing = float(sorted_heights[-1] - sorted_heights[0]) / (count - 1)
    if count > _MOST_GROWTH * len(order):
        raise DataError(
            f"{path}: {len(order)} slices spread over {spacing * (count - 1):.0f} mm with steps as "
            f"small as {spacing:.2g} mm; too irregular for one volume; export the series again"
        )
    lower, upper, weight = _between(places, count)
    notices += _about_gaps(places, weight, spacing, path)
    direction = (positions[order[-1]] - positions[order[0]]) / (count - 1)
    return StackPlan(order, lower, upper, weight, positions[order[0]], direction, tuple(notices))


def _places(heights: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the place of each slice on a regular stack, from 0; whole numbers where it fits one.

    Whole steps are counted one by one, so that rounded positions cannot drift by a slice.
    """
    steps = np.diff(heights)
    whole = np.concatenate([[0.0], np.cumsum(np.maximum(1, np.rint(steps / np.median(steps))))])
    spacing, start = np.polyfit(whole, heights, 1)
    if np.abs(heights - start - whole * spacing).max() <= _JITTER * spacing:
        return whole
    extent = heights[-1] - heights[0]
    last = max(1, round(float(extent / np.median(steps))))
    return np.asarray((heights - heights[0]) / extent * last)


def _between(
    places: npt.NDArray[np.float64], count: int
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp], npt.NDArray[np.float64]]:
    target = np.arange(count, dtype=np.float64)
    upper = np.clip(np.searchsorted(places, target), 1, len(places) - 1)
    lower = upper - 1
    weight = np.clip((target - places[lower]) / (places[upper] - places[lower]), 0.0, 1.0)
    nearest = np.where(weight > 0.5, upper, lower)
    exact = np.abs(places[nearest] - target) <= _EXACT
    lower = np.where(exact, nearest, lower)
    return lower.astype(np.intp), upper.astype(np.intp), np.where(exact, 0.0, weight)


def _about_gaps(
    places: npt.NDArray[np.float64],
    weight: npt.NDArray[np.float64],
    spacing: float,
    path: str,
) -> list[Notice]:
    if not weight.any():
        return []
    steps = np.diff(places)
    whole = np.abs(places - np.round(places)).max() <= _EXACT
    if whole:
        gaps = np.flatnonzero(np.round(steps) > 1)
        listed = "; ".join(
            f"{steps[g] * spacing:.4g} mm between slices {g + 1} and {g + 2}" for g in gaps[:5]
        )
        filled = round(float(steps.sum())) - len(steps)
        message = (
            f"Slices are missing: a gap of {listed}. {filled} slices "
            "were filled in linearly; heatmaps may be wrong there."
        )
        return [Notice(Severity.WARNING, "missing-slices", message, path)]
    message = (
        f"Slices lie unequally, {steps.min() * spacing:.3g} to {steps.max() * spacing:.3g} mm "
        f"apart; resampled to every {spacing:.3g} mm."
    )
    return [Notice(Severity.WARNING, "unequal-spacing", message, path)]


def _refuse_scattered(
    positions: npt.NDArray[np.float64], heights: npt.NDArray[np.float64], path: str
) -> None:
    share = ((heights - heights[0]) / (heights[-1] - heights[0]))[:, None]
    line = positions[0] + share * (positions[-1] - positions[0])
    worst = float(np.linalg.norm(positions - line, axis=1).max())
    if worst > _OFF_LINE_MM:
        raise DataError(
            f"{path}: slices are shifted sideways by up to {worst:.2g} mm, so they make no "
            "straight stack; expected one acquisition; export the series again"
        )
