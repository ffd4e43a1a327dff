"""Evaluate studies: score a cohort, alone or as one of several workers, then measure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from napari_ctclip.core.errors import DataError
from napari_ctclip.core.notice import Notice, Severity
from napari_ctclip.evaluation.evaluation_result import (
    ALL_STUDIES,
    NO_SPLIT,
    Evaluation,
    Plan,
    evaluate_scores,
)
from napari_ctclip.evaluation.lesion_files import LesionFile
from napari_ctclip.evaluation.record_rows import (
    recorded_faithfulness,
    recorded_localisation,
    recorded_phrasings,
)
from napari_ctclip.evaluation.score_studies import (
    StudyProgress,
    StudyQuestions,
    StudyScorer,
    run_provenance,
    score_studies,
    stored_scores,
)
from napari_ctclip.evaluation.score_table import ScoreTable
from napari_ctclip.evaluation.scored_study import ScoredStudy
from napari_ctclip.evaluation.study_source import Lesion, StudySource
from napari_ctclip.evaluation.worker import Worker

__all__ = ["Extras", "StudiesPending", "evaluate_studies", "score_table", "studies_of_plan"]

RECORDS = "studies"
"""Folder of the records, one a study, beside the results."""


@dataclass(frozen=True)
class Extras:
    """What is measured beyond scores against labels.

    Attributes
    ----------
    lesions : mapping
        Study id -> label -> lesion: localisation.
    columns : mapping
        Column -> study id -> value: subgroups.
    faithfulness : int
        Positive studies a label whose heatmap is tested; each costs 36 encodings.
    """

    lesions: Mapping[str, Mapping[str, Lesion]] = field(default_factory=dict)
    columns: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    faithfulness: int = 0


@dataclass(frozen=True)
class StudiesPending:
    """What other workers have still to do.

    Attributes
    ----------
    studies : tuple of str
        Studies that have no record yet.
    """

    studies: tuple[str, ...]


def evaluate_studies(
    cohort: Sequence[StudySource],
    scorer: StudyScorer,
    plan: Plan,
    *,
    out: Path,
    extras: Extras | None = None,
    worker: Worker | None = None,
    progress: StudyProgress | None = None,
) -> Evaluation | StudiesPending:
    """Return the evaluation, or what is still missing for it in other workers.

    Whichever worker finds every study scored returns the evaluation; a later run of one worker
    does so as well, and scores what is left.

    Parameters
    ----------
    cohort : sequence of StudySource
        The studies of a manifest, or simulated ones.
    scorer : StudyScorer
        The model and its tasks.
    plan : Plan
        What is evaluated and what may be learnt from.
    out : Path
        Records are kept in its folder ``studies``.
    extras : Extras, optional
        Lesions, subgroups, faithfulness.
    worker : Worker, optional
        This process among several; the only one by default.
    progress : callable, optional
        Called for every study.

    Raises
    ------
    DataError
        If a split is empty, no label is known, or no study can be used.
    """
    extras = extras or Extras()
    used = studies_of_plan(cohort, plan)
    _refuse_unknown_labels(used, scorer.tasks.labels)
    questions = _questions(used, scorer.tasks.labels, plan, extras)
    folder = out / RECORDS
    own = (worker or Worker()).own(used)
    score_studies(scorer, own, questions, folder=folder, progress=progress)
    scored, missing = stored_scores(scorer, used, questions, folder=folder)
    if missing:
        return StudiesPending(tuple(missing))
    kept, notices = _usable(used, scored)
    notices += _about_lesions(extras, questions)
    tasks = scorer.tasks
    table = score_table([study for study, _ in kept], [one for _, one in kept], tasks.labels)
    apart = [task.label for task in tasks.tasks if not task.in_mean]
    evaluation = evaluate_scores(table, plan, columns=extras.columns, not_in_mean=apart)
    evaluated = set(evaluation.table.studies)
    tested = [(study.patient_id, one) for study, one in kept if study.study_id in evaluated]
    return replace(
        evaluation,
        localisation=recorded_localisation(tested, tasks.labels, plan.resampling),
        faithfulness=recorded_faithfulness(tested, tasks.labels, plan.resampling),
        phrasings=recorded_phrasings(tested, _truths(evaluation.table), tasks.labels),
        notices=notices + evaluation.notices,
        provenance=run_provenance(scorer),
    )


def studies_of_plan(cohort: Sequence[StudySource], plan: Plan) -> list[StudySource]:
    """Return the studies that must be scored, evaluated ones first.

    Raises
    ------
    DataError
        If a split that is named holds no study.
    """
    if plan.split == ALL_STUDIES:
        if plan.threshold_on not in (NO_SPLIT, ALL_STUDIES):
            raise DataError(
                f"every study is evaluated, so none is left to choose thresholds on in split "
                f"{plan.threshold_on!r}; choose {NO_SPLIT!r} (probability 0.5)"
            )
        return list(cohort)
    have = sorted({study.split or "no split" for study in cohort})
    found = []
    for split in plan.splits:
        members = [study for study in cohort if study.split == split]
        if not members:
            raise DataError(
                f"no study of the manifest is in split {split!r}; it has {', '.join(have)}. "
                f"Evaluate another split or {ALL_STUDIES!r}; choose thresholds on another one, or "
                f"on {NO_SPLIT!r} (probability 0.5)"
            )
        found += members
    return found


def _refuse_unknown_labels(cohort: Sequence[StudySource], labels: Sequence[str]) -> None:
    """Refuse before hours of encoding what no truth could ever be compared with."""
    known = {label for study in cohort for label in study.labels}
    if not known & set(labels):
        shown = ", ".join(sorted(known)[:20]) or "none"
        raise DataError(
            f"the manifest has no label of the task ({', '.join(labels)}); its labels are: {shown}"
        )


def _questions(
    cohort: Sequence[StudySource], labels: Sequence[str], plan: Plan, extras: Extras
) -> dict[str, StudyQuestions]:
    evaluated = [study for study in cohort if plan.split in (ALL_STUDIES, study.split)]
    tested: dict[str, list[str]] = {study.study_id: [] for study in evaluated}
    for label in labels:
        positives = [study.study_id for study in evaluated if study.labels.get(label) == 1]
        for study_id in positives[: extras.faithfulness]:
            tested[study_id].append(label)
    return {
        study.study_id: StudyQuestions(
            {k: v for k, v in extras.lesions.get(study.study_id, {}).items() if k in labels},
            tuple(tested[study.study_id]),
        )
        for study in evaluated
    }


def _about_lesions(extras: Extras, questions: Mapping[str, StudyQuestions]) -> tuple[Notice, ...]:
    """Return a notice on rows of the lesion table that no study uses, as a misspelt name."""
    unused = [
        f"{study!r}, {label!r}"
        for study, labels in extras.lesions.items()
        for label, lesion in labels.items()
        if isinstance(lesion, LesionFile)
        and (study not in questions or label not in questions[study].lesions)
    ]
    if not unused:
        return ()
    message = (
        f"{len(unused)} rows of the lesion table name no evaluated study and label of the task, "
        f"the first {unused[0]}."
    )
    return (Notice(Severity.WARNING, "lesions-not-used", message),)


def _usable(
    cohort: Sequence[StudySource], scored: Sequence[ScoredStudy]
) -> tuple[list[tuple[StudySource, ScoredStudy]], tuple[Notice, ...]]:
    """Return the studies without copies of the same scan, and what was found on the way.

    A copy is left out, not its original, which is the one that comes first: evaluated studies do.
    """
    notices, kept = [], []
    first: dict[str, str] = {}
    for study, one in zip(cohort, scored, strict=True):
        original = first.get(one.content_sha256)
        if one.content_sha256 and original is not None:
            message = (
                f"Study {study.study_id!r} is the same scan as {original!r}: left out, so that it "
                "counts once."
            )
            notices.append(Notice(Severity.WARNING, "duplicate-scan", message))
            continue
        if one.error:
            message = f"Study {study.study_id!r} could not be scored: {one.error}"
            notices.append(Notice(Severity.WARNING, "study-not-scored", message))
        else:
            first[one.content_sha256] = study.study_id
        kept.append((study, one))
    if all(one.error for _, one in kept):
        raise DataError(
            f"none of {len(kept)} studies could be scored; the first: {kept[0][1].error}"
        )
    return kept, tuple(notices)


def score_table(
    cohort: Sequence[StudySource], scored: Sequence[ScoredStudy], labels: Sequence[str]
) -> ScoreTable:
    """Return the truth and the answers of studies, in their order."""
    values = np.full((3, len(cohort), len(labels)), np.nan)
    regions = [[""] * len(labels) for _ in cohort]
    for i, (study, one) in enumerate(zip(cohort, scored, strict=True)):
        for j, label in enumerate(labels):
            given = study.labels.get(label)
            values[0, i, j] = np.nan if given is None else given
            score = one.scores.get(label)
            if score is not None:
                values[1:, i, j] = score.similarity, score.probability
                regions[i][j] = score.region
    return ScoreTable(
        tuple(study.study_id for study in cohort),
        tuple(study.patient_id for study in cohort),
        tuple(study.split or "" for study in cohort),
        tuple(labels),
        values[0],
        values[1],
        values[2],
        tuple(tuple(row) for row in regions),
    )


def _truths(table: ScoreTable) -> dict[str, dict[str, float]]:
    """Return label -> study id -> 1, 0 or NaN."""
    return {
        label: dict(zip(table.studies, table.truth[:, j].tolist(), strict=True))
        for j, label in enumerate(table.labels)
    }
