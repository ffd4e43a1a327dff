"""Legends: which label is which anatomy, from a file beside the label map or given by hand."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from napari_ctclip.core.anatomy import TOTALSEGMENTATOR_V1, TOTALSEGMENTATOR_V2
from napari_ctclip.core.errors import UnknownLabelScheme
from napari_ctclip.io.masks.label_map import anatomy_name

__all__ = ["SCHEMES", "Legend", "legend_beside", "read_legend", "volume_stem"]

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
