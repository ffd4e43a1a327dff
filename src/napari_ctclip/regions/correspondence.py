"""Correspondence: the same point in another scan of a patient, by where the organs lie in both.

Ours, no registration: each organ that both scans hold gives one map an axis, from its box in one
scan to its box in the other; a point takes the weighted mean of the maps of the organs near it.
Breathing and posture shift organs against each other, which this follows; how tissue deforms inside
an organ it does not.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from napari_ctclip.core.anatomy import COARSE_ANATOMIES, anatomy_label
from napari_ctclip.core.geometry import Geometry
from napari_ctclip.core.notice import Notice, Severity
from napari_ctclip.core.organ_masks import OrganMasks

__all__ = ["Correspondence", "OrganBox", "correspond", "organ_boxes"]

_EVERYWHERE = ("body", "bone", "mediastinum")  # no box of their own, or no exact border
_SAMPLING_MM = 2.0
_OUTLIERS = 0.01  # share of an organ beyond either end of its box: stray voxels, fissures
_CUT_SHARE = 0.1  # of its widest plane, in the scan's outermost plane: the scan ends inside it
_LEAST_EXTENT_MM = 40.0  # below, a voxel more or less would be a scale
_SCALES = (0.75, 1.33)  # beyond, the organ itself has changed
_REACH_MM = 25.0  # how far an organ's map reaches beyond its box
_LEAST_ML = 5.0

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class OrganBox:
    """Where an organ lies, along the axes of its scan.

    Attributes
    ----------
    low, high : ndarray, shape (3,), float64
        Ends of the box, mm from the first voxel along (z, y, x).
    cut_low, cut_high : ndarray, shape (3,), bool
        Whether the scan ends inside the organ there.
    """

    low: Floats
    high: Floats
    cut_low: Bools
    cut_high: Bools


@dataclass(frozen=True, eq=False)
class _AxisMaps:
    """One organ's map: ``scale * point + offset`` per axis, NaN where it says nothing."""

    box: OrganBox
    scale: Floats
    offset: Floats


@dataclass(frozen=True, eq=False)
class Correspondence:
    """A map from points of one scan to those of another.

    Attributes
    ----------
    source, target : Geometry
        The scans' grids.
    boxes : mapping of str to (OrganBox, OrganBox)
        Organs that both hold: in the source, in the target.
    in_one_alone : tuple of str
        Organs that both masks name and one scan alone shows.
    """

    source: Geometry
    target: Geometry
    boxes: Mapping[str, tuple[OrganBox, OrganBox]]
    in_one_alone: tuple[str, ...] = ()

    def index_in_target(self, index: npt.ArrayLike) -> Floats:
        """Return the point (..., 3) in the target, voxels not rounded, of voxels of the source.

        A point the target does not show comes out beyond its grid.
        """
        point = np.asarray(index, dtype=np.float64) * self.source.spacing_mm
        flat = point.reshape(-1, 3)
        total, found = np.zeros_like(flat), np.zeros_like(flat)
        for maps in self._maps:
            weight = _weight_of(maps.box, flat)[:, None]
            known = np.isfinite(maps.scale)
            mapped = np.where(known, maps.scale, 0.0) * flat + np.where(known, maps.offset, 0.0)
            total += weight * known * mapped
            found += weight * known
        unknown = found == 0
        centred = flat + (_extent(self.target) - _extent(self.source)) / 2
        mapped = np.where(unknown, centred, total / np.where(unknown, 1.0, found))
        return np.asarray(mapped / np.asarray(self.target.spacing_mm)).reshape(point.shape)

    def reversed(self) -> Correspondence:
        """Return the map the other way; there and back is the same point to a few millimetres."""
        turned = {name: (target, source) for name, (source, target) in self.boxes.items()}
        return Correspondence(self.target, self.source, turned, self.in_one_alone)

    @property
    def notices(self) -> tuple[Notice, ...]:
        """What the user should know: by which organs, or that there are none."""
        known = np.zeros(3, dtype=bool)
        for maps in self._maps:
            known |= np.isfinite(maps.scale)
        if known.all():
            named = ", ".join(anatomy_label(name) for name in self.boxes)
            return (Notice(Severity.INFO, "linked-by-organs", f"linked by: {named}"),)
        axes = [n for n, k in zip(("height", "depth", "width"), known, strict=True) if not k]
        return (
            Notice(
                Severity.WARNING,
                "not-linked-by-organs",
                f"no organ that both scans show whole tells the {' and '.join(axes)}: the scans "
                "are linked by their centres there; give organ masks for both",
            ),
        )

    @cached_property
    def _maps(self) -> tuple[_AxisMaps, ...]:
        return tuple(_axis_maps(*pair) for pair in self.boxes.values())


