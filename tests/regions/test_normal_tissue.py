"""Filling a region with normal tissue, and the places that controls are drawn at."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from napari_ctclip.core.errors import DataError
from napari_ctclip.core.organ_masks import OrganMasks
from napari_ctclip.core.region import Region
from napari_ctclip.core.study import Study
from napari_ctclip.core.volume import Volume
from napari_ctclip.regions.drawn_region import control_regions, sphere_region
from napari_ctclip.regions.normal_tissue import fill_with_normal_tissue
from tests.phantom import BALL_CENTRE, ball_study

NOISE_HU = 30.0
LEVEL_HU = -900.0


@pytest.fixture
def noisy() -> Study:
    """The ball in lung with noise that has a grain along x, and lung denser towards the back."""
    study = ball_study()
    rng = np.random.default_rng(0)
    noise = rng.normal(0.0, NOISE_HU, study.volume.voxels.shape)
    noise = (noise + np.roll(noise, 1, axis=2)) / np.sqrt(2)
    slope = 2.0 * np.arange(study.volume.voxels.shape[1])[None, :, None]
    voxels = (study.volume.voxels + noise + slope).astype(np.int16)
    return replace(study, volume=Volume(voxels, study.volume.geometry))


@pytest.fixture
def ball(noisy: Study) -> Region:
    return sphere_region(noisy.volume.geometry, BALL_CENTRE, radius_mm=10.0)


def test_the_filled_ball_has_level_slope_noise_and_grain_of_the_lung_around(noisy, ball):
    fill = fill_with_normal_tissue(noisy, ball, rng=np.random.default_rng(0))
    assert fill.organ == "lung_left"
    filled = fill.on(noisy.volume).voxels[ball.box].astype(float)
    inside = ball.mask & np.roll(ball.mask, 1, axis=2)
    expected = LEVEL_HU + 2.0 * np.arange(ball.box[1].start, ball.box[1].stop)[None, :, None]
    residual = np.where(ball.mask, filled - expected, 0.0)
    assert abs(residual[ball.mask].mean()) < 10.0
    assert residual[ball.mask].std() == pytest.approx(NOISE_HU, rel=0.25)
    neighbours = np.corrcoef(residual[inside], np.roll(residual, 1, axis=2)[inside])[0, 1]
    assert neighbours > 0.35  # 0.5 in the lung, 0 for voxels drawn one by one


def test_the_scan_stays_as_it_is_and_nothing_outside_the_region_changes(noisy, ball):
    before = noisy.volume.voxels.copy()
    filled = fill_with_normal_tissue(noisy, ball, rng=np.random.default_rng(0)).on(noisy.volume)
    assert (noisy.volume.voxels == before).all()
    outside = ~ball.on_grid(noisy.volume.geometry)
    assert (filled.voxels[outside] == before[outside]).all()
    assert filled.voxels[BALL_CENTRE] < -600


def test_another_organ_in_the_region_is_left_alone(noisy, ball):
    labels = noisy.organ_masks.labels.copy()
    labels[:, :, BALL_CENTRE[2] + 3 :] = 3  # a rib beside the ball
    legend = {**noisy.organ_masks.legend, "bone": 3}
    masks = OrganMasks(labels, legend, noisy.volume.geometry)
    fill = fill_with_normal_tissue(noisy.with_masks(masks), ball, rng=np.random.default_rng(0))
    assert fill.organ == "lung_left"
    kept = ball.on_grid(noisy.volume.geometry) & (labels == 3)
    assert kept.any()
    assert (fill.on(noisy.volume).voxels[kept] == noisy.volume.voxels[kept]).all()


def test_a_region_without_tissue_around_is_refused(noisy):
    whole = Region((0, 0, 0), np.ones(noisy.volume.geometry.shape, dtype=bool))
    with pytest.raises(DataError, match="choose a smaller region"):
        fill_with_normal_tissue(noisy, whole, rng=np.random.default_rng(0))


def test_controls_have_the_same_shape_lie_in_the_organ_and_do_not_touch(noisy):
    region = sphere_region(noisy.volume.geometry, BALL_CENTRE, radius_mm=6.0)
    places = control_regions(
        noisy, region, organ="lung_left", number=5, rng=np.random.default_rng(0)
    )
    assert len(places) == 5
    covered = region.on_grid(noisy.volume.geometry).astype(int)
    for place in places:
        assert (place.mask == region.mask).all()
        member = noisy.organ_masks.labels[place.box][place.mask] == 2
        assert member.mean() >= 0.9
        covered += place.on_grid(noisy.volume.geometry)
    assert covered.max() == 1
    again = control_regions(
        noisy, region, organ="lung_left", number=5, rng=np.random.default_rng(0)
    )
    assert [p.start for p in again] == [p.start for p in places]


def test_there_are_no_controls_without_masks_and_fewer_where_there_is_no_room(noisy, ball):
    rng = np.random.default_rng(0)
    assert control_regions(noisy.with_masks(None), ball, organ="", number=5, rng=rng) == ()
    large = sphere_region(noisy.volume.geometry, BALL_CENTRE, radius_mm=18.0)
    assert len(control_regions(noisy, large, organ="lung_left", number=50, rng=rng)) < 50
