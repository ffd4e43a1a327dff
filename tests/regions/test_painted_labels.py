"""Regions drawn as labels, and what a brush changes of them."""

from __future__ import annotations

import numpy as np
import pytest

from napari_ctclip.core.region import Region
from napari_ctclip.regions.painted_labels import draw_regions, repainted

WHOLE = (slice(0, 6), slice(0, 8), slice(0, 10))


def _box(*ranges: tuple[int, int]) -> Region:
    return Region(
        tuple(low for low, _ in ranges), np.ones([high - low for low, high in ranges], bool)
    )


@pytest.fixture
def regions() -> dict[int, Region]:
    """A large region, and a small one that lies half on it."""
    return {1: _box((1, 4), (1, 6), (1, 6)), 2: _box((2, 3), (4, 7), (4, 7))}


@pytest.fixture
def drawn(regions):
    labels = np.zeros((6, 8, 10), np.uint8)
    draw_regions(labels, regions)
    return labels


def test_the_smaller_region_is_seen_where_two_overlap(drawn, regions):
    assert (drawn[regions[2].box] == 2).all()
    assert int((drawn == 1).sum()) == 75 - 4


def test_a_part_of_the_map_is_drawn_as_in_the_whole(drawn, regions):
    part = np.zeros((2, 4, 5), np.uint8)
    draw_regions(part, regions, start=(2, 3, 3))
    np.testing.assert_array_equal(part, drawn[2:4, 3:7, 3:8])


def test_nothing_painted_changes_nothing(drawn, regions):
    assert repainted(drawn, regions, WHOLE) == {}


def test_painting_adds_to_a_region_and_keeps_what_lies_beneath_another(drawn, regions):
    drawn[0, 0, 0] = 1
    changed = repainted(drawn, regions, (slice(0, 1), slice(0, 2), slice(0, 2)))
    assert set(changed) == {1}
    grown = changed[1].on_grid(_grid())
    assert grown[0, 0, 0]
    assert grown[regions[1].box].all()  # also where the small one covers it
    assert int(grown.sum()) == 76


def test_painting_over_a_region_takes_from_the_one_that_was_seen(drawn, regions):
    drawn[2, 5, 5] = 1
    changed = repainted(drawn, regions, WHOLE)
    assert set(changed) == {1, 2}
    assert int(changed[2].mask.sum()) == 8
    assert int(changed[1].mask.sum()) == 75  # it had that voxel beneath


def test_erasing_and_a_new_label(drawn, regions):
    drawn[drawn == 2] = 0
    drawn[5, 7, 9] = 3
    changed = repainted(drawn, regions, WHOLE)
    assert changed[2] is None
    assert changed[3].start == (5, 7, 9)
    assert 1 not in changed


def test_the_middle_of_a_hollow_region_is_one_of_its_voxels():
    ring = np.ones((1, 5, 5), bool)
    ring[0, 1:4, 1:4] = False
    z, y, x = Region((3, 2, 2), ring).middle
    assert ring[z - 3, y - 2, x - 2]


def _grid():
    from napari_ctclip.core.geometry import Geometry

    return Geometry((6, 8, 10), np.eye(4))
