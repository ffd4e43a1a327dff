"""Prompt table: every prompt asked, its numbers, and whether its heat is shown."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from psygnal import Signal
from qtpy.QtCore import QAbstractTableModel, QModelIndex, QObject, QPersistentModelIndex, Qt
from qtpy.QtGui import QColor

from napari_ctclip.core.anatomy import anatomy_label
from napari_ctclip.core.prompt import Prompt
from napari_ctclip.plugin.layers import PROMPT_COLOURS
from napari_ctclip.scoring.answer import Answer
from napari_ctclip.scoring.region_scores import RegionScore

__all__ = ["COLUMNS", "PromptRow", "PromptTable", "ranked_organs"]

COLUMNS = ("Prompt", "Prob.", "Sim.", "Top organ", "Slice", "Negative")
_TOOLTIPS = (
    "Tick to show the heat; click a row to go to its peak",
    "Probability against the negative prompt, in the organ the prompt speaks of (else the whole "
    "scan). Not a probability of disease.",
    "Similarity of the highest places: cosine to the prompt minus cosine to its negatives. "
    "Relative to this scan.",
    "The organ that answers most",
    "Slice of the highest place",
    "What the prompt is held against; double-click to edit",
)
_PROMPT, _PROBABILITY, _SIMILARITY, _TOP, _SLICE, _NEGATIVE = range(len(COLUMNS))
_EVERYWHERE = ("body",)
_Role = Qt.ItemDataRole
_Index = QModelIndex | QPersistentModelIndex


@dataclass(frozen=True, eq=False)
class PromptRow:
    """One prompt of the table.

    Attributes
    ----------
    prompt : Prompt
        What is asked.
    colour : str
        Of its heat, ``"#rrggbb"``.
    answer : Answer or None
        None until the scan has answered.
    shown : bool
        Whether its heat is (to be) shown.
    peak : tuple of int or None
        Voxel of the scan where it is highest.
    waiting : bool
        Whether an answer is being made.
    """

    prompt: Prompt
    colour: str
    answer: Answer | None = None
    shown: bool = False
    peak: tuple[int, int, int] | None = None
    waiting: bool = True


class PromptTable(QAbstractTableModel):
    """The rows; views edit through it, the flow fills it.

    Parameters
    ----------
    parent : QObject or None
        What it dies with.
    """

    shown_changed = Signal(str, bool)
    """The user ticked or unticked a prompt's heat."""
    negative_edited = Signal(Prompt)
    """The user wrote another negative."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._rows: list[PromptRow] = []
        self._coloured = 0

    @property
    def rows(self) -> tuple[PromptRow, ...]:
        """All prompts, oldest first."""
        return tuple(self._rows)

    def row_of(self, positive: str) -> int | None:
        """Return where a prompt stands; None if it is not in the table."""
        return next((n for n, r in enumerate(self._rows) if r.prompt.positive == positive), None)

    def find(self, positive: str) -> PromptRow | None:
        """Return a prompt's row."""
        row = self.row_of(positive)
        return None if row is None else self._rows[row]

    def add(self, prompt: Prompt) -> None:
        """Add a prompt, or ask one that is there again with another negative."""
        row = self.row_of(prompt.positive)
        if row is not None:
            self.change(prompt.positive, prompt=prompt, waiting=True)
            return
        colour = PROMPT_COLOURS[self._coloured % len(PROMPT_COLOURS)]
        self._coloured += 1
        self.beginInsertRows(QModelIndex(), len(self._rows), len(self._rows))
        self._rows.append(PromptRow(prompt, colour))
        self.endInsertRows()

    def remove(self, positive: str) -> None:
        """Take a prompt out."""
        row = self.row_of(positive)
        if row is None:
            return
        self.beginRemoveRows(QModelIndex(), row, row)
        del self._rows[row]
        self.endRemoveRows()

    def change(self, positive: str, **changes: Any) -> None:
        """Change fields of a prompt's row."""
        row = self.row_of(positive)
        if row is None:
            return
        self._rows[row] = replace(self._rows[row], **changes)
        self.dataChanged.emit(self.index(row, 0), self.index(row, len(COLUMNS) - 1))

    # --- Qt's side ------------------------------------------------------------------------------

    def rowCount(self, parent: _Index = QModelIndex()) -> int:  # noqa: B008
        """Return how many prompts there are."""
        return 0 if parent.isValid() else len(self._rows)

    def columnCount(self, parent: _Index = QModelIndex()) -> int:  # noqa: B008
        """Return how many columns there are."""
        return 0 if parent.isValid() else len(COLUMNS)

    def headerData(
        self, section: int, orientation: Qt.Orientation, role: int = _Role.DisplayRole
    ) -> Any:
        """Return a column's title or tooltip."""
        if orientation != Qt.Orientation.Horizontal:
            return None
        return {_Role.DisplayRole: COLUMNS, _Role.ToolTipRole: _TOOLTIPS}.get(
            _Role(role), (None,) * len(COLUMNS)
        )[section]

    def flags(self, index: _Index) -> Qt.ItemFlag:
        """Return what the user can do with a cell."""
        flags = Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsSelectable
        if index.column() == _PROMPT:
            flags |= Qt.ItemFlag.ItemIsUserCheckable
        if index.column() == _NEGATIVE:
            flags |= Qt.ItemFlag.ItemIsEditable
        return flags

    def data(self, index: _Index, role: int = _Role.DisplayRole) -> Any:
        """Return what a cell shows."""
        if not index.isValid():
            return None
        row, column = self._rows[index.row()], index.column()
        if role in (_Role.DisplayRole, _Role.EditRole):
            return _texts(row)[column]
        if role == _Role.CheckStateRole and column == _PROMPT:
            return Qt.CheckState.Checked if row.shown else Qt.CheckState.Unchecked
        if role == _Role.DecorationRole and column == _PROMPT:
            return QColor(row.colour)
        if role == _Role.ToolTipRole:
            return _tooltip(row) if column != _PROBABILITY else _TOOLTIPS[_PROBABILITY]
        if role == _Role.TextAlignmentRole and column in (_PROBABILITY, _SIMILARITY, _SLICE):
            return Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
        return None

    def setData(self, index: _Index, value: Any, role: int = _Role.EditRole) -> bool:
        """Take the user's tick or new negative."""
        row = self._rows[index.row()]
        if role == _Role.CheckStateRole and index.column() == _PROMPT:
            shown = Qt.CheckState(value) == Qt.CheckState.Checked
            self.change(row.prompt.positive, shown=shown)
            self.shown_changed.emit(row.prompt.positive, shown)
            return True
        if role == _Role.EditRole and index.column() == _NEGATIVE:
            changed = replace(row.prompt, negative=str(value))
            if changed == row.prompt:
                return False
            self.change(row.prompt.positive, prompt=changed, waiting=True)
            self.negative_edited.emit(changed)
            return True
        return False


