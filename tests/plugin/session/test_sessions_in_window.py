"""Session files in the window: saved, opened, moved scans, autosave and recovery."""

from __future__ import annotations

import errno
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from qtpy.QtWidgets import QFileDialog

from napari_ctclip.core.study import Study
from napari_ctclip.core.volume import Window
from napari_ctclip.io import read_volume
from napari_ctclip.plugin.session.saved_view import saved_view
from napari_ctclip.plugin.shell.reader import get_reader
from napari_ctclip.session.files import archive
from tests.io.scan_files import write_nifti
from tests.phantom import ball_study
from tests.plugin.conftest import Desk

pytestmark = pytest.mark.gui


def _kept(desk: Desk) -> Any:
    return desk.bench.findings.kept


def _write_ball(path: Path, *, hounsfield: int = 700) -> Path:
    voxels = ball_study().volume.voxels.copy()
    voxels[voxels == 700] = hounsfield
    stored = np.ascontiguousarray(voxels.transpose(2, 1, 0)[:, ::-1, ::-1])
    return write_nifti(path, stored, np.diag([1.5, 1.5, 2.0, 1.0]))


def _save(desk: Desk, path: Path) -> Path:
    desk.bench.sessions.save(path)
    desk.wait()
    return path


def test_a_session_comes_back_whole(worked: Desk, tmp_path: Path, make_desk: Any) -> None:
    report = worked.widget.report
    report.text.setPlainText("Nodule in the left lung.")
    report.keep.click()
    report.read.click()
    worked.wait()
    path = _save(worked, tmp_path / "case.ctclip.zip")
    before = _kept(worked).findings[0]
    other = make_desk()
    read = get_reader(str(path))
    assert read is not None
    other.bench.sessions.open(path)
    other.wait()
    (finding,) = _kept(other).findings
    assert (finding.name, finding.volume_ml) == (before.name, before.volume_ml)
    assert other.bench.scene.window == Window(100.0, 900.0)
    assert saved_view(other.bench.scene, other.bench.views, other.bench.prompts.state).position == (
        3,
        4,
        5,
    )
    (row,) = other.bench.prompts.state.rows
    assert row.prompt == worked.bench.prompts.state.rows[0].prompt
    assert row.answer is not None
    assert other.viewer.layers["Findings"].data.any()
    assert not other.bench.sessions.is_unsaved
    report = other.widget.report
    assert report.text.toPlainText() == "Nodule in the left lung."
    assert report.keep.isChecked()
    assert [line.finding for line in report.model.rows] == ["lung nodule"]


def test_a_name_without_the_ending_gets_it(worked: Desk, tmp_path: Path) -> None:
    _save(worked, tmp_path / "case.zip")
    assert (tmp_path / "case.ctclip.zip").is_file()


def test_nothing_open_is_nothing_to_save(desk: Desk) -> None:
    desk.widget.session_buttons.save.click()
    assert "no CT is open" in desk.status


def test_a_moved_scan_is_asked_for_and_another_one_refused(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scan = _write_ball(tmp_path / "scan.nii.gz")
    desk.bench.studies.open_study(Study(read_volume(scan, accept_suspicious=True).volume))
    desk.wait()
    desk.bench.probe.at((2, 2, 2))
    desk.widget.findings.point.click()
    desk.wait()
    path = _save(desk, tmp_path / "case.ctclip.zip")
    moved = scan.rename(tmp_path / "moved.nii.gz")
    wrong = _write_ball(tmp_path / "wrong.nii.gz", hounsfield=600)
    desk.viewer.layers.clear()
    chosen = [wrong, moved]
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_, **__: (str(chosen.pop(0)), ""))
    desk.bench.sessions.open(path)
    desk.wait()
    assert "is not the scan of this session" in desk.status
    assert desk.bench.session.study is None
    desk.bench.sessions.open(path)
    desk.wait()
    assert desk.bench.session.study.volume.source_path == str(moved)
    assert len(_kept(desk).findings) == 1


def test_a_damaged_file_is_one_line_and_leaves_the_window(worked: Desk, tmp_path: Path) -> None:
    path = tmp_path / "bad.ctclip.zip"
    path.write_bytes(b"PK no zip")
    worked.bench.sessions.open(path)
    worked.wait()
    assert "take an earlier copy" in worked.status
    assert len(_kept(worked).findings) == 1


def test_a_model_that_is_gone_is_said_and_the_findings_are_there(
    worked: Desk, tmp_path: Path, make_desk: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from napari_ctclip.core.errors import DataError
    from napari_ctclip.session.session import Session

    path = _save(worked, tmp_path / "case.ctclip.zip")
    other = make_desk()

    def gone(self: Session, name: str = "starter") -> Any:
        raise DataError(f"there is no model {name!r}")

    monkeypatch.setattr(Session, "compute_model", gone)
    other.bench.sessions.open(path)
    other.wait()
    assert "there is no model" in other.status
    assert len(_kept(other).findings) == 1


def test_other_weights_are_said(worked: Desk, tmp_path: Path, monkeypatch: Any) -> None:
    path = _save(worked, tmp_path / "case.ctclip.zip")
    told: list[str] = []
    worked.bench.messages.told.connect(lambda message: told.append(message.text))
    monkeypatch.setattr(type(worked.model), "weights_hash", lambda self: "f" * 64)
    worked.bench.sessions.open(path)
    worked.wait()
    assert any("has other weights than when the session was saved" in text for text in told)
    assert len(_kept(worked).findings) == 1


def test_saves_and_autosaves_run_off_the_gui_thread(
    worked: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads = []
    original = archive.write_session

    def watched(*arguments: Any) -> Path:
        threads.append(threading.current_thread())
        return original(*arguments)

    monkeypatch.setattr(archive, "write_session", watched)
    worked.bench.autosave.keep()
    worked.wait()
    _save(worked, tmp_path / "case.ctclip.zip")
    assert len(threads) == 2
    assert threading.main_thread() not in threads


def test_what_is_unsaved_is_kept_and_goes_when_it_is_saved(worked: Desk, tmp_path: Path) -> None:
    autosave = worked.bench.autosave
    autosave.keep()
    worked.wait()
    assert autosave.path.is_file()
    assert autosave.left_behind() == []  # this window still runs
    _save(worked, tmp_path / "case.ctclip.zip")
    assert not autosave.path.exists()
    autosave.keep()
    worked.wait()
    assert not autosave.path.exists()
    report = worked.widget.report
    report.text.setPlainText("Nodule in the left lung.")
    autosave.keep()
    worked.wait()
    assert not autosave.path.exists()  # nobody chose to keep it
    report.keep.click()
    autosave.keep()
    worked.wait()
    assert archive.read_session(autosave.path).report.text == "Nodule in the left lung."
    report.keep.click()
    assert not autosave.path.exists()


def test_a_full_disk_is_told_once_and_leaves_the_older_file(
    worked: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = _save(worked, tmp_path / "case.ctclip.zip")
    whole = path.read_bytes()

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(archive, "_write", full)
    told: list[str] = []
    worked.bench.messages.told.connect(lambda message: told.append(message.text))
    _save(worked, path)
    assert "No space left" in worked.status
    assert path.read_bytes() == whole
    worked.bench.probe.at((1, 1, 1))
    worked.widget.findings.point.click()
    worked.wait()
    for _ in range(3):
        worked.bench.autosave.keep()
        worked.wait()
    assert sum("could not be saved" in text for text in told) == 2  # the save, one autosave
    assert len(_kept(worked).findings) == 2
