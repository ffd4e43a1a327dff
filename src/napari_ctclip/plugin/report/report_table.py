"""Report table: one row a finding of a sentence, with what the scan says to it."""

from __future__ import annotations

from typing import Any

from napari_ctclip.core.anatomy import anatomy_label
from napari_ctclip.plugin.widgets.row_table import Role, RowTable
from napari_ctclip.session.report_reading import ReportLine, Verdict

__all__ = ["VERDICT_MARKS", "ReportTable"]

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


class ReportTable(RowTable[ReportLine]):
    """The lines of a read report."""

    titles = ("Verdict", "Finding", "Where", "Prob.", "Sentence")
    tooltips = (
        "What the scan says to the sentence, by this model; rest the mouse on a row for the reason",
        "The finding that was asked; “suspected” where the report doubts it",
        "The organ it was asked of",
        "Probability of the finding there; relative to this scan, not a probability of disease",
        "The sentence as written; a click goes to the peak of its finding",
    )

    def cell(self, row: int, column: int, role: int) -> Any:
        """Return what a cell shows."""
        line = self.rows[row]
        if role == Role.DisplayRole:
            return _cells(line)[column]
        if role == Role.ToolTipRole:
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
