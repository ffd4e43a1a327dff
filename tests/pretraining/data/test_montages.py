"""Montages for training are the viewer's, of patches drawn by chance."""

from __future__ import annotations

import numpy as np
import pytest

from napari_ctclip.core.errors import DataError
from napari_ctclip.preprocessing.intensity import window_channels
from napari_ctclip.pretraining.data.montages import montage_options, montage_views
from napari_ctclip.regions.patches import PatchPlan, lay_patches
from napari_ctclip.regions.ranking import best_patches, build_montage
from napari_ctclip.simulation import simulate_study

WINDOWS = ((-1350.0, 150.0), (-160.0, 240.0))


@pytest.fixture(scope="module")
def study():
    return simulate_study(1, spacing_mm=(8.0, 4.0, 4.0)).study


def views(study, seed: int) -> np.ndarray:
    options = montage_options((1, 96, 96), WINDOWS, tiles=4)
    rng = np.random.default_rng(seed)
    return montage_views(study.volume, study.organ_masks, rng, options)


def test_a_view_is_the_montage_that_the_viewer_builds_of_the_same_patches(study):
    grid = lay_patches(study.volume.geometry, study.organ_masks, PatchPlan(size_mm=64))
    chance = np.random.default_rng(3).random(len(grid), dtype=np.float32)
    drawn = best_patches(grid, chance, count=16)
    shown = build_montage(study.volume, drawn, grid=(4, 4), tile_pixels=24, order="z")
    expected = window_channels(shown.hounsfield[None], WINDOWS)
    np.testing.assert_array_equal(views(study, 3)[0], expected)


def test_two_views_of_a_patient_differ_and_the_same_chance_gives_the_same(study):
    first, second = views(study, 5)
    assert first.shape == (2, 1, 96, 96)
    assert np.abs(first - second).mean() > 0.02
    np.testing.assert_array_equal(views(study, 5)[0], first)


def test_tiles_show_lung(study):
    lung = views(study, 7)[0, 0]
    tiles = lung.reshape(4, 24, 4, 24).transpose(0, 2, 1, 3).reshape(16, -1)
    aerated = ((tiles > 0.2) & (tiles < 0.6)).mean(axis=1)  # -1050 to -450 HU
    assert np.median(aerated) > 0.6  # the left lung; mass and atelectasis fill part of the right


@pytest.mark.parametrize("picture", [(2, 96, 96), (1, 90, 96), (1, 96, 98)])
def test_a_picture_that_is_not_made_of_square_tiles_is_refused(picture):
    with pytest.raises(DataError, match="square tiles"):
        montage_options(picture, WINDOWS, tiles=4)
