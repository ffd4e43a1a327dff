"""Exports lie on the file the scan came from."""

from __future__ import annotations

from pathlib import Path

import nibabel
import numpy as np
import pytest

from napari_ctclip.core.errors import DataError
from napari_ctclip.core.geometry import Geometry
from napari_ctclip.core.organ_masks import OrganMasks
from napari_ctclip.core.prompt import Prompt
from napari_ctclip.core.similarity_map import SimilarityMap
from napari_ctclip.core.volume import Volume
from napari_ctclip.io import read_organ_masks, read_volume, write_heatmap, write_organ_masks
from tests.io.scan_files import affine, torso, write_dicom_series, write_nifti

SLOPE, OFFSET = np.array([0.01, -0.02, 0.03]), 0.5


def linear_map(volume: Volume, *, factor=(4, 4, 5)) -> SimilarityMap:
    """Return a map that is a linear function of the place in the patient."""
    grid = volume.geometry.coarsened(factor)
    world = grid.index_to_world(np.stack(np.indices(grid.shape), axis=-1))
    return SimilarityMap((world @ SLOPE + OFFSET).astype(np.float32), grid, Prompt("nodule"))


def expected_inside(image: nibabel.Nifti1Image, similarity: SimilarityMap):
    """Return what the exported image should hold, and where all eight tokens are known."""
    index = np.stack(np.indices(image.shape), axis=-1)
    world = nibabel.affines.apply_affine(image.affine, index)
    token = similarity.geometry.world_to_index(world)
    inner = ((token >= 0) & (token <= np.asarray(similarity.geometry.shape) - 1)).all(axis=-1)
    return world @ SLOPE + OFFSET, inner, similarity.geometry.contains_index(token)


@pytest.mark.parametrize("codes", ["RAS", "LPS", "PIR", "SAL"])
@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_a_heatmap_lies_on_the_source_file(tmp_path: Path, codes: str, suffix: str):
    source = write_nifti(tmp_path / f"ct{suffix}", torso(), affine(codes))
    volume = read_volume(source).volume
    similarity = linear_map(volume)
    write_heatmap(similarity, volume, tmp_path / f"heat{suffix}")
    image, ct = nibabel.load(tmp_path / f"heat{suffix}"), nibabel.load(source)
    assert image.shape == ct.shape
    assert image.get_data_dtype() == np.float32
    np.testing.assert_allclose(image.affine, ct.affine, atol=1e-5)
    np.testing.assert_allclose(image.get_qform(), image.get_sform(), atol=1e-4)
    values = np.asanyarray(image.dataobj)
    wanted, inner, _ = expected_inside(image, similarity)
    assert inner.mean() > 0.3
    np.testing.assert_allclose(values[inner], wanted[inner], atol=2e-5)
    assert np.isfinite(values).all()


def test_outside_the_maps_field_of_view_is_nan(tmp_path: Path):
    volume = read_volume(write_nifti(tmp_path / "ct.nii", torso())).volume
    similarity = linear_map(volume)
    values = similarity.values.copy()
    values[0] = np.nan
    cropped = SimilarityMap(
        values[:, 1:], similarity.geometry.cropped((0, 1, 0), values.shape), Prompt("x")
    )
    write_heatmap(cropped, volume, tmp_path / "heat.nii")
    image = nibabel.load(tmp_path / "heat.nii")
    exported = np.asanyarray(image.dataobj)
    wanted, inner, covered = expected_inside(image, cropped)
    world = nibabel.affines.apply_affine(image.affine, np.stack(np.indices(image.shape), axis=-1))
    token = cropped.geometry.world_to_index(world)
    known = covered & (np.rint(token[..., 0]) > 0)
    np.testing.assert_array_equal(np.isfinite(exported), known)
    sure = inner & (token[..., 0] >= 1)
    np.testing.assert_allclose(exported[sure], wanted[sure], atol=2e-5)


def test_a_heatmap_of_an_oblique_scan_lies_right(tmp_path: Path):
    turn = np.eye(4)
    turn[1:3, 1:3] = [[np.cos(0.2), -np.sin(0.2)], [np.sin(0.2), np.cos(0.2)]]
    source = write_nifti(tmp_path / "ct.nii", torso(), turn @ affine())
    volume = read_volume(source).volume
    similarity = linear_map(volume)
    write_heatmap(similarity, volume, tmp_path / "heat.nii.gz")
    image = nibabel.load(tmp_path / "heat.nii.gz")
    wanted, inner, _ = expected_inside(image, similarity)
    np.testing.assert_allclose(np.asanyarray(image.dataobj)[inner], wanted[inner], atol=2e-5)


