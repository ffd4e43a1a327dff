"""Regions of interest as they are given, and the voxels they mean."""

from __future__ import annotations

import numpy as np
import pytest

from napari_ctclip.core.errors import DataError
from napari_ctclip.core.geometry import Geometry
from napari_ctclip.core.region import Region
from napari_ctclip.core.roi import Roi
from napari_ctclip.regions.drawn_region import box_about, roi_region, sphere_region
from tests.phantom import BALL_CENTRE, ball_study

GEOMETRY = Geometry.from_spacing((40, 50, 60), (2.0, 1.0, 0.5), origin_ras=(10.0, -20.0, 30.0))
REGION = Region.of(np.ones((2, 3, 4), dtype=bool), start=(5, 6, 7))


@pytest.mark.parametrize(
    ("roi", "said"),
    [
        (Roi.point((3, 4, 5)), "Point at slice 3, row 4, column 5"),
        (Roi.sphere((3.2, 4, 5), 10.0), "Sphere of 10 mm radius about slice 3, row 4, column 5"),
        (Roi.box((3, 4, 5), (6, 5, 4)), "Box of 4 x 5 x 6 mm about slice 3, row 4, column 5"),
        (Roi.organ("lung_left"), "Organ: left lung"),
        (Roi.finding("nodule", REGION), "Finding “nodule”"),
    ],
)
def test_every_kind_says_what_it_is(roi: Roi, said: str) -> None:
    assert roi.describe() == said


def test_facts_hold_millimetres_as_they_were_typed() -> None:
    at = (-3.1, -40.7, 12.3)
    centre = tuple(GEOMETRY.world_to_index(at).tolist())
    assert Roi.sphere(centre, 4.5).facts(GEOMETRY) == {"at_ras_mm": list(at), "radius_mm": 4.5}
    box = Roi.box(centre, (6.0, 5.0, 4.0)).facts(GEOMETRY)
    assert box == {"at_ras_mm": list(at), "size_rl_ap_si_mm": (4.0, 5.0, 6.0)}
    assert Roi.point(centre).facts(GEOMETRY) == {"at_ras_mm": list(at)}
    assert Roi.organ("heart").facts(GEOMETRY) == {"organ": "heart"}
    assert Roi.finding("nodule", REGION).facts(GEOMETRY) == {"finding": "nodule"}


def test_a_box_between_two_voxels_of_a_plane_holds_both() -> None:
    roi = Roi.box_between(GEOMETRY, (10, 12, 20), (10, 9, 14), across=0, depth_mm=6.0)
    assert roi.centre == (10.0, 10.5, 17.0)
    assert roi.sides_mm == (6.0, 4.0, 3.5)


def test_voxels_are_those_of_the_kind() -> None:
    study = ball_study()
    geometry = study.volume.geometry
    assert roi_region(Roi.point(BALL_CENTRE), study).mask.sum() == 1
    assert roi_region(Roi.point(BALL_CENTRE), study).start == tuple(map(round, BALL_CENTRE))
    for roi, expected in (
        (Roi.sphere(BALL_CENTRE, 6.0), sphere_region(geometry, BALL_CENTRE, radius_mm=6.0)),
        (Roi.box(BALL_CENTRE, (9, 9, 9)), box_about(geometry, BALL_CENTRE, (9, 9, 9))),
    ):
        found = roi_region(roi, study)
        assert found.start == expected.start
        assert np.array_equal(found.mask, expected.mask)
    assert roi_region(Roi.finding("nodule", REGION), study) is REGION
    with pytest.raises(DataError, match="organ masks"):
        roi_region(Roi.organ("heart"), study)
