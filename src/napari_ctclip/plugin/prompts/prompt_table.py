"""Prompt table: every prompt, its numbers, and whether its heatmap is shown."""

from __future__ import annotations

from typing import Any

from psygnal import Signal
from qtpy.QtCore import QModelIndex, QObject, Qt
from qtpy.QtGui import QColor

from napari_ctclip.core.anatomy import anatomy_label
from napari_ctclip.core.prompt import Prompt
from napari_ctclip.core.template_set import AS_TYPED
from napari_ctclip.plugin.prompts.organ_plot import ranked_organs
from napari_ctclip.plugin.prompts.prompt_state import PromptRow, PromptState
from napari_ctclip.plugin.widgets.row_table import Index, Role, RowTable

__all__ = ["COLUMNS", "PromptTable"]

COLUMNS = ("Prompt", "Prob.", "Sim.", "Top organ", "Slice", "Negative")
_TOOLTIPS = (
    "Tick to show the heatmap; click a row to go to its peak",
    "Probability against the negative prompt, in the organ the prompt speaks of (else the whole "
    "scan). Not a probability of disease.",
    "Highest similarity: cosine to the prompt minus cosine to its negatives. "
    "Relative to this scan.",
    "The organ with the highest similarity",
    "Slice of the highest similarity",
    "The negative prompt: what the prompt is contrasted with; double-click to edit",
)
_PROMPT, _PROBABILITY, _SIMILARITY, _TOP, _SLICE, _NEGATIVE = range(len(COLUMNS))


class PromptTable(RowTable[PromptRow]):
    """The rows of the state, drawn by the difference to those drawn last.

    Parameters
    ----------
    state : PromptState
        The prompts.
    parent : QObject or None
        What it dies with.
    """

    titles, tooltips = COLUMNS, _TOOLTIPS
    numbers = (_PROBABILITY, _SIMILARITY, _SLICE)

    ticked = Signal()
    """The user ticked or unticked a heatmap."""
    negative_edited = Signal(str, str)
    """The user wrote another negative for a prompt."""

    def __init__(self, state: PromptState, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._state = state
        state.changed.connect(self._sync)
        self._sync()

    def row_of(self, positive: str) -> int | None:
        """Return the place of a prompt; None if it is not in the table."""
        return next((n for n, r in enumerate(self._rows) if r.prompt.positive == positive), None)

    def _sync(self) -> None:
        now = self._state.rows
        wanted = {row.prompt.positive for row in now}
        for place in reversed(range(len(self._rows))):
            if self._rows[place].prompt.positive not in wanted:
                self.beginRemoveRows(QModelIndex(), place, place)
                self._rows = self._rows[:place] + self._rows[place + 1 :]
                self.endRemoveRows()
        count = len(self._rows)
        changed = [
            n for n, (was, row) in enumerate(zip(self._rows, now, strict=False)) if was != row
        ]
        self._rows = now[:count]
        for place in changed:
            self.dataChanged.emit(self.index(place, 0), self.index(place, len(COLUMNS) - 1))
        if len(now) > count:
            self.beginInsertRows(QModelIndex(), count, len(now) - 1)
            self._rows = now
            self.endInsertRows()

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
        shown = self.rows[row]
        if role in (Role.DisplayRole, Role.EditRole):
            return _texts(shown)[column]
        if role == Role.CheckStateRole and column == _PROMPT:
            return Qt.CheckState.Checked if shown.shown else Qt.CheckState.Unchecked
        if role == Role.DecorationRole and column == _PROMPT:
            return QColor(shown.colour)
        if role == Role.ToolTipRole:
            return _tooltip(shown) if column != _PROBABILITY else _TOOLTIPS[_PROBABILITY]
        return None

    def setData(self, index: Index, value: Any, role: int = Role.EditRole) -> bool:
        """Take the user's tick or new negative."""
        prompt = self._rows[index.row()].prompt
        if role == Role.CheckStateRole and index.column() == _PROMPT:
            self._state.set_shown(prompt.positive, Qt.CheckState(value) == Qt.CheckState.Checked)
            self.ticked.emit()
            return True
        if role == Role.EditRole and index.column() == _NEGATIVE:
            self.negative_edited.emit(prompt.positive, str(value))
            return True
        return False


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
        f"{row.prompt.positive}, contrasted with “{row.prompt.negative}”\n"
        f"scored in: {anatomy_label(focus.anatomy)}; similarity {focus.similarity:+.3f}\n"
        f"whole scan: similarity {whole.similarity:+.3f}\n{peak}{_phrasing_line(row.answer.prompt)}"
        f"{remarks}"
        "Similarity is relative to this scan, not a probability of disease."
    )


def _phrasing_line(prompt: Prompt) -> str:
    """Return the sentences that a prompt is encoded as, in a line; empty where it is as typed."""
    templates, positives, negatives = prompt.templates, prompt.positives, prompt.negatives
    if templates == AS_TYPED:
        return ""
    encoded = f"“{positives[0]}” against “{negatives[0]}”"
    if templates.is_ensemble:
        encoded = f"mean of {len(positives)} sentences, e.g. “{positives[-1]}”"
    return f"phrasing {templates.name}: {encoded}\nThe calibration holds for prompts as typed.\n"
