"""Findings in the window: made, edited, painted, undone, exported off the GUI thread."""

from __future__ import annotations

import errno
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtGui import QDesktopServices
from qtpy.QtWidgets import QApplication, QFileDialog

from napari_ctclip.core.finding import FindingState
from napari_ctclip.exporting import write_exports as writing
from napari_ctclip.exporting.content import ExportKind
from napari_ctclip.plugin.findings import export_dialog
from napari_ctclip.plugin.findings.export_dialog import ExportDialog
from napari_ctclip.plugin.findings.findings_table import COLUMNS, NAME, NOTE
from tests.phantom import BALL_CENTRE, ball_study
from tests.plugin.conftest import Desk

pytestmark = pytest.mark.gui


@pytest.fixture
def found(open_desk: Desk) -> Desk:
    """A desk with one finding: the region of a prompt's heat."""
    open_desk.ask("bright spot")
    open_desk.widget.findings.region.click()
    open_desk.wait()
    return open_desk


def _kept(desk: Desk) -> Any:
    return desk.bench.findings.kept


def _cell(desk: Desk, column: str, row: int = 0) -> str:
    model = desk.widget.findings.model
    return str(model.index(row, COLUMNS.index(column)).data())


def test_a_region_of_the_selected_prompt_is_measured_and_drawn(found: Desk) -> None:
    (finding,) = _kept(found).findings
    assert finding.state is FindingState.PROPOSED
    assert finding.region.contains(finding.index)
    labels = found.viewer.layers["Findings"].data
    assert int((labels == 1).sum()) == int(finding.region.mask.sum())
    assert _cell(found, "Finding") == "1. bright spot"
    assert _cell(found, "State") == "? proposed"
    assert _cell(found, "ml") == f"{finding.volume_ml:.2f}"


def test_nothing_to_add_says_so(open_desk: Desk) -> None:
    open_desk.widget.findings.region.click()
    assert "no prompt is selected" in open_desk.status
    open_desk.widget.findings.point.click()
    assert "no point was clicked" in open_desk.status


def test_the_clicked_place_becomes_a_finding(open_desk: Desk) -> None:
    open_desk.bench.probe.at(BALL_CENTRE)
    open_desk.widget.findings.point.click()
    open_desk.wait()
    (finding,) = _kept(open_desk).findings
    assert (finding.index, finding.region, finding.name) == (BALL_CENTRE, None, "Finding")
    assert _cell(open_desk, "ml") == "–"
    assert "Findings" not in open_desk.viewer.layers


def test_name_and_note_are_written_in_place_and_a_name_is_needed(found: Desk) -> None:
    model = found.widget.findings.model
    assert model.setData(model.index(0, NAME), "nodule, left")
    assert model.setData(model.index(0, NOTE), "compare with the prior")
    (finding,) = _kept(found).findings
    assert (finding.name, finding.note) == ("nodule, left", "compare with the prior")
    assert finding.state is FindingState.EDITED
    model.setData(model.index(0, NAME), " ")
    assert "needs a name" in found.status
    assert _kept(found).findings[0].name == "nodule, left"


