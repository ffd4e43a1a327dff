"""CSV tables: written whole or not at all, read with the columns they must have."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path

from napari_ctclip.core.errors import DataError
from napari_ctclip.io.files import replacing

__all__ = ["number_cell", "read_csv_rows", "write_csv_table"]


def write_csv_table(
    path: Path, columns: Sequence[str], rows: Iterable[Iterable[object]], *, line_end: str = "\r\n"
) -> Path:
    """Write a table in UTF-8 below its header, and return its path.

    Parameters
    ----------
    path : Path
        Its folder is made if it is not there.
    columns : sequence of str
        The header.
    rows : iterable of iterable
        A cell a column.
    line_end : str
        As spreadsheets write it; prepared sets have a line feed alone.
    """
    with replacing(path) as partial, partial.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator=line_end)
        writer.writerow(columns)
        writer.writerows(rows)
    return path


def number_cell(value: float | None, digits: int) -> str:
    """Return a number with as many digits behind the point; empty if there is none."""
    return "" if value is None else f"{value:.{digits}f}"


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
