from __future__ import annotations

import numpy as np
import pytest

from napari_ctclip.core.errors import DataError
from napari_ctclip.core.geometry import Geometry
from napari_ctclip.regions.drawn_region import box_about, box_region, organ_region, sphere_region
from napari_ctclip.regions.region_statistics import (
    hounsfield_histogram,
    region_organ,
    region_statistics,
)
from napari_ctclip.regions.token_grid import nearest_tokens, region_tokens
from tests.phantom import BALL_CENTRE, SHAPE, ball_study

GEOMETRY = Geometry.from_spacing((20, 30, 40), (3.0, 1.0, 1.0))


def test_box_holds_both_corners_and_ends_at_the_scan() -> None:
    region = box_region(GEOMETRY, (5, 9, 9), (3, -4, 60))
    assert region.start == (3, 0, 9)
    assert region.mask.shape == (3, 10, 31)
    assert region.mask.all()
    with pytest.raises(DataError, match="outside the scan"):
        box_region(GEOMETRY, (30, 0, 0), (40, 5, 5))


def test_ball_is_round_in_millimetres_and_never_empty() -> None:
    region = sphere_region(GEOMETRY, (10, 15, 20), radius_mm=6.0)
    assert region.mask.shape == (5, 13, 13)
    volume = region.volume_ml(GEOMETRY)
    assert volume == pytest.approx(4 / 3 * np.pi * 0.6**3, rel=0.1)
    assert sphere_region(GEOMETRY, (10, 15, 20), radius_mm=0.0).mask.sum() == 1
    with pytest.raises(DataError, match="at least 0 mm"):
        sphere_region(GEOMETRY, (10, 15, 20), radius_mm=-1.0)
    with pytest.raises(DataError, match="outside the scan"):
        sphere_region(GEOMETRY, (20, 15, 20), radius_mm=5.0)


def test_statistics_of_the_ball_are_those_of_its_voxels() -> None:
    study = ball_study()
    region = sphere_region(study.volume.geometry, BALL_CENTRE, radius_mm=5.0)
    found = region_statistics(study, region)
    assert found.mean_hounsfield == 700
    assert found.sd_hounsfield == 0
    assert found.percentiles_hounsfield == (700,) * 5
    assert found.centre == BALL_CENTRE
    assert found.volume_ml == pytest.approx(region.mask.sum() * 4.5 / 1000)
    assert found.organs == {"lung_left": 1.0}
    wide = box_region(study.volume.geometry, (18, 20, 20), (22, 40, 40))
    shares = region_statistics(study, wide).organs
    assert shares["lung_right"] == pytest.approx(12 / 21)
    assert region_organ(shares) == "lung_right"
    assert region_organ({"body": 0.9, "liver": 0.1}) == "liver"
    assert region_organ({}) == ""


@pytest.mark.parametrize("codes", ["IPL", "SAR", "LPS"])
def test_tokens_of_a_region_have_their_centre_in_it_on_a_grid_of_any_orientation(
    codes: str,
) -> None:
    scan = ball_study().volume.geometry
    prepared = scan.reoriented(scan.transform_to(codes))
    tokens = prepared.coarsened((4, 4, 4))
    region = sphere_region(scan, BALL_CENTRE, radius_mm=9.0)
    every = np.stack(np.indices(tokens.shape), axis=-1).reshape(-1, 3)
    at = np.rint(scan.world_to_index(tokens.index_to_world(every))).astype(int)
    at = np.clip(at, 0, np.asarray(SHAPE) - 1)
    expected = np.flatnonzero(region.on_grid(scan)[tuple(at.T)])
    assert len(expected) > 3
    assert np.array_equal(np.sort(region_tokens(region, scan, tokens)), expected)


def test_region_smaller_than_a_token_gets_the_token_that_holds_it() -> None:
    tokens = GEOMETRY.coarsened((5, 10, 10))
    region = sphere_region(GEOMETRY, (7, 19, 21), radius_mm=0.0)
    (found,) = region_tokens(region, GEOMETRY, tokens)
    assert np.unravel_index(found, tokens.shape) == (1, 1, 2)
    outside = GEOMETRY.index_to_world(np.array([[-9.0, 0.0, 0.0]]))
    assert nearest_tokens(outside, tokens).tolist() == [-1]


def test_box_about_a_voxel_has_the_size_asked_for_and_ends_with_the_scan() -> None:
    geometry = Geometry.from_spacing((40, 48, 64), (2.0, 1.5, 1.5))
    box = box_about(geometry, (20, 24, 32), (10.0, 13.5, 1.5))
    assert box.mask.shape == (5, 9, 1)
    assert box.start == (18, 20, 32)
    assert box_about(geometry, (20, 24, 32), (0.1, 0.1, 0.1)).mask.shape == (1, 1, 1)
    assert box_about(geometry, (0, 24, 32), (10.0, 1.5, 1.5)).mask.shape == (3, 1, 1)
    with pytest.raises(DataError, match="sides above 0 mm"):
        box_about(geometry, (20, 24, 32), (10.0, 0.0, 1.5))


def test_an_organ_or_a_group_is_taken_and_a_missing_one_is_told() -> None:
    study = ball_study()
    left = organ_region(study.organ_masks, "lung_left")
    assert left.start == (0, 0, 32)
    assert left.mask.all()
    assert organ_region(study.organ_masks, "lung").mask.shape == study.volume.geometry.shape
    with pytest.raises(DataError, match="they hold lung_right, lung_left"):
        organ_region(study.organ_masks, "liver")
    with pytest.raises(DataError, match="no organ masks"):
        organ_region(None, "liver")


def test_histogram_counts_every_voxel_in_bins_of_a_round_width() -> None:
    study = ball_study()
    region = sphere_region(study.volume.geometry, BALL_CENTRE, radius_mm=12.0)
    histogram = hounsfield_histogram(study, region)
    values = study.volume.voxels[region.box][region.mask]
    expected, _ = np.histogram(values, histogram.edges)
    assert np.allclose(histogram.shares * len(values), expected)
    assert len(histogram.shares) <= 40
    assert set(np.diff(histogram.edges)) == {50}
    one = hounsfield_histogram(
        study, sphere_region(study.volume.geometry, (20, 24, 10), radius_mm=0)
    )
    assert one.edges.tolist() == [-900, -899]
    assert one.shares.tolist() == [1.0]