def test_accept_reject_delete_and_their_undo(found: Desk) -> None:
    tab = found.widget.findings
    tab.accept.click()
    assert "no finding is selected" in found.status
    tab.table.selectRow(0)
    tab.accept.click()
    assert _cell(found, "State") == "✓ accepted"
    tab.reject.click()
    assert _cell(found, "State") == "✗ rejected"
    assert not found.viewer.layers["Findings"].data.any()
    tab.undo.click()
    assert _cell(found, "State") == "✓ accepted"
    assert found.viewer.layers["Findings"].data.any()
    tab.table.setFocus()
    found.qtbot.keyClick(tab.table, Qt.Key.Key_Delete)
    assert tab.model.rowCount() == 0
    found.qtbot.keyClick(tab.table, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert tab.model.rowCount() == 1
    tab.redo.click()
    assert tab.model.rowCount() == 0


def test_the_brush_changes_a_finding_and_undo_takes_it_back(found: Desk) -> None:
    before = _kept(found).findings[0]
    layer = found.viewer.layers["Findings"]
    layer.selected_label = 1
    layer.brush_size = 3
    layer.paint((0, 0, 0), 1)
    found.qtbot.waitUntil(lambda: _kept(found).findings[0].region is not before.region)
    after = _kept(found).findings[0]
    assert after.region.contains((0, 0, 0))
    assert after.volume_ml > before.volume_ml
    assert after.state is FindingState.EDITED
    found.widget.findings.undo.click()
    assert _kept(found).findings[0].region is before.region
    assert layer.data[0, 0, 0] == 0


def test_naparis_undo_is_followed_too(found: Desk) -> None:
    before = int(_kept(found).findings[0].region.mask.sum())
    layer = found.viewer.layers["Findings"]
    layer.paint((0, 0, 0), 1)
    found.qtbot.waitUntil(lambda: int(_kept(found).findings[0].region.mask.sum()) > before)
    layer.undo()
    found.qtbot.waitUntil(lambda: int(_kept(found).findings[0].region.mask.sum()) == before)


def test_a_new_label_is_a_new_finding_and_one_erased_goes(found: Desk) -> None:
    found.widget.findings.paint.click()
    layer = found.viewer.layers.selection.active
    assert (layer.name, layer.mode, layer.selected_label) == ("Findings", "paint", 2)
    layer.paint((0, 0, 0), layer.selected_label)
    found.qtbot.waitUntil(lambda: len(_kept(found).findings) == 2)
    drawn = _kept(found).findings[1]
    assert (drawn.state, drawn.name) == (FindingState.ACCEPTED, "Finding")
    assert layer.selected_label == 3
    layer.data_setitem(np.nonzero(layer.data == 2), 0)
    found.qtbot.waitUntil(lambda: len(_kept(found).findings) == 1)
    assert "Undo brings it back" in found.status


def test_painting_without_a_finding_starts_an_empty_layer(open_desk: Desk) -> None:
    open_desk.widget.findings.paint.click()
    layer = open_desk.viewer.layers.selection.active
    assert (layer.name, layer.selected_label) == ("Findings", 1)
    open_desk.viewer.layers.remove(layer)  # by hand
    open_desk.widget.findings.paint.click()
    assert open_desk.viewer.layers.selection.active.name == "Findings"


def test_findings_come_back_with_their_scan(found: Desk) -> None:
    layer = found.bench.studies.layer
    other = ball_study()
    other.volume.voxels[:] = 0
    found.open(other)
    assert _kept(found).findings == ()
    found.bench.studies.use_layer(layer)
    found.wait()
    assert len(_kept(found).findings) == 1
    assert found.viewer.layers["Findings"].data.any()


def test_copy_and_reproduce(found: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clipboard = QApplication.clipboard()
    found.widget.findings.copy.click()
    head, row = clipboard.text().split("\n")
    assert head.split("\t")[:2] == ["Finding", "State"]
    assert row.startswith("1. bright spot\t? proposed")
    scripts = found.widget.findings.scripts
    scripts.copy_all.trigger()
    found.wait()
    assert "ctclip.heatmap_finding(answer" in clipboard.text()
    scripts.copy_one.trigger()
    assert "no finding is selected" in found.status
    found.widget.findings.table.selectRow(0)
    scripts.copy_one.trigger()
    found.wait()
    assert "numbers of finding 1:" in clipboard.text()
    _kept(found).rewrite(_kept(found).findings[0].key, name="drawn")
    scripts.copy_one.trigger()
    found.wait()
    assert "reproduce_finding_1_region_1.nii.gz" in found.status
    monkeypatch.setattr(
        QFileDialog, "getSaveFileName", lambda *_, **__: (str(tmp_path / "again"), "")
    )
    scripts.save_one.trigger()
    found.wait()
    assert found.widget.status.next.text() == "Open folder"
    written = {path.name for path in tmp_path.glob("again*")}
    assert written >= {"again.py", "again_region_1.nii.gz", "again_organs.nii.gz"}


def _dialog(desk: Desk, folder: Path) -> ExportDialog:
    dialog = ExportDialog(desk.bench.window, desk.bench.exports, parent=desk.widget)
    dialog.folder.setText(str(folder))
    return dialog


def test_the_dialog_writes_what_is_ticked_and_says_what_cannot_be_had(
    found: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = {"export_kinds": "csv; dicom-seg; of a later version"}
    monkeypatch.setattr(export_dialog, "setting", lambda name, default: kept.get(name, default))
    monkeypatch.setattr(export_dialog, "keep_setting", kept.__setitem__)
    shown: list[str] = []
    monkeypatch.setattr(
        QDesktopServices, "openUrl", lambda url: shown.append(url.toLocalFile()) or bool(shown[1:])
    )
    dialog = _dialog(found, tmp_path / "out")
    seg = dialog.boxes[ExportKind.SEG]
    assert not seg.isEnabled()
    assert "needs a scan read from DICOM" in seg.text()
    assert dialog.kinds == (ExportKind.CSV,)
    dialog.boxes[ExportKind.CSV].setChecked(False)
    assert not dialog.write.isEnabled()
    for kind in (ExportKind.CSV, ExportKind.HTML, ExportKind.PDF, ExportKind.SCRIPT):
        dialog.boxes[kind].setChecked(True)
    dialog.write.click()
    found.wait()
    written = {path.name for path in (tmp_path / "out").iterdir()}
    assert {"findings.csv", "report.html", "report.pdf", "reproduce.py"} <= written
    assert not any(name.startswith("heatmap") for name in written)
    assert kept == {
        "export_folder": str(tmp_path / "out"),
        "export_kinds": "csv; dicom-seg; html; pdf; script",
    }
    again = ExportDialog(found.bench.window, found.bench.exports, parent=found.widget)
    assert again.folder.text() == str(tmp_path / "out")
    assert again.kinds == (ExportKind.CSV, ExportKind.HTML, ExportKind.PDF, ExportKind.SCRIPT)
    following = found.widget.status.next
    assert not following.isHidden()
    assert following.text() == "Open folder"
    following.click()  # the system says it cannot
    assert "No program that shows folders" in found.status
    assert following.isHidden()
    assert shown == [str(tmp_path / "out")]


def test_exports_run_off_the_gui_thread(
    found: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads = []
    original = writing.write_exports

    def watched(*arguments: Any, **options: Any) -> Any:
        threads.append(threading.current_thread())
        return original(*arguments, **options)

    monkeypatch.setattr(writing, "write_exports", watched)
    _dialog(found, tmp_path / "out").write.click()
    found.wait()
    assert len(threads) == 1
    assert threads[0] is not threading.main_thread()


def test_a_full_disk_is_one_line_and_loses_nothing(
    found: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(writing, "write_scores", full)
    _dialog(found, tmp_path / "out").write.click()
    found.wait()
    assert "No space left on device" in found.status
    assert "Nothing else is lost" in found.status
    assert len(_kept(found).findings) == 1
    monkeypatch.undo()
    _dialog(found, tmp_path / "out").write.click()
    found.wait()
    assert (tmp_path / "out" / "findings.csv").is_file()


def test_a_folder_that_is_a_file_is_refused(found: Desk, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("taken")
    _dialog(found, tmp_path / "out").write.click()
    found.wait()
    assert "choose another folder" in found.status
    assert (tmp_path / "out").read_text() == "taken"
