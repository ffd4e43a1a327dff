"""Record rows: localisation, faithfulness and phrasings of all studies, from their records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from napari_ctclip.evaluation.faithfulness import FaithfulnessRow, faithfulness_row
from napari_ctclip.evaluation.label_metrics import Resampling
from napari_ctclip.evaluation.localisation import Localisation, LocalisationRow, localisation_rows
from napari_ctclip.evaluation.metrics import auroc
from napari_ctclip.evaluation.scored_study import PhrasingScore, ScoredStudy

__all__ = [
    "ALL_FINDINGS",
    "PhrasingRow",
    "recorded_faithfulness",
    "recorded_localisation",
    "recorded_phrasings",
]

Records = Sequence[tuple[str, ScoredStudy]]
"""Each study's patient and record."""

ALL_FINDINGS = "all findings"
"""Label of the row that pools every finding of every study."""


@dataclass(frozen=True)
class PhrasingRow:
    """One label queried in one further phrasing.

    Attributes
    ----------
    label, phrasing : str
        The finding and the words.
    studies, positives : int
        What the numbers rest on.
    auroc : float
        NaN where one class is empty.
    located : int
        Positive studies whose lesion is known.
    pointing : float
        The share of those in which the peak touches the lesion; NaN without any.
    """

    label: str
    phrasing: str
    studies: int
    positives: int
    auroc: float
    located: int
    pointing: float


def recorded_localisation(
    records: Records, labels: Sequence[str], how: Resampling
) -> tuple[LocalisationRow, ...]:
    """Return the rows of every label that has lesions, and of all together if there are several.

    In the pooled row a study may count several times: resamples draw patients, each with all their
    findings.
    """
    rows: list[LocalisationRow] = []
    pooled: list[tuple[str, Localisation]] = []
    for label in labels:
        found = [(patient, one.scores[label]) for patient, one in records if label in one.scores]
        placed = [(p, score.localisation) for p, score in found if score.localisation is not None]
        rows += _localisation(label, placed, how)
        pooled += placed
    if len({row.label for row in rows}) > 1:
        rows += _localisation(ALL_FINDINGS, pooled, how)[:1]
    return tuple(rows)


def recorded_faithfulness(
    records: Records, labels: Sequence[str], how: Resampling
) -> tuple[FaithfulnessRow, ...]:
    """Return one row for every label that was tested."""
    rows = []
    for label in labels:
        found = [(patient, one.scores[label]) for patient, one in records if label in one.scores]
        pairs = [
            (patient, (score.faithfulness, score.null))
            for patient, score in found
            if score.faithfulness is not None and score.null is not None
        ]
        if pairs:
            rows.append(
                faithfulness_row(
                    label,
                    [patient for patient, _ in pairs],
                    [pair for _, pair in pairs],
                    replicates=how.replicates,
                    seed=how.seed,
                )
            )
    return tuple(rows)


def recorded_phrasings(
    records: Records, truth: Mapping[str, Mapping[str, float]], labels: Sequence[str]
) -> tuple[PhrasingRow, ...]:
    """Return one row for every further phrasing of every label.

    Parameters
    ----------
    records : sequence of (patient, ScoredStudy)
        The evaluated studies.
    truth : mapping
        Label -> study id -> 1, 0 or NaN.
    labels : sequence of str
        In the order of the rows.
    """
    rows = []
    for label in labels:
        answers = [
            (truth[label][one.study_id], one.scores[label].phrasings)
            for _, one in records
            if label in one.scores
        ]
        for number in range(max((len(found) for _, found in answers), default=0)):
            rows.append(_phrasing(label, [(known, found[number]) for known, found in answers]))
    return tuple(rows)


def _phrasing(label: str, answers: Sequence[tuple[float, PhrasingScore]]) -> PhrasingRow:
    used = [(known, one) for known, one in answers if np.isfinite([known, one.similarity]).all()]
    positive = np.array([known > 0.5 for known, _ in used], dtype=bool)
    hits = [one.hit for known, one in used if known > 0.5 and one.hit is not None]
    return PhrasingRow(
        label,
        answers[0][1].text,
        len(used),
        int(positive.sum()),
        auroc(positive, np.array([one.similarity for _, one in used])),
        len(hits),
        float(np.mean(hits)) if hits else float("nan"),
    )


def _localisation(
    label: str, placed: Sequence[tuple[str, Localisation]], how: Resampling
) -> list[LocalisationRow]:
    return localisation_rows(
        label,
        [patient for patient, _ in placed],
        [place for _, place in placed],
        replicates=how.replicates,
        seed=how.seed,
    )
