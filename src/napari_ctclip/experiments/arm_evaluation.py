"""Arm evaluation: a model in training, or a trained one, scored by the evaluator of users."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from napari_ctclip.core.errors import DataError
from napari_ctclip.core.study import Study
from napari_ctclip.encoding.encoding import restored_scan
from napari_ctclip.evaluation.embedding_readout import EmbeddingReadout
from napari_ctclip.evaluation.evaluate_studies import Extras, evaluate_studies, score_table
from napari_ctclip.evaluation.evaluation_result import Evaluation, Plan
from napari_ctclip.evaluation.label_metrics import Resampling
from napari_ctclip.evaluation.result_files import write_evaluation
from napari_ctclip.evaluation.score_studies import StudyQuestions, StudyScorer
from napari_ctclip.evaluation.score_table import ScoreTable
from napari_ctclip.evaluation.simulated_cohort import SimulatedSource, simulated_lesions
from napari_ctclip.evaluation.task_files import TaskSet
from napari_ctclip.experiments.plan import Reading
from napari_ctclip.models.towers.locked_tower import LockedTower3d
from napari_ctclip.preprocessing.specification import ModelInput, Preprocessing
from napari_ctclip.regions.token_grid import body_tokens, token_regions
from napari_ctclip.scoring.encoded_study import EncodedStudy, MaskReadout
from napari_ctclip.scoring.readout import token_index

__all__ = ["ArmEvaluator"]


class ArmEvaluator:
    """Scores the models of an experiment on its validation and test studies.

    The studies are prepared once, and seen once by the locked tower that the arms share, if any;
    everything else is the evaluator's own work.

    Parameters
    ----------
    cohort : sequence of SimulatedSource
        Validation studies, then test studies.
    tasks : TaskSet
        The queried findings.
    preprocessing : Preprocessing
        Of every arm's model.
    anatomies : sequence of str
        The organs that the arms are trained with.
    tower : LockedTower3d or None
        What it makes of a study is kept instead of the voxels.
    """

    def __init__(
        self,
        cohort: Sequence[SimulatedSource],
        tasks: TaskSet,
        *,
        preprocessing: Preprocessing,
        anatomies: Sequence[str],
        tower: LockedTower3d | None = None,
    ) -> None:
        self.cohort, self.tasks = tuple(cohort), tasks
        self._anatomies = tuple(anatomies)
        self._seen = {
            source.study_id: _seen(source, preprocessing, tower) for source in self.cohort
        }

    def scores(
        self, model: Any, *, of: Reading, split: str, studies: int | None = None
    ) -> ScoreTable:
        """Return the answers of a model as it is now, about the first studies of a split.

        Parameters
        ----------
        model : VisionLanguageModel
            In training or not: it is left in the mode it was in.
        of : {"whole", "organ"}
            The embedding that its method answers from.
        split : {"valid", "test"}
            Which studies.
        studies : int, optional
            How many of them; all by default.
        """
        chosen = [source for source in self.cohort if source.split == split][:studies]
        with _evaluated(model):
            scorer = self._scorer(model, of)
            scored = [scorer.score(source, StudyQuestions()) for source in chosen]
        errors = [one.error for one in scored if one.error]
        if errors:
            raise DataError(errors[0])
        return score_table(chosen, scored, self.tasks.labels)

    def evaluate(self, model: Any, *, of: Reading, resampling: Resampling, out: Path) -> Evaluation:
        """Return the evaluation of a trained model; its files are written to ``out``."""
        extras = Extras(lesions=simulated_lesions(self.cohort))
        with _evaluated(model):
            scorer = self._scorer(model, of)
            plan = Plan(resampling=resampling)
            found = evaluate_studies(self.cohort, scorer, plan, out=out, extras=extras)
        assert isinstance(found, Evaluation), "a single worker scores every study"
        write_evaluation(found, out)
        return found

    def _scorer(self, model: Any, of: Reading) -> StudyScorer:
        readout = EmbeddingReadout(of, self._anatomies)
        return StudyScorer(model, self.tasks, readout=readout, encode=self._encode)

    def _encode(self, model: Any, study: Study) -> EncodedStudy:
        """Return a study encoded from what was prepared of it."""
        prepared, image = self._seen[study.study_id]
        scan = restored_scan(model, prepared, model.encode_image(image))
        scan = scan.within(body_tokens(study.volume, scan.input_geometry, model.patch_size))
        assert study.organ_masks is not None, "simulated studies have masks"
        regions = token_regions(study.organ_masks, scan.input_geometry, model.patch_size)
        readout = MaskReadout(regions, None)
        return EncodedStudy(scan, token_index(model, scan), readout, (), from_cache=False)


def _seen(
    source: SimulatedSource, preprocessing: Preprocessing, tower: LockedTower3d | None
) -> tuple[ModelInput, Tensor]:
    """Return grid and field of view, and the image (1, C, D, H, W) as the models see it."""
    study = source.load(quick_masks=False).study
    prepared = preprocessing.prepare(study.volume)
    image = torch.from_numpy(prepared.image)[None]
    image = image if tower is None else tower.ahead(image)
    # no view of the voxels, which would keep them all
    empty = np.empty((0, *prepared.image.shape[1:]), np.float32)
    return replace(prepared, image=empty), image


@contextmanager
def _evaluated(model: Any) -> Iterator[None]:
    """Put a model into evaluation mode for a while."""
    was_training = model.training
    model.eval()
    try:
        with torch.inference_mode():
            yield
    finally:
        model.train(was_training)
