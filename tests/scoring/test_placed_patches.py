from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from napari_ctclip.core.errors import DataError
from napari_ctclip.core.montage import Patch
from napari_ctclip.core.study import Study
from napari_ctclip.encoding.feature_cache import FeatureCache
from napari_ctclip.encoding.work import Work
from napari_ctclip.regions.patches import PatchPlan
from napari_ctclip.scoring.encoded_study import EncodedStudy, encode_study
from napari_ctclip.scoring.patch_scores import PatchPrompts
from napari_ctclip.scoring.placed_patches import PlacedPatches, place_patches
from napari_ctclip.session.montage_session import MontageSession
from napari_ctclip.session.session import Session
from napari_ctclip.testing import TinyModel
from tests.phantom import BALL_CENTRE, ball_study

PLAN = PatchPlan(24.0, organ="lung")
PROMPTS = PatchPrompts(("bright spot",), ("dark air",))
MODEL = TinyModel(patch_size=(4, 2, 2))


@pytest.fixture(scope="module")
def encoded(tmp_path_factory: pytest.TempPathFactory) -> tuple[Study, EncodedStudy]:
    """The ball scan, and its tokens of 8 x 4 x 4 mm."""
    study = ball_study()
    cache = FeatureCache(tmp_path_factory.mktemp("cache"))
    return study, encode_study(MODEL, study, work=Work(cache))


@pytest.fixture(scope="module")
def patches(encoded: tuple[Study, EncodedStudy]) -> PlacedPatches:
    """Patches over these tokens."""
    study, scan = encoded
    return place_patches(scan, study, PLAN)


def test_a_patch_scores_as_the_highest_token_whose_middle_lies_in_it(patches) -> None:
    tokens = patches.index.scan.token_geometry
    values = patches.index.scores(PROMPTS).ravel()
    middles = tokens.index_to_world(np.argwhere(np.ones(tokens.shape, dtype=bool)))
    scores = patches.scores(MODEL, PROMPTS)
    assert len(scores) == len(patches.grid) > 20
    for number in range(0, len(scores), 7):
        from_middle = np.abs(middles - patches.grid.centres_mm()[number])
        inside = (from_middle[:, :2] <= 12.0 + 1e-6).all(axis=1)
        inside &= from_middle[:, 2] <= tokens.spacing_mm[0] / 2
        assert scores[number] == pytest.approx(np.nanmax(values[inside]), abs=2e-4)


def test_the_best_patches_hold_the_ball_though_it_fills_little_of_them(patches) -> None:
    scores = patches.scores(MODEL, PROMPTS)
    geometry = ball_study().volume.geometry
    for number in np.argsort(-scores)[:3]:
        patch: Patch = patches.grid.patch(int(number))
        assert patch.box(geometry).contains(BALL_CENTRE, slices=5)
    best = patches.grid.centres_mm()[int(np.argmax(scores))]
    ball = geometry.index_to_world(BALL_CENTRE)
    nearest = np.abs(patches.grid.centres_mm() - ball)[:, :2].max(axis=1).min()
    assert (
        np.abs(best - ball)[:2].max() < nearest + 4.0
    )  # in the middle, as far as the stride lets it


def test_patches_lie_on_slices_through_the_middles_of_tokens(patches) -> None:
    tokens = patches.index.scan.token_geometry
    heights = tokens.index_to_world(np.array([[z, 0, 0] for z in range(tokens.shape[0])]))[:, 2]
    off = np.abs(patches.grid.centres_mm()[:, 2][:, None] - heights).min(axis=1)
    assert off.max() <= 1.0 + 1e-6  # half a voxel of the prepared image
    assert len(np.unique(patches.grid.centres[:, 0])) > 3


def test_a_patch_smaller_than_a_token_has_the_token_that_it_lies_in(encoded) -> None:
    study, scan = encoded
    patches = place_patches(scan, study, PatchPlan(3.0, 8.0, organ="lung"))
    assert len(patches.members) == len(patches.grid)
    geometry = study.volume.geometry
    best = patches.grid.centres_mm()[int(np.argmax(patches.scores(MODEL, PROMPTS)))]
    z, y, x = geometry.world_to_index(best)
    assert np.linalg.norm((np.array([z, y, x]) - BALL_CENTRE) * geometry.spacing_mm) < 12.0


def test_a_patch_without_a_token_that_can_answer_comes_last(encoded) -> None:
    study, scan = encoded
    there = scan.scan.inside.copy()
    there[:2] = False
    index = type(scan.index)(MODEL, replace(scan.scan, inside=there))
    patches = place_patches(replace(scan, index=index), study, PLAN)
    scores = patches.scores(MODEL, PROMPTS)
    token_z = scan.scan.token_geometry.world_to_index(patches.grid.centres_mm())[:, 0]
    empty = np.rint(token_z) < 2
    assert empty.any()
    assert np.isfinite(scores).all()
    assert scores[empty].max() < scores[~empty].min()


def test_an_organ_that_is_not_there_is_told(encoded) -> None:
    study, scan = encoded
    with pytest.raises(DataError, match="no 'liver'"):
        place_patches(scan, study, PatchPlan(24.0, organ="liver"))


def test_the_encoding_of_the_session_serves_the_montage(tmp_path: Path) -> None:
    session = Session(cache=FeatureCache(tmp_path, limit_bytes=0), device="cpu")
    session.set_study(ball_study())
    model = TinyModel()
    session.set_model(model)
    session.set_encoding(session.compute_encoding())
    passes = len(model.encoded_on)
    montages = MontageSession(session, model_name="tiny")
    montages.set_patches(montages.compute_patches(PLAN))
    montages.set_ranking(montages.compute_ranking(PROMPTS))
    assert len(model.encoded_on) == passes
    assert montages.montage is not None
    assert (
        montages.montage.patches[0]
        .box(session.study.volume.geometry)
        .contains(BALL_CENTRE, slices=5)
    )
    assert montages.provenance()["patches"]["scored_by"] == "highest token"
