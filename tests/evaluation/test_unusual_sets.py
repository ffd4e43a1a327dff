"""What an evaluation says of sets that lack something: a class, a label, an organ, a scan."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from napari_ctclip.core.errors import DataError
from napari_ctclip.evaluation.evaluation_result import Plan
from napari_ctclip.testing import TinyModel
from tests.evaluation.runs import evaluated, metrics_of, scorer_in


def test_one_class_only_is_not_defined_and_left_out_of_the_mean(studies):
    evaluation = evaluated(studies)
    hole = metrics_of(evaluation, "hole")
    assert np.isnan(hole.values["auroc"].value)
    assert "only negatives: no AUROC" in hole.notes
    assert evaluation.macro.values["auroc"].value == 1.0
    assert evaluation.macro.notes == ("without hole: no AUROC there",)


def test_a_label_without_any_truth_is_named_and_left_out(studies):
    for line in studies.lines:
        line["labels"] = {"ball": line["labels"]["ball"], "other": 1}
    evaluation = evaluated(studies)
    assert [m.label for m in evaluation.labels] == ["ball"]
    (notice,) = [n for n in evaluation.notices if n.code == "label-without-truth"]
    assert "hole" in notice.message


def test_a_manifest_without_any_label_of_the_task_is_refused_before_encoding(studies):
    for line in studies.lines:
        line["labels"] = {"Ball": 1}
    scorer = scorer_in(studies.folder)
    with pytest.raises(DataError, match=r"no label of the task \(ball, hole\); its labels.*Ball"):
        evaluated(studies, scorer)
    assert not scorer.model.encoded_on


def test_unknown_truths_are_counted_and_left_out(studies):
    studies.lines[2]["labels"]["ball"] = None
    ball = metrics_of(evaluated(studies), "ball")
    assert (ball.studies, ball.unlabelled) == (5, 1)


@pytest.mark.parametrize("plan", [Plan(split="test"), Plan(split="valid", threshold_on="test")])
def test_an_empty_split_is_refused_with_what_there_is(studies, plan):
    for line in studies.lines:
        line["split"] = "train"
    with pytest.raises(DataError, match=r"no study .* in split '(test|valid)'; it has train"):
        evaluated(studies, plan=plan)


def test_an_organ_missing_everywhere_gives_no_score_and_says_so(studies):
    (studies.folder / "organs.json").write_text('{"liver": 1, "spleen": 2}', "utf-8")
    evaluation = evaluated(studies)
    ball = metrics_of(evaluation, "ball")
    assert (ball.studies, ball.unscored) == (0, 6)
    assert np.isnan(ball.values["auroc"].value)
    assert "6 studies without a score" in "; ".join(ball.notes)
    assert np.isnan(evaluation.macro.values["auroc"].value)


def test_scores_that_are_not_numbers_are_left_out_and_counted(studies, monkeypatch):
    scorer = scorer_in(studies.folder)
    embed = TinyModel.embed_text
    monkeypatch.setattr(
        TinyModel,
        "embed_text",
        lambda self, texts: (
            embed(self, texts)
            * torch.tensor([math.nan if "hole" in t else 1.0 for t in texts])[:, None]
        ),
    )
    evaluation = evaluated(studies, scorer)
    assert metrics_of(evaluation, "hole").unscored == 6
    assert metrics_of(evaluation, "ball").values["auroc"].value == 1.0


def test_the_same_scan_under_two_names_counts_once(studies):
    copy = studies.lines[4] | {"study_id": "copy", "patient_id": "p99"}
    leak = studies.lines[5] | {"study_id": "leak", "patient_id": "p98", "split": "valid"}
    studies.lines += [copy, leak]
    evaluation = evaluated(studies)
    assert evaluation.table.studies == tuple(f"s{i}" for i in range(2, 8))
    told = [n.message for n in evaluation.notices if n.code == "duplicate-scan"]
    assert ["'copy'" in told[0], "'leak'" in told[1], len(told)] == [True, True, 2]


def test_a_study_given_twice_is_refused_by_the_manifest(studies):
    studies.lines.append(studies.lines[0])
    with pytest.raises(DataError, match="more than once"):
        evaluated(studies)


def test_a_scan_that_cannot_be_read_is_named_and_tried_again(studies):
    scan = studies.folder / "scan3.nii.gz"
    whole = scan.read_bytes()
    scan.write_bytes(whole[:300])
    evaluation = evaluated(studies)
    (notice,) = evaluation.notices
    assert notice.code == "study-not-scored"
    assert "'s3'" in notice.message
    assert "scan3.nii.gz" in notice.message
    assert metrics_of(evaluation, "ball").unscored == 1
    scan.write_bytes(whole)
    assert metrics_of(evaluated(studies), "ball").unscored == 0


def test_a_set_of_which_no_scan_can_be_read_is_refused(studies):
    for number in range(8):
        (studies.folder / f"scan{number}.nii.gz").write_bytes(b"no scan")
    with pytest.raises(DataError, match="none of 8 studies could be scored"):
        evaluated(studies)


def test_a_threshold_split_of_one_class_gives_rankings_and_no_decisions(studies):
    for line in studies.lines[:2]:
        line["labels"]["ball"] = 0
    ball = metrics_of(evaluated(studies), "ball")
    assert ball.values["auroc"].value == 1.0
    assert np.isnan(ball.values["sensitivity"].value)
    assert any("one class only, no threshold" in note for note in ball.notes)
