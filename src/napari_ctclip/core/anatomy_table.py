"""AnatomyTable: which names of a label map each anatomy joins; an editable TOML file."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from napari_ctclip.core.errors import DataError
from napari_ctclip.core.label_tables import EVERY_NAME

__all__ = ["SHIPPED_TABLE", "AnatomyTable", "read_anatomy_table"]

SHIPPED_TABLE = Path(__file__).with_name("major_anatomies.toml")

_MOST_ANATOMIES = 255  # labels are stored in a byte


@dataclass(frozen=True)
class AnatomyTable:
    """Anatomies and the names they join.

    Attributes
    ----------
    parts : mapping of str to tuple of str
        Anatomy -> names or patterns (``"rib_*"``); an anatomy's own name always belongs to it.
    """

    parts: Mapping[str, tuple[str, ...]]

    def anatomy_of(self, name: str) -> str:
        """Return the anatomy that joins a name; ``""`` if none does."""
        if name in self.parts:
            return name
        for anatomy, patterns in self.parts.items():
            if any(fnmatchcase(name, pattern) for pattern in patterns):
                return anatomy
        return ""

    def members_of(self, anatomy: str, names: Iterable[str]) -> tuple[str, ...]:
        """Return which of ``names`` an anatomy joins, in their order."""
        return tuple(name for name in names if self.anatomy_of(name) == anatomy)

    def only(self, anatomies: Sequence[str]) -> AnatomyTable:
        """Return the table of some of its anatomies, in the table's order.

        Raises
        ------
        DataError
            If one is not in the table.
        """
        unknown = sorted(set(anatomies) - set(self.parts))
        if unknown:
            raise DataError(
                f"the table of anatomies lacks {', '.join(unknown)}; it has {', '.join(self.parts)}"
            )
        return AnatomyTable({name: p for name, p in self.parts.items() if name in anatomies})


def read_anatomy_table(path: Path = SHIPPED_TABLE) -> AnatomyTable:
    """Return the table in a TOML file: ``anatomy = ["name", "pattern_*"]``.

    Raises
    ------
    DataError
        If it cannot be read, or two anatomies claim the same name.
    """
    try:
        content = tomllib.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise DataError(f"{path}: the table of anatomies cannot be read: {error}") from error
    if not 0 < len(content) <= _MOST_ANATOMIES:
        raise DataError(f"{path}: {len(content)} anatomies, expected 1 to {_MOST_ANATOMIES}")
    for anatomy, names in content.items():
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise DataError(f"{path}: {anatomy}: expected a list of names, got {names!r}")
    table = AnatomyTable({anatomy: tuple(names) for anatomy, names in content.items()})
    _refuse_shared_names(table, path)
    return table


def _refuse_shared_names(table: AnatomyTable, path: Path) -> None:
    given = {name for names in table.parts.values() for name in names if "*" not in name}
    for name in sorted(given | set(EVERY_NAME)):
        claiming = [
            anatomy
            for anatomy, patterns in table.parts.items()
            if name == anatomy or any(fnmatchcase(name, pattern) for pattern in patterns)
        ]
        if len(claiming) > 1:
            raise DataError(
                f"{path}: {name!r} belongs to {' and '.join(claiming)}; a voxel has one label, so "
                "name it in one of them only"
            )
