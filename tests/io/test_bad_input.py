"""Every bad input is refused with a reason that names the file."""

from __future__ import annotations

import gzip
import re
from collections.abc import Callable
from pathlib import Path

import nibabel
import numpy as np
import pydicom
import pytest
import SimpleITK

from napari_ctclip.core.errors import DataError, NotHounsfield, UnreadableFile
from napari_ctclip.io import read_volume
from tests.io.scan_files import affine, torso, write_dicom_series, write_nifti

HU = np.ascontiguousarray(torso().T)


def refused(path: Path, kind: type[Exception], *parts: str) -> None:
    with pytest.raises(kind) as caught:
        read_volume(path)
    message = str(caught.value)
    for part in (path.name, *parts):
        assert part in message, message


@pytest.mark.parametrize(
    ("change", "parts"),
    [
        (lambda hu: hu + 1024, ("raw detector numbers", "0", "Hounsfield")),
        (lambda hu: hu - 1024, ("rescaled twice",)),
        (lambda hu: -hu, ("inverted", "-1")),
        (lambda hu: np.clip((hu + 1000) // 50, 0, 30), ("normalised", "label map")),
        (lambda hu: np.zeros_like(hu), ("every voxel is 0",)),
        (lambda hu: np.abs(np.random.default_rng(0).normal(300, 200, hu.shape)), ("not a CT",)),
    ],
    ids=["raw", "rescaled twice", "inverted", "normalised", "empty", "MR"],
)
def test_numbers_that_are_not_hu(tmp_path: Path, change: Callable, parts: tuple[str, ...]):
    path = write_nifti(tmp_path / "ct.nii.gz", change(torso().astype(np.int32)).astype(np.int16))
    refused(path, NotHounsfield, *parts)


def test_a_header_that_rescales_hu_again(tmp_path: Path):
    path = write_nifti(tmp_path / "ct.nii", torso().astype(np.float32), rescale=(1.0, -1024.0))
    refused(path, NotHounsfield, "rescaled twice", "slope to 1")


def test_suspicious_numbers_are_read_on_the_users_word(tmp_path: Path):
    path = write_nifti(tmp_path / "ct.nii", torso() + np.int16(1024))
    read = read_volume(path, accept_suspicious=True)
    assert [n.code for n in read.notices] == ["not-hounsfield"]
    assert read.volume.voxels.max() > 1400


def test_a_crop_without_air_is_read_with_a_notice(tmp_path: Path):
    crop = np.random.default_rng(0).normal(20, 40, (10, 10, 10)).astype(np.int16)
    read = read_volume(write_nifti(tmp_path / "ct.nii", crop))
    assert [n.code for n in read.notices] == ["no-air"]


def test_numbers_beyond_any_ct(tmp_path: Path):
    path = write_nifti(tmp_path / "ct.nii", torso().astype(np.float32) * 1000)
    refused(path, NotHounsfield, "16-bit range", "highest")


def test_all_nan(tmp_path: Path):
    path = write_nifti(tmp_path / "ct.nii", np.full((8, 8, 8), np.nan, np.float32))
    refused(path, NotHounsfield, "NaN")


def test_4d_nifti(tmp_path: Path):
    refused(
        write_nifti(tmp_path / "ct.nii", np.stack([torso()] * 3, -1)), DataError, "4D", "one 3D"
    )


def test_2d_nifti(tmp_path: Path):
    refused(write_nifti(tmp_path / "ct.nii", torso()[:, :, 0]), DataError, "2D", "3D volume")
    refused(write_nifti(tmp_path / "one.nii", torso()[:, :, :1]), DataError, "single slice")


def test_rgb_nifti(tmp_path: Path):
    rgb = np.zeros((8, 8, 8), dtype=[("R", "u1"), ("G", "u1"), ("B", "u1")])
    nibabel.Nifti1Image(rgb, affine()).to_filename(tmp_path / "ct.nii")
    refused(tmp_path / "ct.nii", DataError, "RGB", "grey")


def test_complex_nifti(tmp_path: Path):
    nibabel.Nifti1Image(np.zeros((8, 8, 8), np.complex64), affine()).to_filename(
        tmp_path / "ct.nii"
    )
    refused(tmp_path / "ct.nii", DataError, "complex64")


def test_singular_affine(tmp_path: Path):
    matrix = affine()
    matrix[:, 0] = 0
    path = tmp_path / "ct.nii"
    header = nibabel.Nifti1Header()
    header.set_data_dtype(np.int16)
    header.set_data_shape(torso().shape)
    header["srow_x"], header["srow_y"], header["srow_z"] = matrix[:3]
    header["sform_code"], header["magic"], header["vox_offset"] = 1, b"n+1", 352
    path.write_bytes(header.binaryblock + b"\0" * 4 + torso().tobytes(order="F"))
    refused(path, DataError, "singular")


def test_missing_file(tmp_path: Path):
    refused(tmp_path / "absent.nii.gz", UnreadableFile, "there is no file")


def test_zero_byte_file(tmp_path: Path):
    (tmp_path / "ct.nii.gz").touch()
    refused(tmp_path / "ct.nii.gz", UnreadableFile, "empty")


@pytest.mark.parametrize("name", ["ct.nii.gz", "ct.dcm", "ct.nrrd", "ct.png"])
def test_other_content_under_a_known_name(tmp_path: Path, name: str):
    (tmp_path / name).write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 8)
    refused(tmp_path / name, UnreadableFile, "none of the formats", "NIfTI")


def test_gzip_of_something_else(tmp_path: Path):
    (tmp_path / "ct.nii.gz").write_bytes(gzip.compress(b"hello " * 500))
    refused(tmp_path / "ct.nii.gz", UnreadableFile, "none of the formats")


@pytest.mark.parametrize("share", [0.01, 0.5, 0.98])
def test_cut_gzip(tmp_path: Path, share: float):
    path = write_nifti(tmp_path / "ct.nii.gz", torso((40, 40, 40)))
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    refused(path, UnreadableFile, "cut short", "copy the file again")


def test_damaged_gzip(tmp_path: Path):
    path = write_nifti(tmp_path / "ct.nii.gz", torso((40, 40, 40)))
    whole = bytearray(path.read_bytes())
    whole[len(whole) // 2 :][:40] = b""
    del whole[len(whole) // 2 : len(whole) // 2 + 40]
    path.write_bytes(whole)
    refused(path, UnreadableFile, "damaged")


def test_cut_nifti(tmp_path: Path):
    path = write_nifti(tmp_path / "ct.nii", torso())
    path.write_bytes(path.read_bytes()[:-1000])
    refused(path, UnreadableFile, "cut short", "bytes of voxels")


@pytest.mark.parametrize("name", ["ct.nrrd", "ct.mha"])
def test_cut_simpleitk_format(tmp_path: Path, name: str):
    image = SimpleITK.GetImageFromArray(HU)
    SimpleITK.WriteImage(image, str(tmp_path / name), useCompression=True)
    whole = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(whole[: len(whole) // 2])
    refused(tmp_path / name, UnreadableFile, "cut short")


def test_mhd_without_its_data_file(tmp_path: Path):
    SimpleITK.WriteImage(SimpleITK.GetImageFromArray(HU), str(tmp_path / "ct.mhd"))
    (tmp_path / "ct.raw").unlink()
    refused(tmp_path / "ct.mhd", UnreadableFile, "data file")


def test_colour_nrrd(tmp_path: Path):
    image = SimpleITK.GetImageFromArray(np.zeros((6, 8, 8, 3), np.uint8), isVector=True)
    SimpleITK.WriteImage(image, str(tmp_path / "ct.nrrd"))
    refused(tmp_path / "ct.nrrd", DataError, "3 values a voxel")


def test_empty_folder(tmp_path: Path):
    (tmp_path / "series").mkdir()
    refused(tmp_path / "series", DataError, "no DICOM files")


def test_another_modality(tmp_path: Path):
    write_dicom_series(tmp_path / "series", HU, Modality="MR")
    refused(tmp_path / "series", DataError, "MR", "expected CT")
    refused(tmp_path / "series" / "slice000.dcm", DataError, "MR", "expected CT")


def test_only_localizers(tmp_path: Path):
    write_dicom_series(tmp_path / "s", HU[:3], ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])
    refused(tmp_path / "s", DataError, "localizers")


def test_a_lone_slice(tmp_path: Path):
    write_dicom_series(tmp_path / "s", HU[:1])
    refused(tmp_path / "s" / "slice000.dcm", DataError, "lone slice")


def test_slices_without_positions(tmp_path: Path):
    write_dicom_series(tmp_path / "s", HU, ImagePositionPatient=None)
    refused(tmp_path / "s", DataError, "Image Position Patient")


def test_a_cut_slice_in_a_series_is_named(tmp_path: Path):
    write_dicom_series(tmp_path, HU)
    path = tmp_path / "slice005.dcm"
    path.write_bytes(path.read_bytes()[:-500])
    with pytest.raises(UnreadableFile, match=re.escape("slice005.dcm")):
        read_volume(tmp_path)


def test_a_real_cut_slice(shared_data: Path):
    path = shared_data / "lidc_idri_0001" / "truncated_slice.dcm"
    refused(path, UnreadableFile, "cut short", "512 x 512")


def test_raw_dicom_without_rescale(tmp_path: Path):
    write_dicom_series(tmp_path / "s", HU, RescaleSlope=None, RescaleIntercept=None)
    refused(tmp_path / "s", NotHounsfield, "raw detector numbers")


def test_another_quantity(tmp_path: Path):
    write_dicom_series(tmp_path / "s", HU, RescaleType="Z_EFF")
    with pytest.raises(NotHounsfield, match=r"Z_EFF.*expected Hounsfield"):
        read_volume(tmp_path / "s")


def test_colour_slices(tmp_path: Path):
    write_dicom_series(tmp_path / "s", HU, SamplesPerPixel=3, PhotometricInterpretation="RGB")
    with pytest.raises(DataError, match=r"RGB"):
        read_volume(tmp_path / "s")


def test_slices_scattered_sideways(tmp_path: Path):
    positions = np.array([(8.0 * (k % 2), -30.0, 100.0 + 2.5 * k) for k in range(len(HU))])
    write_dicom_series(tmp_path / "s", HU, positions=positions)
    refused(tmp_path / "s", DataError, "sideways", "straight stack")


def test_slices_much_too_irregular(tmp_path: Path):
    heights = np.array([0, 0.1, 0.2, 0.3, 300, 700])
    positions = np.stack([np.zeros(6), np.zeros(6), heights], axis=1)
    write_dicom_series(tmp_path / "s", HU[:6], positions=positions)
    refused(tmp_path / "s", DataError, "too irregular")


def test_a_damaged_dicom_header(tmp_path: Path):
    write_dicom_series(tmp_path / "s", HU[:3])
    (tmp_path / "s" / "bad.dcm").write_bytes(b"\0" * 128 + b"DICM" + b"\xff" * 400)
    with pytest.raises(DataError):
        read_volume(tmp_path / "s" / "bad.dcm")


def test_dicom_without_file_meta_is_still_read(tmp_path: Path):
    write_dicom_series(tmp_path, HU)
    for path in tmp_path.iterdir():
        dataset = pydicom.dcmread(path)
        bare = pydicom.Dataset()
        bare.update(dataset)
        bare.save_as(path, implicit_vr=True, little_endian=True)
    np.testing.assert_array_equal(read_volume(tmp_path).volume.voxels, HU[::-1])
