"""DICOM objects lie where the lesion is, read by three programs that are not ours."""

from __future__ import annotations

import json
import subprocess
import sys
import warnings
from dataclasses import replace
from pathlib import Path

import highdicom
import numpy as np
import pydicom
import pytest
import SimpleITK

from napari_ctclip.core.errors import DataError
from napari_ctclip.core.finding import Finding, FindingOrigin, FindingState
from napari_ctclip.core.organ_masks import OrganMasks
from napari_ctclip.core.prompt import Prompt
from napari_ctclip.core.region import Region
from napari_ctclip.core.similarity_map import SimilarityMap
from napari_ctclip.core.volume import Volume
from napari_ctclip.exporting.content import ExportKind
from napari_ctclip.exporting.write_exports import write_exports
from napari_ctclip.io import read_volume
from napari_ctclip.io.ct.dicom_source import dicom_source
from napari_ctclip.io.export.dicom_objects import (
    UNKNOWN_SIMILARITY,
    write_findings_seg,
    write_organs_seg,
    write_parametric_map,
)
from napari_ctclip.io.masks.segment_descriptions import finding_code, laterality_code, organ_code
from napari_ctclip.simulation.dicom import write_dicom_series
from tests.exporting.asked import asked_session, ball_finding, content_of
from tests.phantom import ball_study

warnings.filterwarnings("ignore", module="pydicom")
LPS = np.array([-1.0, -1.0, 1.0])
SPOT = Region.of(np.ones((4, 3, 5), dtype=bool), start=(18, 29, 42))


