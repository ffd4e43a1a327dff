"""What changed between two scans, by prompt and organ."""

from __future__ import annotations

import csv
from dataclasses import replace

import numpy as np
import pytest

from napari_ctclip.core.errors import CtClipError
from napari_ctclip.core.prompt import Prompt
from napari_ctclip.core.study import Study
from napari_ctclip.core.volume import Volume
from napari_ctclip.encoding.feature_cache import FeatureCache
from napari_ctclip.scoring.answer import score_changes
from napari_ctclip.scoring.region_scores import WHOLE_SCAN
from napari_ctclip.session.follow_up import CHANGE_COLUMNS, FollowUp, write_changes
from napari_ctclip.session.session import Session
from napari_ctclip.testing import TinyModel
from tests.phantom import BALL_CENTRE, ball_study


def without_ball(study: Study) -> Study:
    voxels = np.where(study.volume.voxels == 700, -900, study.volume.voxels).astype(np.int16)
    return Study(Volume(voxels, study.volume.geometry), study.organ_masks)


def asked(study: Study, tmp_path, prompts, model=None) -> Session:
    session = Session(cache=FeatureCache(tmp_path / "cache"), device="cpu")
    session.set_study(study)
    session.set_model(model or TinyModel())
    session.set_encoding(session.compute_encoding())
    for prompt in prompts:
        session.ask(prompt)
    return session


@pytest.fixture
def follow_up(tmp_path) -> FollowUp:
    study = ball_study()
    prompts = ("bright ball", "dark hole")
    return FollowUp(asked(study, tmp_path, prompts), asked(without_ball(study), tmp_path, prompts))


def test_a_new_lesion_raises_its_prompt_in_its_organ_alone(follow_up):
    changes = {(c.prompt, c.anatomy): c for c in follow_up.changes()}
    assert changes["bright ball", "lung_left"].difference > 0.1
    assert abs(changes["bright ball", "lung_right"].difference) < 1e-6
    assert changes["bright ball", WHOLE_SCAN].difference >= 0.0
    assert [c.anatomy for c in follow_up.changes()][:1] == [WHOLE_SCAN]
    scan = follow_up.current.study.volume
    peak = scan.geometry.world_to_index(changes["bright ball", "lung_left"].after.peak.world_mm)
    assert np.abs(peak - BALL_CENTRE).max() < 4


def test_only_prompts_that_both_answered_against_the_same_negative_are_compared(
    follow_up, tmp_path
):
    follow_up.current.ask("bright bone")
    follow_up.prior.ask(Prompt("dark hole", negative="bright ball"))
    assert {c.prompt for c in follow_up.changes()} == {"bright ball"}


def test_scores_of_two_models_are_not_compared(tmp_path):
    study = ball_study()
    other = TinyModel(patch_size=(4, 4, 4))
    pair = FollowUp(asked(study, tmp_path, ("bright ball",)),
                    asked(study, tmp_path, ("bright ball",), other))  # fmt: skip
    with pytest.raises(CtClipError, match="different models"):
        pair.changes()


def test_an_organ_that_one_scan_cuts_is_noted(follow_up):
    current, prior = follow_up.current.answers, follow_up.prior.answers
    notes = {c.anatomy: c.note for c in score_changes(prior, current, cut={"lung_left"})}
    assert notes["lung_left"] == "not whole in both scans"
    assert notes["lung_right"] == ""


def test_an_organ_that_one_scan_does_not_show_makes_the_whole_scans_hard_to_compare(tmp_path):
    study, prompts = ball_study(), ("bright ball",)
    labels = study.organ_masks.labels.copy()
    labels[labels == 1] = 0
    without = replace(study, organ_masks=replace(study.organ_masks, labels=labels))
    pair = FollowUp(asked(study, tmp_path, prompts), asked(without, tmp_path, prompts))
    pair.set_link(pair.compute_link())
    notes = {change.anatomy: change.note for change in pair.changes()}
    assert "lung_right" not in notes
    assert notes[WHOLE_SCAN] == "not whole in both scans"
    pair = FollowUp(asked(without, tmp_path, prompts), asked(without, tmp_path, prompts))
    pair.set_link(pair.compute_link())
    assert {c.note for c in pair.changes() if c.anatomy == WHOLE_SCAN} == {""}


def test_places_of_one_scan_are_found_in_the_other_once_they_are_linked(follow_up):
    assert follow_up.in_prior((20, 30, 44)) is None
    follow_up.set_link(follow_up.compute_link())
    assert follow_up.in_prior((20, 30, 44)) == (20, 30, 44)
    assert follow_up.in_current((20, 30, 44)) == (20, 30, 44)
    follow_up.prior.set_masks(None)
    with pytest.raises(CtClipError, match="the prior scan has no organ masks"):
        follow_up.compute_link()


def test_the_change_table_is_read_back_from_its_file(follow_up, tmp_path):
    changes = follow_up.changes()
    write_changes(changes, tmp_path / "changes.csv")
    with (tmp_path / "changes.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == CHANGE_COLUMNS
    assert len(rows) == len(changes)
    for row, change in zip(rows, changes, strict=True):
        assert float(row["difference"]) == pytest.approx(change.difference, abs=1e-5)
