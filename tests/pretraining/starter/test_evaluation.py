"""Simulated patches are studies of the one evaluator, and validation studies calibrate."""

from __future__ import annotations

import pytest
import torch

from napari_ctclip.core.errors import DataError
from napari_ctclip.evaluation.score_studies import StudyQuestions, StudyScorer
from napari_ctclip.evaluation.task_files import read_tasks
from napari_ctclip.pretraining.starter.evaluation import patches_of, simulated_patches
from napari_ctclip.pretraining.starter.patch_pool import PATCH_FINDINGS
from napari_ctclip.testing import TinyModel
from tests.models.small_open_clip import small_open_clip


def test_a_patch_is_scored_as_a_study_by_the_finding_against_normal_lung():
    model, tasks = small_open_clip("resnet"), read_tasks("simulated_patches")
    cohort = simulated_patches(model, slices=12, patches=64, seed=3)
    assert len(cohort) == 64
    assert {value for patch in cohort for value in patch.labels.values()} == {0, 1, None}
    assert set(tasks.labels) < set(PATCH_FINDINGS)
    found = StudyScorer(model, tasks).score(cohort[0], StudyQuestions())
    with torch.inference_mode():
        image = torch.from_numpy(cohort[0].channels)[None]
        positive, control = model.embed_text(["lung nodule", "normal lung"])
        expected = float(model.embed_patches(image)[0] @ (positive - control))
    score = found.scores["lung nodule"]
    assert score.similarity == pytest.approx(expected, abs=1e-5)
    assert score.region == "picture"
    assert [one.text for one in score.phrasings] == list(tasks.tasks[0].phrasings)
    # the control stays, whatever the phrasing
    assert tasks.tasks[0].phrased("a spot").negatives == ("normal lung",)


def test_models_of_volumes_and_missing_counts_are_refused():
    with pytest.raises(DataError, match="embeds no patches; choose starter-2d"):
        simulated_patches(TinyModel())
    with pytest.raises(DataError, match="expected the number of patches"):
        patches_of("simulated-patches:many")
