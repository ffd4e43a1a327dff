from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from napari_ctclip.core.errors import DataError
from napari_ctclip.io.store.manifest import check_manifest, read_manifest, write_manifest


def line(**values: Any) -> dict[str, Any]:
    return {"study_id": "s1", "patient_id": "p1", "image": "scans/s1.nii.gz", **values}


def jsonl(folder: Path, *lines: dict[str, Any] | str) -> Path:
    path = folder / "manifest.jsonl"
    path.write_text("\n".join(x if isinstance(x, str) else json.dumps(x) for x in lines), "utf-8")
    return path


def test_relative_paths_start_at_the_manifest(tmp_path: Path) -> None:
    absolute = tmp_path / "elsewhere" / "m.nii.gz"
    path = jsonl(tmp_path, line(masks=str(absolute), legend="names.tsv"))
    (entry,) = read_manifest(path)
    assert entry.image == tmp_path / "scans" / "s1.nii.gz"
    assert entry.masks == absolute
    assert entry.legend == str(tmp_path / "names.tsv")


def test_the_name_of_a_label_scheme_is_no_path(tmp_path: Path) -> None:
    (entry,) = read_manifest(jsonl(tmp_path, line(legend="totalsegmentator-v1")))
    assert entry.legend == "totalsegmentator-v1"


def test_every_fault_of_a_file_is_listed_with_its_line(tmp_path: Path) -> None:
    path = jsonl(
        tmp_path,
        line(),
        "{not json",
        line(study_id="s2", colour="red"),
        "",
        line(study_id="s3", labels={"Emphysema": 2}),
        line(study_id="s4", patient_id="p4", split="train"),
        line(study_id="s5", patient_id="p4", split="valid"),
        line(study_id="s1", patient_id="p9"),
    )
    with pytest.raises(DataError) as caught:
        read_manifest(path)
    message = str(caught.value)
    assert "7 faults" in message
    for expected in ("line 1", "line 2:", "line 3", "line 5", "line 6", "line 7", "line 8"):
        assert expected in message
    assert "colour" in message
    assert "labels.Emphysema" in message
    assert "'p4' is in the splits train and valid" in message
    assert "(also on line 8)" in message


def test_studies_without_fault_are_kept_beside_those_at_fault(tmp_path: Path) -> None:
    path = jsonl(tmp_path, line(), "[]", line(study_id="s2", patient_id="p2"))
    entries, faults = check_manifest(path)
    assert [entry.study_id for entry in entries] == ["s1", "s2"]
    assert [(fault.line, fault.code) for fault in faults] == [(2, "not-a-line")]


def test_a_csv_says_the_same_as_a_jsonl(tmp_path: Path) -> None:
    table = tmp_path / "manifest.csv"
    table.write_text(
        "study_id,patient_id,image,findings,impression,organ_sentences.lung,organ_normal.lung,"
        "labels.Emphysema,labels.Nodule,split,rescale\n"
        's1,p1,scans/s1.nii.gz,"Two lines,\nquoted.",Clear.,Lungs clear.,true,1.0,,train,'
        '"[1, -1024]"\n',
        "utf-8",
    )
    twin = jsonl(
        tmp_path,
        line(
            findings="Two lines,\nquoted.",
            impression="Clear.",
            organ_sentences={"lung": "Lungs clear."},
            organ_normal={"lung": True},
            labels={"Emphysema": 1},
            split="train",
            rescale=[1, -1024],
        ),
    )
    assert read_manifest(table) == read_manifest(twin)


def test_a_fault_after_a_cell_of_two_lines_has_the_line_an_editor_shows(tmp_path: Path) -> None:
    path = tmp_path / "manifest.csv"
    path.write_text(
        'study_id,patient_id,image,findings\na,p,x.nii,"one\ntwo"\nb,p,x.nii,one,two\n', "utf-8"
    )
    _, faults = check_manifest(path)
    assert [fault.line for fault in faults] == [4]
    assert "expected 4 cells as in the first line, got 5" in faults[0].message


def test_a_number_may_stand_for_an_id(tmp_path: Path) -> None:
    (entry,) = read_manifest(jsonl(tmp_path, line(study_id=4711)))
    assert entry.study_id == "4711"


@pytest.mark.parametrize("bad", ["", "..", " a", "a\nb", "x" * 200])
def test_an_id_that_could_not_name_a_folder_is_refused(tmp_path: Path, bad: str) -> None:
    with pytest.raises(DataError, match="study_id"):
        read_manifest(jsonl(tmp_path, line(study_id=bad)))


def test_writing_and_reading_give_the_same_studies(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    entries = read_manifest(
        jsonl(
            tmp_path / "a",
            line(masks="m.nii.gz", legend="l.tsv", report="Grüße.", split="valid"),
            line(study_id="s2", patient_id="p2", organ_sentences={"lung": "Clear."}),
        )
    )
    write_manifest(entries, tmp_path / "b.jsonl")
    assert read_manifest(tmp_path / "b.jsonl") == entries
    assert '"image": "a/scans/s1.nii.gz"' in (tmp_path / "b.jsonl").read_text("utf-8")


def test_a_manifest_of_nothing_and_one_of_another_kind_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="lists no study"):
        read_manifest(jsonl(tmp_path, ""))
    (tmp_path / "m.xlsx").write_bytes(b"PK")
    with pytest.raises(DataError, match="expected a manifest ending in"):
        read_manifest(tmp_path / "m.xlsx")
    with pytest.raises(DataError, match="cannot be read"):
        read_manifest(tmp_path / "none.jsonl")