def finding(volume: Volume, region: Region = SPOT, name: str = "lung nodule") -> Finding:
    index = tuple(s + n // 2 for s, n in zip(region.start, region.mask.shape, strict=True))
    world = tuple(volume.geometry.index_to_world(index).tolist())
    return Finding("0" * 32, name, index, world, 0.0, 1.0, region, anatomy="lung_left")


def centre_mm(volume: Volume, region: Region) -> np.ndarray:
    """Return the LPS place of a region's centre."""
    at = np.argwhere(region.mask).mean(axis=0) + region.start
    return volume.geometry.index_to_world(at) * LPS


def tilted_series(folder: Path, axes: list[float]) -> Volume:
    """Return the ball scan as a DICOM series whose row and column axes are ``axes``."""
    across, down = np.array(axes[:3]), np.array(axes[3:])
    for number, path in enumerate(write_dicom_series(ball_study(), folder)):
        header = pydicom.dcmread(path)
        header.ImageOrientationPatient = [f"{a:.8f}" for a in axes]
        place = np.array([-30.0, -20.0, 40.0]) - 2.0 * number * np.cross(across, down)
        header.ImagePositionPatient = [f"{p:.6f}" for p in place]
        header.save_as(path)
    return read_volume(folder, accept_suspicious=True).volume


TURN = np.radians(12.0)
STACKS = {
    "axial": [1, 0, 0, 0, 1, 0],
    "turned by 12 degrees": [np.cos(TURN), np.sin(TURN), 0, -np.sin(TURN), np.cos(TURN), 0],
    "rows and columns flipped": [-1, 0, 0, 0, -1, 0],
    "coronal": [1, 0, 0, 0, 0, -1],
}


@pytest.mark.parametrize("axes", STACKS.values(), ids=STACKS.keys())
def test_a_segment_lies_on_the_lesion_whatever_the_stack(tmp_path: Path, axes: list[float]):
    volume = tilted_series(tmp_path / "ct", axes)
    lesion = volume.voxels > 600
    region, wanted = Region.of(lesion), centre_mm(volume, Region.of(lesion))
    source = dicom_source(volume)
    path = write_findings_seg([finding(volume, region)], volume, source, tmp_path / "seg.dcm")

    found = highdicom.seg.segread(path).get_volume(combine_segments=True)
    at = found.map_indices_to_reference(np.argwhere(found.array == 1)).mean(axis=0)
    np.testing.assert_allclose(at, wanted, atol=0.01)
    assert int((found.array == 1).sum()) == int(lesion.sum())

    image = SimpleITK.ReadImage(str(path))
    z, y, x = np.argwhere(SimpleITK.GetArrayFromImage(image) > 0).mean(axis=0)
    at = image.TransformContinuousIndexToPhysicalPoint((float(x), float(y), float(z)))
    np.testing.assert_allclose(at, wanted, atol=0.01)


@pytest.mark.parametrize("axes", STACKS.values(), ids=STACKS.keys())
def test_a_parametric_map_lies_on_its_tokens_and_says_its_quantity(tmp_path: Path, axes):
    volume = tilted_series(tmp_path / "ct", axes)
    grid = volume.geometry.coarsened((3, 4, 4))
    values = np.random.default_rng(0).normal(0, 0.1, grid.shape).astype(np.float32)
    values[4, 5, 6], values[0, 0, 0] = 0.9, np.nan
    similarity = SimilarityMap(values, grid, Prompt("nodule"))
    origin = FindingOrigin("tiny", "ab" * 32)
    path = tmp_path / "pm.dcm"
    write_parametric_map(similarity, dicom_source(volume), path, origin=origin)

    found = highdicom.imread(path).get_volume(apply_real_world_transform=True)
    peak = np.unravel_index(np.argmax(found.array), found.array.shape)
    at = found.map_indices_to_reference(np.array([peak]))[0]
    np.testing.assert_allclose(at, grid.index_to_world((4, 5, 6)) * LPS, atol=0.01)
    known = np.isfinite(values)
    np.testing.assert_allclose(np.sort(found.array.ravel())[1:], np.sort(values[known]), atol=1e-6)

    raw = pydicom.dcmread(path)
    assert raw.FloatPixelPaddingValue == UNKNOWN_SIMILARITY == raw.pixel_array.min()
    shared = raw.SharedFunctionalGroupsSequence[0]
    mapping = shared.RealWorldValueMappingSequence[0]
    assert mapping.MeasurementUnitsCodeSequence[0].CodeValue == "1"
    assert mapping.RealWorldValueSlope == 1.0
    quantity = mapping.QuantityDefinitionSequence[0].ConceptCodeSequence[0]
    assert "Image-text similarity" in quantity.CodeMeaning


def test_another_houses_program_places_segment_and_map_alike(tmp_path: Path):
    dcmqi = Path(sys.executable).parent
    if not (dcmqi / "segimage2itkimage").exists():
        pytest.skip("dcmqi is not installed")
    volume = tilted_series(tmp_path / "ct", STACKS["turned by 12 degrees"])
    source = dicom_source(volume)
    small = Region.of(np.ones((2, 2, 2), dtype=bool), start=(5, 8, 9))
    write_findings_seg(
        [finding(volume), finding(volume, small, "cyst")], volume, source, tmp_path / "seg.dcm"
    )
    _run(dcmqi / "segimage2itkimage", "seg.dcm", tmp_path, "--outputType", "nrrd")
    for number, region in enumerate((SPOT, small), start=1):
        image = SimpleITK.ReadImage(str(tmp_path / f"{number}.nrrd"))
        z, y, x = np.argwhere(SimpleITK.GetArrayFromImage(image) > 0).mean(axis=0)
        at = image.TransformContinuousIndexToPhysicalPoint((float(x), float(y), float(z)))
        np.testing.assert_allclose(at, centre_mm(volume, region), atol=0.01)
    grid = volume.geometry.coarsened((3, 4, 4))
    values = np.zeros(grid.shape, dtype=np.float32)
    values[4, 5, 6] = 0.9
    similarity = SimilarityMap(values, grid, Prompt("nodule"))
    write_parametric_map(similarity, source, tmp_path / "pm.dcm", origin=FindingOrigin("tiny", "a"))
    _run(dcmqi / "paramap2itkimage", "pm.dcm", tmp_path, "--outputType", "nrrd")
    image = SimpleITK.ReadImage(str(tmp_path / "pmap.nrrd"))
    array = SimpleITK.GetArrayFromImage(image)
    assert array.max() == pytest.approx(0.9)
    z, y, x = np.unravel_index(np.argmax(array), array.shape)
    at = image.TransformIndexToPhysicalPoint((int(x), int(y), int(z)))
    np.testing.assert_allclose(at, grid.index_to_world((4, 5, 6)) * LPS, atol=0.01)


def _run(program: Path, name: str, folder: Path, *options: str) -> None:
    command = [program, "--inputDICOM", folder / name, "--outputDirectory", folder, *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


def test_overlapping_findings_keep_all_their_voxels_and_their_names(tmp_path: Path):
    write_dicom_series(ball_study(), tmp_path / "ct")
    volume = read_volume(tmp_path / "ct").volume
    wide = Region.of(np.ones((8, 9, 9), dtype=bool), start=(16, 26, 40))
    both = [replace(finding(volume), note="seen twice"), finding(volume, wide, "pleural effusion")]
    path = write_findings_seg(both, volume, dicom_source(volume), tmp_path / "seg.dcm")
    seg = highdicom.seg.segread(path)
    counts = seg.get_volume().array.sum(axis=(0, 1, 2))
    assert counts.tolist() == [SPOT.mask.sum(), wide.mask.sum()]
    first, second = (seg.get_segment_description(n) for n in (1, 2))
    assert first.segment_label == "lung nodule"
    assert first.segmented_property_type.meaning == "Nodule"
    assert first.SegmentDescription == "seen twice"
    assert second.segmented_property_type.meaning == "Pleural effusion"
    assert seg.PatientID == pydicom.dcmread(tmp_path / "ct" / "slice_0000.dcm").PatientID


def test_organs_become_coded_segments_with_their_side(tmp_path: Path):
    write_dicom_series(ball_study(), tmp_path / "ct")
    volume, masks = read_volume(tmp_path / "ct").volume, ball_study().organ_masks
    assert masks is not None
    own = OrganMasks(masks.labels, masks.legend, volume.geometry, "quick")
    path = write_organs_seg(own, volume, dicom_source(volume), tmp_path / "organs.dcm")
    seg = highdicom.seg.segread(path)
    kind = seg.get_segment_description(2).SegmentedPropertyTypeCodeSequence[0]
    assert kind.CodeMeaning == "Lung"
    assert kind.SegmentedPropertyTypeModifierCodeSequence[0].CodeMeaning == "Left"
    labels = seg.get_volume(combine_segments=True).array
    np.testing.assert_array_equal(labels, masks.labels)


def test_codes_are_the_narrowest_known():
    assert organ_code("lung_upper_lobe_left").meaning == "Lung"
    assert organ_code("heart_atrium_left").value == "82471001"
    assert organ_code("thoracic_cavity").meaning == "Anatomical Structure"
    assert laterality_code("rib_left_4").meaning == "Left"
    assert laterality_code("aorta") is None
    assert finding_code("solid pulmonary nodules").meaning == "Nodule"
    assert finding_code("massive cardiomegaly").meaning == "Lesion"  # no "mass"


def test_a_nifti_source_is_told_what_dicom_lacks(tmp_path: Path):
    session = asked_session(tmp_path)
    content = content_of(session, ball_finding(session))
    with pytest.raises(DataError, match=r"need the DICOM series .* frame of reference"):
        write_exports(content, tmp_path / "out", kinds=[ExportKind.SEG, ExportKind.PARAMETRIC_MAP])
    written = write_exports(content, tmp_path / "out", kinds=[ExportKind.SEG, ExportKind.CSV])
    assert [notice.code for notice in written.notices] == ["dicom-left-out"]
    assert {path.name for path in written.files} >= {"scores.csv", "findings.csv"}


def test_rejected_findings_stay_out_of_the_segmentation(tmp_path: Path):
    write_dicom_series(ball_study(), tmp_path / "ct")
    study = ball_study(with_masks=False)
    session = asked_session(tmp_path, replace(study, volume=read_volume(tmp_path / "ct").volume))
    kept = ball_finding(session)
    refused = replace(kept, key="1" * 32, state=FindingState.REJECTED)
    write_exports(content_of(session, refused, kept), tmp_path / "out", kinds=[ExportKind.SEG])
    assert highdicom.seg.segread(tmp_path / "out" / "findings_seg.dcm").number_of_segments == 1


def test_a_known_tumour_of_a_real_series_is_where_its_reader_drew_it(tmp_path, shared_data: Path):
    folder = shared_data / "lung_pet_ct_dx_a0002"
    volume = read_volume(folder / "dicom").volume
    boxes = json.loads((folder / "tumour_boxes.json").read_text())
    box = boxes[0]
    header = pydicom.dcmread(next((folder / "dicom").glob(f"*{box['file']}*")))
    row, column = (box["ymin"] + box["ymax"]) / 2, (box["xmin"] + box["xmax"]) / 2
    down, across = (float(s) for s in header.PixelSpacing)
    offset = np.array([column * across, row * down, 0.0])
    wanted = np.array(header.ImagePositionPatient, float) + offset
    z, y, x = np.rint(volume.geometry.world_to_index(wanted * LPS)).astype(int).tolist()
    region = Region.of(np.ones((1, 9, 9), dtype=bool), start=(z, y - 4, x - 4))
    source = dicom_source(volume)
    path = write_findings_seg([finding(volume, region)], volume, source, tmp_path / "seg.dcm")
    found = highdicom.seg.segread(path).get_volume(combine_segments=True)
    at = found.map_indices_to_reference(np.argwhere(found.array == 1)).mean(axis=0)
    np.testing.assert_allclose(at, wanted, atol=0.7)  # a pixel
