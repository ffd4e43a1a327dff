from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pydicom
import pytest
from PIL import Image
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import DigitalXRayImageStorageForPresentation, ExplicitVRLittleEndian, generate_uid

from napari_ctclip.core.errors import DataError, UnreadableFile
from napari_ctclip.io.ct.radiograph import GREY_MAX, read_radiograph
from napari_ctclip.io.store.study_record import StoreSpecification
from napari_ctclip.io.store.study_store import StudyStore
from napari_ctclip.preparation.preparation import Options, plan_preparation, prepare
from napari_ctclip.preparation.sources.archive import Source, draft_of
from tests.preparation.test_sources import write_table

# a bright heart on dark lungs, left to right not symmetric
ROWS, COLUMNS = np.mgrid[:200, :160]
GREY = (40 + 180 * ((ROWS - 110) ** 2 + (COLUMNS - 95) ** 2 < 40**2)).astype(np.uint8)


def write_dicom(path: Path, *, inverted: bool = False) -> Path:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = DigitalXRayImageStorageForPresentation
    meta.MediaStorageSOPInstanceUID = generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    dataset.SOPClassUID, dataset.SOPInstanceUID = meta.MediaStorageSOPClassUID, "1.2"
    dataset.Modality, dataset.SamplesPerPixel = "DX", 1
    dataset.PhotometricInterpretation = "MONOCHROME1" if inverted else "MONOCHROME2"
    dataset.Rows, dataset.Columns = GREY.shape
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 12, 11
    dataset.PixelRepresentation = 0
    dataset.WindowCenter, dataset.WindowWidth = 2048, 4096
    pixels = GREY.astype(np.uint16) * 16
    dataset.PixelData = ((4095 - pixels) if inverted else pixels).astype("<u2").tobytes()
    dataset.save_as(path, enforce_file_format=True)
    return path


def as_grey(pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float64]:
    return pixels / 255 * GREY_MAX


def test_png_jpeg_and_dicom_of_one_picture_are_alike(tmp_path: Path) -> None:
    Image.fromarray(GREY).save(tmp_path / "a.png")
    Image.fromarray(GREY).convert("RGB").save(tmp_path / "a.jpg", quality=95)
    files = [tmp_path / "a.png", tmp_path / "a.jpg", write_dicom(tmp_path / "a.dcm")]
    for path in files:
        assert np.abs(read_radiograph(path) - as_grey(GREY)).mean() < 0.01 * GREY_MAX, path


def test_inverted_dicom_is_turned_bright_for_dense(tmp_path: Path) -> None:
    plain = read_radiograph(write_dicom(tmp_path / "a.dcm"))
    inverted = read_radiograph(write_dicom(tmp_path / "b.dcm", inverted=True))
    assert np.abs(plain.astype(int) - inverted).max() <= 2


def test_a_deep_png_is_stretched_over_its_own_range(tmp_path: Path) -> None:
    Image.fromarray(GREY.astype(np.uint16) * 100 + 9000).save(tmp_path / "a.png")
    grey = read_radiograph(tmp_path / "a.png")
    assert grey.min() == 0
    assert grey.max() == GREY_MAX


def test_what_is_no_radiograph_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"no picture")
    with pytest.raises(UnreadableFile, match="no picture"):
        read_radiograph(tmp_path / "a.png")
    Image.fromarray(GREY).save(tmp_path / "b.png")
    (tmp_path / "b.png").write_bytes((tmp_path / "b.png").read_bytes()[:-200])
    with pytest.raises(UnreadableFile, match="cut short"):
        read_radiograph(tmp_path / "b.png")
    Image.fromarray(GREY[:8, :8]).save(tmp_path / "c.png")
    with pytest.raises(DataError, match="at least"):
        read_radiograph(tmp_path / "c.png")


def test_a_table_of_radiographs_becomes_a_set_of_flat_studies(tmp_path: Path) -> None:
    Image.fromarray(GREY).save(tmp_path / "a.png")
    write_dicom(tmp_path / "b.dcm")
    (tmp_path / "c.png").write_bytes(b"no picture")
    rows = [
        {"subject_id": f"p{n}", "image": name, "report": "Heart enlarged. No pneumothorax."}
        for n, name in enumerate(("a.png", "b.dcm", "c.png"))
    ]
    table = write_table(tmp_path / "r.csv", rows)
    source = Source(tmp_path, "radiographs", reports=table)
    specification = StoreSpecification(
        kind="radiograph", spacing_mm=(1, 1, 1), masks="none", shorter_side=80
    )
    plan = plan_preparation(draft_of(source), Options())
    summary = prepare(plan, tmp_path / "out", specification, options=Options())
    assert [(r.study_id, r.code) for r in summary.rejections] == [("c", "corrupt-file")]
    store = StudyStore(tmp_path / "out")
    assert store.studies == ("a", "b")
    crop = store.whole("a")
    assert crop.voxels.shape == (1, 100, 80)
    half = as_grey(GREY).reshape(100, 2, 80, 2).mean(axis=(1, 3))
    assert np.corrcoef(crop.voxels[0].ravel(), half.ravel())[0, 1] > 0.99
    assert (store.crop("a", (0, -2, 0), (1, 5, 80)).voxels[0, :2] == 0).all()
    assert pydicom.dcmread(tmp_path / "b.dcm").Modality == "DX"
