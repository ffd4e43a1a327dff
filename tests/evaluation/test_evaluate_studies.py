"""From a manifest to numbers: encoded once, resumed, distributed, and honest about odd sets."""

from __future__ import annotations

import json

import numpy as np
import pytest

from napari_ctclip.evaluation.evaluate_studies import Extras, StudiesPending, evaluate_studies
from napari_ctclip.evaluation.evaluation_result import Evaluation, Plan
from napari_ctclip.evaluation.label_metrics import Resampling
from napari_ctclip.evaluation.lesion_files import LesionFile
from napari_ctclip.evaluation.score_studies import StudyScorer
from napari_ctclip.evaluation.study_source import file_studies
from napari_ctclip.evaluation.worker import Worker
from napari_ctclip.io.store.manifest import read_manifest
from tests.evaluation.runs import QUICKLY, evaluated, metrics_of, scorer_in

WINDOWS = 3  # encodings of one scan


def test_a_model_that_sees_the_ball_separates_studies_and_threshold_comes_from_the_other_split(
    studies,
):
    evaluation = evaluated(studies)
    assert isinstance(evaluation, Evaluation)
    ball = metrics_of(evaluation, "ball")
    assert (ball.studies, ball.positives, ball.patients) == (6, 3, 6)
    assert ball.values["auroc"].value == 1.0
    assert ball.operating_point.origin == "youden on split 'valid'"
    assert ball.values["sensitivity"].value == ball.values["specificity"].value == 1.0
    # 3 of 3: the exact interval of Clopper and Pearson
    assert ball.values["sensitivity"].low == pytest.approx(0.025 ** (1 / 3))
    assert set(evaluation.table.splits) == {"test"}
    assert {region for row in evaluation.table.regions for region in row} == {"lung"}


def test_each_study_is_encoded_once_for_all_labels_and_never_again(studies):
    scorer = scorer_in(studies.folder)
    evaluated(studies, scorer)
    windows = len(scorer.model.encoded_on)
    assert windows == 8 * WINDOWS  # two labels and an ensemble cost nothing
    evaluated(studies, scorer)
    assert len(scorer.model.encoded_on) == windows


def test_a_run_that_was_killed_goes_on_and_gives_the_same_numbers(studies, monkeypatch):
    scorer = scorer_in(studies.folder)
    score = StudyScorer.score
    done = []

    def die_after_three(self, source, questions):
        if len(done) == 3:
            raise KeyboardInterrupt
        done.append(source.study_id)
        return score(self, source, questions)

    monkeypatch.setattr(StudyScorer, "score", die_after_three)
    with pytest.raises(KeyboardInterrupt):
        evaluated(studies, scorer)
    monkeypatch.setattr(StudyScorer, "score", score)
    records = studies.folder / "out" / "studies"
    assert len(list(records.iterdir())) == 3
    (records / next(records.iterdir()).name).write_text("{ cut off", "utf-8")
    resumed = evaluated(studies, scorer)
    assert len(scorer.model.encoded_on) == (8 + 1) * WINDOWS  # only the damaged one twice
    again = evaluate_studies(
        file_studies(read_manifest(studies.manifest).entries),
        scorer_in(studies.folder),
        QUICKLY,
        out=studies.folder / "undisturbed",
    )
    assert np.array_equal(resumed.table.similarity, again.table.similarity)
    assert repr(resumed.labels) == repr(again.labels)  # NaN is not equal to itself


def test_workers_score_their_own_studies_and_the_last_one_measures(studies):
    scorer = scorer_in(studies.folder)
    first = evaluated(studies, scorer, worker=Worker(0, 3))
    assert isinstance(first, StudiesPending)
    assert len(first.studies) == 5
    assert isinstance(evaluated(studies, scorer, worker=Worker(2, 3)), StudiesPending)
    last = evaluated(studies, scorer, worker=Worker(1, 3))
    assert isinstance(last, Evaluation)
    assert len(scorer.model.encoded_on) == 8 * WINDOWS
    alone = evaluated(studies, scorer_in(studies.folder))
    assert np.array_equal(last.table.similarity, alone.table.similarity)


