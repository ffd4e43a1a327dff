"""How a preparation runs: again, interrupted, by many workers, onto a full disk."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from napari_ctclip.core.errors import DataError
from napari_ctclip.io.store.study_store import StudyStore
from napari_ctclip.preparation import study_preparation
from napari_ctclip.preparation.batch import run_batch
from napari_ctclip.preparation.preparation import (
    Listener,
    Options,
    Plan,
    estimate_plan,
    prepare,
)
from tests.preparation.conftest import ANATOMIES, Prepared, specification
from tests.preparation.folder_bytes import contents
from tests.preparation.made_up_archive import (
    COLUMNS,
    study_name,
)

pytestmark = pytest.mark.xdist_group("ports")


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
    command = [sys.executable, "-m", "napari_ctclip.cli.train", "prepare"]
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
    from napari_ctclip.io import files

    class Killed(BaseException):
        pass

    def die(*_: object) -> None:
        raise Killed

    plan = Plan(prepared.plan.entries[:1], ())
    with monkeypatch.context() as patch:
        patch.setattr(files, "_swap_folders", die)
        patch.setattr(files.shutil, "rmtree", lambda *_, **__: None)
        with pytest.raises(Killed):
            prepare(plan, tmp_path, specification(), options=Options())
    studies = tmp_path / "store" / "studies"
    assert len(list(studies.glob(".*.part"))) == 1
    assert StudyStore(tmp_path).studies == ()
    prepare(plan, tmp_path, specification(), options=Options())
    assert [p.name for p in studies.iterdir()] == [study_name(0)]


def test_workers_give_the_same_bytes_as_one_process(prepared: Prepared, tmp_path: Path) -> None:
    from napari_ctclip.io.store.study_store import create_store

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

    from napari_ctclip.io.store.study_store import create_store

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
