"""Change table: what the prior and the current scan answered, and the difference."""

from __future__ import annotations

from typing import Any

from napari_ctclip.core.anatomy import anatomy_label
from napari_ctclip.plugin.widgets.row_table import SORT_ROLE, Role, RowTable
from napari_ctclip.scoring.change import ScoreChange
from napari_ctclip.scoring.region_scores import WHOLE_SCAN

__all__ = ["ChangeTable"]


class ChangeTable(RowTable[ScoreChange]):
    """One row a prompt and region."""

    titles = ("Prompt", "Where", "Before", "After", "Change")
    tooltips = (
        "Double-click a row to go there",
        "Organ, or the whole scan; ◐: one of the scans shows it only in part",
        "Similarity in the prior scan",
        "Similarity in the current scan",
        "After less before. Kernel, dose, contrast and breathing change similarities too.",
    )
    numbers = (2, 3, 4)

    def cell(self, row: int, column: int, role: int) -> Any:
        """Return what a cell shows, or is sorted by."""
        change = self.rows[row]
        before, after = change.before.similarity, change.after.similarity
        difference = change.difference
        if role == SORT_ROLE:
            return (change.prompt, change.anatomy, before, after, difference)[column]
        if role == Role.DisplayRole:
            cells = (
                change.prompt,
                _where(change),
                f"{before:.3f}",
                f"{after:.3f}",
                f"{_arrow(difference)} {difference:+.3f}",
            )
            return cells[column]
        if role == Role.ToolTipRole:
            return change.note or None
        return None


def _where(change: ScoreChange) -> str:
    name = change.anatomy if change.anatomy == WHOLE_SCAN else anatomy_label(change.anatomy)
    return f"{name} ◐" if change.note else name


def _arrow(difference: float) -> str:
    if abs(difference) < 0.0005:
        return "="
    return "▲" if difference > 0 else "▼"
