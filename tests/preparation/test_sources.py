from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from napari_ctclip.core.errors import CtClipError, DataError
from napari_ctclip.core.geometry import Geometry
from napari_ctclip.io.store.study_record import StoreSpecification
from napari_ctclip.io.store.study_store import StudyStore, create_store
from napari_ctclip.preparation.sources.archive import Source, draft_of
from napari_ctclip.preparation.sources.draft import Draft
from napari_ctclip.preparation.study_preparation import prepare_study
from napari_ctclip.reports.captions import organ_caption
from tests.io.scan_files import torso, write_dicom_series
from tests.preparation.made_up_archive import write_nifti

SPACING_MM = (3.0, 1.5, 1.5)
HU = np.ascontiguousarray(torso((40, 44, 24)).transpose(2, 1, 0))  # k, j, i


def lps(spacing_mm: Sequence[float] = SPACING_MM) -> Geometry:
    """Return CT-RATE's grid in (k, j, i) order: superior, posterior, left."""
    return Geometry.from_spacing(HU.shape, spacing_mm, codes="SPL")


def write_table(path: Path, rows: Sequence[dict[str, Any]], delimiter: str = ",") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]), delimiter=delimiter)
        writer.writeheader()
        writer.writerows(rows)
    return path


def write_scan(
    path: Path, hu: npt.NDArray[np.int16] = HU, geometry: Geometry | None = None
) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    geometry = geometry or lps()
    affine = geometry.affine[:, [2, 1, 0, 3]]  # NIfTI stores i first
    shape = (geometry.shape[2], geometry.shape[1], geometry.shape[0])
    return write_nifti(path, np.ascontiguousarray(hu.transpose(2, 1, 0)), Geometry(shape, affine))


def by_id(draft: Draft) -> dict[str, Any]:
    return {entry.study_id: entry for entry in draft.entries}


# --- a folder and a table -------------------------------------------------------------------------


def test_scans_are_found_by_name_as_files_folders_and_dicom(tmp_path: Path) -> None:
    write_scan(tmp_path / "a.nii.gz")
    write_scan(tmp_path / "deep" / "b" / "ct.nii.gz")
    write_scan(tmp_path / "deep" / "b" / "segmentation.nii.gz")
    write_dicom_series(tmp_path / "c", HU)
    write_scan(tmp_path / "a_seg.nii.gz")
    rows = [{"Accession": n, "Text": "Clear lungs."} for n in ("a", "b", "c", "d")]
    table = write_table(tmp_path / "r.csv", rows, delimiter=";")
    columns = ("study=Accession", "report=Text")
    draft = draft_of(Source(tmp_path, reports=table, columns=columns))
    found = by_id(draft)
    assert found["a"].image == tmp_path / "a.nii.gz"
    assert found["a"].masks == tmp_path / "a_seg.nii.gz"
    assert found["b"].image == tmp_path / "deep" / "b" / "ct.nii.gz"
    assert found["b"].masks == tmp_path / "deep" / "b" / "segmentation.nii.gz"
    assert found["c"].image == tmp_path / "c"
    assert found["c"].masks is None
    assert [(r.study_id, r.code) for r in draft.rejections] == [("d", "missing-file")]
    assert [notice.code for notice in draft.notices] == ["no-patient-column"]


def test_two_files_of_one_name_are_not_chosen_between(tmp_path: Path) -> None:
    write_scan(tmp_path / "one" / "a.nii.gz")
    write_scan(tmp_path / "two" / "a.nii.gz")
    table = write_table(tmp_path / "r.csv", [{"study": "a", "patient": "p", "report": "Clear."}])
    draft = draft_of(Source(tmp_path, reports=table))
    assert [(r.study_id, r.code) for r in draft.rejections] == [("a", "several-files")]


def test_a_folder_of_label_maps_is_matched_by_name(tmp_path: Path) -> None:
    write_scan(tmp_path / "scans" / "a.nii.gz")
    write_scan(tmp_path / "masks" / "a.nii.gz")
    table = write_table(tmp_path / "r.csv", [{"study": "a", "patient": "p", "report": "Clear."}])
    source = Source(tmp_path / "scans", reports=table, masks_folder=tmp_path / "masks")
    assert draft_of(source).entries[0].masks == tmp_path / "masks" / "a.nii.gz"


