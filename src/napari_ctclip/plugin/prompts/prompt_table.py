"""Prompt table: every prompt asked, its numbers, and whether its heat is shown."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from psygnal import Signal
from qtpy.QtCore import QModelIndex, QObject, Qt
from qtpy.QtGui import QColor

from napari_ctclip.core.anatomy import anatomy_label
from napari_ctclip.core.prompt import Prompt
from napari_ctclip.core.template_set import AS_TYPED
from napari_ctclip.plugin.canvas.layers import PROMPT_COLOURS
from napari_ctclip.plugin.widgets.row_table import Index, Role, RowTable
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


class PromptTable(RowTable[PromptRow]):
    """The rows; views edit through it, the flow fills it.

    Parameters
    ----------
    parent : QObject or None
        What it dies with.
    """

    titles, tooltips = COLUMNS, _TOOLTIPS
    numbers = (_PROBABILITY, _SIMILARITY, _SLICE)

    shown_changed = Signal(str, bool)
    """The user ticked or unticked a prompt's heat."""
    negative_edited = Signal(Prompt)
    """The user wrote another negative."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._coloured = 0

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
        self._rows = (*self._rows, PromptRow(prompt, colour))
        self.endInsertRows()

    def remove(self, positive: str) -> None:
        """Take a prompt out."""
        row = self.row_of(positive)
        if row is None:
            return
        self.beginRemoveRows(QModelIndex(), row, row)
        self._rows = self._rows[:row] + self._rows[row + 1 :]
        self.endRemoveRows()

    def change(self, positive: str, **changes: Any) -> None:
        """Change fields of a prompt's row."""
        row = self.row_of(positive)
        if row is None:
            return
        changed = replace(self._rows[row], **changes)
        self._rows = (*self._rows[:row], changed, *self._rows[row + 1 :])
        self.dataChanged.emit(self.index(row, 0), self.index(row, len(COLUMNS) - 1))

    # --- Qt's side ------------------------------------------------------------------------------

    def flags(self, index: Index) -> Qt.ItemFlag:
        """Return what the user can do with a cell."""
        flags = Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsSelectable
        if index.column() == _PROMPT:
            flags |= Qt.ItemFlag.ItemIsUserCheckable
        if index.column() == _NEGATIVE:
            flags |= Qt.ItemFlag.ItemIsEditable
        return flags

    def cell(self, row: int, column: int, role: int) -> Any:
        """Return what a cell shows."""
        asked = self.rows[row]
        if role in (Role.DisplayRole, Role.EditRole):
            return _texts(asked)[column]
        if role == Role.CheckStateRole and column == _PROMPT:
            return Qt.CheckState.Checked if asked.shown else Qt.CheckState.Unchecked
        if role == Role.DecorationRole and column == _PROMPT:
            return QColor(asked.colour)
        if role == Role.ToolTipRole:
            return _tooltip(asked) if column != _PROBABILITY else _TOOLTIPS[_PROBABILITY]
        return None

    def setData(self, index: Index, value: Any, role: int = Role.EditRole) -> bool:
        """Take the user's tick or new negative."""
        row = self._rows[index.row()]
        if role == Role.CheckStateRole and index.column() == _PROMPT:
            shown = Qt.CheckState(value) == Qt.CheckState.Checked
            self.change(row.prompt.positive, shown=shown)
            self.shown_changed.emit(row.prompt.positive, shown)
            return True
        if role == Role.EditRole and index.column() == _NEGATIVE:
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
    remarks = "".join(f"⚠ {notice.message}\n" for notice in row.answer.notices)
    return (
        f"{row.prompt.positive}, held against “{row.prompt.negative}”\n"
        f"scored in: {anatomy_label(focus.anatomy)}; similarity {focus.similarity:+.3f}\n"
        f"whole scan: similarity {whole.similarity:+.3f}\n{peak}{_worded(row.answer.prompt)}"
        f"{remarks}"
        "Similarity is relative to this scan, not a probability of disease."
    )


def _worded(prompt: Prompt) -> str:
    """Return the sentences that a prompt was put in, in a line; empty where it was none."""
    templates, positives, negatives = prompt.templates, prompt.positives, prompt.negatives
    if templates == AS_TYPED:
        return ""
    heard = f"“{positives[0]}” against “{negatives[0]}”"
    if templates.is_ensemble:
        heard = f"mean of {len(positives)} sentences, e.g. “{positives[-1]}”"
    return f"wording {templates.name}: {heard}\nA calibration is of prompts as typed.\n"
