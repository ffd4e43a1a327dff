"""Examination on simulated studies: hits are counted where the lesion is, and runs go on."""

from __future__ import annotations

import math

import pytest

from napari_ctclip.evaluation.simulated import Answer, StudyResult, examine, examine_study
from napari_ctclip.evaluation.simulated_report import finding_rows, macro, markdown_table
from napari_ctclip.evaluation.study_cache import load_study, save_study
from napari_ctclip.simulation import FINDINGS, simulate_study
from napari_ctclip.testing import TinyModel

SEED = 60_001
CALCIUM = {"aortic calcification": ("bright plaque", "dark hole")}


@pytest.fixture(scope="module")
def study():
    return simulate_study(
        SEED, spacing_mm=(4.0, 4.0, 4.0), findings=["aortic calcification"], degrade=False
    )


def test_a_peak_on_the_plaque_is_a_hit_and_one_elsewhere_is_not(study):
    model = TinyModel(spacing_mm=(4.0, 4.0, 4.0), patch_size=(1, 1, 1))
    result = examine_study(model, study, seed=SEED, prompts=CALCIUM)
    bright, dark = result.answers
    assert bright.hit
    assert list(bright.highest) == sorted(bright.highest, reverse=True)
    assert bright.score(1) > bright.score(5) > bright.score(20)
    assert not dark.hit
    assert set(result.diameters_mm) == {"aortic calcification"}


def test_a_stored_study_is_the_same_study(study, tmp_path):
    save_study(study, tmp_path / "s.npz")
    again = load_study(tmp_path / "s.npz")
    assert (again.study.volume.voxels == study.study.volume.voxels).all()
    assert (again.finding_bits == study.finding_bits).all()
    assert again.study.organ_masks.legend == dict(study.study.organ_masks.legend)
    assert again.study.volume.geometry.coincides_with(study.study.volume.geometry)
    assert again.lesions == study.lesions


def test_an_interrupted_examination_reads_what_it_has(study, tmp_path, monkeypatch):
    model = TinyModel(spacing_mm=(4.0, 4.0, 4.0), patch_size=(1, 1, 1))
    save_study(study, tmp_path / "studies" / f"{SEED}.npz")
    first = examine(model, [SEED], prompts=CALCIUM, cache=tmp_path)
    monkeypatch.setattr(model, "encode_image", lambda image: pytest.fail("encoded again"))
    assert examine(model, [SEED], prompts=CALCIUM, cache=tmp_path) == first
    fewer = {"aortic calcification": ("bright plaque",)}
    assert len(examine(model, [SEED], prompts=fewer, cache=tmp_path)[0].answers) == 1


def _result(seed, diameters, score):
    answers = tuple(
        Answer(f, wording, (score if f == "lung nodule" else 0.0,), hit=f in diameters)
        for f in FINDINGS
        for wording in (f, "other words")
    )
    return StudyResult(seed, diameters, answers)


def test_nodules_are_judged_by_size_and_small_ones_stay_out_of_the_mean():
    results = [
        _result(0, {"lung nodule": 14.0}, 0.9),
        _result(1, {"lung nodule": 6.0}, 0.1),
        _result(2, {}, 0.5),
    ]
    rows = finding_rows(results, dict.fromkeys(FINDINGS, ("other words",)), tokens=1)
    large, small = rows[0], rows[1]
    assert (large.positives, large.negatives, large.auroc) == (1, 1, 1.0)
    assert (small.positives, small.negatives, small.auroc) == (1, 1, 0.0)
    assert macro(rows, lambda row: row.auroc) == 1.0
    assert math.isnan(rows[2].auroc)
    assert "| lung nodule, 4-10 mm | 1 / 1 | 0.000 |" in markdown_table(rows)
