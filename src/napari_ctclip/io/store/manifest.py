"""Manifest: the list of a training set's studies, as JSONL or CSV; every fault found at once."""

from __future__ import annotations

import csv
import json
import os
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from napari_ctclip.core.errors import DataError
from napari_ctclip.io.files import replacing
from napari_ctclip.io.store.manifest_entry import ManifestEntry, Split

__all__ = [
    "Fault",
    "Manifest",
    "ManifestEntry",
    "check_manifest",
    "faults_across",
    "read_manifest",
    "write_manifest",
]

_TABLES = ("organ_sentences", "organ_normal", "labels")
_JSON_COLUMNS = ("rescale", "affine")
_FAULTS_SHOWN = 50


@dataclass(frozen=True)
class Fault:
    """What is wrong with one line of a manifest.

    Attributes
    ----------
    line : int
        From 1, as an editor counts; 0 where the studies do not come from a file.
    study_id : str
        Empty where the line has none.
    code : str
        Stable short name, e.g. ``"patient-in-two-splits"``.
    message : str
        What, expected, got.
    """

    line: int
    study_id: str
    code: str
    message: str

    def __str__(self) -> str:
        study = f" (study {self.study_id})" if self.study_id else ""
        return f"line {self.line}{study}: {self.message}"


@dataclass(frozen=True)
class Manifest:
    """The studies of a training set; paths are absolute.

    Attributes
    ----------
    entries : tuple of ManifestEntry
        In the order of the file.
    """

    entries: tuple[ManifestEntry, ...]

    def __iter__(self) -> Iterator[ManifestEntry]:
        return iter(self.entries)

    def __len__(self) -> int:
        return len(self.entries)

    def of_split(self, split: Split) -> Manifest:
        """Return the studies of one split."""
        return replace(self, entries=tuple(e for e in self.entries if e.split == split))


@dataclass(frozen=True)
class _Line:
    number: int
    entry: ManifestEntry


def read_manifest(path: Path | str) -> Manifest:
    """Return the studies of a manifest.

    Parameters
    ----------
    path : path
        ``.jsonl`` or ``.csv``, see ``docs/reference/manifest.md``. Relative paths in it start at
        its folder.

    Raises
    ------
    DataError
        If it cannot be read; with every fault of the file and its line number.
    """
    path = Path(path)
    entries, faults = check_manifest(path)
    if faults:
        shown = "\n".join(f"  {fault}" for fault in faults[:_FAULTS_SHOWN])
        more = len(faults) - _FAULTS_SHOWN
        rest = f"\n  and {more} more" if more > 0 else ""
        noun = "fault" if len(faults) == 1 else "faults"
        raise DataError(f"{path}: {len(faults)} {noun} in the manifest:\n{shown}{rest}")
    if not entries:
        raise DataError(f"{path}: the manifest lists no study")
    return Manifest(entries)


def check_manifest(path: Path) -> tuple[tuple[ManifestEntry, ...], tuple[Fault, ...]]:
    """Return the studies without fault, and all faults in the order of their lines.

    Every study of a patient in two splits is at fault, and every line with a study id given twice:
    which one is right cannot be decided.

    Raises
    ------
    DataError
        If the file is missing, neither ``.jsonl`` nor ``.csv``, or not UTF-8 text.
    """
    lines: list[_Line] = []
    faults: list[Fault] = []
    try:
        for number, values in _rows(path):
            found = _entry(number, values, path.parent)
            if isinstance(found, Fault):
                faults.append(found)
            else:
                lines.append(_Line(number, found))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: the manifest cannot be read: {error}") from error
    across = faults_across([line.entry for line in lines], [line.number for line in lines])
    at_fault = {fault.line for fault in across}
    entries = tuple(line.entry for line in lines if line.number not in at_fault)
    return entries, tuple(sorted((*faults, *across), key=lambda fault: fault.line))


def faults_across(entries: Sequence[ManifestEntry], lines: Sequence[int]) -> tuple[Fault, ...]:
    """Return what is wrong between studies: ids given twice, patients in two splits."""
    by_study: dict[str, list[int]] = defaultdict(list)
    splits: dict[str, set[str]] = defaultdict(set)
    for entry, line in zip(entries, lines, strict=True):
        by_study[entry.study_id].append(line)
        if entry.split is not None:
            splits[entry.patient_id].add(entry.split)
    faults = []
    for entry, line in zip(entries, lines, strict=True):
        others = [n for n in by_study[entry.study_id] if n != line]
        if len(by_study[entry.study_id]) > 1:
            where = f" (also on line {', '.join(map(str, others))})" if any(others) else ""
            message = f"study id {entry.study_id!r} is given more than once{where}; ids are unique"
            faults.append(Fault(line, entry.study_id, "duplicate-study", message))
        if len(splits[entry.patient_id]) > 1:
            message = (
                f"patient {entry.patient_id!r} is in the splits "
                f"{' and '.join(sorted(splits[entry.patient_id]))}; a patient belongs to one"
            )
            faults.append(Fault(line, entry.study_id, "patient-in-two-splits", message))
    return tuple(faults)


