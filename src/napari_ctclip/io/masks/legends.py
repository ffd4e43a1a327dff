"""Legends: which label is which anatomy: from a file, by hand, or by the scheme of the numbers."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_ctclip.core.anatomy import (
    GROUPS,
    MAJOR_ANATOMIES,
    TOTALSEGMENTATOR_V1,
    TOTALSEGMENTATOR_V2,
)
from napari_ctclip.core.errors import UnknownLabelScheme
from napari_ctclip.io.masks.label_map import anatomy_name

__all__ = ["SCHEMES", "Legend", "legend_beside", "read_legend", "recognised_scheme", "volume_stem"]

Legend = Path | str | Mapping[str, int]
"""What a caller may give: a file, the name of a scheme, or names with their labels."""

SCHEMES: Mapping[str, Mapping[int, str]] = {
    "totalsegmentator-v1": TOTALSEGMENTATOR_V1,
    "totalsegmentator-v2": TOTALSEGMENTATOR_V2,
}
"""Known numberings by name."""

_LABEL_COLUMNS = ("index", "label", "value", "id", "number", "key")
_NAME_COLUMNS = ("name", "anatomy", "structure", "organ", "description")
_BACKGROUND = {"background", "none", "unlabeled", "unlabelled"}


_ENOUGH_VOXELS = 50
_LUNG_HU: tuple[float, float] = (-1100, -350)
_BONE_HU: tuple[float, float] = (60, 2000)  # median: marrow near 100, cortex above 300
_SOFT_HU: tuple[float, float] = (-80, 400)  # fat-rich muscle to vessels full of contrast
_ANY_HU = {"stomach", "colon", "small_bowel", "duodenum", "esophagus", "urinary_bladder", "face"}
# Ours: at least three hard labels (lung, airway, bone), and nearly all labels right. On a real
# abdomen (version 2, 61 labels) 56 of 56 were right read as version 2, and 29 of 53 as version 1.
_FEWEST_HARD = 3
_SHARE = 0.88


def read_legend(legend: Legend) -> dict[int, str]:
    """Return label -> anatomy name of a legend; background left out.

    Raises
    ------
    UnknownLabelScheme
        If the legend cannot be understood or gives one label or name twice.
    """
    if isinstance(legend, Mapping):
        return _checked([(label, name) for name, label in legend.items()], "the legend")
    if isinstance(legend, str) and legend.lower() in SCHEMES:
        return dict(SCHEMES[legend.lower()])
    path = Path(legend)
    if not path.is_file():
        raise UnknownLabelScheme(
            f"there is no legend file {path}; give a .json, .tsv or .csv file, or one of "
            f"{', '.join(SCHEMES)}"
        )
    try:
        text = path.read_text(encoding="utf-8-sig")
        pairs = _from_json(text) if path.suffix.lower() == ".json" else _from_table(text)
    except (ValueError, KeyError) as error:
        raise UnknownLabelScheme(
            f"{path}: the legend cannot be read ({error}); expected columns 'index' and 'name', or "
            'JSON such as {"liver": 1}'
        ) from error
    return _checked(pairs, str(path))


def legend_beside(path: Path) -> Path | None:
    """Return the legend file of the same stem as a label map, or BIDS' ``_dseg.tsv``."""
    stem = volume_stem(path)
    for name in (f"{stem}.tsv", f"{stem}.csv", f"{stem}.json", f"{stem}_dseg.tsv", "dseg.tsv"):
        candidate = path.with_name(name)
        if candidate.is_file() and (candidate.suffix != ".json" or _is_legend(candidate)):
            return candidate
    return None


def volume_stem(path: Path) -> str:
    """Return a file's name without ``.nii.gz``, ``.seg.nrrd`` and the like."""
    name = path.name
    for suffix in (".gz", ".nii", ".nrrd", ".nhdr", ".seg", ".mha", ".mhd", ".dcm"):
        if name.lower().endswith(suffix):
            name = name[: -len(suffix)]
    return name


def _is_legend(path: Path) -> bool:
    """Tell a legend from a BIDS sidecar: scanner settings have no labels."""
    try:
        return bool(_from_json(path.read_text(encoding="utf-8-sig")))
    except (ValueError, KeyError, OSError):
        return False


def _from_json(text: str) -> list[tuple[Any, Any]]:
    content = json.loads(text)
    if isinstance(content, dict) and isinstance(content.get("labels"), dict):
        content = content["labels"]  # nnU-Net's dataset.json
    if isinstance(content, list):
        return [(_first(row, _LABEL_COLUMNS), _first(row, _NAME_COLUMNS)) for row in content]
    if not isinstance(content, dict):
        raise ValueError("neither an object nor a list")
    if all(str(key).lstrip("-").isdigit() for key in content):
        return [(key, content[key]) for key in content]
    return [(content[key], key) for key in content]


def _from_table(text: str) -> list[tuple[Any, Any]]:
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    if not lines:
        raise ValueError("it is empty")
    delimiter = "\t" if "\t" in lines[0] else ";" if ";" in lines[0] else ","
    rows = [
        {str(key).strip().lower(): value for key, value in row.items()}
        for row in csv.DictReader(lines, delimiter=delimiter)
    ]
    return [(_first(row, _LABEL_COLUMNS), _first(row, _NAME_COLUMNS)) for row in rows]


def _first(row: Mapping[str, Any], columns: tuple[str, ...]) -> Any:
    for column in columns:
        if column in row:
            return row[column]
    raise KeyError(f"no column {' or '.join(columns[:3])}")


def _checked(pairs: list[tuple[Any, Any]], where: str) -> dict[int, str]:
    found: dict[int, str] = {}
    for label, name in pairs:
        if not isinstance(name, str) or not str(label).strip().isdigit():
            raise UnknownLabelScheme(
                f"{where}: {label!r} -> {name!r} is no label with a name; expected whole numbers "
                "and texts"
            )
        number, spelled = int(label), anatomy_name(name)
        if number == 0 or spelled in _BACKGROUND:
            continue
        if number in found or spelled in found.values():
            raise UnknownLabelScheme(
                f"{where}: label {number} or name {spelled!r} is given twice; every anatomy needs "
                "its own label"
            )
        found[number] = spelled
    if not found:
        raise UnknownLabelScheme(f"{where}: the legend names no anatomy")
    return found


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
