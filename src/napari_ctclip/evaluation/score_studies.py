"""Score studies: encode each once, ask it every task, keep its answers; go on after a stop."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal, cast

from napari_ctclip.core.errors import Cancelled, CtClipError
from napari_ctclip.core.study import Study
from napari_ctclip.encoding.feature_cache import FeatureCache
from napari_ctclip.encoding.work import Work
from napari_ctclip.evaluation.faithfulness import measure_faithfulness
from napari_ctclip.evaluation.lesion_files import LesionFile, lesion_mask
from napari_ctclip.evaluation.localisation import localise
from napari_ctclip.evaluation.manifest_study import read_manifest_study
from napari_ctclip.evaluation.montage_readout import MontageReadout, study_montage
from napari_ctclip.evaluation.montage_task import classify_montage
from napari_ctclip.evaluation.scored_study import (
    ScoredStudy,
    TaskScore,
    read_scored_study,
    write_scored_study,
)
from napari_ctclip.evaluation.task_files import TaskSet
from napari_ctclip.evaluation.zero_shot import TaskAnswer, ask_task
from napari_ctclip.io.store.manifest_entry import ManifestEntry
from napari_ctclip.scoring.encoded_study import EncodedStudy, encode_study
from napari_ctclip.scoring.prompt_ensemble import with_ensembles

if TYPE_CHECKING:
    from napari_ctclip.encoding.patch_encoding import PatchModel
    from napari_ctclip.models.interface import VisionLanguageModel

__all__ = ["MaskSource", "StudyQuestions", "StudyScorer", "score_studies", "stored_scores"]

_SCHEMA = 1

MaskSource = Literal["quick", "none"]
"""What a study without a mask file gets: masks from HU, or none, and then it answers as a whole."""

Told = Callable[[int, int, ScoredStudy], None]
"""Called with (studies done, studies in all, the one just done)."""


@dataclass(frozen=True)
class StudyQuestions:
    """What is asked of one study beyond its scores.

    Attributes
    ----------
    lesions : mapping of str to LesionFile
        Label -> where the finding lies.
    faithfulness : tuple of str
        Labels whose heatmap is tested.
    """

    lesions: Mapping[str, LesionFile] = field(default_factory=dict)
    faithfulness: tuple[str, ...] = ()


class StudyScorer:
    """A model that scores studies on a task set.

    Parameters
    ----------
    model : VisionLanguageModel
        On ``device`` already.
    tasks : TaskSet
        What is asked.
    masks : {"quick", "none"}
        What a study without a mask file gets.
    cache : FeatureCache or None
        Encodings are kept there; the user's cache folder if None.
    device : str
        Where the model computes.
    montage : MontageReadout or None
        Judge every study by a montage; by its volume if None.
    """

    def __init__(
        self,
        model: VisionLanguageModel,
        tasks: TaskSet,
        *,
        masks: MaskSource = "quick",
        cache: FeatureCache | None = None,
        device: str = "cpu",
        montage: MontageReadout | None = None,
    ) -> None:
        self.montage = montage
        self.model = with_ensembles(model, tasks.wordings, ensemble=tasks.ensemble)
        self.tasks = tasks
        self.masks: MaskSource = masks
        self.cache = cache or FeatureCache()
        self.device = device

    def fingerprint(self, entry: ManifestEntry, questions: StudyQuestions) -> str:
        """Return a hash (hex) of everything that a study's answers depend on."""
        calibration = self.model.calibration
        parts = {
            "schema": _SCHEMA,
            "model": [self.model.weights_hash(), self.model.preprocessing.hash()],
            "background": self.model.background_prompts,
            "calibration": calibration and asdict(calibration),
            "tasks": [asdict(task) for task in self.tasks.tasks],
            "ensemble": self.tasks.ensemble,
            "montage": self.montage and [self.montage.to_dict(), self.tasks.exclusive],
            "masks": self.masks,
            "files": [_state(entry.image), _state(entry.masks)],
            "entry": [entry.series, entry.legend, entry.rescale, entry.affine],
            "lesions": [
                (label, _state(lesion.path), lesion.value)
                for label, lesion in sorted(questions.lesions.items())
            ],
            "faithfulness": sorted(questions.faithfulness),
        }
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()

    def score(self, entry: ManifestEntry, questions: StudyQuestions) -> ScoredStudy:
        """Return what a study answers; one that cannot be used answers with the reason."""
        try:
            study, notices = read_manifest_study(entry, quick_masks=self.masks == "quick")
            if self.montage is not None:
                told = tuple(notice.message for notice in notices)
                scores = self._montage_scores(study, self.montage)
                return ScoredStudy(entry.study_id, study.volume.content_hash(), scores, "", told)
            encoded = encode_study(self.model, study, work=Work(self.cache, self.device))
            answers = {t.label: ask_task(self.model, encoded, t) for t in self.tasks.tasks}
            scores = {
                label: self._task_score(label, answers, (study, encoded), questions)
                for label in answers
            }
        except Cancelled:
            raise
        except CtClipError as error:
            return ScoredStudy(entry.study_id, error=str(error))
        told = tuple(notice.message for notice in (*notices, *encoded.notices))
        return ScoredStudy(entry.study_id, study.volume.content_hash(), scores, "", told)

    def _montage_scores(self, study: Study, readout: MontageReadout) -> dict[str, TaskScore]:
        picture = study_montage(
            self.model, study, self.tasks, readout, cache=self.cache, device=self.device
        )
        model = cast("PatchModel", self.model)
        found = classify_montage(model, picture, self.tasks, device=self.device)
        region = f"montage of {readout.plan.organ or 'whole scan'}"
        return {
            one.label: TaskScore(one.similarity, one.probability, region) for one in found.classes
        }

    def _task_score(
        self,
        label: str,
        answers: Mapping[str, TaskAnswer],
        study: tuple[Study, EncodedStudy],
        questions: StudyQuestions,
    ) -> TaskScore:
        answer, (scan, encoded) = answers[label], study
        place, curves, null = None, None, None
        if label in questions.lesions and answer.peak is not None:
            place = localise(
                answer.similarity_map,
                answer.peak,
                lesion_mask(questions.lesions[label], scan.volume),
                volume_geometry=scan.volume.geometry,
                input_geometry=encoded.scan.input_geometry,
                patch_size=self.model.patch_size,
            )
        if label in questions.faithfulness and answer.peak is not None:
            curves, null = measure_faithfulness(
                self.model, scan, encoded, self.tasks, label=label, device=self.device
            )
        peak = () if answer.peak is None else answer.peak.world_mm
        return TaskScore(
            answer.similarity, answer.probability, answer.region, peak, place, curves, null
        )


