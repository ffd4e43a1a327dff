"""Right files of every format give the same Volume."""

from __future__ import annotations

import itertools
import subprocess
import sys
from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK

from napari_ctclip.core.geometry import INTERNAL_AXES, Geometry
from napari_ctclip.io import can_read, read_volume
from tests.io.scan_files import affine, torso, write_dicom_series, write_nifti

AXIS_CODES = [
    "".join(letters)
    for order in itertools.permutations(("RL", "AP", "SI"))
    for letters in itertools.product(*order)
]


@pytest.mark.parametrize("codes", AXIS_CODES)
def test_all_48_orientations_of_a_file_give_the_identical_volume(tmp_path: Path, codes: str):
    stored = torso()
    first = read_volume(write_nifti(tmp_path / "ras.nii", stored, affine("RAS"))).volume
    grid = Geometry(stored.shape, affine("RAS"))
    turn = grid.transform_to(codes)
    turned = grid.reoriented(turn)
    other = write_nifti(tmp_path / "turned.nii", turn.apply(stored), turned.affine)
    volume = read_volume(other).volume
    assert volume.geometry.axis_codes == INTERNAL_AXES
    np.testing.assert_array_equal(volume.voxels, first.voxels)
    np.testing.assert_allclose(volume.geometry.affine, first.geometry.affine, atol=1e-4)
    assert volume.stored_geometry.axis_codes == codes
    assert volume.stored_geometry.shape == turned.shape


def test_an_int16_file_keeps_every_voxel_and_its_place(tmp_path: Path):
    stored = torso()
    path = write_nifti(tmp_path / "ct.nii.gz", stored)
    read = read_volume(path)
    volume = read.volume
    assert read.notices == ()
    assert volume.voxels.dtype == np.int16
    assert volume.voxels.flags.c_contiguous
    world = volume.geometry.index_to_world((3, 5, 7))
    i, j, k = np.rint(Geometry(stored.shape, affine()).world_to_index(world)).astype(int)
    assert volume.voxels[3, 5, 7] == stored[i, j, k]
    assert volume.source_path == str(path)


@pytest.mark.parametrize("dtype", ["<i2", ">i2", "<u2", "<i4", "<f4", "<f8"])
def test_every_number_type_gives_the_same_hu(tmp_path: Path, dtype: str):
    hu = torso()
    offset = 1024 if dtype == "<u2" else 0
    header = nibabel.Nifti1Header(endianness=dtype[0])
    header.set_data_dtype(np.dtype(dtype))
    header.set_data_shape(hu.shape)
    header.set_sform(affine(), 1)
    header["magic"], header["vox_offset"] = b"n+1", 352
    header["scl_slope"], header["scl_inter"] = 1, -offset
    stored = (hu.astype(np.int32) + offset).astype(dtype)
    path = tmp_path / "ct.nii"
    path.write_bytes(header.binaryblock + b"\0" * 4 + stored.tobytes(order="F"))
    volume = read_volume(path).volume
    expected = read_volume(write_nifti(tmp_path / "plain.nii", hu)).volume
    np.testing.assert_array_equal(volume.voxels, expected.voxels)


def test_a_rescale_in_the_header_is_applied_once(tmp_path: Path):
    hu = torso()
    raw = ((hu.astype(np.float32) + 1024) / 2).astype(np.float32)
    path = write_nifti(tmp_path / "ct.nii", raw, rescale=(2.0, -1024.0))
    expected = read_volume(write_nifti(tmp_path / "plain.nii", hu)).volume
    np.testing.assert_array_equal(read_volume(path).volume.voxels, expected.voxels)


def test_nifti_2_and_a_trailing_axis_of_one_are_read(tmp_path: Path):
    image = nibabel.Nifti2Image(torso()[..., None], affine())
    image.to_filename(tmp_path / "ct.nii.gz")
    assert read_volume(tmp_path / "ct.nii.gz").volume.voxels.shape == (24, 28, 20)