def ranked_organs(answer: Answer) -> list[RegionScore]:
    """Return the organs, most similar first, without those that say nothing about where."""
    return [score for score in answer.organs if score.anatomy not in _EVERYWHERE]


def _texts(row: PromptRow) -> tuple[str, ...]:
    prompt, answer = row.prompt, row.answer
    if answer is None:
        state = "…" if row.waiting else "–"
        return prompt.positive, state, state, state, state, prompt.negative
    organs = ranked_organs(answer)
    top = anatomy_label(organs[0].anatomy) if organs else "–"
    peak = "–" if row.peak is None else str(row.peak[0])
    focus = answer.focus
    return (
        prompt.positive,
        f"{focus.probability:.2f}",
        f"{focus.similarity:+.2f}",
        top,
        peak,
        prompt.negative,
    )


def _tooltip(row: PromptRow) -> str:
    if row.answer is None:
        return f"{row.prompt.positive}: {'waiting for the scan' if row.waiting else 'not answered'}"
    focus, whole = row.answer.focus, row.answer.whole
    peak = "" if row.peak is None else "highest at slice {}, row {}, column {}\n".format(*row.peak)
    return (
        f"{row.prompt.positive}, held against “{row.prompt.negative}”\n"
        f"scored in: {anatomy_label(focus.anatomy)}; similarity {focus.similarity:+.3f}\n"
        f"whole scan: similarity {whole.similarity:+.3f}\n{peak}"
        "Similarity is relative to this scan, not a probability of disease."
    )
