"""From a manifest to numbers: encoded once, resumed, shared out, and honest about odd sets."""

from __future__ import annotations

import json

import numpy as np
import pytest

from napari_ctclip.core.errors import DataError
from napari_ctclip.evaluation.evaluate_manifest import Extras, StudiesPending, evaluate_manifest
from napari_ctclip.evaluation.evaluation_result import Evaluation, Plan
from napari_ctclip.evaluation.label_metrics import Resampling
from napari_ctclip.evaluation.lesion_files import LesionFile
from napari_ctclip.evaluation.score_studies import StudyScorer
from napari_ctclip.evaluation.sharding import Share
from napari_ctclip.io.manifest import read_manifest
from napari_ctclip.scoring.feature_cache import FeatureCache
from tests.evaluation.evaluation_studies import TASKS, write_studies
from tests.tiny_model import TinyModel

BALLS = (True, False, True, False, True, False, True, False)
SPLITS = ("valid",) * 2 + ("test",) * 6
WINDOWS = 3  # encodings of one scan
QUICKLY = Plan(resampling=Resampling(100))


@pytest.fixture
def studies(tmp_path):
    return write_studies(tmp_path, BALLS, splits=SPLITS)


def _scorer(folder, **options):
    # nothing is kept, so that every encoding is counted
    cache = FeatureCache(folder / "cache", limit_bytes=0)
    return StudyScorer(TinyModel(), TASKS, cache=cache, **options)


def _evaluate(studies, scorer=None, plan=QUICKLY, **options):
    scorer = scorer or _scorer(studies.folder)
    entries = read_manifest(studies.manifest).entries
    return evaluate_manifest(entries, scorer, plan, out=studies.folder / "out", **options)


def _metrics(evaluation, label):
    return next(m for m in evaluation.labels if m.label == label)


def test_a_model_that_sees_the_ball_separates_studies_and_threshold_comes_from_the_other_split(
    studies,
):
    evaluation = _evaluate(studies)
    assert isinstance(evaluation, Evaluation)
    ball = _metrics(evaluation, "ball")
    assert (ball.studies, ball.positives, ball.patients) == (6, 3, 6)
    assert ball.values["auroc"].value == 1.0
    assert ball.operating_point.origin == "youden on split 'valid'"
    assert ball.values["sensitivity"].value == ball.values["specificity"].value == 1.0
    # 3 of 3: the exact interval of Clopper and Pearson
    assert ball.values["sensitivity"].low == pytest.approx(0.025 ** (1 / 3))
    assert set(evaluation.table.splits) == {"test"}
    assert {region for row in evaluation.table.regions for region in row} == {"lung"}


def test_each_study_is_encoded_once_for_all_labels_and_never_again(studies):
    scorer = _scorer(studies.folder)
    _evaluate(studies, scorer)
    windows = len(scorer.model.encoded_on)
    assert windows == 8 * WINDOWS  # two labels and an ensemble cost nothing
    _evaluate(studies, scorer)
    assert len(scorer.model.encoded_on) == windows


def test_a_run_that_was_killed_goes_on_and_gives_the_same_numbers(studies, monkeypatch):
    scorer = _scorer(studies.folder)
    score = StudyScorer.score
    done = []

    def die_after_three(self, entry, questions):
        if len(done) == 3:
            raise KeyboardInterrupt
        done.append(entry.study_id)
        return score(self, entry, questions)

    monkeypatch.setattr(StudyScorer, "score", die_after_three)
    with pytest.raises(KeyboardInterrupt):
        _evaluate(studies, scorer)
    monkeypatch.setattr(StudyScorer, "score", score)
    records = studies.folder / "out" / "studies"
    assert len(list(records.iterdir())) == 3
    (records / next(records.iterdir()).name).write_text("{ cut off", "utf-8")
    resumed = _evaluate(studies, scorer)
    assert len(scorer.model.encoded_on) == (8 + 1) * WINDOWS  # only the damaged one twice
    again = evaluate_manifest(
        read_manifest(studies.manifest).entries,
        _scorer(studies.folder),
        QUICKLY,
        out=studies.folder / "undisturbed",
    )
    assert np.array_equal(resumed.table.similarity, again.table.similarity)
    assert repr(resumed.labels) == repr(again.labels)  # NaN is not equal to itself


