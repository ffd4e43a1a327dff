from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from napari_ctclip.core.errors import DataError
from napari_ctclip.core.geometry import Geometry
from napari_ctclip.core.organ_masks import OrganMasks
from napari_ctclip.core.volume import Volume
from napari_ctclip.regions.patches import PatchPlan, lay_patches
from napari_ctclip.regions.ranking import Spread, best_patches, build_montage
from tests.phantom import BALL_CENTRE, ball_study

STUDY = ball_study()
GEOMETRY = STUDY.volume.geometry


def test_patches_hold_the_share_of_the_organ_that_they_tell() -> None:
    plan = PatchPlan(24.0, 9.0, "lung_left", 0.5)
    grid = lay_patches(GEOMETRY, STUDY.organ_masks, plan)
    left = STUDY.organ_masks.mask("lung_left")
    for number in range(0, len(grid), 37):
        z, y, x = grid.centres[number]
        inside = left[z, y - 8 : y + 8, x - 8 : x + 8].mean()
        assert grid.shares[number] == pytest.approx(inside)
        assert inside >= 0.5
    assert set(np.diff(np.unique(grid.centres[:, 1]))) == {6}  # 9 mm in pixels of 1.5 mm


def test_middle_of_a_patch_is_the_middle_of_its_pixels() -> None:
    grid = lay_patches(GEOMETRY, None, PatchPlan(24.0, 12.0, ""))
    box = grid.patch(5).box(GEOMETRY)
    z, y, x = grid.centres[5]
    assert box.z == z
    # 16 pixels from y - 8: their outer edges, in which a voxel reaches half to either side
    assert box.y == pytest.approx((y - 8.5, y + 7.5))
    assert box.x == pytest.approx((x - 8.5, x + 7.5))


def test_small_organ_gets_the_patches_that_hold_most_of_it() -> None:
    labels = np.zeros(GEOMETRY.shape, np.uint8)
    labels[18:22, 28:32, 42:46] = 1
    masks = OrganMasks(labels, {"aorta": 1}, GEOMETRY)
    grid = lay_patches(GEOMETRY, masks, PatchPlan(24.0, 6.0, "aorta"))
    assert len(grid) > 0
    assert grid.shares.min() >= 0.6 * grid.shares.max() > 0
    assert set(grid.centres[:, 0]) == {18, 19, 20, 21}


@pytest.mark.parametrize(
    ("plan", "masks", "message"),
    [
        (PatchPlan(organ="liver"), STUDY.organ_masks, "no 'liver'"),
        (PatchPlan(organ="lung"), None, "need organ masks"),
        (PatchPlan(400.0, organ=""), None, "does not fit"),
    ],
)
def test_what_cannot_be_laid_is_told(plan, masks, message) -> None:
    with pytest.raises(DataError, match=message):
        lay_patches(GEOMETRY, masks, plan)


def test_slices_of_another_plane_are_refused() -> None:
    turned = GEOMETRY.reoriented(GEOMETRY.transform_to("PIL"))
    with pytest.raises(DataError, match="@coronal"):
        lay_patches(turned, None, PatchPlan(organ=""))


def test_masks_that_give_the_same_patches_have_one_key() -> None:
    plan = PatchPlan(24.0, organ="lung_left")
    grid = lay_patches(GEOMETRY, STUDY.organ_masks, plan)
    wider = replace(STUDY.organ_masks, legend={"lung_left": 2})
    assert lay_patches(GEOMETRY, wider, plan).hash() == grid.hash()
    other = lay_patches(GEOMETRY, STUDY.organ_masks, replace(plan, organ="lung_right"))
    assert other.hash() != grid.hash()


@pytest.fixture(scope="module")
def scored():
    """Patches scored by the bright voxels that they hold."""
    grid = lay_patches(GEOMETRY, STUDY.organ_masks, PatchPlan(24.0, 3.0, "lung"))
    bright = STUDY.volume.voxels > 300
    scores = [bright[z, y - 8 : y + 8, x - 8 : x + 8].mean() for z, y, x in grid.centres.tolist()]
    return grid, np.array(scores, np.float32)


def test_best_patch_lies_on_the_ball(scored) -> None:
    best = best_patches(*scored, count=1)[0]
    assert best.box(GEOMETRY).contains(BALL_CENTRE, slices=1.0)


