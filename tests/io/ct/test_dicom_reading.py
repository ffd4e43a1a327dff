"""DICOM series: order, gaps, tilt, several series in a folder, what is kept of the header."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import generate_uid

from napari_ctclip.core.errors import DataError, SeriesChoiceNeeded
from napari_ctclip.core.volume import Window
from napari_ctclip.io import list_series, read_volume
from tests.io.scan_files import torso, write_dicom_series

HU = np.ascontiguousarray(torso().T)  # (k, j, i), superior last


def codes(read) -> list[str]:
    return [notice.code for notice in read.notices]


def ramp() -> np.ndarray:
    """Return slices whose tissue brightens evenly, so a slice tells its height."""
    slices = np.full((12, 16, 16), -1000, dtype=np.int16)
    slices[:, 2:14, 2:14] = (np.arange(12) * 10)[:, None, None]
    return slices


def test_slices_are_sorted_by_position_not_by_name(tmp_path: Path):
    read = read_volume(write_dicom_series(tmp_path, HU))
    assert read.notices == ()
    np.testing.assert_array_equal(read.volume.voxels, HU[::-1])
    assert read.volume.geometry.spacing_mm == pytest.approx((2.5, 1.25, 1.5))
    # DICOM (-20, -30, 100) is the first voxel of the lowest slice; RAS turns x and y around.
    np.testing.assert_allclose(read.volume.geometry.index_to_world((23, 0, 0)), (20, 30, 100))


def test_one_file_stands_for_its_series(tmp_path: Path):
    write_dicom_series(tmp_path, HU)
    write_dicom_series(tmp_path, HU[:5], prefix="other")
    read = read_volume(tmp_path / "slice003.dcm")
    assert read.volume.voxels.shape == HU.shape


def test_windows_and_kernel_are_kept_and_the_patient_is_not(tmp_path: Path):
    volume = read_volume(write_dicom_series(tmp_path, HU)).volume
    assert volume.windows == {"LUNG": Window(-600, 1500), "MEDIASTINUM": Window(40, 400)}
    assert volume.metadata["kernel"] == "B70f"
    assert volume.metadata["slice_thickness_mm"] == 2.5
    kept = repr(dict(volume.metadata))
    uid = pydicom.dcmread(tmp_path / "slice000.dcm").SeriesInstanceUID
    assert not any(secret in kept for secret in ("Doe", "4711", "2020", uid))


def test_each_slice_has_its_own_rescale(tmp_path: Path):
    write_dicom_series(tmp_path, HU)
    path = tmp_path / "slice004.dcm"
    dataset = pydicom.dcmread(path)
    dataset.RescaleIntercept = -2024
    dataset.PixelData = (dataset.pixel_array + 1000).astype("<i2").tobytes()
    dataset.save_as(path)
    np.testing.assert_array_equal(read_volume(tmp_path).volume.voxels, HU[::-1])


def test_high_padding_values_become_air(tmp_path: Path):
    hu = HU.copy()
    hu[:, :2] = 30000
    write_dicom_series(tmp_path, hu, PixelPaddingValue=31024)
    assert (read_volume(tmp_path).volume.voxels[:, :2] == -1024).all()


def test_several_series_ask_for_a_choice_and_localizers_do_not_count(tmp_path: Path):
    write_dicom_series(tmp_path, HU, SeriesNumber=2, SeriesDescription="Lung 1.0")
    write_dicom_series(tmp_path, HU[:8], SeriesNumber=5, SeriesDescription="Soft", prefix="b")
    write_dicom_series(
        tmp_path, HU[:2], prefix="scout", ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"]
    )
    write_dicom_series(tmp_path, HU[:3], prefix="mr", Modality="PT")
    found = list_series(tmp_path)
    assert [(s.number, s.description, s.slices) for s in found] == [
        (2, "Lung 1.0", 24),
        (5, "Soft", 8),
    ]
    assert found[0].kernel == "B70f"
    assert found[0].spacing_mm == pytest.approx((2.5, 1.25, 1.5))
    with pytest.raises(SeriesChoiceNeeded, match=r"2 CT series") as caught:
        read_volume(tmp_path)
    assert len(caught.value.choices) == 2
    assert "Soft" in caught.value.choices[1]
    assert read_volume(tmp_path, series=2).volume.voxels.shape[0] == 8
    assert read_volume(tmp_path, series="1").volume.voxels.shape[0] == 24
    assert read_volume(tmp_path, series=found[1].key).volume.voxels.shape[0] == 8
    with pytest.raises(DataError, match=r"no series 7"):
        read_volume(tmp_path, series=7)


def test_a_series_of_mixed_orientations_is_listed_as_several(tmp_path: Path):
    uid = generate_uid()
    write_dicom_series(tmp_path, HU, series_uid=uid)
    write_dicom_series(
        tmp_path,
        HU[:6],
        series_uid=uid,
        prefix="coronal",
        orientation=(1, 0, 0, 0, 0, -1),
        positions=np.array([(-20.0, 2.5 * k, 130.0) for k in range(6)]),
    )
    assert [s.slices for s in list_series(tmp_path)] == [24, 6]
    with pytest.raises(SeriesChoiceNeeded):
        read_volume(tmp_path)


def test_a_lone_odd_slice_is_left_out_with_a_notice(tmp_path: Path):
    uid = generate_uid()
    write_dicom_series(tmp_path, HU, series_uid=uid)
    write_dicom_series(tmp_path, HU[:1, :10, :10], series_uid=uid, prefix="odd")
    read = read_volume(tmp_path)
    assert codes(read) == ["left-out-images"]
    assert "odd000.dcm" in read.notices[0].message
    np.testing.assert_array_equal(read.volume.voxels, HU[::-1])


def test_missing_slices_are_filled_and_everything_keeps_its_place(tmp_path: Path):
    slices = ramp()
    kept = [k for k in range(12) if k not in (5, 6)]
    positions = np.array([(0.0, 0.0, 50.0 + 2.0 * k) for k in kept])
    read = read_volume(write_dicom_series(tmp_path, slices[kept], positions=positions))
    assert codes(read) == ["missing-slices"]
    message = read.notices[0].message
    assert "6 mm between slices 5 and 6" in message
    assert "2 slices were filled in" in message
    np.testing.assert_array_equal(read.volume.voxels, slices[::-1])
    assert read.volume.geometry.spacing_mm[0] == pytest.approx(2.0)


def test_duplicate_slices_are_left_out(tmp_path: Path):
    uid = generate_uid()
    write_dicom_series(tmp_path, HU, series_uid=uid)
    doubled = np.array([(-20.0, -30.0, 100.0 + 2.5 * k) for k in (4, 5)])
    write_dicom_series(tmp_path, HU[4:6], positions=doubled, series_uid=uid, prefix="again")
    read = read_volume(tmp_path)
    assert codes(read) == ["duplicate-slices"]
    assert "2 of 26" in read.notices[0].message
    np.testing.assert_array_equal(read.volume.voxels, HU[::-1])


def test_two_phases_under_one_uid_are_two_series(tmp_path: Path):
    uid = generate_uid()
    write_dicom_series(tmp_path, HU, series_uid=uid)
    write_dicom_series(tmp_path, HU, series_uid=uid, prefix="late", AcquisitionNumber=2)
    assert [s.slices for s in list_series(tmp_path)] == [24, 24]


def test_unequal_steps_are_resampled_to_equal_ones(tmp_path: Path):
    heights = np.array([0, 2, 4, 6, 8, 10, 12, 15, 18, 21, 24, 27], dtype=float)
    slices = np.full((12, 16, 16), -1000, dtype=np.int16)
    slices[:, 2:14, 2:14] = (heights * 10)[:, None, None]
    positions = np.stack([np.zeros(12), np.zeros(12), heights], axis=1)
    read = read_volume(write_dicom_series(tmp_path, slices, positions=positions))
    assert codes(read) == ["unequal-spacing"]
    assert "2 to 3 mm" in read.notices[0].message
    volume = read.volume
    at = volume.geometry.index_to_world([(z, 8, 8) for z in range(volume.voxels.shape[0])])[:, 2]
    np.testing.assert_allclose(volume.voxels[:, 8, 8], at * 10, atol=1)


def test_rounded_positions_are_no_gap(tmp_path: Path):
    heights = np.round(np.arange(24) * 0.70312, 1)
    positions = np.stack([np.zeros(24), np.zeros(24), heights], axis=1)
    read = read_volume(write_dicom_series(tmp_path, HU, positions=positions))
    np.testing.assert_array_equal(read.volume.voxels, HU[::-1])
    assert read.volume.geometry.spacing_mm[0] == pytest.approx(0.70312, rel=0.01)


def test_a_tilted_gantry_is_made_upright_and_points_keep_their_place(tmp_path: Path):
    slices = np.full((20, 40, 40), -1000, dtype=np.int16)
    slices[:, 8:32, 8:32] = 40
    slices[9:12, 19:22, 19:22] = 900
    tilt = np.radians(15.0)
    row, column = np.array([1.0, 0, 0]), np.array([0, np.cos(tilt), -np.sin(tilt)])
    positions = np.array([(-20.0, -30.0, 100.0 + 2.5 * k) for k in range(20)])
    write_dicom_series(
        tmp_path, slices, positions=positions, orientation=[*row, *column], GantryDetectorTilt=15
    )
    read = read_volume(tmp_path)
    assert codes(read) == ["gantry-tilt"]
    assert "15.0 degrees" in read.notices[0].message
    bright = read.volume.geometry.index_to_world(np.argwhere(read.volume.voxels > 500)).mean(axis=0)
    lps = positions[10] + row * 20 * 1.5 + column * 20 * 1.25
    np.testing.assert_allclose(bright, lps * (-1, -1, 1), atol=0.3)


def test_a_multi_frame_ct_is_a_stack_of_its_frames(tmp_path: Path):
    write_dicom_series(tmp_path / "single", HU)
    dataset = pydicom.dcmread(tmp_path / "single" / "slice000.dcm")
    dataset.SOPClassUID = "1.2.840.10008.5.1.4.1.1.2.1"
    dataset.NumberOfFrames = len(HU)
    dataset.PixelData = (HU.astype(np.int32) + 1024).astype("<i2").tobytes()
    for keyword in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing"):
        delattr(dataset, keyword)
    del dataset.RescaleSlope, dataset.RescaleIntercept
    shared, measures, plane, rescale = Dataset(), Dataset(), Dataset(), Dataset()
    measures.PixelSpacing, plane.ImageOrientationPatient = [1.25, 1.5], [1, 0, 0, 0, 1, 0]
    rescale.RescaleSlope, rescale.RescaleIntercept = 1, -1024
    shared.PixelMeasuresSequence = Sequence([measures])
    shared.PlaneOrientationSequence = Sequence([plane])
    shared.PixelValueTransformationSequence = Sequence([rescale])
    dataset.SharedFunctionalGroupsSequence = Sequence([shared])
    frames = []
    for k in range(len(HU)):
        frame, place = Dataset(), Dataset()
        place.ImagePositionPatient = [-20.0, -30.0, 100.0 + 2.5 * k]
        frame.PlanePositionSequence = Sequence([place])
        frames.append(frame)
    dataset.PerFrameFunctionalGroupsSequence = Sequence(frames)
    (tmp_path / "multi").mkdir()
    dataset.save_as(tmp_path / "multi" / "ct.dcm")
    multi = read_volume(tmp_path / "multi").volume
    single = read_volume(tmp_path / "single").volume
    np.testing.assert_array_equal(multi.voxels, single.voxels)
    np.testing.assert_allclose(multi.geometry.affine, single.geometry.affine)


@pytest.mark.parametrize(
    "orientation", [(1, 0, 0, 0, 0, -1), (0, 1, 0, 0, 0, -1), (-1, 0, 0, 0, -1, 0)]
)
def test_coronal_sagittal_and_prone_series_lie_right(tmp_path: Path, orientation):
    row, column = np.array(orientation[:3], float), np.array(orientation[3:], float)
    normal = np.cross(row, column)
    positions = np.array([10.0, 20.0, 30.0]) + np.arange(len(HU))[:, None] * 2.0 * normal
    write_dicom_series(tmp_path, HU, positions=positions, orientation=orientation)
    volume = read_volume(tmp_path).volume
    k, j, i = 7, 11, 5
    lps = positions[k] + row * i * 1.5 + column * j * 1.25
    at = np.rint(volume.geometry.world_to_index(lps * (-1, -1, 1))).astype(int)
    assert volume.voxels[tuple(at)] == HU[k, j, i]


def test_a_series_of_real_slices_agrees_with_its_tumour_boxes(shared_data: Path):
    read = read_volume(shared_data / "lung_pet_ct_dx_a0002" / "dicom")
    assert read.notices == ()
    assert list(read.volume.windows) == ["WINDOW1", "WINDOW2"]
    assert read.volume.metadata["kernel"] == "B70f"
