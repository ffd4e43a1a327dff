"""Tables of an archive: CSV (comma, semicolon or tab), with columns under any name."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from napari_ctclip.core.errors import CtClipError, DataError

__all__ = ["Row", "Table", "column_mapping", "read_table"]

Row = Mapping[str, str]

_SNIFFED = 20_000
_FIELD_LIMIT = 10_000_000  # a report is a field; csv's own limit is 131 072 characters


@dataclass(frozen=True)
class Table:
    """Rows of a CSV file.

    Attributes
    ----------
    path : Path
        The file.
    columns : tuple of str
        Names in the first line.
    rows : tuple of Row
        Column -> cell, blanks around it removed.
    """

    path: Path
    columns: tuple[str, ...]
    rows: tuple[Row, ...]

    def require(self, columns: Iterable[str], *, hint: str = "") -> None:
        """Check that columns are there.

        Raises
        ------
        DataError
            Naming those that are not, and those that are.
        """
        missing = [name for name in columns if name not in self.columns]
        if missing:
            raise DataError(
                f"{self.path}: there is no column {' or '.join(map(repr, missing))}; it has "
                f"{', '.join(self.columns)}{hint}"
            )


def read_table(path: Path) -> Table:
    """Return a CSV file; the delimiter is recognised from its first line.

    Raises
    ------
    DataError
        If it cannot be read or a row has more cells than the first line.
    """
    csv.field_size_limit(_FIELD_LIMIT)
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            first = file.readline()
            file.seek(0)
            delimiter = max(",;\t", key=first.count)
            reader = csv.DictReader(file, delimiter=delimiter, restkey="", strict=True)
            columns = tuple(name.strip() for name in reader.fieldnames or ())
            rows = []
            for row in reader:
                if "" in row and "" not in columns:
                    raise DataError(
                        f"{path}, line {reader.line_num}: more cells than the {len(columns)} of "
                        "the first line; put texts with a delimiter in quotes"
                    )
                rows.append({k.strip(): (v or "").strip() for k, v in row.items()})
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: the table cannot be read: {error}") from error
    if not columns:
        raise DataError(f"{path}: the table is empty")
    return Table(path, columns, tuple(rows))


def column_mapping(options: Sequence[str], fields: Sequence[str]) -> dict[str, str]:
    """Return field -> column of ``--column field=Column`` options.

    Raises
    ------
    CtClipError
        If one is not of this form or names an unknown field.
    """
    mapping = {}
    for option in options:
        field, equals, column = option.partition("=")
        field = field.strip()
        if not equals or not column.strip():
            raise CtClipError(f"--column {option!r}: expected field=Column, e.g. study=Accession")
        if field not in fields and not field.startswith("label:"):
            raise CtClipError(
                f"--column {option!r}: unknown field {field!r}; expected one of "
                f"{', '.join(fields)} or label:NAME"
            )
        mapping[field] = column.strip()
    return mapping