def score_studies(
    scorer: StudyScorer,
    entries: Sequence[ManifestEntry],
    questions: Mapping[str, StudyQuestions],
    *,
    folder: Path,
    told: Told | None = None,
) -> None:
    """Score studies that have no record in ``folder`` yet, and those whose last try failed.

    Parameters
    ----------
    scorer : StudyScorer
        The model and what it is asked.
    entries : sequence of ManifestEntry
        This process's own studies.
    questions : mapping of str to StudyQuestions
        By study id, where there is more to ask.
    folder : Path
        One record a study, so that a run that was stopped goes on.
    told : callable, optional
        Told of every study, those read from a record too.
    """
    for done, entry in enumerate(entries, start=1):
        asked = questions.get(entry.study_id, StudyQuestions())
        fingerprint = scorer.fingerprint(entry, asked)
        scored = read_scored_study(folder, entry.study_id, fingerprint=fingerprint)
        if scored is None or scored.error:
            scored = scorer.score(entry, asked)
            write_scored_study(scored, folder, fingerprint=fingerprint)
        if told is not None:
            told(done, len(entries), scored)


def stored_scores(
    scorer: StudyScorer,
    entries: Sequence[ManifestEntry],
    questions: Mapping[str, StudyQuestions],
    *,
    folder: Path,
) -> tuple[list[ScoredStudy], list[str]]:
    """Return the records of studies, and the ids of those that have none yet."""
    found, missing = [], []
    for entry in entries:
        asked = questions.get(entry.study_id, StudyQuestions())
        fingerprint = scorer.fingerprint(entry, asked)
        scored = read_scored_study(folder, entry.study_id, fingerprint=fingerprint)
        if scored is None:
            missing.append(entry.study_id)
        else:
            found.append(scored)
    return found, missing


def _state(path: Path | None) -> list[object]:
    """Return what tells a changed file or folder from an unchanged one."""
    if path is None or not path.exists():
        return [str(path)]
    found = path.stat()
    return [str(path), found.st_size, found.st_mtime_ns]
