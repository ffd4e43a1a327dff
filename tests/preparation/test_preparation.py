from __future__ import annotations

import base64
import csv
import re
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from napari_ctclip.core.errors import DataError
from napari_ctclip.io.store.manifest import read_manifest
from napari_ctclip.io.store.study_store import StudyStore
from napari_ctclip.preparation.preparation import (
    Options,
    plan_preparation,
    prepare,
)
from napari_ctclip.preparation.sources.draft import Draft
from napari_ctclip.preprocessing.specification import Preprocessing
from tests.preparation.conftest import ANATOMIES, Prepared, specification
from tests.preparation.made_up_archive import (
    PLANTED,
    STUDIES,
    _study,
    renumbered,
    study_name,
)


def kept_names() -> list[str]:
    return [study_name(n) for n in range(STUDIES) if n not in PLANTED]


def test_every_planted_fault_is_reported_by_name(prepared: Prepared) -> None:
    with (prepared.out / "rejected.csv").open(encoding="utf-8", newline="") as file:
        found = {row["study_id"]: row["code"] for row in csv.DictReader(file)}
    assert found == {study_name(number): code for number, code in PLANTED.items()}


def test_every_other_study_is_in_manifest_and_store(prepared: Prepared) -> None:
    manifest = read_manifest(prepared.out / "manifest.jsonl")
    assert [entry.study_id for entry in manifest] == kept_names()
    assert list(StudyStore(prepared.out).studies) == kept_names()


def test_no_patient_is_in_two_splits(prepared: Prepared) -> None:
    splits: dict[str, set[str | None]] = {}
    for entry in read_manifest(prepared.out / "manifest.jsonl"):
        splits.setdefault(entry.patient_id, set()).add(entry.split)
    assert {len(own) for own in splits.values()} == {1}
    assert {next(iter(own)) for own in splits.values()} == {"train", "valid"}


def test_organ_sentences_come_from_the_report(prepared: Prepared) -> None:
    for entry in read_manifest(prepared.out / "manifest.jsonl"):
        assert "lung" in entry.organ_sentences
        assert set(entry.organ_normal) == set(entry.organ_sentences)
        if entry.labels["emphysema"]:
            assert not entry.organ_normal["lung"]


@pytest.mark.parametrize("number", [0, 9], ids=["v2", "v1"])
def test_either_numbering_gives_the_same_anatomies(prepared: Prepared, number: int) -> None:
    record = StudyStore(prepared.out).record(study_name(number))
    assert record.mask_source == "file"
    masks = _study(number).organ_masks
    assert masks is not None
    truth = masks.volumes_ml()
    for name in ("heart", "aorta", "liver"):
        ml = record.organs[name].voxels * record.geometry.voxel_volume_ml
        assert ml == pytest.approx(truth[name], rel=0.1)
    lungs = truth["lung_right"] + truth["lung_left"]
    ml = record.organs["lung"].voxels * record.geometry.voxel_volume_ml
    assert ml == pytest.approx(lungs, rel=0.05)


def test_quick_masks_stand_in_where_there_is_no_file(prepared: Prepared) -> None:
    record = StudyStore(prepared.out).record(study_name(2))
    assert record.mask_source == "quick"
    assert {"lung", "trachea"} <= set(record.organs)


def test_an_organ_at_the_edge_of_the_scan_is_known_to_be_cut(prepared: Prepared) -> None:
    record = StudyStore(prepared.out).record(study_name(0))
    assert record.organs["aorta"].is_cut == _touches_a_face(0, "aorta")
    assert record.organs["heart"].is_cut == _touches_a_face(0, "heart")
    assert record.organs["aorta"].is_cut != record.organs["heart"].is_cut


def _touches_a_face(number: int, name: str) -> bool:
    masks = _study(number).organ_masks
    assert masks is not None
    mask = masks.mask(name)
    faces = [mask[0], mask[-1], mask[:, 0], mask[:, -1], mask[..., 0], mask[..., -1]]
    return any(bool(face.any()) for face in faces)


def test_the_box_of_an_organ_holds_all_of_it(prepared: Prepared) -> None:
    store = StudyStore(prepared.out)
    name = study_name(0)
    whole = store.whole(name).labels
    label = ANATOMIES.index("heart") + 1
    organ = store.record(name).organs["heart"]
    crop = store.crop(name, organ.start, organ.stop)
    assert (crop.labels == label).sum() == (whole == label).sum() == organ.voxels


def test_the_store_holds_what_the_model_sees(prepared: Prepared) -> None:
    preprocessing = Preprocessing("IPL", (8, 8, 8), windows_hu=((-1000.0, 400.0),))
    stored = StudyStore(prepared.out).whole(study_name(2))
    seen = preprocessing.prepare(_study(2).volume)
    windowed = np.clip((stored.voxels + 1000.0) / 1400.0, 0, 1)
    assert np.abs(windowed - seen.image[0]).max() <= 0.5 / 1400 + 1e-6
    assert stored.geometry.coincides_with(seen.geometry)


def test_dicom_and_nifti_of_one_body_give_the_same_grid(prepared: Prepared) -> None:
    store = StudyStore(prepared.out)
    dicom, nifti = store.whole(study_name(13)), store.whole(study_name(7))
    assert dicom.geometry.coincides_with(nifti.geometry)
    assert np.abs(dicom.voxels.astype(int) - nifti.voxels).max() < 40  # other noise


def test_nothing_to_prepare_says_why(tmp_path: Path) -> None:
    draft = Draft()
    draft.reject({"study_id": "a"}, "missing-file", "no scan called 'a'")
    with pytest.raises(DataError, match="missing-file; the first: no scan called 'a'"):
        prepare(plan_preparation(draft, Options()), tmp_path, specification(), options=Options())


def test_the_report_is_one_page_without_scripts(prepared: Prepared) -> None:
    page = (prepared.out / "report.html").read_text("utf-8")
    assert "<script" not in page
    assert not re.search(r"""(src|href)=["'](?!data:)""", page)
    pictures = re.findall(r"data:image/png;base64,([^\"]+)", page)
    assert len(pictures) == 2
    for picture in pictures:
        pixels = np.asarray(Image.open(BytesIO(base64.b64decode(picture))).convert("L"))
        assert pixels.std() > 10
    for code in set(PLANTED.values()):
        assert code in page


def test_label_maps_in_the_archive_differ_between_the_versions() -> None:
    from napari_ctclip.core.anatomy import TOTALSEGMENTATOR_V1, TOTALSEGMENTATOR_V2

    study = _study(0)
    one, two = renumbered(study, TOTALSEGMENTATOR_V1), renumbered(study, TOTALSEGMENTATOR_V2)
    assert (one != two).any()


def test_an_out_that_is_a_file_is_refused(prepared: Prepared, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file")
    with pytest.raises(DataError, match="choose another --out"):
        prepare(prepared.plan, tmp_path / "out", specification(), options=Options())
