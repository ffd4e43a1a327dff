"""Place table: the findings that fit a place, each number beside what it is held against."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QAbstractTableModel, QModelIndex, QObject, QPersistentModelIndex, Qt

from napari_ctclip.interpretation.place_words import finding_words

if TYPE_CHECKING:
    from napari_ctclip.scoring.local_findings import LocalFinding, LocalFindings

__all__ = ["PLACE_COLUMNS", "SORT_ROLE", "PlaceTable"]

PLACE_COLUMNS = ("Finding", "Sim.", "% organ", "Mirror", "p", "Trained")
SORT_ROLE = Qt.ItemDataRole.UserRole
"""Numbers for sorting; what cannot be said comes last or first."""

_TOOLTIPS = (
    "Findings of this organ, and your own prompts; a click on a heading sorts",
    "Similarity here, relative to this scan; not a probability of disease",
    "Percent of places of this shape in this organ of this patient that answer less",
    "Similarity across the midline",
    "Share of the dictionary's other findings that fit the place at least as well",
    "Whether the model was trained with the finding; another goes by the likeness of its words",
)
_NONE = "–"
_Role = Qt.ItemDataRole
_Index = QModelIndex | QPersistentModelIndex


class PlaceTable(QAbstractTableModel):
    """The findings of a place, most similar first.

    Parameters
    ----------
    parent : QObject or None
        What it dies with.
    """

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._local: LocalFindings | None = None
        self.findings: tuple[LocalFinding, ...] = ()

    def set_local(self, local: LocalFindings | None) -> None:
        """List the findings of another place, or none."""
        self.beginResetModel()
        self._local, self.findings = local, () if local is None else local.findings
        self.endResetModel()

    def rowCount(self, parent: _Index = QModelIndex()) -> int:  # noqa: B008
        """Return how many findings there are."""
        return 0 if parent.isValid() else len(self.findings)

    def columnCount(self, parent: _Index = QModelIndex()) -> int:  # noqa: B008
        """Return how many columns there are."""
        return 0 if parent.isValid() else len(PLACE_COLUMNS)

    def headerData(
        self, section: int, orientation: Qt.Orientation, role: int = _Role.DisplayRole
    ) -> Any:
        """Return a column's title or tooltip."""
        if orientation != Qt.Orientation.Horizontal:
            return None
        titles = {_Role.DisplayRole: PLACE_COLUMNS, _Role.ToolTipRole: _TOOLTIPS}.get(_Role(role))
        return None if titles is None else titles[section]

    def data(self, index: _Index, role: int = _Role.DisplayRole) -> Any:
        """Return what a cell shows."""
        if not index.isValid():
            return None
        finding, column = self.findings[index.row()], index.column()
        if role == _Role.DisplayRole:
            return _cells(finding)[column]
        if role == SORT_ROLE:
            return _keys(finding)[column]
        if role == _Role.ToolTipRole and self._local is not None:
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