def test_exports_of_a_tilted_scan_lie_on_its_tilted_grid(tmp_path: Path):
    matrix = affine()
    matrix[1, 2] = 0.6
    source = write_nifti(tmp_path / "ct.nii", torso(), matrix, qform_code=0)
    volume = read_volume(source).volume
    similarity = linear_map(volume)
    write_heatmap(similarity, volume, tmp_path / "heat.nii")
    image = nibabel.load(tmp_path / "heat.nii")
    np.testing.assert_allclose(image.affine, matrix, atol=1e-5)
    wanted, inner, _ = expected_inside(image, similarity)
    np.testing.assert_allclose(np.asanyarray(image.dataobj)[inner], wanted[inner], atol=2e-5)
    labels = (volume.voxels > 300).astype(np.uint8)
    masks = OrganMasks(labels, {"bone": 1}, volume.geometry)
    write_organ_masks(masks, volume, tmp_path / "organs.nii")
    bone = np.asanyarray(nibabel.load(tmp_path / "organs.nii").dataobj) == 1
    stored = torso() > 300
    assert (bone & stored).sum() / stored.sum() > 0.8


def test_a_heatmap_of_a_dicom_series_lies_in_the_patient(tmp_path: Path):
    volume = read_volume(write_dicom_series(tmp_path / "s", np.ascontiguousarray(torso().T))).volume
    similarity = linear_map(volume)
    write_heatmap(similarity, volume, tmp_path / "heat.nii.gz")
    image = nibabel.load(tmp_path / "heat.nii.gz")
    assert image.shape == (20, 28, 24)
    wanted, inner, _ = expected_inside(image, similarity)
    np.testing.assert_allclose(np.asanyarray(image.dataobj)[inner], wanted[inner], atol=2e-5)


@pytest.mark.parametrize("codes", ["RAS", "LPI", "SPL"])
def test_organ_masks_come_back_as_they_were(tmp_path: Path, codes: str):
    volume = read_volume(write_nifti(tmp_path / "ct.nii.gz", torso(), affine(codes))).volume
    labels = np.digitize(volume.voxels, [-900, -200, 300]).astype(np.uint8)
    legend = {"lung_right": 1, "body": 2, "bone": 3}
    masks = OrganMasks(labels, legend, volume.geometry)
    path = write_organ_masks(masks, volume, tmp_path / "organs.nii.gz")
    table = (tmp_path / "organs.tsv").read_text().splitlines()
    assert table[0] == "index\tname\tcolor"
    assert table[1].startswith("1\tlung_right\t#")
    back = read_organ_masks(path, volume)
    assert back.notices == ()
    assert dict(back.masks.legend) == legend
    np.testing.assert_array_equal(back.masks.labels, labels)
    np.testing.assert_allclose(nibabel.load(path).affine, volume.stored_geometry.affine, atol=1e-5)


def test_labels_above_255_are_written_as_16_bit(tmp_path: Path):
    volume = read_volume(write_nifti(tmp_path / "ct.nii", torso())).volume
    labels = np.where(volume.voxels > 300, 300, 0).astype(np.uint16)
    masks = OrganMasks(labels, {"bone": 300}, volume.geometry)
    path = write_organ_masks(masks, volume, tmp_path / "organs.nii.gz")
    assert nibabel.load(path).get_data_dtype() == np.uint16


def test_a_failed_export_leaves_the_old_file_and_no_scraps(tmp_path: Path, monkeypatch):
    volume = read_volume(write_nifti(tmp_path / "ct.nii", torso())).volume
    target = tmp_path / "heat.nii.gz"
    target.write_bytes(b"old")

    def broken(*_: object):
        yield np.zeros((20, 28), np.float32)
        raise OSError("disk full")

    monkeypatch.setattr("napari_ctclip.io.export.exports.heat_slices", broken)
    with pytest.raises(OSError, match="disk full"):
        write_heatmap(linear_map(volume), volume, target)
    assert target.read_bytes() == b"old"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["ct.nii", "heat.nii.gz"]


def test_another_suffix_is_refused(tmp_path: Path):
    geometry = Geometry.from_spacing((8, 8, 8), (1, 1, 1))
    volume = Volume(np.zeros((8, 8, 8), np.int16), geometry)
    with pytest.raises(DataError, match=r"heat\.png.*\.nii\.gz"):
        write_heatmap(linear_map(volume), volume, tmp_path / "heat.png")
