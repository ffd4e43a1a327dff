"""Change table: what the prior and the current scan answered, and the difference."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from qtpy.QtCore import QAbstractTableModel, QModelIndex, QObject, QPersistentModelIndex, Qt

from napari_ctclip.core.anatomy import anatomy_label
from napari_ctclip.scoring.change import ScoreChange
from napari_ctclip.scoring.region_scores import WHOLE_SCAN

__all__ = ["CHANGE_HEADERS", "SORT_ROLE", "ChangeTable"]

CHANGE_HEADERS = ("Prompt", "Where", "Before", "After", "Change")
_TOOLTIPS = (
    "Double-click a row to go there",
    "Organ, or the whole scan; ◐: one of the scans shows it only in part",
    "Similarity in the prior scan",
    "Similarity in the current scan",
    "After less before. Kernel, dose, contrast and breathing change similarities too.",
)
_Role = Qt.ItemDataRole
_Index = QModelIndex | QPersistentModelIndex
SORT_ROLE = int(_Role.UserRole)
"""What a cell is sorted by: numbers as numbers."""


class ChangeTable(QAbstractTableModel):
    """One row a prompt and region.

    Parameters
    ----------
    parent : QObject or None
        What it dies with.
    """

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.changes: tuple[ScoreChange, ...] = ()

    def set_changes(self, changes: Sequence[ScoreChange]) -> None:
        """List other changes."""
        self.beginResetModel()
        self.changes = tuple(changes)
        self.endResetModel()

    def rowCount(self, parent: _Index = QModelIndex()) -> int:  # noqa: B008
        """Return how many changes there are."""
        return 0 if parent.isValid() else len(self.changes)

    def columnCount(self, parent: _Index = QModelIndex()) -> int:  # noqa: B008
        """Return how many columns there are."""
        return 0 if parent.isValid() else len(CHANGE_HEADERS)

    def headerData(
        self, section: int, orientation: Qt.Orientation, role: int = _Role.DisplayRole
    ) -> Any:
        """Return a column's title or tooltip."""
        if orientation != Qt.Orientation.Horizontal:
            return None
        return {_Role.DisplayRole: CHANGE_HEADERS, _Role.ToolTipRole: _TOOLTIPS}.get(
            _Role(role), [None] * len(CHANGE_HEADERS)
        )[section]

    def data(self, index: _Index, role: int = _Role.DisplayRole) -> Any:
        """Return what a cell shows, or is sorted by."""
        if not index.isValid():
            return None
        change, column = self.changes[index.row()], index.column()
        numbers = (change.before.similarity, change.after.similarity, change.difference)
        if role == SORT_ROLE:
            return (change.prompt, change.anatomy, *numbers)[column]
        if role == _Role.DisplayRole:
            before, after, difference = numbers
            cells = (
                change.prompt,
                _where(change),
                f"{before:.3f}",
                f"{after:.3f}",
                f"{_arrow(difference)} {difference:+.3f}",
            )
            return cells[column]
        if role == _Role.TextAlignmentRole and column >= 2:
            return Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
        if role == _Role.ToolTipRole:
            return change.note or None
        return None


def _where(change: ScoreChange) -> str:
    name = change.anatomy if change.anatomy == WHOLE_SCAN else anatomy_label(change.anatomy)
    return f"{name} ◐" if change.note else name


def _arrow(difference: float) -> str:
    if abs(difference) < 0.0005:
        return "="
    return "▲" if difference > 0 else "▼"
