"""Row table: a list of things, one a row, as a model and as the view that all tabs show it in."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, ClassVar, Generic, Literal, TypeVar

from qtpy.QtCore import (
    QAbstractItemModel,
    QAbstractTableModel,
    QModelIndex,
    QObject,
    QPersistentModelIndex,
    QSortFilterProxyModel,
    Qt,
)
from qtpy.QtWidgets import QAbstractItemView, QTableView

__all__ = ["SORT_ROLE", "Index", "Role", "RowTable", "row_view", "sorted_rows"]

Role = Qt.ItemDataRole
Index = QModelIndex | QPersistentModelIndex
Row = TypeVar("Row")

SORT_ROLE = int(Role.UserRole)
"""What a cell is sorted by: numbers as numbers."""

_ROW_PIXELS = 24
_NARROWEST = 36


class RowTable(QAbstractTableModel, Generic[Row]):
    """Rows under titled columns; a subclass says what a cell shows.

    Parameters
    ----------
    parent : QObject or None
        What it dies with.
    """

    titles: ClassVar[tuple[str, ...]]
    """Of the columns."""
    tooltips: ClassVar[tuple[str, ...]]
    """Of the titles, as many."""
    numbers: ClassVar[tuple[int, ...]] = ()
    """Columns of numbers, which stand at the right."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._rows: tuple[Row, ...] = ()

    @property
    def rows(self) -> tuple[Row, ...]:
        """What is listed, top down."""
        return self._rows

    def set_rows(self, rows: Iterable[Row]) -> None:
        """List other things."""
        self.beginResetModel()
        self._rows = tuple(rows)
        self.endResetModel()

    def cell(self, row: int, column: int, role: int) -> Any:
        """Return what a cell shows in a role."""
        raise NotImplementedError

    # --- Qt's side ------------------------------------------------------------------------------

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008
        """Return how many rows there are."""
        return 0 if parent.isValid() else len(self._rows)

    def columnCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008
        """Return how many columns there are."""
        return 0 if parent.isValid() else len(self.titles)

    def headerData(
        self, section: int, orientation: Qt.Orientation, role: int = Role.DisplayRole
    ) -> Any:
        """Return a column's title or tooltip."""
        if orientation != Qt.Orientation.Horizontal:
            return None
        words = {Role.DisplayRole: self.titles, Role.ToolTipRole: self.tooltips}.get(Role(role))
        return None if words is None else words[section]

    def data(self, index: Index, role: int = Role.DisplayRole) -> Any:
        """Return what a cell shows."""
        if not index.isValid():
            return None
        if role == Role.TextAlignmentRole and index.column() in self.numbers:
            return Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
        return self.cell(index.row(), index.column(), role)


def sorted_rows(model: QAbstractItemModel) -> QSortFilterProxyModel:
    """Return a model's rows as the user sorts them."""
    rows = QSortFilterProxyModel(model)
    rows.setSourceModel(model)
    rows.setSortRole(SORT_ROLE)
    return rows


def row_view(
    model: QAbstractItemModel,
    spoken: str,
    *,
    widths: Sequence[int] = (),
    wide: Literal["first", "last"] | None = None,
    one: bool = False,
) -> QTableView:
    """Return the view of a table: whole rows are selected, Tab leaves it.

    Parameters
    ----------
    model : QAbstractItemModel
        The rows.
    spoken : str
        What the table lists, for those who do not see it.
    widths : sequence of int
        Of the columns from the left, pixels.
    wide : {"first", "last"} or None
        The column that takes the room left over.
    one : bool
        Whether one row is selected at a time.
    """
    view = QTableView()
    view.setModel(model)
    view.setAccessibleName(spoken)
    view.setToolTip(f"{spoken}: arrow keys choose a row, Tab leaves the table")
    view.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
    if one:
        view.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
    triggers = QAbstractItemView.EditTrigger
    view.setEditTriggers(triggers.DoubleClicked | triggers.EditKeyPressed)
    view.setTabKeyNavigation(False)
    view.setWordWrap(False)
    rows, header = view.verticalHeader(), view.horizontalHeader()
    if rows is not None and header is not None:
        rows.hide()
        rows.setDefaultSectionSize(_ROW_PIXELS)
        header.setMinimumSectionSize(_NARROWEST)
        header.setStretchLastSection(wide == "last")
        if wide == "first":
            header.setSectionResizeMode(0, header.ResizeMode.Stretch)
        for column, width in enumerate(widths):
            header.resizeSection(column, width)
    return view
