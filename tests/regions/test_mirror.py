from __future__ import annotations

import numpy as np
import pytest

from napari_ctclip.core.errors import DataError
from napari_ctclip.core.geometry import Geometry
from napari_ctclip.core.organ_masks import OrganMasks
from napari_ctclip.regions.mirror import counterpart, midline_plane

LEGEND = {"lung_right": 1, "lung_left": 2}
GRID_ERROR_MM = 1.0  # surfaces are laid on each other on a grid of about 4 mm


def _lungs(*, tilt: float = 0.0, affine: np.ndarray | None = None) -> OrganMasks:
    """Two ellipsoids side by side, turned by arctan(``tilt``), in voxels of 2 x 1.5 x 1.5 mm."""
    z, y, x = np.indices((40, 60, 100))
    down, left, angle = (z - 20) * 2.0, (x - 50) * 1.5, np.arctan(tilt)
    across = left * np.cos(angle) - down * np.sin(angle)
    along = left * np.sin(angle) + down * np.cos(angle)
    labels = np.zeros(z.shape, dtype=np.uint8)
    for label, side in ((1, -1), (2, 1)):
        off = (across - side * 30) / 22
        inside = (along / 30) ** 2 + ((y - 30) / 22) ** 2 + off**2 < 1
        labels[inside] = label
    geometry = Geometry.from_spacing(labels.shape, (2.0, 1.5, 1.5), origin_ras=(70.0, 40.0, 10.0))
    if affine is not None:
        geometry = Geometry(labels.shape, affine @ geometry.affine)
    return OrganMasks(labels, LEGEND, geometry)


@pytest.mark.parametrize("tilt", [0.0, 0.2, -0.3])
def test_midline_lies_between_the_lungs_also_in_a_leaning_patient(tilt: float) -> None:
    masks = _lungs(tilt=tilt)
    plane = midline_plane(masks)
    assert plane.symmetry > 0.9
    for z in (8, 20, 32):
        place = masks.geometry.index_to_world((z, 30, 50.0 + tilt * (z - 20) * 2.0 / 1.5))
        assert np.linalg.norm(plane.mirrored(place) - place) < 2 * GRID_ERROR_MM
    right = masks.geometry.index_to_world((20, 25, 30))
    there = masks.geometry.world_to_index(plane.mirrored(right))
    assert masks.labels[tuple(np.rint(there).astype(int))] == 2
    assert np.allclose(plane.mirrored(plane.mirrored(right)), right)


def test_midline_is_found_in_an_oblique_scan() -> None:
    angle = np.radians(12)
    turn = np.eye(4)
    turn[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    masks = _lungs(affine=turn)
    place = masks.geometry.index_to_world((20, 30, 50))
    plane = midline_plane(masks)
    assert np.linalg.norm(plane.mirrored(place) - place) < 2 * GRID_ERROR_MM
    assert abs(plane.normal[1]) == pytest.approx(np.sin(angle), abs=0.02)


def test_reasons_for_no_midline_are_told() -> None:
    with pytest.raises(DataError, match="no organ masks"):
        midline_plane(None)
    masks = _lungs()
    one = OrganMasks(np.where(masks.labels == 1, 1, 0).astype(np.uint8), LEGEND, masks.geometry)
    with pytest.raises(DataError, match="lack one lung"):
        midline_plane(one)
    collapsed = masks.labels.copy()
    collapsed[4:, :, :][masks.labels[4:, :, :] == 2] = 0
    collapsed[18:22, 20:40, 60:64] = 2
    with pytest.raises(DataError, match=r"too (unlike|few)"):
        midline_plane(OrganMasks(collapsed, LEGEND, masks.geometry))


def test_counterpart_changes_the_side_only() -> None:
    assert counterpart("lung_upper_lobe_left") == "lung_upper_lobe_right"
    assert counterpart("rib_right_4") == "rib_left_4"
    assert counterpart("liver") == "liver"
