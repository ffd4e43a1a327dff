from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_ctclip.core.errors import DataError
from napari_ctclip.core.geometry import Geometry
from napari_ctclip.core.montage import Montage, Patch
from napari_ctclip.core.volume import WINDOWS
from tests.phantom import SHAPE, SPACING_MM

GEOMETRY = Geometry.from_spacing(SHAPE, SPACING_MM, origin_ras=(50.0, 40.0, 100.0))


def _patch(index: tuple[float, float, float], score: float = 0.5) -> Patch:
    right, anterior, superior = GEOMETRY.index_to_world(index).tolist()
    return Patch((right, anterior, superior), 24.0, 6.0, 0.9, score)


def _montage(*indices: tuple[float, float, float]) -> Montage:
    patches = tuple(_patch(index) for index in indices)
    return Montage(np.zeros((64, 96), np.int16), patches, (2, 3), 32, GEOMETRY)


def test_box_of_a_patch_is_its_size_about_its_centre() -> None:
    box = _patch((20, 30, 44)).box(GEOMETRY)
    assert box.z == 20
    assert box.y == pytest.approx((22.0, 38.0))  # 24 mm are 16 voxels of 1.5 mm
    assert box.x == pytest.approx((36.0, 52.0))
    assert box.contains((20, 22, 52))
    assert not box.contains((21, 30, 44))
    assert box.contains((21, 30, 44), slices=1.0)


def test_box_of_a_patch_is_the_same_place_on_a_flipped_grid() -> None:
    patch = _patch((20, 30, 44))
    turned = GEOMETRY.reoriented(GEOMETRY.transform_to("SPL"))
    z, y, x = patch.centre_index(turned)
    assert (z, y, x) == pytest.approx((SHAPE[0] - 1 - 20, 30, 44))


@given(
    row=st.floats(0, 63, allow_nan=False),
    column=st.floats(0, 95, allow_nan=False),
)
@settings(max_examples=60, deadline=None)
def test_pixel_to_voxel_and_back_is_the_same_pixel(row: float, column: float) -> None:
    montage = _montage((3, 20, 20), (5, 30.5, 40.25), (9, 24, 30), (20, 30, 44))
    number = montage.tile_at(row, column)
    voxel = montage.voxel_at(row, column)
    if number is None:
        assert voxel is None
        return
    assert voxel is not None
    assert montage.pixel_of(voxel, number) == pytest.approx((row, column))
    z = montage.patches[number].centre_index(GEOMETRY)[0]
    assert voxel[0] == pytest.approx(z)
    assert number in montage.tiles_with(voxel)


def test_corner_pixels_of_a_tile_lie_half_a_pixel_inside_its_box() -> None:
    montage = _montage((3, 20, 20), (5, 30, 40))
    box = montage.patches[1].box(GEOMETRY)
    half_pixel = 24.0 / 32 / 2 / SPACING_MM[1]
    assert montage.voxel_at(0, 32) == pytest.approx(
        (5, box.y[0] + half_pixel, box.x[0] + half_pixel)
    )
    assert montage.voxel_at(31, 63) == pytest.approx(
        (5, box.y[1] - half_pixel, box.x[1] - half_pixel)
    )


def test_pixel_without_a_patch_is_no_voxel() -> None:
    montage = _montage((3, 20, 20))
    assert montage.voxel_at(10, 40) is None
    assert montage.tile_at(-1, 3) is None
    assert montage.tile_at(64, 3) is None


def test_slab_of_a_thick_patch_holds_neighbouring_slices() -> None:
    montage = _montage((20, 30, 44))  # 6 mm thick, slices of 2 mm
    assert montage.tiles_with((21, 30, 44)) == (0,)
    assert montage.tiles_with((23, 30, 44)) == ()


def test_picture_shows_the_window() -> None:
    hounsfield = np.full((8, 8), -1350, np.int16)
    hounsfield[0, 0], hounsfield[0, 1] = 150, -600
    montage = Montage(hounsfield, (), (1, 1), 8, GEOMETRY)
    picture = montage.picture(WINDOWS["Lung"])
    assert picture[0, 0] == 255
    assert picture[0, 1] == 128
    assert picture[1, 1] == 0


def test_montage_that_does_not_fit_its_grid_is_refused() -> None:
    with pytest.raises(DataError, match="64, 96"):
        Montage(np.zeros((64, 64), np.int16), (), (2, 3), 32, GEOMETRY)
