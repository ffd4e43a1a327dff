"""Findings table: every finding with its numbers; names and notes are edited in place."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from qtpy.QtCore import QObject, Qt
from qtpy.QtGui import QColor

from napari_ctclip.core.anatomy import anatomy_label
from napari_ctclip.core.finding import Finding, FindingState
from napari_ctclip.plugin.canvas.layers import PROMPT_COLOURS
from napari_ctclip.plugin.widgets.row_table import Index, Role, RowTable
from napari_ctclip.session.findings_session import FindingsSession

__all__ = ["COLUMNS", "NAME", "NOTE", "STATE_MARKS", "FindingsTable", "cells_of"]

COLUMNS = ("Finding", "State", "Organ", "Sim.", "ml", "HU", "Peak", "Note", "Prompt")
NAME, NOTE = COLUMNS.index("Finding"), COLUMNS.index("Note")
_TOOLTIPS = (
    "Number and name; double-click to rename, click to go there",
    "What you made of it: Accept, Reject; edited means a person changed it",
    "Organ that most of it lies in",
    "Similarity of the prompt there, relative to this scan; not a probability of disease",
    "Volume in millilitres; none for a point",
    "Mean HU in the region, or within 5 mm of a point",
    "Voxel (slice, row, column)",
    "Your note; double-click to write",
    "The prompt that was queried",
)
STATE_MARKS = {
    FindingState.PROPOSED: "? proposed",
    FindingState.ACCEPTED: "✓ accepted",
    FindingState.EDITED: "✎ edited",
    FindingState.REJECTED: "✗ rejected",
}
"""A sign and the word: never colour alone."""

_NONE = "–"


class FindingsTable(RowTable[Finding]):
    """The rows of a findings session.

    Parameters
    ----------
    kept : FindingsSession
        What is shown and edited.
    guarded : callable
        Runs an edit and shows what it raises.
    parent : QObject or None
        What it dies with.
    """

    titles, tooltips = COLUMNS, _TOOLTIPS

    def __init__(
        self,
        kept: FindingsSession,
        *,
        guarded: Callable[[Callable[[], Any]], None],
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._kept, self._guarded = kept, guarded
        self._rows = kept.findings
        kept.changed.connect(self._take)

    def _take(self, findings: tuple[Finding, ...]) -> None:
        same = [f.key for f in findings] == [f.key for f in self._rows]
        if same:  # the selection and an open editor stay
            self._rows = findings
            if findings:
                last = self.index(len(findings) - 1, len(COLUMNS) - 1)
                self.dataChanged.emit(self.index(0, 0), last)
            return
        self.set_rows(findings)

    def flags(self, index: Index) -> Qt.ItemFlag:
        """Return what the user can do with a cell."""
        flags = Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsSelectable
        if index.column() in (NAME, NOTE):
            flags |= Qt.ItemFlag.ItemIsEditable
        return flags

    def cell(self, row: int, column: int, role: int) -> Any:
        """Return what a cell shows."""
        finding = self.rows[row]
        if role == Role.EditRole and column == NAME:
            return finding.name
        if role == Role.EditRole and column == NOTE:
            return finding.note
        if role in (Role.DisplayRole, Role.ToolTipRole):
            return cells_of(row + 1, finding)[column]
        if role == Role.DecorationRole and column == NAME and finding.region is not None:
            return QColor(PROMPT_COLOURS[row % len(PROMPT_COLOURS)])
        return None

    def setData(self, index: Index, value: Any, role: int = Role.EditRole) -> bool:
        """Take a name or a note that the user wrote."""
        if role != Role.EditRole or index.column() not in (NAME, NOTE):
            return False
        finding, text = self._rows[index.row()], str(value).strip()
        field = "name" if index.column() == NAME else "note"
        if text == getattr(finding, field):
            return False
        self._guarded(lambda: self._kept.rewrite(finding.key, **{field: text}))
        return True


def cells_of(number: int, finding: Finding) -> tuple[str, ...]:
    """Return a finding's row in words, in the order of ``COLUMNS``."""
    z, y, x = finding.index
    return (
        f"{number}. {finding.name}",
        STATE_MARKS[finding.state],
        anatomy_label(finding.anatomy) if finding.anatomy else _NONE,
        _NONE if finding.similarity is None else f"{finding.similarity:+.2f}",
        _NONE if finding.volume_ml is None else f"{finding.volume_ml:.2f}",
        f"{finding.mean_hounsfield:.0f}",
        f"{z}, {y}, {x}",
        finding.note,
        "" if finding.prompt is None else finding.prompt.positive,
    )
