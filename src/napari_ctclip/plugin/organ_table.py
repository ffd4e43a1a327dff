"""Organ table: which organs have masks, how large they are, and whether their outline is drawn."""

from __future__ import annotations

from typing import Any

from psygnal import Signal
from qtpy.QtCore import QObject, Qt
from qtpy.QtGui import QColor

from napari_ctclip.core.anatomy import anatomy_label, colour_of
from napari_ctclip.plugin.row_table import Index, Role, RowTable

__all__ = ["OrganTable"]


class OrganTable(RowTable[str]):
    """Organs with a tick each.

    Parameters
    ----------
    parent : QObject or None
        What it dies with.
    """

    titles = ("Organ", "ml")
    tooltips = ("Tick to draw its outline", "Volume in millilitres")
    numbers = (1,)

    shown_changed = Signal(str, bool)
    """The user ticked or unticked an organ's outline."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._volumes_ml: dict[str, float] = {}
        self._hidden: set[str] = set()

    def set_organs(self, volumes_ml: dict[str, float], hidden: frozenset[str]) -> None:
        """List other organs."""
        self._volumes_ml, self._hidden = volumes_ml, set(hidden)
        self.set_rows(volumes_ml)

    def flags(self, index: Index) -> Qt.ItemFlag:
        """Return what the user can do with a cell."""
        flags = Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsSelectable
        return flags | Qt.ItemFlag.ItemIsUserCheckable if index.column() == 0 else flags

    def cell(self, row: int, column: int, role: int) -> Any:
        """Return what a cell shows."""
        name = self.rows[row]
        if role == Role.DisplayRole:
            return anatomy_label(name) if column == 0 else f"{self._volumes_ml[name]:,.0f}"
        if column != 0:
            return None
        if role == Role.CheckStateRole:
            return Qt.CheckState.Unchecked if name in self._hidden else Qt.CheckState.Checked
        if role == Role.DecorationRole:
            return QColor(*colour_of(name))
        return name if role == Role.ToolTipRole else None

    def setData(self, index: Index, value: Any, role: int = Role.EditRole) -> bool:
        """Take the user's tick."""
        if role != Role.CheckStateRole or index.column() != 0:
            return False
        name = self.rows[index.row()]
        shown = Qt.CheckState(value) == Qt.CheckState.Checked
        (self._hidden.discard if shown else self._hidden.add)(name)
        self.dataChanged.emit(index, index)
        self.shown_changed.emit(name, shown)
        return True