def test_other_prompts_or_another_image_are_scored_anew(studies):
    scorer = scorer_in(studies.folder)
    evaluated(studies, scorer)
    (studies.folder / "scan0.nii.gz").touch()
    before = len(scorer.model.encoded_on)
    evaluated(studies, scorer)
    assert len(scorer.model.encoded_on) == before + WINDOWS
    without_masks = scorer_in(studies.folder, masks="none")
    evaluated(studies, without_masks)
    assert len(without_masks.model.encoded_on) == 8 * WINDOWS


def test_heatmaps_are_held_against_lesion_masks_of_the_evaluated_split(studies):
    lesions = {
        line["study_id"]: {"ball": LesionFile(studies.folder / "ball.nii.gz")}
        for line in studies.lines
        if line["labels"]["ball"]
    }
    lesions["s3"] = {"Ball": LesionFile(studies.folder / "ball.nii.gz")}  # a misspelt label
    evaluation = evaluated(studies, extras=Extras(lesions=lesions))
    (notice,) = evaluation.notices
    assert notice.code == "lesions-not-used"
    # the studies of the other split are not evaluated: s0
    assert notice.message.startswith("2 rows")
    overall, by_size = evaluation.localisation
    assert (overall.label, overall.size, overall.studies) == ("ball", "all", 3)
    assert overall.pointing.value == 1.0
    # tokens that the ball only grazes lie below those of the chest wall
    assert overall.auprc.value > 0.4 > 40 * overall.chance.value
    assert by_size.size == "10 to 20 mm"  # a ball of 8 mm radius


def test_subgroups_keep_the_operating_point_of_all(studies):
    sex = {f"s{i}": "F" if i % 2 else "M" for i in range(7)}
    evaluation = evaluated(studies, extras=Extras(columns={"sex": sex}))
    assert [(part.group, part.labels[0].studies) for part in evaluation.subgroups] == [
        ("F", 2),
        ("M", 3),
        ("unknown", 1),
    ]
    women = evaluation.subgroups[0].labels[0]
    assert women.operating_point == metrics_of(evaluation, "ball").operating_point
    alone = evaluation.subgroups[2].labels[0]
    assert np.isnan(alone.values["auroc"].value)


def test_faithfulness_falls_where_the_ball_is_blurred_and_not_where_another_map_points(studies):
    plan = Plan(resampling=Resampling(100))
    evaluation = evaluated(studies, plan=plan, extras=Extras(faithfulness=2))
    (row,) = evaluation.faithfulness
    assert (row.label, row.studies) == ("ball", 2)
    assert row.deletion < row.reference_deletion - 0.05
    assert row.insertion > row.reference_insertion + 0.05


def test_without_another_split_probability_one_half_decides_and_says_so(studies):
    evaluation = evaluated(studies, plan=Plan("all", "none", resampling=Resampling(100)))
    ball = metrics_of(evaluation, "ball")
    assert ball.studies == 8
    assert ball.operating_point.origin == "probability 0.5 of the model, chosen on no data"
    assert np.isnan(evaluation.temperature)
    assert set(evaluation.calibrations[0].kinds) == {"own"}


def test_the_test_set_threshold_is_named_so_everywhere(studies):
    evaluation = evaluated(studies, plan=Plan("test", "test", resampling=Resampling(100)))
    assert "TEST-SET" in metrics_of(evaluation, "ball").operating_point.origin
    assert [n.code for n in evaluation.notices] == ["test-set-threshold"]


def test_records_hold_no_path(studies):
    evaluated(studies)
    for record in (studies.folder / "out" / "studies").iterdir():
        text = record.read_text("utf-8")
        assert str(studies.folder) not in text
        assert "NaN" not in text
        assert json.loads(text)["scores"]["ball"]["region"] == "lung"
