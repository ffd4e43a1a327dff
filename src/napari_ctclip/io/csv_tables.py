"""Rows of a CSV table that must have some columns."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

from napari_ctclip.core.errors import DataError

__all__ = ["read_csv_rows"]


def read_csv_rows(path: Path, columns: Sequence[str], *, what: str) -> list[dict[str, str]]:
    """Return the rows below the header.

    Parameters
    ----------
    path : Path
        A table in UTF-8, with or without the mark that spreadsheets put first.
    columns : sequence of str
        Those it must have; it may have more.
    what : str
        As the message calls it, "the scores" say.

    Raises
    ------
    DataError
        If it cannot be read or lacks a column.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            missing = [name for name in columns if name not in (reader.fieldnames or ())]
            if missing:
                raise DataError(f"{path}: expected columns {', '.join(columns)}; lacks {missing}")
            return list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: {what} cannot be read: {error}") from error
