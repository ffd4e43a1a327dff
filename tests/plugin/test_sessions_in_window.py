"""Session files in the window: saved, opened, moved scans, autosave and recovery."""

from __future__ import annotations

import errno
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from qtpy.QtWidgets import QFileDialog

from napari_ctclip.core.study import Study
from napari_ctclip.core.volume import Volume, Window
from napari_ctclip.io import read_volume
from napari_ctclip.plugin import autosave_flow
from napari_ctclip.plugin.reader import get_reader
from napari_ctclip.plugin.saved_view import saved_view
from napari_ctclip.session_files import archive
from napari_ctclip.session_files.autosave import left_behind
from tests.io.scan_files import write_nifti
from tests.phantom import ball_study
from tests.plugin.conftest import WAIT_MS, Desk

pytestmark = pytest.mark.gui

_DIES = """
import time
from dataclasses import replace
from pathlib import Path
from napari_ctclip.scoring.found_regions import point_finding
from napari_ctclip.session_files.archive import SessionState, write_session
from napari_ctclip.session_files.autosave import autosave_path
from tests.phantom import ball_study
study = ball_study()
found = replace(point_finding(study, (2, 2, 2)), name="left nodule")
path = autosave_path(Path({folder!r}), "w1")
print(write_session(SessionState(study, findings=(found,)), path), flush=True)
time.sleep(600)
"""


@pytest.fixture
def worked(open_desk: Desk) -> Desk:
    """A desk with a prompt, a finding, a window and a place."""
    open_desk.ask("bright spot")
    open_desk.widget.findings.region.click()
    open_desk.wait()
    open_desk.bench.scene.set_window(Window(100.0, 900.0))
    open_desk.bench.scene.turn_to((3, 4, 5))
    return open_desk


def _kept(desk: Desk) -> Any:
    return desk.bench.findings.kept


def _write_ball(path: Path, *, hounsfield: int = 700) -> Path:
    voxels = ball_study().volume.voxels.copy()
    voxels[voxels == 700] = hounsfield
    stored = np.ascontiguousarray(voxels.transpose(2, 1, 0)[:, ::-1, ::-1])
    return write_nifti(path, stored, np.diag([1.5, 1.5, 2.0, 1.0]))


def _other_study() -> Study:
    volume = ball_study().volume
    return Study(Volume(volume.voxels + 10, volume.geometry))


def _until_kept(desk: Desk) -> None:
    desk.qtbot.waitUntil(lambda: desk.bench.autosave.jobs.is_idle, timeout=WAIT_MS)


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
    assert saved_view(other.bench.scene, other.bench.views).position == (3, 4, 5)
    (row,) = other.bench.prompts.table.rows
    assert row.prompt == worked.bench.prompts.table.rows[0].prompt
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
    desk.widget.findings.save.click()
    assert "no session to save" in desk.status


def test_a_moved_scan_is_asked_for_and_another_one_refused(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scan = _write_ball(tmp_path / "scan.nii.gz")
    desk.bench.studies.open_study(Study(read_volume(scan, accept_suspicious=True).volume))
    desk.wait()
    desk.bench.probe((2, 2, 2))
    desk.widget.findings.spot.click()
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
    from napari_ctclip.session import Session

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
    worked.bench.probe((1, 1, 1))
    worked.widget.findings.spot.click()
    worked.wait()
    for _ in range(3):
        worked.bench.autosave.keep()
        worked.wait()
    assert sum("could not be saved" in text for text in told) == 2  # the save, one autosave
    assert len(_kept(worked).findings) == 2


def test_a_state_folder_that_takes_no_files_is_one_line(
    worked: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "taken").write_text("")
    monkeypatch.setattr(autosave_flow, "autosave_folder", lambda: tmp_path / "taken" / "state")
    worked.bench.autosave.keep()
    worked.wait()
    assert "save the session yourself" in worked.status


def test_what_a_dead_window_left_is_offered_and_taken_up(
    worked: Desk, tmp_path: Path, make_desk: Any
) -> None:
    worked.bench.autosave.keep()
    worked.wait()
    left = tmp_path / "state" / "999999999-1-dead.ctclip.zip"  # no process has that number
    worked.bench.autosave.path.rename(left)
    other = make_desk(show=True)
    box = other.widget.findings.recovery
    assert not box.isHidden()
    assert "unsaved findings" in box.text.text()
    box.recover.click()
    other.wait()
    assert len(_kept(other).findings) == 1
    assert other.bench.sessions.is_unsaved
    assert left.exists() or other.bench.autosave.path.exists()  # at every moment there is one
    other.bench.autosave.keep()
    other.wait()
    assert not left.exists()
    assert other.bench.autosave.path.is_file()
    assert box.isHidden()


def test_what_was_left_can_be_thrown_away(tmp_path: Path, make_desk: Any) -> None:
    (tmp_path / "state").mkdir()
    left = tmp_path / "state" / "999999999-1-dead.ctclip.zip"
    left.write_bytes(b"")
    desk = make_desk(show=True)
    desk.widget.findings.recovery.discard.click()
    assert not left.exists()
    assert desk.widget.findings.recovery.isHidden()


def test_findings_of_the_scan_before_stay_kept_when_another_is_opened(worked: Desk) -> None:
    autosave = worked.bench.autosave
    autosave.keep()
    _until_kept(worked)
    first = autosave.path
    worked.open(_other_study())
    autosave.keep()
    _until_kept(worked)
    assert autosave.path != first
    assert first.is_file()
    autosave.close()
    assert [f.name for f in archive.read_session(first).findings] == ["bright spot"]


def test_a_change_just_before_another_scan_is_opened_is_kept_too(worked: Desk) -> None:
    autosave = worked.bench.autosave
    first = autosave.path
    assert not first.exists()
    worked.open(_other_study())
    autosave.keep()
    _until_kept(worked)
    assert [f.name for f in archive.read_session(first).findings] == ["bright spot"]


def test_a_change_just_before_the_window_closes_is_kept(worked: Desk) -> None:
    autosave = worked.bench.autosave
    path = autosave.path
    assert not path.exists()
    autosave.close()
    assert [f.name for f in archive.read_session(path).findings] == ["bright spot"]


def test_coming_back_to_a_saved_scan_is_nothing_unsaved(worked: Desk, tmp_path: Path) -> None:
    study = worked.bench.session.study
    _save(worked, tmp_path / "case.ctclip.zip")
    worked.open(_other_study())
    worked.open(study)
    assert len(_kept(worked).findings) == 1
    assert not worked.bench.sessions.is_unsaved
    _kept(worked).reject(_kept(worked).findings[0].key)
    assert worked.bench.sessions.is_unsaved
    _kept(worked).undo()
    assert not worked.bench.sessions.is_unsaved


def test_a_killed_process_leaves_its_findings_to_the_next_window(
    tmp_path: Path, make_desk: Any
) -> None:
    state = tmp_path / "state"
    state.mkdir()
    code = _DIES.format(folder=str(state))
    started = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert started.stdout is not None
    path = Path(started.stdout.readline().strip())
    assert path.is_file()
    assert left_behind(state) == []  # it still runs
    started.send_signal(signal.SIGKILL)
    started.wait(30)
    assert left_behind(state) == [path]
    desk = make_desk(show=True)
    desk.widget.findings.recovery.recover.click()
    desk.wait()
    assert [f.name for f in _kept(desk).findings] == ["left nodule"]
