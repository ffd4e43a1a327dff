"""Which numbering a bare label map uses, told by looking at the CT under its labels.

TotalSegmentator 1 and 2 give different organs the same numbers. A guess would show the liver's
answer on the lung and nobody would see it, so a numbering is accepted only if the CT agrees with it
and disagrees with the other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from napari_ctclip.core.anatomy import GROUPS, MAJOR_ANATOMIES
from napari_ctclip.core.errors import UnknownLabelScheme
from napari_ctclip.io.masks.legends import SCHEMES

__all__ = ["recognised_scheme"]

_ENOUGH_VOXELS = 50
_LUNG_HU: tuple[float, float] = (-1100, -350)
_BONE_HU: tuple[float, float] = (60, 2000)  # median: marrow near 100, cortex above 300
_SOFT_HU: tuple[float, float] = (-80, 400)  # fat-rich muscle to vessels full of contrast
_ANY_HU = {"stomach", "colon", "small_bowel", "duodenum", "esophagus", "urinary_bladder", "face"}
# Ours: at least three hard labels (lung, airway, bone), and nearly all labels right. On a real
# abdomen (version 2, 61 labels) 56 of 56 were right read as version 2, and 29 of 53 as version 1.
_FEWEST_HARD = 3
_SHARE = 0.88


@dataclass(frozen=True)
class _Agreement:
    """How a numbering fits the CT: labels checked and labels that fit."""

    hard: int
    hard_right: int
    all: int
    all_right: int

    @property
    def is_convincing(self) -> bool:
        return (
            self.hard >= _FEWEST_HARD
            and self.hard_right >= _SHARE * self.hard
            and self.all_right >= _SHARE * self.all
        )


def recognised_scheme(
    labels: npt.NDArray[np.unsignedinteger], voxels: npt.NDArray[np.int16], path: Path
) -> str:
    """Return the name of the numbering (of ``SCHEMES``) that the CT bears out.

    Parameters
    ----------
    labels, voxels : ndarray, shape (D, H, W)
        Label map and CT (HU) on one grid.
    path : Path
        For the message.

    Raises
    ------
    UnknownLabelScheme
        If none or more than one fits.
    """
    medians = _median_hu(labels, voxels)
    present = set(medians)
    candidates = [name for name, table in SCHEMES.items() if present <= set(table)]
    fitting = [n for n in candidates if _agreement(SCHEMES[n], medians).is_convincing]
    if len(fitting) == 1:
        return fitting[0]
    listed = ", ".join(str(n) for n in sorted(present)[:12]) + (
        ", ..." if len(present) > 12 else ""
    )
    why = (
        "they fit more than one known numbering"
        if fitting
        else "the CT under them bears out no known numbering (TotalSegmentator 1 or 2)"
    )
    raise UnknownLabelScheme(
        f"{path}: nobody explains the labels {listed}: {why}. Give a legend: a .tsv or .json file "
        f"of the same name beside it (columns index and name), or name its numbering: "
        f"{' or '.join(SCHEMES)}"
    )


def _median_hu(
    labels: npt.NDArray[np.unsignedinteger], voxels: npt.NDArray[np.int16]
) -> dict[int, float]:
    """Return the median HU under every label present; of a spread of voxels in large scans."""
    step = 2 if labels.size > 20_000_000 else 1
    labels, voxels = labels[::step, ::step, ::step], voxels[::step, ::step, ::step]
    marked = np.flatnonzero(labels)
    own, hu = labels.ravel()[marked], voxels.ravel()[marked]
    order = np.argsort(own, kind="stable")
    own, hu = own[order], hu[order]
    present, starts = np.unique(own, return_index=True)
    return {
        int(label): float(np.median(part)) if len(part) >= _ENOUGH_VOXELS else float("nan")
        for label, part in zip(present, np.split(hu, starts[1:]), strict=True)
    }


def _agreement(table: Mapping[int, str], medians: Mapping[int, float]) -> _Agreement:
    hard = hard_right = soft = soft_right = 0
    for label, median in medians.items():
        name = table[label]
        if np.isnan(median) or name in _ANY_HU:
            continue
        expected = _expected(name)
        right = expected[0] < median < expected[1]
        if expected is _SOFT_HU:
            soft, soft_right = soft + 1, soft_right + right
        else:
            hard, hard_right = hard + 1, hard_right + right
    return _Agreement(hard, hard_right, hard + soft, hard_right + soft_right)


def _expected(name: str) -> tuple[float, float]:
    if name in MAJOR_ANATOMIES["lung"] or name == "trachea":
        return _LUNG_HU
    if name in GROUPS["bone"] and name != "costal_cartilages":
        return _BONE_HU
    return _SOFT_HU