def test_labels_and_split_are_read_in_their_usual_spellings(tmp_path: Path) -> None:
    write_scan(tmp_path / "a.nii.gz")
    row = {"study": "a", "patient": "p", "report": "Clear.", "E": "1.0", "N": "", "split": "val"}
    table = write_table(tmp_path / "r.csv", [row])
    columns = ("label:emphysema=E", "label:nodule=N")
    (entry,) = draft_of(Source(tmp_path, reports=table, columns=columns)).entries
    assert entry.labels == {"emphysema": 1, "nodule": None}
    assert entry.split == "valid"


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (("study=Nr",), "no column 'Nr'; it has study, report"),
        (("colour=report",), "unknown field 'colour'"),
        (("study",), "expected field=Column"),
    ],
)
def test_a_wrong_column_is_one_clear_line(
    tmp_path: Path, columns: tuple[str, ...], message: str
) -> None:
    table = write_table(tmp_path / "r.csv", [{"study": "a", "report": "Clear."}])
    with pytest.raises(CtClipError, match=message):
        draft_of(Source(tmp_path, reports=table, columns=columns))


def test_an_archive_of_no_known_layout_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="--reports"):
        draft_of(Source(tmp_path))
    with pytest.raises(DataError, match="check the path"):
        draft_of(Source(tmp_path / "nowhere"))


def test_faulty_lines_of_a_manifest_are_set_aside_with_their_number(tmp_path: Path) -> None:
    path = tmp_path / "m.jsonl"
    good = {"study_id": "a", "patient_id": "p", "image": "a.nii.gz", "report": "Clear."}
    path.write_text(f"{json.dumps(good)}\n{{}}\n", "utf-8")
    draft = draft_of(Source(path))
    assert [entry.study_id for entry in draft.entries] == ["a"]
    assert "line 2" in draft.rejections[0].reason


# --- CT-RATE --------------------------------------------------------------------------------------


def ct_rate(folder: Path, name: str, hu: npt.NDArray[np.int16], *, header: Geometry) -> None:
    patient, scan = name.rsplit("_", 2)[0], name.rsplit("_", 1)[0]
    split = name.split("_")[0]
    write_scan(folder / "dataset" / split / patient / scan / f"{name}.nii.gz", hu, header)
    volume = f"{name}.nii.gz"
    report = {"VolumeName": volume, "Findings_EN": "Lungs clear.", "Impressions_EN": "Not given."}
    write_table(folder / "radiology_text_reports" / f"{split}_reports.csv", [report])
    labels = {"VolumeName": volume, "Emphysema": 0, "Lung nodule": 1}
    write_table(folder / "multi_abnormality_labels" / f"{split}_predicted_labels.csv", [labels])
    metadata = {
        "VolumeName": volume,
        "RescaleSlope": 1,
        "RescaleIntercept": -1024,
        "XYSpacing": str([SPACING_MM[2], SPACING_MM[1]]),
        "ZSpacing": SPACING_MM[0],
        "ImagePositionPatient": "[0.0, 0.0, 0.0]",
        "ImageOrientationPatient": "[1.0, 0.0, 0.0, 0.0, 1.0, 0.0]",
    }
    write_table(folder / "metadata" / f"{split}_metadata.csv", [metadata])


def stored(draft: Draft, folder: Path) -> StudyStore:
    store = create_store(folder, StoreSpecification(spacing_mm=SPACING_MM))
    for entry in draft.entries:
        assert prepare_study(entry, store.folder) is None
    return store


def test_both_versions_of_ct_rate_give_the_same_hounsfield_on_the_same_grid(tmp_path: Path) -> None:
    raw = (HU.astype(np.int32) + 1024).astype(np.int16)
    unplaced = Geometry.from_spacing(HU.shape, (1.0, 1.0, 1.0), codes="SAR")
    ct_rate(tmp_path / "v1", "train_1_a_1", raw, header=unplaced)
    ct_rate(tmp_path / "v2", "train_1_a_1", HU, header=lps())
    one = stored(draft_of(Source(tmp_path / "v1")), tmp_path / "one")
    two = stored(draft_of(Source(tmp_path / "v2")), tmp_path / "two")
    first, second = one.whole("train_1_a_1"), two.whole("train_1_a_1")
    assert np.array_equal(first.voxels, second.voxels)
    assert first.geometry.coincides_with(second.geometry)
    assert (first.voxels.min(), first.voxels.max()) == (HU.min(), HU.max())
    codes = [{n.code for n in s.record("train_1_a_1").notices} for s in (one, two)]
    assert codes[0] >= {"rescaled", "archive-grid"}
    assert codes[1] >= {"already-hounsfield"}


def test_ct_rates_tables_become_a_manifest(tmp_path: Path) -> None:
    ct_rate(tmp_path, "valid_7_b_2", HU, header=lps())
    (entry,) = draft_of(Source(tmp_path)).entries
    assert (entry.study_id, entry.patient_id, entry.split) == ("valid_7_b_2", "valid_7", "valid")
    assert (entry.findings, entry.impression) == ("Lungs clear.", "")
    assert entry.labels == {"Emphysema": 0, "Lung nodule": 1}
    assert entry.rescale == (1.0, -1024.0)


