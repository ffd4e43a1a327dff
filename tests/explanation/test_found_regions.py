"""Cut region: a heatmap about its peak at a threshold, without small components."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from napari_ctclip.core.errors import DataError
from napari_ctclip.core.organ_masks import OrganMasks
from napari_ctclip.core.prompt import Prompt
from napari_ctclip.core.study import Study
from napari_ctclip.explanation.found_regions import CutRule, cut_region, heat_at, organ_of_focus
from napari_ctclip.scoring.answer import Answer
from napari_ctclip.session.findings_session import voxel_of_peak
from tests.exporting.asked import asked_session
from tests.phantom import BALL_CENTRE, ball_study

_LEFT = "bright spot in the left lung"


def answered(folder: Path, text: str = _LEFT) -> tuple[Study, Answer]:
    session = asked_session(folder)
    assert session.study is not None
    return session.study, session.ask(Prompt(text, anatomy="lung_left"))


def with_lung(study: Study, member: np.ndarray) -> Study:
    assert study.organ_masks is not None
    labels = np.where(member, 2, 1).astype(np.uint8)
    masks = OrganMasks(labels, study.organ_masks.legend, study.volume.geometry, source="test")
    return replace(study, organ_masks=masks)


def test_a_lower_threshold_gives_more_voxels_and_is_measured_itself(tmp_path: Path) -> None:
    study, answer = answered(tmp_path)
    seed = voxel_of_peak(study, answer)
    peak = heat_at(answer.similarity_map, study.volume, seed)
    high = cut_region(study, answer, CutRule(0.9 * peak), seed=seed)
    low = cut_region(study, answer, CutRule(0.05 * peak), seed=seed)
    assert low.volume_ml > high.volume_ml
    assert high.region.contains(seed)
    voxels = study.volume.voxels[low.region.box][low.region.mask]
    assert low.mean_hounsfield == pytest.approx(voxels.mean())
    assert low.volume_ml == pytest.approx(len(voxels) * 2.0 * 1.5 * 1.5 / 1000)


def test_what_lies_outside_the_organ_goes(tmp_path: Path) -> None:
    study, answer = answered(tmp_path)
    x = np.indices(study.volume.geometry.shape)[2]
    half = with_lung(study, x >= BALL_CENTRE[2])
    cut = CutRule(0.3 * answer.focus.peak.value)
    seed = voxel_of_peak(study, answer)
    whole = cut_region(half, answer, cut, seed=seed)
    inside = cut_region(half, answer, replace(cut, in_organ=True), seed=seed)
    assert whole.region.start[2] < BALL_CENTRE[2]
    assert inside.region.start[2] == BALL_CENTRE[2]
    assert 0 < inside.volume_ml < whole.volume_ml


def test_components_that_the_organ_cuts_off_go_by_their_size(tmp_path: Path) -> None:
    study, answer = answered(tmp_path)
    z, y, x = np.indices(study.volume.geometry.shape)
    cz, cy, cx = BALL_CENTRE
    speck = (z == cz) & (y == cy) & (x == cx - 4)
    study = with_lung(study, (x >= cx) | speck)
    seed = voxel_of_peak(study, answer)
    rule = CutRule(0.3 * answer.focus.peak.value, in_organ=True)
    all_components = cut_region(study, answer, rule, seed=seed)
    large = cut_region(study, answer, replace(rule, least_mm=4.0), seed=seed)
    assert all_components.region.mask.sum() - large.region.mask.sum() == 1
    assert all_components.region.contains((cz, cy, cx - 4))
    with pytest.raises(DataError, match="smaller than 100 mm"):
        cut_region(study, answer, replace(rule, least_mm=100.0), seed=seed)


def test_a_component_outside_the_organ_is_refused_in_one_line(tmp_path: Path) -> None:
    study, answer = answered(tmp_path)
    z, _, x = np.indices(study.volume.geometry.shape)
    away = with_lung(study, (z == 0) & (x == 60))
    rule = CutRule(0.5 * answer.focus.peak.value, in_organ=True)
    with pytest.raises(DataError, match="no voxel of it lies in the left lung"):
        cut_region(away, answer, rule, seed=voxel_of_peak(study, answer))


def test_a_prompt_of_no_organ_has_none_to_be_kept_to(tmp_path: Path) -> None:
    session = asked_session(tmp_path)
    study, answer = session.study, session.ask("bright spot")
    assert study is not None
    assert organ_of_focus(study, answer) == ""
    with pytest.raises(DataError, match="speaks of no organ"):
        cut_region(study, answer, CutRule(0.1, in_organ=True), seed=BALL_CENTRE)
    assert organ_of_focus(ball_study(), session.ask(Prompt("x", anatomy="lung_left"))) != ""
