"""Place table: the findings that fit a place, each number beside what it is held against."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject

from napari_ctclip.explanation.roi_description import finding_words
from napari_ctclip.plugin.widgets.row_table import SORT_ROLE, Role, RowTable

if TYPE_CHECKING:
    from napari_ctclip.explanation.local_findings import LocalFinding, LocalFindings

__all__ = ["RoiTable"]

_NONE = "–"


class RoiTable(RowTable["LocalFinding"]):
    """The findings of a place, most similar first.

    Parameters
    ----------
    parent : QObject or None
        What it dies with.
    """

    titles = ("Finding", "Sim.", "% organ", "Mirror", "p", "Trained")
    tooltips = (
        "Findings of this organ, and your own prompts; a click on a heading sorts",
        "Similarity here, relative to this scan; not a probability of disease",
        "Percent of places of this shape in this organ of this patient that answer less",
        "Similarity across the midline",
        "Share of the dictionary's other findings that fit the place at least as well",
        "Whether the model was trained with the finding; another goes by the likeness of its words",
    )

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._local: LocalFindings | None = None

    def set_local(self, local: LocalFindings | None) -> None:
        """List the findings of another place, or none."""
        self._local = local
        self.set_rows(() if local is None else local.findings)

    def cell(self, row: int, column: int, role: int) -> Any:
        """Return what a cell shows, or is sorted by; what cannot be said comes first or last."""
        finding = self.rows[row]
        if role == Role.DisplayRole:
            return _cells(finding)[column]
        if role == SORT_ROLE:
            return _keys(finding)[column]
        if role == Role.ToolTipRole and self._local is not None:
            return finding_words(finding, self._local)
        return None


def _cells(finding: LocalFinding) -> tuple[str, ...]:
    return (
        finding.text,
        f"{finding.similarity:+.2f}",
        _said(finding.organ_percentile, ".1f"),
        _said(finding.mirrored, "+.2f"),
        _said(finding.prompt_p, ".3f"),
        "✓ yes" if finding.known else "no",
    )


def _keys(finding: LocalFinding) -> tuple[str | float, ...]:
    unsaid = float("-inf")
    return (
        finding.text.lower(),
        finding.similarity,
        unsaid if finding.organ_percentile is None else finding.organ_percentile,
        unsaid if finding.mirrored is None else finding.mirrored,
        float("inf") if finding.prompt_p is None else finding.prompt_p,
        float(finding.known),
    )


def _said(value: float | None, form: str) -> str:
    return _NONE if value is None else format(value, form)
