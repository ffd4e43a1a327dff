"""Wording: synonyms that disagree and negations that change nothing are told."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from napari_ctclip.core.errors import GeometryMismatch, NotEncoded
from napari_ctclip.core.prompt import Prompt
from napari_ctclip.core.template_set import TemplateSet
from napari_ctclip.encoding.feature_cache import FeatureCache
from napari_ctclip.scoring.answer import difference_map, symmetric_limit
from napari_ctclip.session.phrasing import check_phrasing
from napari_ctclip.session.session import Session
from napari_ctclip.testing import TinyModel
from tests.phantom import BALL_CENTRE, ball_study


class DeafModel(TinyModel):
    """Does not hear a "no"."""

    def _embed(self, text: str) -> torch.Tensor:
        return super()._embed(text.removeprefix("no "))


def session_of(tmp_path: Path, model: TinyModel) -> Session:
    session = Session(cache=FeatureCache(tmp_path / "cache"), device="cpu")
    session.set_study(ball_study())
    session.set_model(model)
    session.set_encoding(session.compute_encoding())
    return session


def test_a_prompt_whose_negation_is_its_opposite_separates(tmp_path: Path) -> None:
    check = check_phrasing(session_of(tmp_path, TinyModel()), Prompt("bright ball"))
    assert check.negation_correlation < 0
    assert "gives another map" in check.in_words


def test_a_prompt_whose_negation_is_not_heard_does_not_separate(tmp_path: Path) -> None:
    check = check_phrasing(session_of(tmp_path, DeafModel()), Prompt("bright ball"))
    assert not check.separates
    assert "does not separate" in check.in_words


def test_synonyms_that_disagree_make_a_prompt_unstable(tmp_path: Path) -> None:
    check = check_phrasing(session_of(tmp_path, TinyModel()), Prompt("lung nodule"))
    assert len(check.scores) > 1
    assert check.scores[0][0] == "lung nodule"
    # "nodule" points to the ball, a synonym without the word to a direction drawn at random
    assert check.spread > 0.1
    assert "unstable" in check.in_words


def test_the_map_is_the_standard_deviation_over_the_phrasings(tmp_path: Path) -> None:
    session = session_of(tmp_path, TinyModel())
    two = TemplateSet("two", ("{}", "odd words about {}"), ("no {}", "without {}"))
    check = check_phrasing(session, Prompt("swirl", templates=two))
    assert [wording for wording, _ in check.scores] == ["swirl", "swirl", "odd words about swirl"]
    assert check.sd_map is not None
    pair = [
        session.compute_answer(Prompt("swirl", templates=alone)).similarity_map.values
        for alone in two.each_alone()
    ]
    np.testing.assert_allclose(
        check.sd_map.values, np.abs(pair[0] - pair[1]) / 2, atol=1e-6
    )  # NaN where nothing was asked, in both
    nodule = check_phrasing(session, Prompt("lung nodule"))
    assert nodule.sd_map is not None
    assert np.nanmax(nodule.sd_map.values) > 0.05
    assert check_phrasing(session, Prompt("bright ball")).sd_map is None


def test_a_prompt_the_dictionary_does_not_know_has_no_spread(tmp_path: Path) -> None:
    check = check_phrasing(session_of(tmp_path, TinyModel()), Prompt("bright ball"))
    assert check.spread == 0.0
    assert "no synonym" in check.in_words


def test_a_check_needs_an_encoded_scan(tmp_path: Path) -> None:
    session = Session(cache=FeatureCache(tmp_path / "cache"), device="cpu")
    session.set_study(ball_study())
    with pytest.raises(NotEncoded, match="not encoded"):
        check_phrasing(session, Prompt("bright ball"))


def test_a_difference_is_positive_where_the_first_prompt_answers_more(tmp_path: Path) -> None:
    session = session_of(tmp_path, TinyModel())
    bright, dark = session.ask("bright ball"), session.ask("dark hole")
    difference = difference_map(bright, dark)
    world = ball_study().volume.geometry.index_to_world(BALL_CENTRE)
    z, y, x = np.rint(difference.geometry.world_to_index(world)).astype(int)
    assert difference.values[z, y, x] > 0
    assert np.nanmin(difference.values) < 0
    swapped = difference_map(dark, bright)
    assert np.allclose(swapped.values, -difference.values, equal_nan=True)
    assert symmetric_limit(swapped) == symmetric_limit(difference) > 0


def test_answers_of_two_scans_have_no_difference(tmp_path: Path) -> None:
    first = session_of(tmp_path, TinyModel()).ask("bright ball")
    second = session_of(tmp_path, TinyModel(patch_size=(4, 4, 4))).ask("bright ball")
    with pytest.raises(GeometryMismatch, match="different scans"):
        difference_map(first, second)
