"""Erasing the ball of a phantom: what is encoded again, what falls, and what controls do."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from napari_ctclip.core.errors import Cancelled
from napari_ctclip.core.prompt import Prompt
from napari_ctclip.encoding.encoding import encode_input
from napari_ctclip.encoding.feature_cache import FeatureCache, as_cached
from napari_ctclip.encoding.work import Work
from napari_ctclip.explanation.map_test import ENCODINGS, MapTest, MapTestRow, map_test
from napari_ctclip.explanation.occlusion import THE_REGION, OcclusionEffect, occlude_region
from napari_ctclip.explanation.reencoding import affected_share, encode_changed
from napari_ctclip.models.interface import EncodingWindows
from napari_ctclip.regions.drawn_region import sphere_region
from napari_ctclip.scoring.encoded_study import Ready, encode_study
from napari_ctclip.scoring.region_scores import WHOLE_SCAN
from napari_ctclip.testing import TinyModel
from tests.phantom import BALL_CENTRE, ball_study

BRIGHT = Prompt("bright spot")


@pytest.fixture
def model() -> TinyModel:
    return TinyModel(windows=EncodingWindows((12, 512, 512), (4, 0, 0)))


@pytest.fixture
def asked(model, tmp_path: Path):
    """The ball scan, encoded."""
    study = ball_study()
    return Ready(study, model, encode_study(model, study, work=Work(FeatureCache(tmp_path))))


@pytest.fixture
def ball(asked):
    return sphere_region(asked.study.volume.geometry, BALL_CENTRE, radius_mm=9.0)


def test_only_touched_windows_are_encoded_and_the_answer_is_that_of_the_whole(asked, model):
    study, encoded = asked.study, asked.encoding
    original = model.preprocessing.prepare(study.volume)
    image = original.image.copy()
    image[:, 2:4, 10:14, 10:14] = 0.9
    changed = replace(original, image=image)
    everything = encode_input(model, changed)
    windows = len(model.encoded_on) // 2  # encoded twice by now
    model.encoded_on.clear()
    found = encode_changed(asked, original=original, changed=changed)
    assert 0 < len(model.encoded_on) < windows
    for ours, whole in zip(
        found.scan.features.levels, as_cached(everything.features).levels, strict=True
    ):
        assert torch.equal(ours, whole)
    assert not torch.equal(found.scan.features.levels[0], encoded.scan.features.levels[0])
    model.encoded_on.clear()
    assert encode_changed(asked, original=original, changed=original) is encoded
    assert model.encoded_on == []


def test_the_share_told_before_is_that_of_the_windows_touched(asked, ball):
    study = asked.study
    told = affected_share(asked, ball)
    assert 0.2 < told < 0.9
    whole = sphere_region(study.volume.geometry, BALL_CENTRE, radius_mm=200.0)
    assert affected_share(asked, whole) == 1.0


def test_erasing_the_ball_takes_the_score_away_and_erasing_elsewhere_does_not(asked, ball):
    study = asked.study
    before = study.volume.voxels.copy()
    steps: list[tuple[int, int]] = []
    result = occlude_region(
        asked, BRIGHT, ball, work=Work(progress=lambda done, total: steps.append((done, total)))
    )
    effects = {effect.where: effect for effect in result.effects}
    assert set(effects) == {WHOLE_SCAN, "lung_left", THE_REGION}
    for effect in effects.values():
        assert effect.change < -0.2
        assert effect.beyond == len(effect.controls) == len(result.controls)
    # a control at the wall takes some of the wall away, at its own place
    assert all(abs(control) < 0.02 for control in effects[WHOLE_SCAN].controls)
    assert len(result.controls) >= 3
    assert steps[-1] == (len(result.controls) + 1,) * 2
    lowest = np.unravel_index(
        np.nanargmin(result.difference.values), result.difference.values.shape
    )
    place = result.difference.geometry.index_to_world(lowest)
    centre = study.volume.geometry.index_to_world(BALL_CENTRE)
    assert np.linalg.norm(place - centre) < 9.0
    assert (study.volume.voxels == before).all()


def test_erasing_normal_lung_changes_no_more_than_its_controls(asked):
    study = asked.study
    lung = sphere_region(study.volume.geometry, (20, 14, 50), radius_mm=6.0)
    result = occlude_region(asked, BRIGHT, lung)
    assert abs(result.effects[0].change) < 0.01


def test_too_few_controls_are_told(asked, ball):
    without_masks = replace(asked, study=asked.study.with_masks(None))
    alone = occlude_region(without_masks, BRIGHT, ball)
    assert alone.controls == ()
    assert [n.code for n in alone.notices] == ["few-controls"]
    assert "no control" in alone.effects[0].reading


def test_cancel_ends_the_erase(asked, ball):
    with pytest.raises(Cancelled):
        occlude_region(asked, BRIGHT, ball, work=Work(should_stop=lambda: True))


@pytest.mark.parametrize(
    ("after", "words"),
    [
        (0.1, "falls by 0.200, more than 2 of 3 controls"),
        (0.5, "rises by 0.200, more than 2 of 3 controls"),
        (0.3, "no more than any control"),
    ],
)
def test_an_effect_reads_as_a_sentence(after, words):
    assert words in OcclusionEffect("lung", 0.3, after, (0.01, -0.05, 0.25)).reading


def test_few_tokens_carry_the_ball_and_random_ones_do_not(asked):
    steps: list[tuple[int, int]] = []
    found = map_test(
        asked, BRIGHT, work=Work(progress=lambda done, total: steps.append((done, total)))
    )
    assert steps[-1] == (ENCODINGS - 1, ENCODINGS)
    rows = {row.share: row for row in found.rows}
    assert rows[0.0].deletion == rows[0.0].reference_deletion
    assert rows[0.03].deletion < rows[0.0].deletion - 0.1
    assert rows[0.03].reference_deletion > rows[0.0].deletion - 0.05
    assert rows[0.03].insertion > rows[0.03].reference_insertion + 0.1
    assert found.tokens_that_carry is not None
    assert found.tokens_that_carry <= rows[0.03].tokens
    assert found.tokens_it_hangs_on is not None
    assert found.tokens_it_hangs_on <= rows[0.03].tokens


@pytest.mark.parametrize(
    ("halfway", "words"),
    [(0.1, "half of it is gone without 10 (1.0 ml)"), (0.4, "only once all are taken away")],
)
def test_what_a_score_hangs_on_reads_as_a_sentence(halfway, words):
    rows = (
        MapTestRow(0.0, 0, 0.4, 0.0, 0.4, 0.0),
        MapTestRow(0.1, 10, halfway, 0.4, 0.4, 0.0),
        MapTestRow(1.0, 100, 0.0, 0.4, 0.0, 0.4),
    )
    reading = MapTest(BRIGHT, "lung", (4.0, 5.0, 5.0), rows).reading
    assert "10 (1.0 ml) of 100 tokens bring nine tenths" in reading
    assert words in reading
