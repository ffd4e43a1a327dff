"""ScoredStudy: everything a study answered, as one small file that a later run reads."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from napari_ctclip.core.prompt import slug
from napari_ctclip.evaluation.localisation import Localisation
from napari_ctclip.explanation.faithfulness import FaithfulnessCurves
from napari_ctclip.io.files import write_text

__all__ = ["PhrasingScore", "ScoredStudy", "TaskScore", "read_scored_study",
           "scored_study_file", "write_scored_study"]  # fmt: skip


@dataclass(frozen=True)
class PhrasingScore:
    """A study's answer to one further phrasing of a task.

    Attributes
    ----------
    text : str
        The phrasing.
    similarity : float
        NaN where the study lacks the region.
    hit : bool or None
        Whether the peak touches the lesion; None where no lesion is known.
    """

    text: str
    similarity: float
    hit: bool | None = None


@dataclass(frozen=True)
class TaskScore:
    """A study's answer to one task.

    Attributes
    ----------
    similarity, probability : float
        NaN where the study lacks the region.
    region : str
        What was read out.
    peak_mm : tuple of float
        The position of the highest token, RAS mm; empty if none.
    localisation : Localisation or None
        Where the lesion of the label is known.
    faithfulness, null : FaithfulnessCurves or None
        Where it was measured; ``null`` ranks the tokens by the map of another label.
    phrasings : tuple of PhrasingScore
        The answers to the task's further phrasings.
    """

    similarity: float
    probability: float
    region: str = ""
    peak_mm: tuple[float, ...] = ()
    localisation: Localisation | None = None
    faithfulness: FaithfulnessCurves | None = None
    null: FaithfulnessCurves | None = None
    phrasings: tuple[PhrasingScore, ...] = ()


@dataclass(frozen=True)
class ScoredStudy:
    """What became of one study.

    Attributes
    ----------
    study_id : str
        Of the manifest.
    content_sha256 : str
        Of its voxels and geometry: two studies with the same are the same scan.
    scores : mapping of str to TaskScore
        By label; empty if the study could not be scored.
    error : str
        Why it could not; empty if it was.
    notices : tuple of str
        What the readers remarked.
    """

    study_id: str
    content_sha256: str = ""
    scores: Mapping[str, TaskScore] = field(default_factory=dict)
    error: str = ""
    notices: tuple[str, ...] = ()


def scored_study_file(folder: Path, study_id: str) -> Path:
    """Return where a study's record lies; names that differ only in odd characters stay apart."""
    digest = hashlib.sha256(study_id.encode()).hexdigest()[:8]
    return folder / f"{slug(study_id)}-{digest}.json"


def write_scored_study(study: ScoredStudy, folder: Path, *, fingerprint: str) -> None:
    """Write a record, whole or not at all.

    Parameters
    ----------
    study : ScoredStudy
        What to keep.
    folder : Path
        Where records lie.
    fingerprint : str
        Of everything the answers depend on.
    """
    table = {"fingerprint": fingerprint, **asdict(study)}
    text = json.dumps(_without_nan(table), indent=1) + "\n"
    write_text(scored_study_file(folder, study.study_id), text)


def read_scored_study(folder: Path, study_id: str, *, fingerprint: str) -> ScoredStudy | None:
    """Return a record; None if there is none, or none of this fingerprint, or it is damaged."""
    try:
        table = json.loads(scored_study_file(folder, study_id).read_text("utf-8"))
        if table["fingerprint"] != fingerprint:
            return None
        scores = {label: _score(values) for label, values in table["scores"].items()}
        return ScoredStudy(
            table["study_id"],
            table["content_sha256"],
            scores,
            table["error"],
            tuple(table["notices"]),
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _score(values: Mapping[str, Any]) -> TaskScore:
    found = values["localisation"]
    return TaskScore(
        _number(values["similarity"]),
        _number(values["probability"]),
        values["region"],
        tuple(values["peak_mm"]),
        None
        if found is None
        else Localisation(
            found["hit"],
            _number(found["auprc"]),
            _number(found["chance"]),
            _number(found["diameter_mm"]),
        ),
        _curves(values["faithfulness"]),
        _curves(values["null"]),
        tuple(
            PhrasingScore(one["text"], _number(one["similarity"]), one["hit"])
            for one in values["phrasings"]
        ),
    )


def _curves(values: Mapping[str, Any] | None) -> FaithfulnessCurves | None:
    if values is None:
        return None
    return FaithfulnessCurves(tuple(values["deletion"]), tuple(values["insertion"]))


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)


def _without_nan(value: Any) -> Any:
    """Return plain values with null for NaN and infinity, which JSON does not know."""
    if isinstance(value, Mapping):
        return {key: _without_nan(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_without_nan(part) for part in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
