"""Simulated cohorts go through the evaluator of users: labels, lesions, sizes, phrasings."""

from __future__ import annotations

import csv
from dataclasses import replace

import numpy as np
import pytest

from napari_ctclip.core.errors import DataError
from napari_ctclip.encoding.feature_cache import FeatureCache
from napari_ctclip.evaluation.evaluate_studies import Extras, evaluate_studies
from napari_ctclip.evaluation.evaluation_result import Plan
from napari_ctclip.evaluation.label_metrics import Resampling
from napari_ctclip.evaluation.result_files import summary_table, write_evaluation
from napari_ctclip.evaluation.score_studies import StudyQuestions, StudyScorer
from napari_ctclip.evaluation.simulated_cohort import (
    load_study,
    read_cohort,
    save_study,
    seeds_of,
    simulated_cohort,
    simulated_lesions,
)
from napari_ctclip.evaluation.task_files import TaskSet, ZeroShotTask, read_tasks
from napari_ctclip.simulation import FINDINGS, simulate_study
from napari_ctclip.testing import TinyModel

SEED = 60_001
CALCIUM = TaskSet(
    "calcium",
    "",
    "made up",
    (
        ZeroShotTask(
            "aortic calcification",
            ("bright plaque",),
            ("no bright plaque",),
            ("aorta",),
            phrasings=("bright nodule", "dark hole"),
        ),
    ),
)


@pytest.fixture(scope="module")
def study():
    return simulate_study(
        SEED, spacing_mm=(4.0, 4.0, 4.0), findings=["aortic calcification"], degrade=False
    )


def scorer(tmp_path):
    model = TinyModel(spacing_mm=(4.0, 4.0, 4.0), patch_size=(1, 1, 1))
    return StudyScorer(model, CALCIUM, cache=FeatureCache(tmp_path / "cache", limit_bytes=0))


def test_a_peak_on_the_plaque_is_a_hit_and_one_elsewhere_is_not(study, tmp_path):
    save_study(study, tmp_path / f"{SEED}.npz")
    (source,) = simulated_cohort([SEED], tmp_path)
    lesions = simulated_lesions([source])[source.study_id]
    assert list(lesions) == ["aortic calcification"]
    found = scorer(tmp_path).score(source, StudyQuestions(lesions))
    score = found.scores["aortic calcification"]
    assert (score.region, score.localisation.hit) == ("aorta", True)
    bright, dark = score.phrasings
    assert (bright.hit, dark.hit) == (True, False)
    assert bright.similarity > 0 > dark.similarity


def test_a_stored_study_is_the_same_study(study, tmp_path):
    save_study(study, tmp_path / "s.npz")
    again = load_study(tmp_path / "s.npz")
    assert (again.study.volume.voxels == study.study.volume.voxels).all()
    assert (again.finding_bits == study.finding_bits).all()
    assert again.study.organ_masks.legend == dict(study.study.organ_masks.legend)
    assert again.study.volume.geometry.coincides_with(study.study.volume.geometry)
    assert again.lesions == study.lesions


def test_an_interrupted_evaluation_reads_what_it_has(study, tmp_path, monkeypatch):
    save_study(study, tmp_path / f"{SEED}.npz")
    cohort = simulated_cohort([SEED], tmp_path)
    used, plan = scorer(tmp_path), Plan("all", "none", resampling=Resampling(100))
    extras = Extras(lesions=simulated_lesions(cohort))
    first = evaluate_studies(cohort, used, plan, out=tmp_path / "out", extras=extras)
    monkeypatch.setattr(used.model, "encode_image", lambda image: pytest.fail("encoded again"))
    again = evaluate_studies(cohort, used, plan, out=tmp_path / "out", extras=extras)
    assert repr(first.phrasings) == repr(again.phrasings)
    assert [row.phrasing for row in again.phrasings] == ["bright nodule", "dark hole"]
    assert [row.pointing for row in again.phrasings] == [1.0, 0.0]
    write_evaluation(again, tmp_path / "out")
    rows = list(csv.DictReader((tmp_path / "out" / "phrasings.csv").open()))
    assert [row["pointing"] for row in rows] == ["1", "0"]
    assert "| aortic calcification | 1 / 0 | – | 1.00 | – | 0.50 |" in summary_table(again)


def test_nodules_are_labelled_by_size_and_small_ones_stay_out_of_the_mean(study, tmp_path):
    nodule = replace(study.lesions[0], finding="lung nodule")
    for seed, sizes in ((SEED, (14.0, 6.0)), (SEED + 1, (6.0,)), (SEED + 2, ())):
        lesions = tuple(replace(nodule, diameter_mm=size) for size in sizes)
        save_study(replace(study, lesions=lesions), tmp_path / f"{seed}.npz")
    large, small = "lung nodule, 10 mm and more", "lung nodule, 4-10 mm"
    cohort = simulated_cohort(range(SEED, SEED + 3), tmp_path)
    found = [[s.labels[name] for name in ("lung nodule", large, small)] for s in cohort]
    assert found == [[1, 1, None], [1, None, 1], [0, 0, 0]]
    tasks = read_tasks("simulated_phrasings")
    assert [task.label for task in tasks.tasks if not task.in_mean] == [small]
    assert {task.positives[0] for task in tasks.tasks} == set(FINDINGS)
    assert set(tasks.labels) <= set(cohort[0].labels)
    assert all(len(task.phrasings) >= 10 for task in tasks.tasks)


def test_the_seed_decides_the_split_and_mistakes_are_refused(study, tmp_path):
    assert seeds_of("simulated:50000-50002,100000") == [50000, 50001, 50002, 100000]
    for seed in (60_001, 100_000):
        save_study(study, tmp_path / f"{seed}.npz")
    cohort, lesions = read_cohort("simulated:60001,100000", tmp_path)
    assert [source.split for source in cohort] == ["valid", "test"]
    assert set(lesions) == {"simulated-60001", "simulated-100000"}
    mask = lesions["simulated-60001"]["aortic calcification"].mask(study.study.volume)
    assert np.array_equal(mask, study.finding_mask("aortic calcification"))
    with pytest.raises(DataError, match="expected seeds and ranges of seeds"):
        seeds_of("simulated:many")
    with pytest.raises(DataError, match="each seed once"):
        seeds_of("simulated:3,1-3")