def _rows(path: Path) -> Iterator[tuple[int, Any]]:
    """Yield the line number and the values of every study; a JSON error in place of values."""
    if path.suffix.lower() not in (".jsonl", ".csv"):
        raise DataError(f"{path}: expected a manifest ending in .jsonl or .csv")
    with path.open(encoding="utf-8-sig", newline="") as file:
        if path.suffix.lower() == ".csv":
            reader = csv.reader(file, strict=True)
            header = [name.strip() for name in next(reader, [])]
            start = reader.line_num + 1
            for cells in reader:
                if any(cell.strip() for cell in cells):
                    yield start, _from_cells(header, cells)
                start = reader.line_num + 1
            return
        for number, line in enumerate(file, start=1):
            if line.strip():
                try:
                    yield number, json.loads(line)
                except json.JSONDecodeError as error:
                    yield number, error


def _from_cells(header: Sequence[str], cells: Sequence[str]) -> dict[str, Any] | ValueError:
    """Return the values of a CSV row: ``labels.Emphysema`` is an entry of the table ``labels``."""
    if len(cells) != len(header):
        return ValueError(f"expected {len(header)} cells as in the first line, got {len(cells)}")
    values: dict[str, Any] = {}
    for name, cell in zip(header, cells, strict=True):
        if not cell.strip():
            continue
        table, _, key = name.partition(".")
        if key and table in _TABLES:
            values.setdefault(table, {})[key] = _number(cell) if table == "labels" else cell
        elif name in _JSON_COLUMNS:
            try:
                values[name] = json.loads(cell)
            except json.JSONDecodeError as error:
                return ValueError(f"{name}: {error}")
        else:
            values[name] = cell
    return values


def _number(cell: str) -> float | str:
    """Return a label's number; spreadsheets write 1 as 1.0."""
    try:
        return float(cell)
    except ValueError:
        return cell


def _entry(number: int, values: Any, folder: Path) -> ManifestEntry | Fault:
    if isinstance(values, ValueError):
        return Fault(number, "", "not-a-line", str(values))
    if not isinstance(values, dict):
        kind = type(values).__name__
        return Fault(number, "", "not-a-line", f"expected an object of keys and values, got {kind}")
    try:
        entry = ManifestEntry.model_validate(values)
    except ValidationError as error:
        parts = (
            f"{'.'.join(map(str, e['loc'])) or 'line'}: {e['msg'].removeprefix('Value error, ')}"
            for e in error.errors()
        )
        study = values.get("study_id", "")
        return Fault(number, str(study), "not-a-line", "; ".join(parts))
    legend = entry.legend
    if legend is not None and Path(legend).suffix:  # a file; the names of schemes have no suffix
        legend = str(folder / legend)
    masks = None if entry.masks is None else folder / entry.masks
    update = {"image": folder / entry.image, "masks": masks, "legend": legend}
    return entry.model_copy(update=update)


def write_manifest(entries: Iterable[ManifestEntry], path: Path) -> None:
    """Write the studies as ``.jsonl``, whole or not at all; the same studies give the same bytes.

    Parameters
    ----------
    entries : iterable of ManifestEntry
        With absolute paths, as :func:`read_manifest` gives them.
    path : Path
        The file; its folder is where the relative paths start.
    """
    folder = path.parent.absolute()
    with replacing(path) as partial, partial.open("w", encoding="utf-8", newline="\n") as file:
        for entry in entries:
            file.write(json.dumps(_values(entry, folder), ensure_ascii=False) + "\n")


def _values(entry: ManifestEntry, folder: Path) -> dict[str, Any]:
    values = entry.model_dump(mode="json", exclude_defaults=True)
    for key in ("image", "masks"):
        if values.get(key) is not None:
            values[key] = _relative(Path(values[key]), folder)
    if entry.legend is not None and Path(entry.legend).suffix:
        values["legend"] = _relative(Path(entry.legend), folder)
    return values


def _relative(path: Path, folder: Path) -> str:
    try:
        # links are kept: what they point to may have another name and ending
        return Path(os.path.relpath(path, folder)).as_posix()
    except ValueError:  # another drive on Windows
        return path.absolute().as_posix()