@pytest.mark.parametrize("name", ["ct.nrrd", "ct.mha", "ct.mhd"])
def test_simpleitk_formats_agree_with_nifti(tmp_path: Path, name: str):
    hu = torso()
    expected = read_volume(write_nifti(tmp_path / "ct.nii", hu)).volume
    image = SimpleITK.GetImageFromArray(np.ascontiguousarray(hu.T))
    matrix = np.diag([-1.0, -1.0, 1.0, 1.0]) @ affine()
    spacing = np.linalg.norm(matrix[:3, :3], axis=0)
    image.SetSpacing(spacing.tolist())
    image.SetDirection((matrix[:3, :3] / spacing).ravel().tolist())
    image.SetOrigin(matrix[:3, 3].tolist())
    SimpleITK.WriteImage(image, str(tmp_path / name))
    read = read_volume(tmp_path / name)
    np.testing.assert_array_equal(read.volume.voxels, expected.voxels)
    np.testing.assert_allclose(read.volume.geometry.affine, expected.geometry.affine, atol=1e-4)
    assert read.notices == ()


def test_padding_outside_the_field_of_view_becomes_air(tmp_path: Path):
    hu = torso()
    hu[:2] = -2048
    hu[-1] = -32768
    read = read_volume(write_nifti(tmp_path / "ct.nii", hu))
    assert [n.code for n in read.notices] == ["padding"]
    assert "-32768" in read.notices[0].message
    assert read.volume.voxels.min() == -1024


def test_nan_voxels_become_air_with_a_notice(tmp_path: Path):
    hu = torso().astype(np.float32)
    hu[3, 3, 3], hu[4, 4, 4] = np.nan, np.inf
    read = read_volume(write_nifti(tmp_path / "ct.nii", hu))
    (notice,) = read.notices
    assert notice.code == "not-finite"
    assert "2 voxels" in notice.message


def test_metres_are_turned_to_millimetres(tmp_path: Path):
    matrix = affine()
    matrix[:3] /= 1000
    image = nibabel.Nifti1Image(torso(), matrix)
    image.header.set_xyzt_units("meter")
    image.to_filename(tmp_path / "ct.nii")
    read = read_volume(tmp_path / "ct.nii")
    assert [n.code for n in read.notices] == ["units"]
    assert read.volume.geometry.spacing_mm == pytest.approx((2.5, 1.25, 1.5), rel=1e-4)


def test_disagreeing_orientations_are_told_and_the_sform_wins(tmp_path: Path):
    image = nibabel.Nifti1Image(torso(), affine())
    image.header.set_sform(affine(), 1)
    other = affine()
    other[0, 3] += 5.0
    image.header.set_qform(other, 1)
    image.to_filename(tmp_path / "ct.nii")
    read = read_volume(tmp_path / "ct.nii")
    assert [n.code for n in read.notices] == ["sform-qform-disagree"]
    assert "5" in read.notices[0].message
    np.testing.assert_allclose(read.volume.stored_geometry.affine, affine(), atol=1e-5)


def test_a_missing_orientation_is_told(tmp_path: Path):
    path = write_nifti(tmp_path / "ct.nii", torso(), sform_code=0, qform_code=0)
    read = read_volume(path)
    assert [n.code for n in read.notices] == ["no-orientation"]
    assert "left and right" in read.notices[0].message


def test_a_sheared_nifti_is_made_upright_and_points_keep_their_place(tmp_path: Path):
    shape = (30, 34, 24)
    stored = np.full(shape, -1000, dtype=np.int16)
    stored[8:22, 8:26] = 40
    stored[14:17, 15:18, 11:14] = 900
    matrix = affine()
    matrix[1, 2] = 0.6  # 13.5 degrees of gantry tilt at 2.5 mm
    read = read_volume(write_nifti(tmp_path / "ct.nii", stored, matrix, qform_code=0))
    assert [n.code for n in read.notices] == ["gantry-tilt"]
    assert "13.5" in read.notices[0].message
    axes = read.volume.geometry.affine[:3, :3]
    gram = axes.T @ axes
    np.testing.assert_allclose(gram, np.diag(np.diag(gram)), atol=1e-4)
    bright = read.volume.geometry.index_to_world(np.argwhere(read.volume.voxels > 500)).mean(axis=0)
    true = Geometry(shape, matrix).index_to_world((15, 16, 12))
    np.testing.assert_allclose(bright, true, atol=0.3)
    np.testing.assert_allclose(read.volume.stored_geometry.affine, matrix, atol=1e-5)


