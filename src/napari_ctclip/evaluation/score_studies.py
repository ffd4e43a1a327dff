"""Score studies: encode each once, answer every task, keep the answers; resume after a stop."""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np
import numpy.typing as npt

from napari_ctclip.core.errors import Cancelled, CtClipError, DataError
from napari_ctclip.core.study import Study
from napari_ctclip.encoding.feature_cache import FeatureCache
from napari_ctclip.encoding.work import Work
from napari_ctclip.evaluation.embedding_readout import EmbeddingReadout, embedding_answers
from napari_ctclip.evaluation.faithfulness import measure_faithfulness
from napari_ctclip.evaluation.localisation import LesionTokens, lesion_tokens, localise
from napari_ctclip.evaluation.montage_readout import MontageReadout, study_montage
from napari_ctclip.evaluation.montage_task import (
    classify_montage,
    picture_classes,
    picture_vector,
)
from napari_ctclip.evaluation.scored_study import (
    PhrasingScore,
    ScoredStudy,
    TaskScore,
    read_scored_study,
    write_scored_study,
)
from napari_ctclip.evaluation.study_source import Lesion, LoadedPicture, StudySource
from napari_ctclip.evaluation.task_files import TaskSet, ZeroShotTask
from napari_ctclip.evaluation.zero_shot import TaskAnswer, ask_task
from napari_ctclip.scoring.encoded_study import EncodedStudy, encode_study
from napari_ctclip.scoring.prompt_ensemble import with_ensembles

if TYPE_CHECKING:
    from napari_ctclip.encoding.patch_encoding import PatchModel
    from napari_ctclip.models.interface import VisionLanguageModel

__all__ = [
    "Encode",
    "MaskSource",
    "StudyProgress",
    "StudyQuestions",
    "StudyScorer",
    "run_provenance",
    "score_studies",
    "stored_scores",
]

_SCHEMA = 2
_PACKAGES = ("napari-ctclip", "torch", "numpy", "scipy", "scikit-learn")

MaskSource = Literal["quick", "none"]
"""What a study without a mask file gets: masks from HU, or none, and then it answers as a whole."""

StudyProgress = Callable[[int, int, ScoredStudy], None]
"""Called with (studies done, studies in all, the study just done)."""

Encode = Callable[["VisionLanguageModel", Study], EncodedStudy]
"""Encodes a study that was prepared in another way than by the model alone."""

Readout = MontageReadout | EmbeddingReadout


@dataclass(frozen=True)
class StudyQuestions:
    """What is measured in one study beyond its scores.

    Attributes
    ----------
    lesions : mapping of str to Lesion
        Label -> where the finding lies.
    faithfulness : tuple of str
        Labels whose heatmap is tested.
    """

    lesions: Mapping[str, Lesion] = field(default_factory=dict)
    faithfulness: tuple[str, ...] = ()


