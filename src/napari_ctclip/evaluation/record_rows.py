"""Record rows: localisation and faithfulness of all studies, from their records."""

from __future__ import annotations

from collections.abc import Sequence

from napari_ctclip.evaluation.faithfulness import FaithfulnessRow, faithfulness_row
from napari_ctclip.evaluation.label_metrics import Resampling
from napari_ctclip.evaluation.localisation import LocalisationRow, localisation_rows
from napari_ctclip.evaluation.scored_study import ScoredStudy

__all__ = ["recorded_faithfulness", "recorded_localisation"]


def recorded_localisation(
    records: Sequence[tuple[str, ScoredStudy]], labels: Sequence[str], how: Resampling
) -> tuple[LocalisationRow, ...]:
    """Return the rows of every label that has lesions; records are (patient, study)."""
    rows: list[LocalisationRow] = []
    for label in labels:
        found = [(patient, one.scores[label]) for patient, one in records if label in one.scores]
        placed = [(p, score.localisation) for p, score in found if score.localisation is not None]
        rows += localisation_rows(
            label,
            [patient for patient, _ in placed],
            [place for _, place in placed],
            replicates=how.replicates,
            seed=how.seed,
        )
    return tuple(rows)


def recorded_faithfulness(
    records: Sequence[tuple[str, ScoredStudy]], labels: Sequence[str], how: Resampling
) -> tuple[FaithfulnessRow, ...]:
    """Return one row for every label that was tested; records are (patient, study)."""
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
