"""Report table: one row a finding of a sentence, with what the scan says to it."""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import QAbstractTableModel, QModelIndex, QObject, QPersistentModelIndex, Qt

from napari_ctclip.core.anatomy import anatomy_label
from napari_ctclip.interpretation.report_reading import ReadReport, ReportLine, Verdict

__all__ = ["REPORT_COLUMNS", "VERDICT_MARKS", "ReportTable"]

REPORT_COLUMNS = ("Verdict", "Finding", "Where", "Prob.", "Sentence")
VERDICT_MARKS = {
    Verdict.SUPPORTED: "✓",
    Verdict.UNSUPPORTED: "⚠",
    Verdict.DENIED_AGREES: "✓",
    Verdict.DENIED_DISAGREES: "⚠",
    Verdict.NOT_TRAINED: "?",
    Verdict.NO_ORGAN: "?",
    Verdict.NO_FINDING: "–",
    Verdict.NOT_READ: "–",
}
"""A sign before the word: never colour alone."""

_TOOLTIPS = (
    "What the scan says to the sentence, by this model; rest the mouse on a row for the reason",
    "The finding that was asked; “suspected” where the report doubts it",
    "The organ it was asked of",
    "Probability of the finding there; relative to this scan, not a probability of disease",
    "The sentence as written; a click goes to the peak of its finding",
)
_Role = Qt.ItemDataRole
_Index = QModelIndex | QPersistentModelIndex


class ReportTable(QAbstractTableModel):
    """The lines of a read report.

    Parameters
    ----------
    parent : QObject or None
        What it dies with.
    """

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.lines: tuple[ReportLine, ...] = ()

    def set_read(self, read: ReadReport | None) -> None:
        """List another report, or none."""
        self.beginResetModel()
        self.lines = () if read is None else read.lines
        self.endResetModel()

    def rowCount(self, parent: _Index = QModelIndex()) -> int:  # noqa: B008
        """Return how many lines there are."""
        return 0 if parent.isValid() else len(self.lines)

    def columnCount(self, parent: _Index = QModelIndex()) -> int:  # noqa: B008
        """Return how many columns there are."""
        return 0 if parent.isValid() else len(REPORT_COLUMNS)

    def headerData(
        self, section: int, orientation: Qt.Orientation, role: int = _Role.DisplayRole
    ) -> Any:
        """Return a column's title or tooltip."""
        if orientation != Qt.Orientation.Horizontal:
            return None
        return {_Role.DisplayRole: REPORT_COLUMNS, _Role.ToolTipRole: _TOOLTIPS}.get(
            _Role(role), [None] * len(REPORT_COLUMNS)
        )[section]

    def data(self, index: _Index, role: int = _Role.DisplayRole) -> Any:
        """Return what a cell shows."""
        if not index.isValid():
            return None
        line = self.lines[index.row()]
        if role == _Role.DisplayRole:
            return _cells(line)[index.column()]
        if role == _Role.ToolTipRole:
            return f"{line.sentence}\n{line.verdict}: {line.why}"
        return None


def _cells(line: ReportLine) -> tuple[str, ...]:
    doubt = " (suspected)" if line.certainty == "uncertain" else ""
    score = line.score
    return (
        f"{VERDICT_MARKS[line.verdict]} {line.verdict}",
        f"{line.finding}{doubt}" or "–",
        "–" if score is None else anatomy_label(score.anatomy),
        "–" if score is None else f"{score.probability:.2f}",
        line.sentence,
    )
