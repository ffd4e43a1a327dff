"""Organ table: which organs have masks, how large they are, and whether their outline is drawn."""

from __future__ import annotations

from typing import Any

from psygnal import Signal
from qtpy.QtCore import QAbstractTableModel, QModelIndex, QObject, QPersistentModelIndex, Qt
from qtpy.QtGui import QColor

from napari_ctclip.core.anatomy import anatomy_label, colour_of

__all__ = ["OrganTable"]

_COLUMNS = ("Organ", "ml")
_Role = Qt.ItemDataRole
_Index = QModelIndex | QPersistentModelIndex


class OrganTable(QAbstractTableModel):
    """Organs with a tick each.

    Parameters
    ----------
    parent : QObject or None
        What it dies with.
    """

    shown_changed = Signal(str, bool)
    """The user ticked or unticked an organ's outline."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._names: list[str] = []
        self._volumes_ml: dict[str, float] = {}
        self._hidden: set[str] = set()

    def set_organs(self, volumes_ml: dict[str, float], hidden: frozenset[str]) -> None:
        """List other organs."""
        self.beginResetModel()
        self._names = list(volumes_ml)
        self._volumes_ml, self._hidden = volumes_ml, set(hidden)
        self.endResetModel()

    def rowCount(self, parent: _Index = QModelIndex()) -> int:  # noqa: B008
        """Return how many organs there are."""
        return 0 if parent.isValid() else len(self._names)

    def columnCount(self, parent: _Index = QModelIndex()) -> int:  # noqa: B008
        """Return how many columns there are."""
        return 0 if parent.isValid() else len(_COLUMNS)

    def headerData(
        self, section: int, orientation: Qt.Orientation, role: int = _Role.DisplayRole
    ) -> Any:
        """Return a column's title."""
        if orientation == Qt.Orientation.Horizontal and role == _Role.DisplayRole:
            return _COLUMNS[section]
        return None

    def flags(self, index: _Index) -> Qt.ItemFlag:
        """Return what the user can do with a cell."""
        flags = Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsSelectable
        return flags | Qt.ItemFlag.ItemIsUserCheckable if index.column() == 0 else flags

    def data(self, index: _Index, role: int = _Role.DisplayRole) -> Any:
        """Return what a cell shows."""
        if not index.isValid():
            return None
        name = self._names[index.row()]
        if role == _Role.DisplayRole:
            return anatomy_label(name) if index.column() == 0 else f"{self._volumes_ml[name]:,.0f}"
        if role == _Role.TextAlignmentRole and index.column() == 1:
            return Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
        if index.column() != 0:
            return None
        if role == _Role.CheckStateRole:
            return Qt.CheckState.Unchecked if name in self._hidden else Qt.CheckState.Checked
        if role == _Role.DecorationRole:
            return QColor(*colour_of(name))
        return name if role == _Role.ToolTipRole else None

    def setData(self, index: _Index, value: Any, role: int = _Role.EditRole) -> bool:
        """Take the user's tick."""
        if role != _Role.CheckStateRole or index.column() != 0:
            return False
        name = self._names[index.row()]
        shown = Qt.CheckState(value) == Qt.CheckState.Checked
        (self._hidden.discard if shown else self._hidden.add)(name)
        self.dataChanged.emit(index, index)
        self.shown_changed.emit(name, shown)
        return True