def correspond(source: OrganMasks, target: OrganMasks) -> Correspondence:
    """Return the map from one scan's points to another's, by the organs that both masks name."""
    names = [
        name
        for name in dict.fromkeys((*COARSE_ANATOMIES, *source.legend))
        if name not in _EVERYWHERE and source.labels_of(name) and target.labels_of(name)
    ]
    here, there = organ_boxes(source, names), organ_boxes(target, names)
    shared = {name: (here[name], there[name]) for name in names if name in here and name in there}
    alone = tuple(name for name in names if (name in here) != (name in there))
    return Correspondence(source.geometry, target.geometry, shared, alone)


def organ_boxes(masks: OrganMasks, names: Iterable[str]) -> dict[str, OrganBox]:
    """Return the boxes of anatomies or groups; those of less than 5 ml are left out."""
    spacing = np.asarray(masks.geometry.spacing_mm)
    stride = np.maximum(1, np.floor(_SAMPLING_MM / spacing)).astype(int)
    sampled = masks.labels[:: stride[0], :: stride[1], :: stride[2]]
    length = max(masks.legend.values(), default=0) + 1
    profiles = [
        np.stack([np.bincount(p.ravel(), minlength=length)[:length] for p in planes])
        for planes in (np.moveaxis(sampled, axis, 0) for axis in range(3))
    ]
    least = _LEAST_ML / (masks.geometry.voxel_volume_ml * float(np.prod(stride)))
    boxes = {}
    for name in names:
        labels = list(masks.labels_of(name))
        counts = [profile[:, labels].sum(axis=1) for profile in profiles]
        if labels and counts[0].sum() >= least:
            ends = [_ends(c, s) for c, s in zip(counts, spacing * stride, strict=True)]
            low, high, cut_low, cut_high = (np.array(column) for column in zip(*ends, strict=True))
            boxes[name] = OrganBox(low, high, cut_low, cut_high)
    return boxes


def _ends(counts: npt.NDArray[np.int64], step_mm: float) -> tuple[float, float, bool, bool]:
    """Return low and high end (mm) of an organ along an axis, and whether the scan cuts it."""
    edges = (np.arange(len(counts) + 1) - 0.5) * step_mm
    share = np.concatenate([[0.0], np.cumsum(counts)]) / counts.sum()
    low, high = np.interp((_OUTLIERS, 1 - _OUTLIERS), share, edges)
    much = _CUT_SHARE * counts.max()
    return float(low), float(high), bool(counts[0] > much), bool(counts[-1] > much)


def _axis_maps(source: OrganBox, target: OrganBox) -> _AxisMaps:
    scale, offset = np.full(3, np.nan), np.full(3, np.nan)
    for axis in range(3):
        a, b = (source.low[axis], source.high[axis]), (target.low[axis], target.high[axis])
        whole_low = not (source.cut_low[axis] or target.cut_low[axis])
        whole_high = not (source.cut_high[axis] or target.cut_high[axis])
        if whole_low and whole_high:
            ratio = (b[1] - b[0]) / (a[1] - a[0])
            large = min(a[1] - a[0], b[1] - b[0]) >= _LEAST_EXTENT_MM
            scale[axis] = ratio if large and _SCALES[0] <= ratio <= _SCALES[1] else 1.0
            offset[axis] = (sum(b) - scale[axis] * sum(a)) / 2
        elif whole_low or whole_high:
            end = 0 if whole_low else 1
            scale[axis], offset[axis] = 1.0, b[end] - a[end]
    return _AxisMaps(source, scale, offset)


def _weight_of(box: OrganBox, points: Floats) -> Floats:
    """Return how much an organ has to say (N,) about points (N, 3): more the nearer, the smaller.

    Continuous, so that a step of the slice never makes the other scan jump.
    """
    beyond = np.maximum(0.0, np.maximum(box.low - points, points - box.high))
    distance = np.sqrt((beyond**2).sum(axis=1))
    near = np.exp(-0.5 * (distance / _REACH_MM) ** 2) + 1e-6 / (1 + distance)
    return np.asarray(near / np.cbrt(np.prod(box.high - box.low)))


def _extent(geometry: Geometry) -> Floats:
    return np.asarray((np.asarray(geometry.shape) - 1) * np.asarray(geometry.spacing_mm))