def test_processes_share_the_studies_and_the_last_one_measures(studies):
    scorer = _scorer(studies.folder)
    first = _evaluate(studies, scorer, share=Share(0, 3))
    assert isinstance(first, StudiesPending)
    assert len(first.studies) == 5
    assert isinstance(_evaluate(studies, scorer, share=Share(2, 3)), StudiesPending)
    last = _evaluate(studies, scorer, share=Share(1, 3))
    assert isinstance(last, Evaluation)
    assert len(scorer.model.encoded_on) == 8 * WINDOWS
    alone = _evaluate(studies, _scorer(studies.folder))
    assert np.array_equal(last.table.similarity, alone.table.similarity)


def test_other_prompts_or_another_image_are_scored_anew(studies):
    scorer = _scorer(studies.folder)
    _evaluate(studies, scorer)
    (studies.folder / "scan0.nii.gz").touch()
    before = len(scorer.model.encoded_on)
    _evaluate(studies, scorer)
    assert len(scorer.model.encoded_on) == before + WINDOWS
    without_masks = _scorer(studies.folder, masks="none")
    _evaluate(studies, without_masks)
    assert len(without_masks.model.encoded_on) == 8 * WINDOWS


def test_heatmaps_are_held_against_lesion_masks_of_the_evaluated_split(studies):
    lesions = {
        line["study_id"]: {"ball": LesionFile(studies.folder / "ball.nii.gz")}
        for line in studies.lines
        if line["labels"]["ball"]
    }
    lesions["s3"] = {"Ball": LesionFile(studies.folder / "ball.nii.gz")}  # a misspelt label
    evaluation = _evaluate(studies, extras=Extras(lesions=lesions))
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
    evaluation = _evaluate(studies, extras=Extras(columns={"sex": sex}))
    assert [(part.group, part.labels[0].studies) for part in evaluation.subgroups] == [
        ("F", 2),
        ("M", 3),
        ("unknown", 1),
    ]
    women = evaluation.subgroups[0].labels[0]
    assert women.operating_point == _metrics(evaluation, "ball").operating_point
    alone = evaluation.subgroups[2].labels[0]
    assert np.isnan(alone.values["auroc"].value)


def test_faithfulness_falls_where_the_ball_is_blurred_and_not_where_another_map_points(studies):
    plan = Plan(resampling=Resampling(100))
    evaluation = _evaluate(studies, plan=plan, extras=Extras(faithfulness=2))
    (row,) = evaluation.faithfulness
    assert (row.label, row.studies) == ("ball", 2)
    assert row.deletion < row.null_deletion - 0.05
    assert row.insertion > row.null_insertion + 0.05


# --- odd sets -------------------------------------------------------------------------------------


def test_one_class_only_is_not_defined_and_left_out_of_the_mean(studies):
    evaluation = _evaluate(studies)
    hole = _metrics(evaluation, "hole")
    assert np.isnan(hole.values["auroc"].value)
    assert "only negatives: no AUROC" in hole.notes
    assert evaluation.macro.values["auroc"].value == 1.0
    assert evaluation.macro.notes == ("without hole: no AUROC there",)


def test_a_label_without_any_truth_is_named_and_left_out(studies):
    for line in studies.lines:
        line["labels"] = {"ball": line["labels"]["ball"], "other": 1}
    evaluation = _evaluate(studies)
    assert [m.label for m in evaluation.labels] == ["ball"]
    (notice,) = [n for n in evaluation.notices if n.code == "label-without-truth"]
    assert "hole" in notice.message


def test_a_manifest_without_any_label_of_the_task_is_refused_before_encoding(studies):
    for line in studies.lines:
        line["labels"] = {"Ball": 1}
    scorer = _scorer(studies.folder)
    with pytest.raises(DataError, match=r"no label of the task \(ball, hole\); its labels.*Ball"):
        _evaluate(studies, scorer)
    assert not scorer.model.encoded_on


def test_unknown_truths_are_counted_and_left_out(studies):
    studies.lines[2]["labels"]["ball"] = None
    ball = _metrics(_evaluate(studies), "ball")
    assert (ball.studies, ball.unlabelled) == (5, 1)


@pytest.mark.parametrize("plan", [Plan(split="test"), Plan(split="valid", threshold_on="test")])
def test_an_empty_split_is_refused_with_what_there_is(studies, plan):
    for line in studies.lines:
        line["split"] = "train"
    with pytest.raises(DataError, match=r"no study .* in split '(test|valid)'; it has train"):
        _evaluate(studies, plan=plan)


