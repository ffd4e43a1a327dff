"""A window that a person closes asks about findings that are in no session file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from qtpy.QtCore import QEvent
from qtpy.QtGui import QCloseEvent
from qtpy.QtWidgets import QApplication, QFileDialog, QLineEdit, QMessageBox

from napari_ctclip.core.study import Study
from napari_ctclip.core.volume import Volume
from napari_ctclip.io.ct.read import ReadVolume
from napari_ctclip.plugin.canvas._compat import quits_program
from napari_ctclip.plugin.findings.findings_table import NOTE
from napari_ctclip.plugin.session import autosave_flow, closing
from napari_ctclip.session.files import saved_session
from napari_ctclip.session.files.archive import read_session
from tests.phantom import ball_study
from tests.plugin.conftest import WAIT_MS, Desk

pytestmark = pytest.mark.gui


@pytest.fixture
def worked(make_desk: Callable[..., Desk]) -> Desk:
    """A window on the screen with a finding."""
    desk = make_desk(show=True)
    desk.open()
    _add_spot(desk)
    return desk


def _add_spot(desk: Desk) -> None:
    desk.bench.probe.at((2, 2, 2))
    desk.widget.findings.point.click()
    desk.wait()


def _window(desk: Desk) -> Any:
    return desk.viewer.window._qt_window


def _close(desk: Desk) -> QMessageBox | None:
    """Close the window as its button does, and return what it asks."""
    QApplication.sendEvent(_window(desk), QCloseEvent())
    question: QMessageBox | None = desk.bench.closing.question
    return question


def _press(desk: Desk, question: QMessageBox | None, text: str) -> None:
    assert question is not None
    (button,) = (b for b in question.buttons() if b.text() == text)
    button.click()
    desk.qtbot.waitUntil(lambda: desk.bench.closing.question is None, timeout=WAIT_MS)


def _other_study() -> Study:
    volume = ball_study().volume
    return Study(Volume(volume.voxels + 10, volume.geometry, source_path="/data/second.nii.gz"))


def _watched_close(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Note closes that pass instead of letting the window go: napari's fixture closes it."""
    passed: list[bool] = []

    def close() -> bool:
        held = desk.bench.closing.eventFilter(_window(desk), QCloseEvent())
        passed.append(not held)
        return not held

    monkeypatch.setattr(desk.bench.closing, "_close", close)
    return passed


def test_cancel_keeps_the_window_and_what_is_saved_or_unwanted_asks_nothing(
    worked: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _window(worked).activateWindow()
    worked.qtbot.waitUntil(lambda: QApplication.activeWindow() is _window(worked))
    worked.widget.tabs.setCurrentIndex(4)
    table = worked.widget.findings.table
    table.edit(worked.widget.findings.model.index(0, NOTE))
    editor = table.findChild(QLineEdit)
    editor.setFocus()
    worked.qtbot.keyClicks(editor, "compare with the prior")
    quits_program(_window(worked), True)  # File > Exit
    question = _close(worked)
    assert worked.bench.findings.kept.findings[0].note == "compare with the prior"
    assert question is not None
    assert "1 finding is in no session file (session: 1)" in question.text()
    assert _close(worked) is question  # pressed again: asked once
    _press(worked, question, "Cancel")
    assert _window(worked).isVisible()
    assert worked.bench.sessions.is_unsaved
    assert not quits_program(_window(worked), False)
    monkeypatch.setattr(closing, "setting", lambda name, default: name != "ask_before_closing")
    assert not worked.bench.closing.eventFilter(_window(worked), QCloseEvent())
    monkeypatch.undo()
    assert not worked.bench.closing.eventFilter(_window(worked), QEvent(QEvent.Type.Move))
    worked.bench.sessions.save(tmp_path / "case.ctclip.zip")
    worked.wait()
    assert not worked.bench.closing.eventFilter(_window(worked), QCloseEvent())


def test_dont_save_leaves_nothing_and_a_script_is_not_held_up(
    worked: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    worked.bench.autosave.keep()
    worked.wait()
    kept = worked.bench.autosave.path
    assert kept.is_file()
    passed = _watched_close(worked, monkeypatch)
    _press(worked, _close(worked), "Don’t save")
    assert passed == [True]
    window, bench = _window(worked), worked.bench
    worked.viewer.close()  # as a script does
    assert not window.isVisible()
    assert bench.closing.question is None
    bench.autosave.close()  # as the window's end does
    assert list(kept.parent.iterdir()) == []


def test_save_writes_every_scan_of_the_window_then_closes(
    worked: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    worked.open(_other_study())
    _add_spot(worked)
    _add_spot(worked)
    question = _close(worked)
    assert question is not None
    assert "3 findings are in no session file (session: 1; second: 2)" in question.text()
    files = [tmp_path / "taken" / "a.ctclip.zip", tmp_path / "b.ctclip.zip"]
    (tmp_path / "taken").write_text("")
    asked: list[str] = []

    def choose(parent: Any, title: str, *_: Any) -> tuple[str, str]:
        asked.append(title)
        return str(files[len(asked) % 2 - 1]), ""

    monkeypatch.setattr(QFileDialog, "getSaveFileName", choose)
    passed = _watched_close(worked, monkeypatch)
    _press(worked, question, "Save…")
    worked.wait()
    assert "could not be saved" in worked.status  # the first file's folder is a file
    assert passed == []
    (tmp_path / "taken").unlink()
    _press(worked, _close(worked), "Save…")
    worked.qtbot.waitUntil(lambda: bool(passed), timeout=WAIT_MS)
    assert passed == [True]
    assert asked[:2] == ["Save the findings of session", "Save the findings of second"]
    assert [len(read_session(path).findings) for path in files] == [1, 2]
    worked.wait()
    assert list((tmp_path / "state").rglob("*.zip")) == []


def test_without_autosave_other_scans_are_held_and_a_session_over_findings_can_be_undone(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(autosave_flow, "setting", lambda name, default: name != "autosave")
    desk.open()
    _add_spot(desk)
    (scan,) = desk.bench.sessions.unsaved.scans
    desk.open(_other_study())
    desk.bench.autosave.keep()
    desk.wait()
    source = desk.bench.autosave.source_of(scan.place)
    assert not isinstance(source, Path)
    assert len(source.findings) == 1
    _add_spot(desk)
    path = tmp_path / "case.ctclip.zip"
    desk.bench.sessions.save_kept(desk.bench.sessions.state(), desk.bench.sessions.place, path)
    desk.wait()
    _add_spot(desk)
    (tmp_path / "second.nii.gz").write_text("")
    monkeypatch.setattr(saved_session, "read_scan", lambda scan, moved: ReadVolume(source_volume))
    source_volume = desk.bench.session.study.volume
    desk.bench.sessions.open(path, scan=tmp_path / "second.nii.gz")
    desk.wait()
    assert "that were there" in desk.status
    assert len(desk.bench.findings.kept.findings) == 1
    desk.widget.findings.undo.click()
    assert len(desk.bench.findings.kept.findings) == 2
    assert desk.bench.sessions.is_unsaved
    desk.bench.autosave.close()
    assert not (tmp_path / "state").exists()
