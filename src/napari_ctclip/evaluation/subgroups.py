"""Subgroups: studies that share a value of some column, so that a mean hides no one."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt

from napari_ctclip.core.errors import DataError

__all__ = ["UNKNOWN", "read_study_columns", "subgroups_of"]

UNKNOWN = "unknown"

_MOST_GROUPS = 8  # a numeric column with more values is cut at its quartiles


def read_study_columns(path: Path) -> dict[str, dict[str, str]]:
    """Return column -> study id -> value, from a CSV with a column ``study_id``.

    Raises
    ------
    DataError
        If the table cannot be read, has no ``study_id``, or has a study twice.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            names = [name for name in reader.fieldnames or () if name != "study_id"]
            if "study_id" not in (reader.fieldnames or ()):
                raise DataError(f"{path}: expected a column study_id, got {names}")
            columns: dict[str, dict[str, str]] = {name: {} for name in names}
            seen: set[str] = set()
            for number, row in enumerate(reader, start=2):
                study = row["study_id"]
                if study in seen:
                    raise DataError(f"{path}, line {number}: study {study!r} comes twice")
                seen.add(study)
                for name in names:
                    columns[name][study] = (row[name] or "").strip()
            return columns
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: the table of columns cannot be read: {error}") from error


def subgroups_of(
    studies: Sequence[str], values: Mapping[str, str]
) -> list[tuple[str, npt.NDArray[np.bool_]]]:
    """Return the groups of a column, each with its members (N,); studies without a value last.

    Numbers with many values are cut at the quartiles of the studies at hand; texts with many are
    groups as they are.
    """
    texts = [values.get(study, "") for study in studies]
    known = np.array([bool(text) for text in texts])
    numbers = _numbers(texts)
    groups: list[tuple[str, npt.NDArray[np.bool_]]] = []
    if numbers is not None and len(np.unique(numbers[known])) > _MOST_GROUPS:
        cuts = np.unique(np.quantile(numbers[known], (0, 0.25, 0.5, 0.75, 1)))
        for i, (low, high) in enumerate(pairwise(cuts.tolist())):
            last = i == len(cuts) - 2
            inside = (numbers >= low) & ((numbers <= high) if last else (numbers < high))
            name = f"{low:g} to {high:g}" if last else f"{low:g} to below {high:g}"
            groups.append((name, known & inside))
    else:
        groups = [
            (value, np.array([text == value for text in texts]))
            for value in sorted({text for text in texts if text})
        ]
    if not known.all():
        groups.append((UNKNOWN, ~known))
    return groups


def _numbers(texts: Sequence[str]) -> npt.NDArray[np.float64] | None:
    """Return the texts as numbers (empty: NaN); None if one is none."""
    try:
        return np.array([float(text) if text else np.nan for text in texts])
    except ValueError:
        return None