def test_a_report_without_its_volume_is_set_aside(tmp_path: Path) -> None:
    ct_rate(tmp_path, "train_1_a_1", HU, header=lps())
    (tmp_path / "dataset/train/train_1/train_1_a/train_1_a_1.nii.gz").unlink()
    write_scan(tmp_path / "dataset/train/train_2/train_2_a/train_2_a_1.nii.gz")
    draft = draft_of(Source(tmp_path))
    assert [(r.study_id, r.code) for r in draft.rejections] == [("train_1_a_1", "missing-file")]


@pytest.mark.parametrize(
    ("intercept", "shift", "code"),
    [(-20, 0, "rescale-undecidable"), (-1024, -1024, "rescaled-twice")],
    ids=["either could be", "neither is"],
)
def test_what_cannot_be_decided_is_refused(
    tmp_path: Path, intercept: int, shift: int, code: str
) -> None:
    ct_rate(tmp_path, "train_1_a_1", (HU + shift).astype(np.int16), header=lps())
    (entry,) = draft_of(Source(tmp_path)).entries
    store = create_store(tmp_path / "store", StoreSpecification(spacing_mm=SPACING_MM))
    entry = entry.model_copy(update={"rescale": (1.0, float(intercept))})
    rejection = prepare_study(entry, store.folder)
    assert rejection is not None
    assert rejection.code == code


# --- reports divided by organ ---------------------------------------------------------------------


def test_fvlms_files_give_sentences_and_normal_flags(tmp_path: Path) -> None:
    write_scan(tmp_path / "train" / "train_3" / "train_3_a" / "train_3_a_1.nii.gz")
    write_scan(tmp_path / "train" / "train_3" / "train_3_a" / "train_3_a_2.nii.gz")
    described = {"train_3_a": {"lung": "A nodule.", "heart": "Normal size."}, "train_9_a": {}}
    (tmp_path / "desc_info.json").write_text(json.dumps(described))
    (tmp_path / "conc_info.json").write_text(json.dumps({"train_3_a": {"lung": "Nodule."}}))
    draft = draft_of(Source(tmp_path))
    assert [entry.study_id for entry in draft.entries] == ["train_3_a_1", "train_3_a_2"]
    entry = draft.entries[0]
    assert entry.patient_id == "train_3"
    assert entry.organ_sentences == {"lung": "Nodule. A nodule.", "heart": "Normal size."}
    assert entry.organ_normal == {"lung": False, "heart": True}
    assert [r.study_id for r in draft.rejections] == ["train_9_a"]


def test_a_caption_that_says_normal_itself_is_understood(tmp_path: Path) -> None:
    write_scan(tmp_path / "train_3_a_1.nii.gz")
    caption = organ_caption("heart", findings="Normal size.")
    (tmp_path / "desc_info.json").write_text(json.dumps({}))
    (tmp_path / "conc_info.json").write_text(json.dumps({"train_3_a": {"heart": caption}}))
    (entry,) = draft_of(Source(tmp_path)).entries
    assert entry.organ_sentences == {"heart": "Normal size."}
    assert entry.organ_normal == {"heart": True}


def test_merlins_organs_get_our_names(tmp_path: Path) -> None:
    write_scan(tmp_path / "AC1.nii.gz")
    organs = {
        "report": "All of it.",
        "large bowel": "Normal appendix.",
        "bladder": "Thick wall.",
        "aorta": "Not specifically described in the report.",
    }
    states = {"large bowel": "normal", "bladder": "abnormal", "aorta": "normal"}
    reports, normal = tmp_path / "r.json", tmp_path / "n.json"
    reports.write_text(json.dumps({"AC1": organs, "AC2": organs}))
    normal.write_text(json.dumps({"AC1": states}))
    draft = draft_of(Source(tmp_path, reports=reports, normal=normal))
    (entry,) = draft.entries
    assert entry.report == "All of it."
    assert entry.organ_sentences == {"colon": "Normal appendix.", "urinary_bladder": "Thick wall."}
    assert entry.organ_normal == {"colon": True, "urinary_bladder": False}
    assert [(r.study_id, r.code) for r in draft.rejections] == [("AC2", "missing-file")]


def test_published_organ_names_are_all_known(shared_data: Path) -> None:
    from napari_ctclip.core.anatomy import MAJOR_ANATOMIES
    from napari_ctclip.preparation.sources.organ_reports import anatomy_of_organ

    reports = json.loads((shared_data / "text" / "merlin_organ_reports_4.json").read_text())
    organs = {organ for study in reports.values() for organ in study} - {"report"}
    assert organs
    assert {anatomy_of_organ(organ) for organ in organs} <= set(MAJOR_ANATOMIES)