def test_a_file_is_known_by_its_content_not_its_name(tmp_path: Path):
    write_nifti(tmp_path / "ct.nii", torso())
    wrong = (tmp_path / "ct.nii").rename(tmp_path / "scan.nii.gz")
    read = read_volume(wrong)
    assert [n.code for n in read.notices] == ["extension"]


def test_can_read_looks_inside(tmp_path: Path):
    nifti = write_nifti(tmp_path / "ct.nii.gz", torso())
    (tmp_path / "notes.nii.gz").write_text("not an image at all, " * 50)
    series = write_dicom_series(tmp_path / "series", torso().T[:4])
    (tmp_path / "empty").mkdir()
    assert can_read(nifti)
    assert can_read(series)
    assert can_read(next(series.iterdir()))
    assert not can_read(tmp_path / "notes.nii.gz")
    assert not can_read(tmp_path / "empty")
    assert not can_read(tmp_path / "absent.nii")


def test_importing_io_loads_no_reader():
    code = (
        "import sys, napari_ctclip.io; "
        "print([m for m in ('nibabel', 'pydicom', 'SimpleITK', 'highdicom') if m in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


def test_reading_needs_little_more_than_the_voxels_themselves(tmp_path: Path):
    hu = np.tile(torso(), (4, 8, 8))  # 3.4 million voxels, 6.9 MB
    path = write_nifti(tmp_path / "ct.nii.gz", hu)
    code = (
        "import tracemalloc, sys; from napari_ctclip.io import read_volume; "
        "import napari_ctclip.io.ct.nifti; tracemalloc.start(); "
        "v = read_volume(sys.argv[1]).volume.voxels; "
        "print(tracemalloc.get_traced_memory()[1] / v.nbytes)"
    )
    run = subprocess.run(
        [sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True
    )
    assert float(run.stdout) <= 3.0


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("lidc_idri_0001/ct.nii.gz", (83, 512, 512)),
        ("totalsegmentator/abdomen_ct.nii.gz", (112, 101, 122)),
        ("lung_pet_ct_dx_a0002/dicom", (30, 512, 512)),
        ("totalsegmentator/dicom_jpeg2000", (20, 512, 512)),
        ("dcmqi/ct", (3, 512, 512)),
        ("cip/ct-64.nrrd", (79, 64, 64)),
    ],
)
def test_real_scans_are_read(shared_data: Path, name: str, shape: tuple[int, int, int]):
    volume = read_volume(shared_data / name).volume
    assert volume.voxels.shape == shape
    assert volume.geometry.axis_codes == INTERNAL_AXES
    assert -1300 < volume.voxels.min() <= -1000
    assert 900 < volume.voxels.max() < 3500


def test_a_compressed_series_lies_where_its_organ_masks_say(shared_data: Path):
    """JPEG 2000 slices against a label map made from the same series by another program."""
    folder = shared_data / "totalsegmentator"
    volume = read_volume(folder / "dicom_jpeg2000").volume
    labels = nibabel.load(folder / "dicom_jpeg2000_organs.nii.gz")
    liver = np.argwhere(np.asanyarray(labels.dataobj) == 5)[::50]
    at = np.rint(volume.geometry.world_to_index(nibabel.affines.apply_affine(labels.affine, liver)))
    hu = volume.voxels[tuple(at.astype(int).T)]
    assert 0 < np.median(hu) < 200
    assert (np.abs(hu - np.median(hu)) < 120).mean() > 0.95
