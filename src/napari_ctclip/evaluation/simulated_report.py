"""The examination's table: AUROC and pointing of every finding, seen and unseen wordings."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from napari_ctclip.evaluation.metrics import auroc
from napari_ctclip.evaluation.simulated import StudyResult
from napari_ctclip.simulation import FINDINGS

__all__ = ["FindingRow", "finding_rows", "macro", "markdown_table"]

# Nodules are judged by size: below 10 mm they are counted apart.
_SIZES: Mapping[str, tuple[tuple[str, float, float], ...]] = {
    "lung nodule": (("lung nodule, 10 mm and more", 10.0, 1e9), ("lung nodule, 4-10 mm", 0.0, 10.0))
}


@dataclass(frozen=True)
class FindingRow:
    """One line of the table.

    Attributes
    ----------
    name : str
        Finding, with its size where it has sizes.
    positives, negatives : int
        Studies.
    auroc, unseen_auroc : float
        With the finding's name as the prompt; the mean over the unseen wordings.
    pointing, unseen_pointing : float
        Share of the studies with the finding in which the peak lies in it.
    """

    name: str
    positives: int
    negatives: int
    auroc: float
    pointing: float
    unseen_auroc: float
    unseen_pointing: float


def finding_rows(
    results: Sequence[StudyResult], unseen: Mapping[str, Sequence[str]], *, tokens: int
) -> list[FindingRow]:
    """Return one row a finding and size; a study whose lesions have another size is left out.

    Parameters
    ----------
    results : sequence of StudyResult
        The examination.
    unseen : mapping of str to sequence of str
        Held-out wordings of each finding.
    tokens : int
        How many of a region's highest tokens make its score.
    """
    rows = []
    for finding in FINDINGS:
        for name, low, high in _SIZES.get(finding, ((finding, 0.0, 1e9),)):
            rows.append(
                _row(
                    results,
                    finding,
                    name=name,
                    size=(low, high),
                    unseen=unseen[finding],
                    tokens=tokens,
                )
            )
    return rows


def macro(rows: Sequence[FindingRow], of: Callable[[FindingRow], float]) -> float:
    """Return the mean over findings; nodules below 10 mm are not among them."""
    return float(np.nanmean([of(row) for row in rows if not row.name.endswith("4-10 mm")]))


def markdown_table(rows: Sequence[FindingRow]) -> str:
    """Return the rows and their mean as a table for the model card."""
    lines = [
        "| finding | studies with / without | AUROC | peak in lesion | AUROC, unseen wordings "
        "| peak in lesion, unseen |",
        "|---|---|---|---|---|---|",
    ]
    for row in rows:
        lines.append(
            f"| {row.name} | {row.positives} / {row.negatives} | {row.auroc:.3f} "
            f"| {row.pointing:.2f} | {row.unseen_auroc:.3f} | {row.unseen_pointing:.2f} |"
        )
    means = (
        macro(rows, lambda r: r.auroc),
        macro(rows, lambda r: r.pointing),
        macro(rows, lambda r: r.unseen_auroc),
        macro(rows, lambda r: r.unseen_pointing),
    )
    lines.append(
        "| **mean** (without nodules below 10 mm) | | "
        f"**{means[0]:.3f}** | **{means[1]:.2f}** | **{means[2]:.3f}** | **{means[3]:.2f}** |"
    )
    return "\n".join(lines)


def _row(
    results: Sequence[StudyResult],
    finding: str,
    *,
    name: str,
    size: tuple[float, float],
    unseen: Sequence[str],
    tokens: int,
) -> FindingRow:
    diameter = np.array([result.diameters_mm.get(finding, 0.0) for result in results])
    positive = (diameter > 0) & (diameter >= size[0]) & (diameter < size[1])
    used = positive | (diameter == 0)

    def measure(wordings: Sequence[str]) -> tuple[float, float]:
        areas, hits = [], []
        for wording in wordings:
            answers = [
                next(a for a in r.answers if a.finding == finding and a.prompt == wording)
                for r in results
            ]
            score = np.array([answer.score(tokens) for answer in answers])
            hit = np.array([answer.hit for answer in answers])
            areas.append(auroc(positive[used], score[used]))
            hits.append(hit[positive].mean() if positive.any() else np.nan)
        return float(np.mean(areas)), float(np.mean(hits))

    seen, new = measure([finding]), measure(unseen)
    return FindingRow(
        name, int(positive.sum()), int((used & ~positive).sum()), seen[0], seen[1], new[0], new[1]
    )
