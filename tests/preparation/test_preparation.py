from __future__ import annotations

import base64
import csv
import os
import random
import re
import signal
import subprocess
import sys
import time
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from napari_ctclip.core.errors import DataError
from napari_ctclip.io.manifest import read_manifest
from napari_ctclip.io.study_store import StudyStore
from napari_ctclip.preparation import study_preparation
from napari_ctclip.preparation.batch import run_batch
from napari_ctclip.preparation.preparation import (
    Listener,
    Options,
    Plan,
    estimate_plan,
    plan_preparation,
    prepare,
)
from napari_ctclip.preparation.sources.draft import Draft
from napari_ctclip.preprocessing.specification import Preprocessing
from tests.preparation.conftest import ANATOMIES, Prepared, specification
from tests.preparation.folder_bytes import contents
from tests.preparation.made_up_archive import (
    COLUMNS,
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


def test_a_second_run_prepares_nothing_and_changes_nothing(
    prepared: Prepared, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("a finished study was prepared again")

    before = contents(prepared.out)
    finished = [e for e in prepared.plan.entries if e.study_id in StudyStore(prepared.out)]
    monkeypatch.setattr(study_preparation, "read_volume", refuse)
    rejected = run_batch(finished, prepared.out / "store")
    assert rejected == {}
    assert contents(prepared.out) == before


def test_killed_at_random_moments_it_ends_with_the_same_bytes(prepared: Prepared) -> None:
    out = prepared.folder / "killed"
    rng = random.Random(5)
    for enough in (1, 9, 17):
        process = _command(prepared, out)
        while len(list((out / "store" / "studies").glob("[!.]*"))) < enough:
            assert process.poll() is None
            time.sleep(0.02)
        time.sleep(rng.uniform(0, 0.3))
        os.killpg(process.pid, signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
        assert not (out / "manifest.jsonl").exists()
    last = _command(prepared, out)
    assert last.wait() == 0
    assert contents(out) == contents(prepared.out)


def _command(prepared: Prepared, out: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "napari_ctclip.cli_train", "prepare"]
    command += [str(prepared.folder / "scans"), "--reports", str(prepared.table)]
    command += ["--out", str(out), "--workers", "1", "--spacing", "8", "8", "8"]
    for name in ANATOMIES:
        command += ["--anatomy", name]
    for column in COLUMNS:
        command += ["--column", column]
    return subprocess.Popen(command, start_new_session=True, stdout=subprocess.DEVNULL)


def test_a_run_that_dies_while_writing_leaves_no_half_study(
    prepared: Prepared, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from napari_ctclip.io import study_store_writing

    class Killed(BaseException):
        pass

    def die(*_: object) -> None:
        raise Killed

    plan = Plan(prepared.plan.entries[:1], ())
    with monkeypatch.context() as patch:
        patch.setattr(study_store_writing, "_put_in_place", die)
        patch.setattr(study_store_writing.shutil, "rmtree", lambda *_, **__: None)
        with pytest.raises(Killed):
            prepare(plan, tmp_path, specification(), options=Options())
    studies = tmp_path / "store" / "studies"
    assert len(list(studies.glob(".unfinished-*"))) == 1
    assert StudyStore(tmp_path).studies == ()
    prepare(plan, tmp_path, specification(), options=Options())
    assert [p.name for p in studies.iterdir()] == [study_name(0)]


def test_workers_give_the_same_bytes_as_one_process(prepared: Prepared, tmp_path: Path) -> None:
    from napari_ctclip.io.study_store_writing import create_store

    store = create_store(tmp_path / "store", specification())
    chosen = prepared.plan.entries[:8]
    done: list[int] = []
    rejected = run_batch(
        chosen, store.folder, workers=2, progress=lambda count, _: done.append(count)
    )
    assert done == list(range(1, 9))
    assert {r.code for r in rejected.values()} == {"corrupt-file", "rescaled-twice"}
    mine, other = contents(store.folder), contents(prepared.out / "store")
    assert mine
    assert {name: other[name] for name in mine} == mine


def test_a_schedulers_address_is_enough(prepared: Prepared, tmp_path: Path) -> None:
    from distributed import LocalCluster

    from napari_ctclip.io.study_store_writing import create_store

    store = create_store(tmp_path / "store", specification())
    chosen = prepared.plan.entries[:3]
    with LocalCluster(
        n_workers=1, processes=False, protocol="tcp", dashboard_address=None
    ) as cluster:
        run_batch(chosen, store.folder, scheduler=cluster.scheduler_address)
    mine, other = contents(store.folder), contents(prepared.out / "store")
    assert len(StudyStore(tmp_path).studies) == 3
    assert {name: other[name] for name in mine} == mine


def test_a_scheduler_that_does_not_answer_is_one_line(
    prepared: Prepared, monkeypatch: pytest.MonkeyPatch
) -> None:
    from napari_ctclip.core.errors import CtClipError
    from napari_ctclip.preparation import batch

    monkeypatch.setattr(batch, "_CONNECT_S", 1)
    with pytest.raises(
        CtClipError, match=r"no Dask scheduler with workers answers at tcp://127\.0\.0\.1:9"
    ):
        run_batch(prepared.plan.entries, prepared.out / "store", scheduler="tcp://127.0.0.1:9")


def test_a_surprise_in_one_study_does_not_end_the_others(
    prepared: Prepared, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    real = study_preparation.read_volume

    def surprise(path: Path, **options: object) -> object:
        if path.name.startswith(study_name(0)):
            raise ZeroDivisionError("of a library")
        return real(path, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(study_preparation, "read_volume", surprise)
    summary = prepare(
        Plan(prepared.plan.entries[:2], ()), tmp_path, specification(), options=Options()
    )
    assert summary.kept == 1
    assert [(r.study_id, r.code) for r in summary.rejections] == [(study_name(0), "failed")]
    assert "ZeroDivisionError: of a library" in summary.rejections[0].reason


def test_a_mended_study_enters_on_the_next_run(prepared: Prepared, tmp_path: Path) -> None:
    entry = next(e for e in prepared.plan.entries if e.study_id == study_name(5))
    good = next(e for e in prepared.plan.entries if e.study_id == study_name(7))
    copy = tmp_path / "CT0005.nii.gz"
    copy.write_bytes(entry.image.read_bytes())
    plan = Plan((entry.model_copy(update={"image": copy}), good), ())
    assert prepare(plan, tmp_path / "out", specification(), options=Options()).kept == 1
    copy.write_bytes(good.image.read_bytes())
    assert prepare(plan, tmp_path / "out", specification(), options=Options()).kept == 2


def test_a_dry_run_measures_and_writes_nothing(prepared: Prepared) -> None:
    before = set(prepared.folder.iterdir())
    estimate = estimate_plan(prepared.plan, specification(), Options())
    real = sum(p.stat().st_size for p in (prepared.out / "store").rglob("*") if p.is_file())
    assert estimate.studies == len(prepared.plan.entries)
    assert estimate.sampled
    assert estimate.seconds > 0
    assert 0.4 < estimate.disk_bytes / real < 2.5
    assert set(prepared.folder.iterdir()) == before


def test_two_runs_at_once_are_refused(prepared: Prepared, tmp_path: Path) -> None:
    refused: list[str] = []

    def start_another(*_: object) -> None:
        with pytest.raises(DataError, match="another run") as caught:
            prepare(plan, tmp_path, specification(), options=Options())
        refused.append(str(caught.value))

    plan = Plan(prepared.plan.entries[:1], ())
    prepare(
        plan,
        tmp_path,
        specification(),
        options=Options(),
        listener=Listener(progress=start_another),
    )
    assert refused


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


def test_a_full_disk_ends_the_run_with_one_line(
    prepared: Prepared, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(study_preparation, "write_study", full)
    plan = Plan(prepared.plan.entries[:2], ())
    with pytest.raises(DataError, match="no space is left"):
        prepare(plan, tmp_path, specification(), options=Options())
    assert not (tmp_path / "rejected.csv").exists()


def test_an_out_that_is_a_file_is_refused(prepared: Prepared, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file")
    with pytest.raises(DataError, match="choose another --out"):
        prepare(prepared.plan, tmp_path / "out", specification(), options=Options())
