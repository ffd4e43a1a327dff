"""Findings in no session file: kept for a crash, offered to the next window, never mixed up."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from napari_ctclip.core.study import Study
from napari_ctclip.core.volume import Volume
from napari_ctclip.plugin.session import autosave_flow
from napari_ctclip.session.files import archive
from napari_ctclip.session.files.copies import left_behind
from tests.phantom import ball_study
from tests.plugin.conftest import WAIT_MS, Desk

pytestmark = pytest.mark.gui

_DIES = """
import time
from dataclasses import replace
from pathlib import Path
from napari_ctclip.explanation.found_regions import point_finding
from napari_ctclip.session.files.archive import SessionState, write_session
from napari_ctclip.session.files.copies import autosave_path
from tests.phantom import ball_study
study = ball_study()
found = replace(point_finding(study, (2, 2, 2)), name="left nodule")
path = autosave_path(Path({folder!r}), "w1")
print(write_session(SessionState(study, findings=(found,)), path), flush=True)
time.sleep(600)
"""


def _other_study() -> Study:
    volume = ball_study().volume
    return Study(Volume(volume.voxels + 10, volume.geometry))


def _until_kept(desk: Desk) -> None:
    desk.qtbot.waitUntil(lambda: desk.bench.autosave.jobs.is_idle, timeout=WAIT_MS)


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
    box = other.widget.recovery
    assert not box.isHidden()
    assert "unsaved findings" in box.text.text()
    box.recover.click()
    other.wait()
    assert len(other.bench.findings.kept.findings) == 1
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
    desk.widget.recovery.discard.click()
    assert not left.exists()
    assert desk.widget.recovery.isHidden()


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
    study, kept = worked.bench.session.study, worked.bench.findings.kept
    worked.bench.sessions.save(tmp_path / "case.ctclip.zip")
    worked.wait()
    worked.open(_other_study())
    worked.open(study)
    assert len(kept.findings) == 1
    assert not worked.bench.sessions.is_unsaved
    kept.reject(kept.findings[0].key)
    assert worked.bench.sessions.is_unsaved
    kept.undo()
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
    desk.widget.recovery.recover.click()
    desk.wait()
    assert [f.name for f in desk.bench.findings.kept.findings] == ["left nodule"]
