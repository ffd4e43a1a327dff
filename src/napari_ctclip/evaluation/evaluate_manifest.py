"""Evaluate a manifest: score its studies, alone or as one of several processes, then measure."""

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
from napari_ctclip.evaluation.record_rows import recorded_faithfulness, recorded_localisation
from napari_ctclip.evaluation.run_provenance import run_provenance
from napari_ctclip.evaluation.score_studies import (
    StudyQuestions,
    StudyScorer,
    Told,
    score_studies,
    stored_scores,
)
from napari_ctclip.evaluation.score_table import ScoreTable
from napari_ctclip.evaluation.scored_study import ScoredStudy
from napari_ctclip.evaluation.sharding import Share
from napari_ctclip.io.store.manifest_entry import ManifestEntry

__all__ = ["Extras", "StudiesPending", "evaluate_manifest", "studies_of_plan"]

RECORDS = "studies"
"""Folder of the records, one a study, beside the results."""


@dataclass(frozen=True)
class Extras:
    """What is measured beyond scores against labels.

    Attributes
    ----------
    lesions : mapping
        Study id -> label -> lesion file: localisation.
    columns : mapping
        Column -> study id -> value: subgroups.
    faithfulness : int
        Positive studies a label whose heatmap is tested; each costs 36 encodings.
    """

    lesions: Mapping[str, Mapping[str, LesionFile]] = field(default_factory=dict)
    columns: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    faithfulness: int = 0


@dataclass(frozen=True)
class StudiesPending:
    """What other processes have still to do.

    Attributes
    ----------
    studies : tuple of str
        Studies that have no record yet.
    """

    studies: tuple[str, ...]


def evaluate_manifest(
    entries: Sequence[ManifestEntry],
    scorer: StudyScorer,
    plan: Plan,
    *,
    out: Path,
    extras: Extras | None = None,
    share: Share | None = None,
    told: Told | None = None,
) -> Evaluation | StudiesPending:
    """Return the evaluation, or what is still missing for it in other processes.

    Whichever process finds every study scored returns the evaluation; a later run of one process
    does so as well, and scores what is left.

    Parameters
    ----------
    entries : sequence of ManifestEntry
        The manifest.
    scorer : StudyScorer
        The model and what it is asked.
    plan : Plan
        What is evaluated and what may be learnt from.
    out : Path
        Records are kept in its folder ``studies``.
    extras : Extras, optional
        Lesions, subgroups, faithfulness.
    share : Share, optional
        This process's part of the work; all of it by default.
    told : callable, optional
        Told of every study.

    Raises
    ------
    DataError
        If a split is empty, no label is known, or no study can be used.
    """
    extras = extras or Extras()
    used = studies_of_plan(entries, plan)
    _refuse_unknown_labels(used, scorer.tasks.labels)
    questions = _questions(used, scorer.tasks.labels, plan, extras)
    folder = out / RECORDS
    own = (share or Share()).of(used)
    score_studies(scorer, own, questions, folder=folder, told=told)
    scored, missing = stored_scores(scorer, used, questions, folder=folder)
    if missing:
        return StudiesPending(tuple(missing))
    kept, notices = _usable(used, scored)
    notices += _about_lesions(extras, questions)
    table = _table([entry for entry, _ in kept], [one for _, one in kept], scorer.tasks.labels)
    evaluation = evaluate_scores(table, plan, columns=extras.columns)
    evaluated = set(evaluation.table.studies)
    tested = [(e.patient_id, one) for e, one in kept if e.study_id in evaluated]
    return replace(
        evaluation,
        localisation=recorded_localisation(tested, scorer.tasks.labels, plan.resampling),
        faithfulness=recorded_faithfulness(tested, scorer.tasks.labels, plan.resampling),
        notices=notices + evaluation.notices,
        provenance=run_provenance(scorer),
    )


def studies_of_plan(entries: Sequence[ManifestEntry], plan: Plan) -> list[ManifestEntry]:
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
        return list(entries)
    have = sorted({entry.split or "no split" for entry in entries})
    found = []
    for split in plan.splits:
        members = [entry for entry in entries if entry.split == split]
        if not members:
            raise DataError(
                f"no study of the manifest is in split {split!r}; it has {', '.join(have)}. "
                f"Evaluate another split or {ALL_STUDIES!r}; choose thresholds on another one, or "
                f"on {NO_SPLIT!r} (probability 0.5)"
            )
        found += members
    return found