class StudyScorer:
    """A model that scores studies on a task set.

    Parameters
    ----------
    model : VisionLanguageModel
        On ``device`` already.
    tasks : TaskSet
        The queried findings.
    masks : {"quick", "none"}
        What a study without a mask file gets.
    cache : FeatureCache or None
        Encodings are kept there; the user's cache folder if None.
    device : str
        Where the model computes.
    readout : MontageReadout or EmbeddingReadout or None
        What of a study answers: one montage, or one embedding; the tokens or embeddings of its
        organs, as in the viewer, if None.
    encode : callable, optional
        Encodes a study; :func:`encode_study` with the cache if None.
    """

    def __init__(
        self,
        model: VisionLanguageModel,
        tasks: TaskSet,
        *,
        masks: MaskSource = "quick",
        cache: FeatureCache | None = None,
        device: str = "cpu",
        readout: Readout | None = None,
        encode: Encode | None = None,
    ) -> None:
        self.readout = readout
        self.model = with_ensembles(model, tasks.ensembles, ensemble=tasks.ensemble)
        self.tasks = tasks
        self.masks: MaskSource = masks
        self.cache = cache or FeatureCache()
        self.device = device
        self._encode = encode or self._encode_cached

    def fingerprint(self, source: StudySource, questions: StudyQuestions) -> str:
        """Return a hash (hex) of everything that a study's answers depend on."""
        calibration = self.model.calibration
        parts = {
            "schema": _SCHEMA,
            "model": [self.model.weights_hash(), self.model.preprocessing.hash()],
            "background": self.model.background_prompts,
            "calibration": calibration and asdict(calibration),
            "tasks": [asdict(task) for task in self.tasks.tasks],
            "ensemble": self.tasks.ensemble,
            "readout": self.readout and [self.readout.to_dict(), self.tasks.exclusive],
            "masks": self.masks,
            "study": source.fingerprint(),
            "lesions": [
                [label, *lesion.fingerprint()]
                for label, lesion in sorted(questions.lesions.items())
            ],
            "faithfulness": sorted(questions.faithfulness),
        }
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()

    def score(self, source: StudySource, questions: StudyQuestions) -> ScoredStudy:
        """Return what a study answers; one that cannot be used answers with the reason."""
        try:
            loaded = source.load(quick_masks=self.masks == "quick")
            if isinstance(loaded, LoadedPicture):
                digest = hashlib.sha256(loaded.channels.tobytes()).hexdigest()
                return ScoredStudy(
                    source.study_id, digest, self._picture_scores(loaded.channels), ""
                )
            study, notices = loaded.study, loaded.notices
            if isinstance(self.readout, MontageReadout):
                scores = self._montage_scores(study, self.readout)
            else:
                encoded = self._encode(self.model, study)
                notices = (*notices, *encoded.notices)
                scores = self._scan_scores(study, encoded, questions)
        except Cancelled:
            raise
        except CtClipError as error:
            return ScoredStudy(source.study_id, error=str(error))
        messages = tuple(notice.message for notice in notices)
        return ScoredStudy(source.study_id, study.volume.content_hash(), scores, "", messages)

    def _encode_cached(self, model: VisionLanguageModel, study: Study) -> EncodedStudy:
        return encode_study(model, study, work=Work(self.cache, self.device))

    def _picture_scores(self, channels: npt.NDArray[np.float32]) -> dict[str, TaskScore]:
        model = cast("PatchModel", self.model)
        if not hasattr(model, "embed_patches"):
            raise DataError(
                f"{model.name!r} is a model of volumes and embeds no pictures; choose a model of "
                "pictures, e.g. starter-2d"
            )
        vector = picture_vector(model, channels, device=self.device)
        phrased = {
            task.label: replace(self.tasks, tasks=tuple(map(task.phrased, task.phrasings)))
            for task in self.tasks.tasks
            if task.phrasings
        }
        answers = {
            label: tuple(
                PhrasingScore(task.positives[0], one.similarity)
                for task, one in zip(
                    tasks.tasks, picture_classes(model, vector, tasks), strict=True
                )
            )
            for label, tasks in phrased.items()
        }
        return {
            one.label: TaskScore(
                one.similarity, one.probability, "picture", phrasings=answers.get(one.label, ())
            )
            for one in picture_classes(model, vector, self.tasks)
        }

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

    def _scan_scores(
        self, study: Study, encoded: EncodedStudy, questions: StudyQuestions
    ) -> dict[str, TaskScore]:
        answers = self._answers(study, encoded, self.tasks)
        scores = {}
        for task in self.tasks.tasks:
            lesion = self._lesion(study, encoded, questions.lesions.get(task.label))
            score = _task_score(answers[task.label], lesion)
            if task.label in questions.faithfulness and score.peak_mm:
                own, null = measure_faithfulness(
                    self.model, study, encoded, self.tasks, label=task.label, device=self.device
                )
                score = replace(score, faithfulness=own, null=null)
            phrasings = tuple(
                self._phrasing_score(task.phrased(text), study, encoded, lesion)
                for text in task.phrasings
            )
            scores[task.label] = replace(score, phrasings=phrasings)
        return scores

    def _answers(
        self, study: Study, encoded: EncodedStudy, tasks: TaskSet
    ) -> dict[str, TaskAnswer]:
        if isinstance(self.readout, EmbeddingReadout):
            return embedding_answers(self.model, study, encoded, tasks, self.readout)
        return {task.label: ask_task(self.model, encoded, task) for task in tasks.tasks}

    def _lesion(
        self, study: Study, encoded: EncodedStudy, lesion: Lesion | None
    ) -> LesionTokens | None:
        mask = None if lesion is None else lesion.mask(study.volume)
        if mask is None or not mask.any():
            return None
        return lesion_tokens(
            mask,
            volume_geometry=study.volume.geometry,
            input_geometry=encoded.scan.input_geometry,
            patch_size=self.model.patch_size,
        )

    def _phrasing_score(
        self, task: ZeroShotTask, study: Study, encoded: EncodedStudy, lesion: LesionTokens | None
    ) -> PhrasingScore:
        answer = self._answers(study, encoded, replace(self.tasks, tasks=(task,)))[task.label]
        hit = None
        if lesion is not None and answer.peak is not None:
            hit = lesion.hit_by(answer.peak, answer.similarity_map.values.shape)
        return PhrasingScore(task.positives[0], answer.similarity, hit)