def test_without_another_split_probability_one_half_decides_and_says_so(studies):
    evaluation = _evaluate(studies, plan=Plan("all", "none", resampling=Resampling(100)))
    ball = _metrics(evaluation, "ball")
    assert ball.studies == 8
    assert ball.operating_point.origin == "probability 0.5 of the model, chosen on no data"
    assert np.isnan(evaluation.temperature)
    assert set(evaluation.calibrations[0].kinds) == {"own"}


def test_the_test_set_threshold_is_named_so_everywhere(studies):
    evaluation = _evaluate(studies, plan=Plan("test", "test", resampling=Resampling(100)))
    assert "TEST-SET" in _metrics(evaluation, "ball").operating_point.origin
    assert [n.code for n in evaluation.notices] == ["test-set-threshold"]


def test_an_organ_missing_everywhere_gives_no_score_and_says_so(studies):
    (studies.folder / "organs.json").write_text('{"liver": 1, "spleen": 2}', "utf-8")
    evaluation = _evaluate(studies)
    ball = _metrics(evaluation, "ball")
    assert (ball.studies, ball.unscored) == (0, 6)
    assert np.isnan(ball.values["auroc"].value)
    assert "6 studies without a score" in "; ".join(ball.notes)
    assert np.isnan(evaluation.macro.values["auroc"].value)


def test_scores_that_are_not_numbers_are_left_out_and_counted(studies, monkeypatch):
    scorer = _scorer(studies.folder)
    embed = TinyModel.embed_text
    monkeypatch.setattr(
        TinyModel,
        "embed_text",
        lambda self, texts: (
            embed(self, texts)
            * np.array([np.nan if "hole" in t else 1.0 for t in texts], dtype=np.float32)[:, None]
        ),
    )
    evaluation = _evaluate(studies, scorer)
    assert _metrics(evaluation, "hole").unscored == 6
    assert _metrics(evaluation, "ball").values["auroc"].value == 1.0


def test_the_same_scan_under_two_names_counts_once(studies):
    copy = studies.lines[4] | {"study_id": "copy", "patient_id": "p99"}
    leak = studies.lines[5] | {"study_id": "leak", "patient_id": "p98", "split": "valid"}
    studies.lines += [copy, leak]
    evaluation = _evaluate(studies)
    assert evaluation.table.studies == tuple(f"s{i}" for i in range(2, 8))
    told = [n.message for n in evaluation.notices if n.code == "duplicate-scan"]
    assert ["'copy'" in told[0], "'leak'" in told[1], len(told)] == [True, True, 2]


def test_a_study_given_twice_is_refused_by_the_manifest(studies):
    studies.lines.append(studies.lines[0])
    with pytest.raises(DataError, match="more than once"):
        _evaluate(studies)


def test_a_scan_that_cannot_be_read_is_named_and_tried_again(studies):
    scan = studies.folder / "scan3.nii.gz"
    whole = scan.read_bytes()
    scan.write_bytes(whole[:300])
    evaluation = _evaluate(studies)
    (notice,) = evaluation.notices
    assert notice.code == "study-not-scored"
    assert "'s3'" in notice.message
    assert "scan3.nii.gz" in notice.message
    assert _metrics(evaluation, "ball").unscored == 1
    scan.write_bytes(whole)
    assert _metrics(_evaluate(studies), "ball").unscored == 0


def test_a_set_of_which_no_scan_can_be_read_is_refused(studies):
    for number in range(8):
        (studies.folder / f"scan{number}.nii.gz").write_bytes(b"no scan")
    with pytest.raises(DataError, match="none of 8 studies could be scored"):
        _evaluate(studies)


def test_a_threshold_split_of_one_class_gives_rankings_and_no_decisions(studies):
    for line in studies.lines[:2]:
        line["labels"]["ball"] = 0
    ball = _metrics(_evaluate(studies), "ball")
    assert ball.values["auroc"].value == 1.0
    assert np.isnan(ball.values["sensitivity"].value)
    assert any("one class only, no threshold" in note for note in ball.notes)


def test_records_hold_no_path(studies):
    _evaluate(studies)
    for record in (studies.folder / "out" / "studies").iterdir():
        text = record.read_text("utf-8")
        assert str(studies.folder) not in text
        assert "NaN" not in text
        assert json.loads(text)["scores"]["ball"]["region"] == "lung"
