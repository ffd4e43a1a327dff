"""Lesions on the grid of tokens: hits, precision, sizes; masks and boxes alike."""

from __future__ import annotations

import json

import numpy as np
import pytest

from napari_ctclip.core.errors import DataError
from napari_ctclip.core.geometry import Geometry
from napari_ctclip.core.prompt import Prompt
from napari_ctclip.core.similarity_map import SimilarityMap
from napari_ctclip.evaluation.lesion_files import LesionFile, read_lesion_table
from napari_ctclip.evaluation.localisation import (
    Localisation,
    lesion_diameter_mm,
    lesion_tokens,
    localisation_rows,
    localise,
)
from napari_ctclip.io import read_volume
from tests.evaluation.evaluation_studies import save
from tests.phantom import BALL_CENTRE, ball_study

GRID = Geometry.from_spacing((8, 8, 8), (2.0, 2.0, 2.0))
PATCH = (2, 2, 2)


def _localise(values, mask):
    similarity_map = SimilarityMap(values, GRID.coarsened(PATCH), Prompt("x"))
    lesion = lesion_tokens(mask, volume_geometry=GRID, input_geometry=GRID, patch_size=PATCH)
    return localise(similarity_map, similarity_map.peak(), lesion)


def test_a_peak_in_a_touched_token_is_a_hit_and_precision_counts_all_tokens():
    mask = np.zeros(GRID.shape, dtype=bool)
    mask[3:5, 2, 2] = True  # one voxel in each of two tokens
    values = np.linspace(0, 0.5, 64).reshape(4, 4, 4).astype(np.float32)
    values[1, 1, 1] = 1.0
    found = _localise(values, mask)
    assert found.hit
    assert found.chance == pytest.approx(2 / 64)
    rank = int((values > values[2, 1, 1]).sum()) + 1
    assert found.auprc == pytest.approx((1 + 2 / rank) / 2)
    values[1, 1, 1] = 0.0
    assert not _localise(values, mask).hit


def test_a_lesion_outside_the_body_has_no_precision():
    mask = np.zeros(GRID.shape, dtype=bool)
    mask[0, 0, 0] = True
    values = np.ones((4, 4, 4), dtype=np.float32)
    values[0, 0, 0] = np.nan
    found = _localise(values, mask)
    assert np.isnan(found.auprc)
    assert not found.hit


def test_the_size_is_that_of_the_largest_part():
    z, y, x = np.indices((40, 40, 40))
    ball = (z - 20) ** 2 + (y - 20) ** 2 + (x - 20) ** 2 <= 10**2
    ball[0, 0, 0] = True
    geometry = Geometry.from_spacing(ball.shape, (0.5, 0.5, 0.5))
    assert lesion_diameter_mm(ball, geometry) == pytest.approx(10, rel=0.02)


def test_rows_tell_sizes_apart_and_a_rate_of_one_has_an_exact_interval():
    found = [Localisation(True, 0.5, 0.01, 8.0), Localisation(True, float("nan"), 0.0, 8.0)]
    found += [Localisation(False, 0.1, 0.02, 40.0)]
    everything, small, large = localisation_rows("a", ["p", "q", "r"], found, replicates=100)
    assert everything.pointing.value == pytest.approx(2 / 3)
    assert everything.auprc.value == pytest.approx(0.3)
    assert (small.size, small.studies, small.pointing.value) == ("6 to 10 mm", 2, 1.0)
    assert small.pointing.low == pytest.approx(0.025**0.5)
    assert (large.size, large.pointing.value) == ("30 mm and more", 0.0)
    assert localisation_rows("a", [], [], replicates=100) == []


# --- files ----------------------------------------------------------------------------------------


@pytest.fixture
def volume(tmp_path):
    study = ball_study()
    save(study.volume.voxels, study.volume.geometry, tmp_path / "ct.nii.gz")
    return read_volume(tmp_path / "ct.nii.gz").volume


def test_masks_and_boxes_in_pixels_or_millimetres_mark_the_same_place(volume, tmp_path):
    truth = volume.voxels == 700
    save((2 * truth).astype(np.uint8), volume.geometry, tmp_path / "m.nii.gz")
    assert (LesionFile(tmp_path / "m.nii.gz").mask(volume) == truth).all()
    assert (LesionFile(tmp_path / "m.nii.gz", 2).mask(volume) == truth).all()
    with pytest.raises(DataError, match="no voxel of the scan is marked"):
        LesionFile(tmp_path / "m.nii.gz", 1).mask(volume)
    world = volume.geometry.index_to_world(BALL_CENTRE)
    file = tmp_path / "b.json"
    corners = {"low_mm": (world - 6.5).tolist(), "high_mm": (world + 6.5).tolist()}
    file.write_text(json.dumps([corners]), "utf-8")
    box = LesionFile(file).mask(volume)
    assert box[BALL_CENTRE]
    expected = np.abs(volume.geometry.index_to_world(np.argwhere(box)) - world).max()
    assert expected <= 6.5
    assert box.sum() * volume.geometry.voxel_volume_ml == pytest.approx(13**3 / 1000, rel=0.25)
    i, j, k = volume.stored_geometry.world_to_index(world).round().astype(int).tolist()
    pixel = {"z_mm": world[2] + 0.4, "xmin": i, "xmax": i + 1, "ymin": j, "ymax": j}
    file.write_text(json.dumps([pixel]), "utf-8")
    two = LesionFile(file).mask(volume)
    assert (two.sum(), two[BALL_CENTRE]) == (2, True)
    assert volume.stored_geometry.axis_codes[:2] == "RA"
    assert k == volume.stored_geometry.shape[2] - 1 - BALL_CENTRE[0]


def test_odd_boxes_and_tables_are_refused_by_name(volume, tmp_path):
    file = tmp_path / "b.json"
    file.write_text('[{"xmin": 1}]', "utf-8")
    with pytest.raises(DataError, match=r"b\.json: expected a list of boxes"):
        LesionFile(file).mask(volume)
    table = tmp_path / "lesions.csv"
    table.write_text("study_id,label\n", "utf-8")
    with pytest.raises(DataError, match=r"lesions\.csv: expected columns"):
        read_lesion_table(table)
    table.write_text("study_id,label,file\ns,a,nothing.nii\n", "utf-8")
    with pytest.raises(DataError, match="line 2: no file"):
        read_lesion_table(table)
    table.write_text("study_id,label,file\ns,a,b.json\ns,a,b.json\n", "utf-8")
    with pytest.raises(DataError, match="line 3: study 's' has 'a' twice"):
        read_lesion_table(table)
    table.write_text("study_id,label,file,value\ns,a,b.json,x\n", "utf-8")
    with pytest.raises(DataError, match="value is a whole number"):
        read_lesion_table(table)
    with pytest.raises(DataError, match="cannot be read"):
        read_lesion_table(tmp_path / "none.csv")