def score_studies(
    scorer: StudyScorer,
    sources: Sequence[StudySource],
    questions: Mapping[str, StudyQuestions],
    *,
    folder: Path,
    progress: StudyProgress | None = None,
) -> None:
    """Score studies that have no record in ``folder`` yet, and those whose last try failed.

    Parameters
    ----------
    scorer : StudyScorer
        The model and its tasks.
    sources : sequence of StudySource
        This worker's own studies.
    questions : mapping of str to StudyQuestions
        By study id, where there is more to measure.
    folder : Path
        One record a study, so that a stopped run resumes.
    progress : callable, optional
        Called for every study, those read from a record too.
    """
    for done, source in enumerate(sources, start=1):
        own = questions.get(source.study_id, StudyQuestions())
        fingerprint = scorer.fingerprint(source, own)
        scored = read_scored_study(folder, source.study_id, fingerprint=fingerprint)
        if scored is None or scored.error:
            scored = scorer.score(source, own)
            write_scored_study(scored, folder, fingerprint=fingerprint)
        if progress is not None:
            progress(done, len(sources), scored)


def stored_scores(
    scorer: StudyScorer,
    sources: Sequence[StudySource],
    questions: Mapping[str, StudyQuestions],
    *,
    folder: Path,
) -> tuple[list[ScoredStudy], list[str]]:
    """Return the records of studies, and the ids of those that have none yet."""
    found, missing = [], []
    for source in sources:
        own = questions.get(source.study_id, StudyQuestions())
        fingerprint = scorer.fingerprint(source, own)
        scored = read_scored_study(folder, source.study_id, fingerprint=fingerprint)
        if scored is None:
            missing.append(source.study_id)
        else:
            found.append(scored)
    return found, missing


def run_provenance(scorer: StudyScorer) -> dict[str, Any]:
    """Return model, weights, preprocessing, task and versions; no paths, which may hold names."""
    model, tasks = scorer.model, scorer.tasks
    montage = scorer.readout if isinstance(scorer.readout, MontageReadout) else None
    return {
        "model": {"name": model.name, "weights_sha256": model.weights_hash()},
        "preprocessing": model.preprocessing.to_dict(),
        "calibration": None if model.calibration is None else asdict(model.calibration),
        "background_prompts": list(model.background_prompts),
        "task": {
            "name": tasks.name,
            "source": tasks.source,
            "ensemble": tasks.ensemble,
            "exclusive": tasks.exclusive,
            "prompts": [
                {
                    "label": task.label,
                    "anatomies": list(task.anatomies),
                    "positives": list(task.positives),
                    "negatives": list(task.negatives),
                    "phrasings": list(task.phrasings),
                }
                for task in tasks.tasks
            ],
        },
        "montage": montage and montage.to_dict(),
        "readout": "volume" if scorer.readout is None else scorer.readout.to_dict(),
        "masks_without_file": scorer.masks,
        "device": scorer.device,
        "versions": {name: version(name) for name in _PACKAGES}
        | {"python": platform.python_version()},
    }


def _task_score(answer: TaskAnswer, lesion: LesionTokens | None) -> TaskScore:
    located = None
    if lesion is not None and answer.peak is not None:
        located = localise(answer.similarity_map, answer.peak, lesion)
    peak = () if answer.peak is None else answer.peak.world_mm
    return TaskScore(answer.similarity, answer.probability, answer.region, peak, located)