def test_chosen_patches_do_not_cover_each_other_unless_far_apart_along_z(scored) -> None:
    grid, scores = scored
    spread = Spread(overlap=0.25, apart_mm=20.0)
    chosen = best_patches(grid, scores, count=12, spread=spread)
    assert len(chosen) == 12
    assert [p.score for p in chosen] == sorted((p.score for p in chosen), reverse=True)
    for i, first in enumerate(chosen):
        for second in chosen[:i]:
            away = np.abs(np.subtract(first.centre_mm, second.centre_mm))  # x, y, z
            covered = np.prod(np.clip(1 - away[:2] / 24.0, 0, None))
            assert covered <= 0.25 + 1e-6 or away[2] >= 20.0 - 1e-6


def test_without_suppression_the_best_are_neighbours(scored) -> None:
    grid, scores = scored
    near = best_patches(grid, scores, count=2, spread=Spread(overlap=1.0, apart_mm=0.0))
    assert np.linalg.norm(np.subtract(near[0].centre_mm, near[1].centre_mm)) < 20.0


def test_scores_that_are_no_numbers_are_left_out(scored) -> None:
    grid, scores = scored
    only = np.full_like(scores, np.nan)
    only[7] = 0.1
    assert len(best_patches(grid, only, count=4)) == 1


def test_tile_is_the_mean_of_the_slab_where_the_patch_lies(scored) -> None:
    volume = STUDY.volume
    best = best_patches(*scored, count=4)
    montage = build_montage(volume, best, grid=(2, 2), tile_pixels=16)
    z, y, x = (round(v) for v in best[0].centre_index(volume.geometry))
    tile = montage.tile(0)
    # 16 pixels of 1.5 mm: the voxels themselves, half a voxel off the centre
    expected = volume.voxels[z, y - 8 : y + 8, x - 8 : x + 8]
    assert np.array_equal(tile, expected) or np.array_equal(
        tile, volume.voxels[z, y - 7 : y + 9, x - 7 : x + 9]
    )
    thick = replace(best[0], thickness_mm=6.0)
    tile = build_montage(volume, (thick,), grid=(1, 1), tile_pixels=16).tile(0)
    box = thick.box(volume.geometry)
    first, left = round(box.y[0] + 0.5), round(box.x[0] + 0.5)
    slab = volume.voxels[box.z - 1 : box.z + 2, first : first + 16, left : left + 16]
    assert np.abs(tile - slab.mean(axis=0)).max() <= 1.0


def test_montage_of_the_same_scan_stored_upside_down_is_the_same_picture(scored) -> None:
    volume = STUDY.volume
    transform = volume.geometry.transform_to("SAR")
    turned = Volume.from_stored(
        np.ascontiguousarray(transform.apply(volume.voxels)), volume.geometry.reoriented(transform)
    )
    best = best_patches(*scored, count=4)
    first, second = (build_montage(v, best, grid=(2, 2)) for v in (volume, turned))
    assert np.array_equal(first.hounsfield, second.hounsfield)
    bright = np.argwhere(first.hounsfield > 300)
    voxel = second.voxel_at(*bright.mean(axis=0))
    assert voxel is not None
    assert turned.voxels[tuple(np.rint(voxel).astype(int))] > 300


def test_tiles_are_ordered_from_the_head_down(scored) -> None:
    best = best_patches(*scored, count=6)
    montage = build_montage(STUDY.volume, best, grid=(2, 3), order="z")
    slices = [patch.box(GEOMETRY).z for patch in montage.patches]
    assert slices == sorted(slices)
    assert {p.score for p in montage.patches} == {p.score for p in best}


def test_patch_at_the_edge_of_the_scan_shows_air_beyond_it() -> None:
    grid = lay_patches(GEOMETRY, None, PatchPlan(24.0, 12.0, ""))
    corner = replace(grid.patch(0), centre_mm=tuple(GEOMETRY.index_to_world((0, 0, 0)).tolist()))
    tile = build_montage(STUDY.volume, (corner,), grid=(1, 1), tile_pixels=16).tile(0)
    assert (tile[:7, :7] == -1024).all()
    assert (tile[9:, 9:] > -1000).any()


def test_montage_without_size_is_refused() -> None:
    with pytest.raises(DataError, match="0 x 3"):
        build_montage(STUDY.volume, (), grid=(0, 3))


def test_geometry_of_an_oblique_scan_keeps_tile_and_voxel_together() -> None:
    angle = np.radians(12)
    turn = np.eye(4)
    turn[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    oblique = Geometry(GEOMETRY.shape, turn @ GEOMETRY.affine)
    grid = lay_patches(oblique, None, PatchPlan(24.0, 12.0, ""))
    z, y, x = grid.patch(9).centre_index(oblique)
    assert (z, y, x) == pytest.approx(tuple(grid.centres[9] - np.array([0.0, 0.5, 0.5])))
