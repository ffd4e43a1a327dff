"""The bundled model: small, quick with words, and right about phrasings it never saw."""

from __future__ import annotations

import pytest
import torch

from napari_ctclip.core.prompt import Prompt
from napari_ctclip.encoding.feature_cache import FeatureCache
from napari_ctclip.evaluation.score_studies import StudyQuestions, StudyScorer
from napari_ctclip.evaluation.simulated_cohort import (
    EVALUATION_SEED,
    kept_study,
    simulated_cohort,
    simulated_lesions,
)
from napari_ctclip.evaluation.task_files import read_tasks
from napari_ctclip.models.factory import load_model
from napari_ctclip.models.hub.registry import known_model
from napari_ctclip.models.interface import assert_implements
from napari_ctclip.pretraining.data.sentences import load_vocabulary
from napari_ctclip.simulation import FINDINGS


@pytest.fixture(scope="module")
def starter():
    return load_model("starter")


def test_bundle_stays_below_sixteen_megabytes_and_the_registry_says_so():
    known = known_model("starter")
    size = sum(file.stat().st_size for file in known.folder.iterdir()) / 1e6
    assert size <= 16.0
    assert size == pytest.approx(known.size_mb, abs=1.0)


def test_starter_keeps_the_contract(starter):
    assert_implements(starter)
    assert starter.suggested_prompts == FINDINGS
    assert starter.patch_size == (2, 2, 2)


def test_held_out_phrasings_name_their_finding(starter):
    names = FINDINGS + starter.background_prompts
    vectors = starter.embed_text(names)
    right = []
    for number, finding in enumerate(load_vocabulary().findings):
        nearest = (starter.embed_text(finding.unseen) @ vectors.T).argmax(dim=1)
        right.append((nearest == number).float())
    assert torch.cat(right).mean() > 0.85


def test_a_negated_finding_is_nearer_to_normal_tissue_than_the_finding_is(starter):
    for finding in load_vocabulary().findings:
        normal = starter.embed_text([f"normal {finding.tissue}"])[0]
        texts = [Prompt(finding.name).negative, finding.name]
        negated, affirmed = starter.embed_text(texts) @ normal
        # an enlarged heart is a heart all the same
        least = 0.03 if finding.name == "cardiomegaly" else 0.1
        assert negated > affirmed + least, finding.name


@pytest.mark.model
def test_heatmap_peak_lies_in_the_lesion(starter, tmp_path):
    finding, seed = "lung mass", EVALUATION_SEED + 900
    kept_study(seed, tmp_path, findings=[finding])
    (source,) = simulated_cohort([seed], tmp_path)
    cache = FeatureCache(tmp_path / "cache", limit_bytes=0)
    scorer = StudyScorer(starter, read_tasks("simulated"), cache=cache)
    lesions = simulated_lesions([source])[source.study_id]
    assert scorer.score(source, StudyQuestions(lesions)).scores[finding].localisation.hit