def _refuse_unknown_labels(entries: Sequence[ManifestEntry], labels: Sequence[str]) -> None:
    """Refuse before hours of encoding what no truth could ever be compared with."""
    known = {label for entry in entries for label in entry.labels}
    if not known & set(labels):
        shown = ", ".join(sorted(known)[:20]) or "none"
        raise DataError(
            f"the manifest has no label of the task ({', '.join(labels)}); its labels are: {shown}"
        )


def _questions(
    entries: Sequence[ManifestEntry], labels: Sequence[str], plan: Plan, extras: Extras
) -> dict[str, StudyQuestions]:
    evaluated = [e for e in entries if plan.split in (ALL_STUDIES, e.split)]
    tested: dict[str, list[str]] = {entry.study_id: [] for entry in evaluated}
    for label in labels:
        positives = [e.study_id for e in evaluated if e.labels.get(label) == 1]
        for study in positives[: extras.faithfulness]:
            tested[study].append(label)
    return {
        entry.study_id: StudyQuestions(
            {k: v for k, v in extras.lesions.get(entry.study_id, {}).items() if k in labels},
            tuple(tested[entry.study_id]),
        )
        for entry in evaluated
    }


def _about_lesions(extras: Extras, questions: Mapping[str, StudyQuestions]) -> tuple[Notice, ...]:
    """Return a notice on rows of the lesion table that nothing asked for, as a misspelt name is."""
    unused = [
        f"{study!r}, {label!r}"
        for study, labels in extras.lesions.items()
        for label in labels
        if study not in questions or label not in questions[study].lesions
    ]
    if not unused:
        return ()
    message = (
        f"{len(unused)} rows of the lesion table name no evaluated study and label of the task, "
        f"the first {unused[0]}."
    )
    return (Notice(Severity.WARNING, "lesions-not-used", message),)


def _usable(
    entries: Sequence[ManifestEntry], scored: Sequence[ScoredStudy]
) -> tuple[list[tuple[ManifestEntry, ScoredStudy]], tuple[Notice, ...]]:
    """Return the studies without copies of the same scan, and what was found on the way.

    A copy is left out, not its original, which is the one that comes first: evaluated studies do.
    """
    notices, kept = [], []
    first: dict[str, str] = {}
    for entry, one in zip(entries, scored, strict=True):
        original = first.get(one.content_sha256)
        if one.content_sha256 and original is not None:
            message = (
                f"Study {entry.study_id!r} is the same scan as {original!r}: left out, so that it "
                "counts once."
            )
            notices.append(Notice(Severity.WARNING, "duplicate-scan", message))
            continue
        if one.error:
            message = f"Study {entry.study_id!r} could not be scored: {one.error}"
            notices.append(Notice(Severity.WARNING, "study-not-scored", message))
        else:
            first[one.content_sha256] = entry.study_id
        kept.append((entry, one))
    if all(one.error for _, one in kept):
        raise DataError(
            f"none of {len(kept)} studies could be scored; the first: {kept[0][1].error}"
        )
    return kept, tuple(notices)


def _table(
    entries: Sequence[ManifestEntry], scored: Sequence[ScoredStudy], labels: Sequence[str]
) -> ScoreTable:
    values = np.full((3, len(entries), len(labels)), np.nan)
    regions = [[""] * len(labels) for _ in entries]
    for i, (entry, one) in enumerate(zip(entries, scored, strict=True)):
        for j, label in enumerate(labels):
            given = entry.labels.get(label)
            values[0, i, j] = np.nan if given is None else given
            score = one.scores.get(label)
            if score is not None:
                values[1:, i, j] = score.similarity, score.probability
                regions[i][j] = score.region
    return ScoreTable(
        tuple(entry.study_id for entry in entries),
        tuple(entry.patient_id for entry in entries),
        tuple(entry.split or "" for entry in entries),
        tuple(labels),
        values[0],
        values[1],
        values[2],
        tuple(tuple(row) for row in regions),
    )
