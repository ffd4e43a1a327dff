"""Geometry: every voxel keeps its place in the patient, whatever is done to the grid."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_ctclip.core.errors import GeometryMismatch
from napari_ctclip.core.geometry import INTERNAL_AXES, Geometry

AXIS_CODES = [
    "".join(letters)
    for order in itertools.permutations(("RL", "AP", "SI"))
    for letters in itertools.product(*order)
]
SHAPE = (5, 6, 7)


def oblique(shape=SHAPE, *, seed: int = 0, codes: str = INTERNAL_AXES) -> Geometry:
    """Return a grid turned by up to some 20 degrees about every axis."""
    a, b, c = np.random.default_rng(seed).uniform(-0.3, 0.3, 3)
    turns = [
        [[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]],
        [[np.cos(b), 0, -np.sin(b)], [0, 1, 0], [np.sin(b), 0, np.cos(b)]],
        [[1, 0, 0], [0, np.cos(c), -np.sin(c)], [0, np.sin(c), np.cos(c)]],
    ]
    grid = Geometry.from_spacing(shape, (2.5, 0.7, 0.8), origin_ras=(10, -20, 300), codes=codes)
    affine = grid.affine.copy()
    affine[:3, :3] = turns[0] @ np.array(turns[1]) @ np.array(turns[2]) @ affine[:3, :3]
    return Geometry(shape, affine)


def test_there_are_48_axis_codes():
    assert len(set(AXIS_CODES)) == 48


@pytest.mark.parametrize("codes", AXIS_CODES)
def test_axis_codes_are_read_back(codes: str):
    grid = Geometry.from_spacing(SHAPE, (1.0, 2.0, 3.0), codes=codes)
    assert grid.axis_codes == codes
    assert grid.spacing_mm == pytest.approx((1.0, 2.0, 3.0))
    assert grid.obliquity_degrees == pytest.approx(0.0)
    assert grid.voxel_volume_ml == pytest.approx(0.006)


@pytest.mark.parametrize("codes", AXIS_CODES)
@pytest.mark.parametrize("turned", [False, True])
def test_every_voxel_keeps_its_place_there_and_back(codes: str, turned: bool):
    start = oblique(codes=codes) if turned else Geometry.from_spacing(SHAPE, (1, 2, 3), codes=codes)
    there = start.transform_to(INTERNAL_AXES)
    inside = start.reoriented(there)
    assert inside.axis_codes == INTERNAL_AXES
    number = np.arange(np.prod(SHAPE)).reshape(SHAPE)
    moved = there.apply(number)
    assert moved.shape == inside.shape
    for index in [(0, 0, 0), (4, 5, 6), (1, 2, 3), (4, 0, 2)]:
        at = np.rint(inside.world_to_index(start.index_to_world(index))).astype(int)
        assert moved[tuple(at)] == number[index]
    np.testing.assert_array_equal(there.inverse().apply(moved), number)
    back = inside.reoriented(there.inverse())
    assert back.coincides_with(start)
    assert inside.reoriented(inside.transform_to(start.axis_codes)).coincides_with(start)


@given(
    seed=st.integers(0, 1000),
    codes=st.sampled_from(AXIS_CODES),
    index=st.tuples(*(st.floats(-10, 50) for _ in range(3))),
)
def test_index_and_world_are_inverse(seed: int, codes: str, index):
    grid = oblique(seed=seed, codes=codes)
    np.testing.assert_allclose(grid.world_to_index(grid.index_to_world(index)), index, atol=1e-8)


@given(
    seed=st.integers(0, 1000),
    start=st.tuples(*(st.integers(-3, 3) for _ in range(3))),
    size=st.tuples(*(st.integers(1, 9) for _ in range(3))),
)
def test_cropping_and_padding_move_no_voxel(seed: int, start, size):
    grid = oblique(seed=seed)
    stop = tuple(a + n for a, n in zip(start, size, strict=True))
    crop = grid.cropped(start, stop)
    assert crop.shape == size
    np.testing.assert_allclose(crop.index_to_world((0, 0, 0)), grid.index_to_world(start))
    padded = grid.padded((1, 2, 3), (3, 2, 1))
    assert padded.shape == (9, 10, 11)
    np.testing.assert_allclose(padded.index_to_world((1, 2, 3)), grid.index_to_world((0, 0, 0)))


@given(seed=st.integers(0, 1000), factor=st.tuples(*(st.integers(1, 6) for _ in range(3))))
def test_a_token_lies_in_the_middle_of_its_voxels(seed: int, factor):
    grid = oblique(seed=seed)
    coarse = grid.coarsened(factor)
    assert coarse.shape == tuple(-(-n // f) for n, f in zip(SHAPE, factor, strict=True))
    middle = (np.asarray(factor) - 1) / 2
    np.testing.assert_allclose(coarse.index_to_world((0, 0, 0)), grid.index_to_world(middle))
    np.testing.assert_allclose(coarse.spacing_mm, np.asarray(grid.spacing_mm) * factor)


@given(seed=st.integers(0, 1000), spacing=st.tuples(*(st.floats(0.3, 6.0) for _ in range(3))))
def test_resampling_keeps_the_outer_faces(seed: int, spacing):
    grid = oblique(seed=seed)
    fine = grid.resampled(spacing)
    assert fine.spacing_mm == pytest.approx(spacing)
    np.testing.assert_allclose(
        fine.index_to_world((-0.5,) * 3), grid.index_to_world((-0.5,) * 3), atol=1e-9
    )
    reach = np.asarray(fine.shape) * fine.spacing_mm - np.asarray(grid.shape) * grid.spacing_mm
    assert (reach > -1e-3).all()
    assert (reach < np.asarray(spacing)).all()


def test_deobliqued_keeps_centre_spacing_and_axes():
    grid = oblique()
    upright = grid.deobliqued()
    centre = (np.asarray(SHAPE) - 1) / 2
    np.testing.assert_allclose(upright.index_to_world(centre), grid.index_to_world(centre))
    assert upright.spacing_mm == pytest.approx(grid.spacing_mm)
    assert upright.axis_codes == grid.axis_codes
    assert upright.obliquity_degrees == pytest.approx(0.0, abs=1e-5)
    assert grid.obliquity_degrees > 1.0


def test_voxels_at_the_border_are_inside():
    grid = Geometry.from_spacing(SHAPE, (1, 1, 1))
    inside = grid.contains_index([(-0.5, 0, 0), (-0.51, 0, 0), (4.49, 5, 6), (4.5, 5, 6)])
    assert inside.tolist() == [True, False, True, False]


@pytest.mark.parametrize(
    ("shape", "affine", "message"),
    [
        ((2, 2, 2), np.zeros((4, 4)), "singular"),
        ((2, 2, 2), np.full((4, 4), np.nan), "finite"),
        ((2, 2, 2), np.eye(3), "4 x 4"),
        ((2, 0, 2), np.eye(4), "positive"),
    ],
)
def test_what_is_no_grid_is_refused(shape, affine, message: str):
    with pytest.raises(GeometryMismatch, match=message):
        Geometry(shape, affine)


def test_unknown_axis_letters_are_refused():
    with pytest.raises(GeometryMismatch, match="unknown axis letter 'X'"):
        Geometry.from_spacing(SHAPE, (1, 1, 1), codes="XPL")


def test_equal_grids_are_equal_and_hash_alike():
    one, other = oblique(), oblique()
    assert one == other
    assert hash(one) == hash(other)
    assert one != oblique(seed=1)
    assert not one.affine.flags.writeable
