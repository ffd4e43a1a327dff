"""Organ masks from files: names, numberings told apart, grids."""

from __future__ import annotations

from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK

from napari_ctclip.core.anatomy import TOTALSEGMENTATOR_V1, TOTALSEGMENTATOR_V2
from napari_ctclip.core.errors import (
    DataError,
    GeometryMismatch,
    UnknownLabelScheme,
    UnreadableFile,
)
from napari_ctclip.core.geometry import Geometry
from napari_ctclip.core.volume import Volume
from napari_ctclip.io import cut_by_field_of_view, read_organ_masks, read_volume
from tests.io.label_files import blocks, scan
from tests.io.scan_files import SHAPE, affine, torso, write_nifti

HU_OF = {"lung": -850, "trachea": -980, "vertebrae": 250, "rib": 300, "liver": 90, "aorta": 180}


KNOWN = [
    "lung_upper_lobe_left", "lung_lower_lobe_left", "lung_upper_lobe_right",
    "lung_lower_lobe_right", "trachea", "vertebrae_T5", "vertebrae_T6", "vertebrae_T7",
    "rib_left_4", "rib_right_4", "liver", "aorta",
]  # fmt: skip


def labelled_scan(tmp_path: Path, table) -> tuple[Volume, Path]:
    """Return a scan made of boxes with organs' HU and their label map in a numbering."""
    shape = (40, 20, 40)
    hu = np.full(shape, -1000, np.int16)
    hu[2:38, 1:19] = 40
    labels = np.zeros(shape, np.uint8)
    number = {name: label for label, name in table.items()}
    for n, name in enumerate(KNOWN):
        box = (
            slice(4 + 8 * (n % 4), 11 + 8 * (n % 4)),
            slice(3, 15),
            slice(2 + 12 * (n // 4), 12 * (n // 4) + 12),
        )
        hu[box] = HU_OF[name.split("_")[0]]
        labels[box] = number[name]
    hu += np.random.default_rng(0).integers(-15, 15, shape).astype(np.int16)
    volume = read_volume(write_nifti(tmp_path / "ct.nii", hu)).volume
    return volume, write_nifti(tmp_path / "organs.nii.gz", labels)


@pytest.mark.parametrize(
    ("scheme", "table"),
    [("totalsegmentator-v1", TOTALSEGMENTATOR_V1), ("totalsegmentator-v2", TOTALSEGMENTATOR_V2)],
)
def test_the_two_totalsegmentator_numberings_are_told_apart(tmp_path: Path, scheme: str, table):
    volume, path = labelled_scan(tmp_path, table)
    read = read_organ_masks(path, volume)
    assert set(read.masks.legend) == set(KNOWN)
    assert [n.code for n in read.notices] == ["label-scheme"]
    assert scheme in read.notices[0].message
    assert scheme in read.masks.source


def test_real_labels_without_names_are_recognised_and_v1_is_not_believed(
    shared_data: Path, tmp_path: Path
):
    folder = shared_data / "totalsegmentator"
    volume = read_volume(folder / "abdomen_ct.nii.gz").volume
    named = read_organ_masks(folder / "abdomen_organs.nii.gz", volume).masks
    image = nibabel.load(folder / "abdomen_organs.nii.gz")
    bare = nibabel.Nifti1Image(np.asanyarray(image.dataobj), image.affine)
    bare.to_filename(tmp_path / "bare.nii.gz")
    read = read_organ_masks(tmp_path / "bare.nii.gz", volume)
    assert dict(read.masks.legend) == dict(named.legend)
    assert len(named.legend) == 61
    assert "totalsegmentator-v2" in read.notices[0].message


def test_numbers_nobody_explains_are_refused_with_the_cure(tmp_path: Path):
    volume = scan(tmp_path)
    path = write_nifti(tmp_path / "organs.nii.gz", blocks())
    with pytest.raises(UnknownLabelScheme) as caught:
        read_organ_masks(path, volume)
    for part in ("organs.nii.gz", "1, 2", "legend", ".tsv", "totalsegmentator-v2"):
        assert part in str(caught.value)


def test_labels_above_every_numbering_are_refused(tmp_path: Path):
    labels = blocks()
    labels[labels == 2] = 200
    path = write_nifti(tmp_path / "organs.nii.gz", labels)
    with pytest.raises(UnknownLabelScheme, match=r"1, 200"):
        read_organ_masks(path, scan(tmp_path))


def test_names_in_the_nifti_header_are_read(tmp_path: Path):
    xml = (
        '<?xml version="1.0" encoding="UTF-8"?> <CaretExtension><VolumeInformation Index="0">'
        '<LabelTable><Label Key="1" Red="0.0"><![CDATA[liver]]></Label>\n'
        '<Label Key="2" Red="0.0"><![CDATA[vertebrae_T7]]></Label></LabelTable>'
        "</VolumeInformation></CaretExtension>"
    )
    image = nibabel.Nifti1Image(blocks(), affine())
    image.header.extensions.append(nibabel.nifti1.Nifti1Extension(0, xml.encode()))
    image.to_filename(tmp_path / "organs.nii.gz")
    read = read_organ_masks(tmp_path / "organs.nii.gz", scan(tmp_path))
    assert dict(read.masks.legend) == {"liver": 1, "vertebrae_T7": 2}


def test_segments_of_3d_slicer_are_read_with_their_layers(tmp_path: Path):
    volume = scan(tmp_path)
    layers = np.stack([blocks() == 1, 3 * (blocks() == 2)], axis=-1).astype(np.uint8)
    image = SimpleITK.GetImageFromArray(layers.transpose(2, 1, 0, 3).copy(), isVector=True)
    matrix = np.diag([-1.0, -1.0, 1.0, 1.0]) @ affine()
    spacing = np.linalg.norm(matrix[:3, :3], axis=0)
    image.SetSpacing(spacing.tolist())
    image.SetDirection((matrix[:3, :3] / spacing).ravel().tolist())
    image.SetOrigin(matrix[:3, 3].tolist())
    for n, (name, label) in enumerate((("Right lung", 1), ("Spleen", 3))):
        image.SetMetaData(f"Segment{n}_Name", name)
        image.SetMetaData(f"Segment{n}_LabelValue", str(label))
        image.SetMetaData(f"Segment{n}_Layer", str(n))
    SimpleITK.WriteImage(image, str(tmp_path / "Segmentation.seg.nrrd"))
    read = read_organ_masks(tmp_path / "Segmentation.seg.nrrd", volume)
    assert set(read.masks.legend) == {"lung_right", "spleen"}
    expected = read_organ_masks(
        write_nifti(tmp_path / "o.nii", blocks()), volume, legend={"lung_right": 1, "spleen": 2}
    ).masks
    for name in ("lung_right", "spleen"):
        np.testing.assert_array_equal(read.masks.mask(name), expected.mask(name))


@pytest.mark.parametrize("codes", ["LPS", "SAR", "IPL", "PIR"])
def test_masks_in_another_axis_order_land_exactly(tmp_path: Path, codes: str):
    volume, legend = scan(tmp_path), {"a": 1, "b": 2}
    expected = read_organ_masks(write_nifti(tmp_path / "a.nii", blocks()), volume, legend=legend)
    grid = Geometry(SHAPE, affine())
    turn = grid.transform_to(codes)
    path = write_nifti(tmp_path / "b.nii", turn.apply(blocks()), grid.reoriented(turn).affine)
    read = read_organ_masks(path, volume, legend=legend)
    assert read.notices == ()
    np.testing.assert_array_equal(read.masks.labels, expected.masks.labels)


def test_a_cropped_label_map_lands_exactly_and_says_so(tmp_path: Path):
    volume, legend = scan(tmp_path), {"a": 1, "b": 2}
    expected = read_organ_masks(write_nifti(tmp_path / "a.nii", blocks()), volume, legend=legend)
    grid = Geometry(SHAPE, affine()).cropped((2, 6, 2), (18, 22, 22))
    path = write_nifti(tmp_path / "b.nii", blocks()[2:18, 6:22, 2:22], grid.affine)
    read = read_organ_masks(path, volume, legend=legend)
    np.testing.assert_array_equal(read.masks.labels, expected.masks.labels)
    assert [n.code for n in read.notices] == ["masks-partial"]


@pytest.mark.parametrize("degrees", [0.0, 10.0])
def test_another_grid_is_resampled_to_the_nearest_voxel(tmp_path: Path, degrees: float):
    volume = scan(tmp_path)
    matrix = affine(spacing_mm=(0.8, 0.8, 1.0))
    matrix[:3, 3] -= (6.0, 6.0, 6.0)
    turn = np.eye(4)
    angle = np.radians(degrees)
    turn[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    matrix = turn @ matrix
    fine = Geometry((70, 70, 80), matrix)
    world = fine.index_to_world(np.stack(np.indices(fine.shape), axis=-1))
    at = np.rint(Geometry(SHAPE, affine()).world_to_index(world)).astype(int)
    inside = ((at >= 0) & (at < SHAPE)).all(axis=-1)
    labels = np.zeros(fine.shape, np.uint8)
    labels[inside] = blocks()[tuple(at[inside].T)]
    read = read_organ_masks(
        write_nifti(tmp_path / "fine.nii", labels, matrix), volume, legend={"a": 1, "b": 2}
    )
    assert "masks-resampled" in [n.code for n in read.notices]
    expected = read_organ_masks(
        write_nifti(tmp_path / "a.nii", blocks()), volume, legend={"a": 1, "b": 2}
    ).masks
    known = read.masks.mask("a").sum() / expected.mask("a").sum()
    assert known > 0.8
    both = (read.masks.labels > 0) & (expected.labels > 0)
    assert (read.masks.labels == expected.labels)[both].mean() > 0.99


def test_masks_of_another_place_are_refused(tmp_path: Path):
    matrix = affine()
    matrix[:3, 3] += 500
    path = write_nifti(tmp_path / "organs.nii", blocks(), matrix)
    with pytest.raises(GeometryMismatch, match=r"organs\.nii.*do not overlap"):
        read_organ_masks(path, scan(tmp_path), legend={"a": 1, "b": 2})


@pytest.mark.parametrize(
    ("labels", "part"),
    [
        (np.random.default_rng(0).random(SHAPE).astype(np.float32), "probability map"),
        (torso(), "is this the CT itself"),
        (np.zeros(SHAPE, np.uint8), "no organ is marked"),
    ],
    ids=["probabilities", "CT", "empty"],
)
def test_what_is_no_label_map_is_refused(tmp_path: Path, labels, part: str):
    path = write_nifti(tmp_path / "organs.nii", labels)
    with pytest.raises(DataError, match=part) as caught:
        read_organ_masks(path, scan(tmp_path))
    assert "organs.nii" in str(caught.value)


def test_an_absent_label_map_is_refused(tmp_path: Path):
    with pytest.raises(UnreadableFile, match="there is no file"):
        read_organ_masks(tmp_path / "organs.nii", scan(tmp_path))


def test_organs_at_the_faces_are_cut_by_the_field_of_view(tmp_path: Path):
    labels = blocks()
    labels[:, 10, 10][4:8] = 1
    labels[12:16, 8:20, 4:] = 2
    path = write_nifti(tmp_path / "organs.nii", labels)
    masks = read_organ_masks(path, scan(tmp_path), legend={"liver": 1, "lung_left": 2}).masks
    assert cut_by_field_of_view(masks) == {"lung_left"}


def test_a_dicom_seg_lands_on_its_ct(shared_data: Path):
    volume = read_volume(shared_data / "dcmqi" / "ct").volume
    read = read_organ_masks(shared_data / "dcmqi" / "liver.dcm", volume)
    assert dict(read.masks.legend) == {"liver": 1}
    assert read.notices == ()
    nrrd = read_organ_masks(
        shared_data / "dcmqi" / "liver_seg.nrrd", volume, legend={"liver": 1}
    ).masks
    np.testing.assert_array_equal(read.masks.labels, nrrd.labels)
    assert 20 < np.median(volume.voxels[read.masks.mask("liver")]) < 200


def test_a_ct_slice_is_no_dicom_seg(shared_data: Path):
    volume = read_volume(shared_data / "dcmqi" / "ct").volume
    with pytest.raises(DataError, match=r"modality CT, expected a DICOM SEG"):
        read_organ_masks(shared_data / "dcmqi" / "ct" / "01.dcm", volume)
