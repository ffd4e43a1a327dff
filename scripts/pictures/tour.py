"""Tour: what a user does with one scan, step by step; a step more is a function in ``STEPS``."""

from __future__ import annotations

from collections.abc import Callable

from qtpy.QtCore import QAbstractItemModel, QPoint, Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QCheckBox, QDialog

from scripts.pictures.album import Album
from scripts.pictures.hand import Hand
from scripts.pictures.scans import Scan
from scripts.pictures.sight import NotThereError

__all__ = ["STEPS", "Step"]

Step = Callable[[Hand, Album, Scan], None]


def open_scan(hand: Hand, album: Album, scan: Scan) -> None:
    """Open the scan in the Data tab by its dialog."""
    album.every("empty")
    hand.tab("Data")
    hand.answering(scan.path)
    hand.press("Open DICOM folder…" if scan.is_folder else "Open CT…")
    hand.wait(lambda: hand.bench.session.study is not None and hand.bench.jobs.is_idle)
    hand.tab("Data")
    album.every("data")


def ask(hand: Hand, album: Album, scan: Scan) -> None:
    """Type a finding slowly enough to see what completes it, then press Enter."""
    hand.tab("Explore")
    field = hand.type("Prompt", scan.prompt[:4], enter=False)
    QTest.qWait(200)
    album.now("completion")
    QTest.keyClicks(field, scan.prompt[4:])
    QTest.keyClick(field, Qt.Key.Key_Escape)  # the list of completions
    QTest.keyClick(field, Qt.Key.Key_Return)
    hand.wait(lambda: hand.bench.session.answer_to(scan.prompt) is not None)
    hand.type("Prompt", "pleural effusion; emphysema")
    hand.wait()
    hand.cell(hand.widget.explore.table, 0, 0)
    hand.wait()
    if f"Heatmap: {scan.prompt}" not in hand.viewer.layers:
        raise NotThereError("the heat of the prompt that was asked")


def click_lesion(hand: Hand, album: Album, scan: Scan) -> None:
    """Click the lesion; what lies there is read out."""
    frame = hand.bench.scene.frame
    assert frame is not None
    if scan.place_mm is not None:
        hand.click_voxel(frame.world_to_index(scan.place_mm))
    hand.wait()
    if "HU" not in hand.widget.explore.probe.text.text():
        raise NotThereError("the probe's numbers")
    album.every("explore")


def drag_window(hand: Hand, album: Album, scan: Scan) -> None:
    """Drag with the right button: the window widens and brightens."""
    hand.press("Med.")
    before = hand.bench.scene.window
    hand.drag(QPoint(200, 200), QPoint(60, -30), button=Qt.MouseButton.RightButton)
    after = hand.bench.scene.window
    assert before is not None
    assert after is not None
    if not (after.width > before.width and after.level < before.level):
        raise NotThereError(f"a wider, brighter window than {before}: {after}")
    album.every("window")
    hand.press("Lung")


def switch_views(hand: Hand, album: Album, scan: Scan) -> None:
    """Go through the views."""
    hand.press("Three planes")
    hand.wait(settle_s=0.5)
    album.every("planes")
    hand.press("3D")
    hand.wait(settle_s=0.5)
    album.every("3d")
    hand.press("One plane")
    hand.wait(settle_s=0.5)


def open_presets(hand: Hand, album: Album, scan: Scan) -> None:
    """Look at the menu of findings."""
    hand.look_into("Presets", lambda: album.now("presets"))


def draw_roi(hand: Hand, album: Album, scan: Scan) -> None:
    """Draw a sphere about the lesion; the findings that fit it best are listed."""
    hand.tab("ROI")
    hand.press("Sphere")
    hand.drag(hand.place_of(_voxel(hand)), QPoint(12, 0))
    hand.press("Sphere")
    hand.wait()
    table = hand.widget.roi.table
    if not table.model().rowCount():
        raise NotThereError("findings ranked for the sphere")
    hand.cell(table, 0, 0)
    album.every("roi")


def read_report(hand: Hand, album: Album, scan: Scan) -> None:
    """Type a report's sentences and compare them with the scan."""
    hand.tab("Report")
    hand.type("Report text", f"There is a {scan.prompt}. No pleural effusion. ", enter=False)
    hand.press("Read")
    hand.wait()
    table = hand.widget.report.table
    if table.model().rowCount() < 2:
        raise NotThereError("the sentences of the report")
    hand.cell(table, 0, 0)
    hand.wait()
    album.every("report")
    hand.press("Clear")


def doubt_the_map(hand: Hand, album: Album, scan: Scan) -> None:
    """Occlude the lesion and query again, then delete and insert the highest tokens."""
    hand.tab("Explore")
    hand.cell(hand.widget.explore.table, 0, 0)
    hand.wait()
    if scan.place_mm is not None:
        hand.click_voxel(_voxel(hand))
    hand.tab("Faithfulness")
    radius = hand.widget.faithfulness.radius.lineEdit()
    hand.click(radius)
    radius.selectAll()
    QTest.keyClicks(radius, "20")  # mm: the lesion with its rim
    QTest.keyClick(radius, Qt.Key.Key_Return)
    hand.click(hand.widget.faithfulness.occlude)  # its text ends with the seconds it takes
    hand.wait()
    hand.click(hand.widget.faithfulness.curves)
    hand.wait()
    album.every("faithfulness")
    hand.find("Change of the map", QCheckBox).setChecked(False)


def find_patches(hand: Hand, album: Album, scan: Scan) -> None:
    """Open the montage and find the patches that look most like the finding."""
    hand.tab("Montage")
    hand.type("Target prompts", scan.prompt)
    hand.wait()
    album.every("montage")


def read_card(hand: Hand, album: Album, scan: Scan) -> None:
    """Look at the model."""
    hand.tab("Model")
    album.every("model")


def keep_finding(hand: Hand, album: Album, scan: Scan) -> None:
    """Keep the prompt's region as a finding and accept it."""
    hand.tab("Explore")
    hand.cell(hand.widget.explore.table, 0, 0)
    hand.wait()
    hand.tab("Findings")
    hand.press("Add region")
    hand.wait()
    hand.cell(hand.widget.findings.table, 0, 0)
    hand.press("Accept")
    hand.wait()
    if not any("accepted" in text for text in _cells(hand.widget.findings.model, 0)):
        raise NotThereError("the accepted finding")
    album.every("findings")


def export_everything(hand: Hand, album: Album, scan: Scan) -> None:
    """Tick every kind of file that there is and write them."""
    hand.press("Export…")
    dialog = hand.find("Export answers and findings", QDialog)
    kinds = [box for box in dialog.findChildren(QCheckBox) if box.isEnabled()]
    for box in kinds:
        if not box.isChecked():
            QTest.mouseClick(box, Qt.MouseButton.LeftButton, pos=QPoint(10, box.height() // 2))
        if not box.isChecked():
            raise NotThereError(f"the tick of “{box.text()}”")
    folder = album.scratch / "export"
    hand.type("Export folder", str(folder), enter=False)
    album.now("export")
    hand.press("Write")
    hand.wait()
    if len(list(folder.rglob("*.*"))) < len(kinds):
        raise NotThereError(f"{len(kinds)} kinds of files: {sorted(folder.rglob('*.*'))}")


def save_and_reopen(hand: Hand, album: Album, scan: Scan) -> None:
    """Save the session, lose the finding, open the session again."""
    path = album.scratch / f"{scan.name}.ctclip.zip"
    hand.answering(path)
    hand.press("Save session…")
    hand.wait(path.is_file)
    hand.wait()
    hand.cell(hand.widget.findings.table, 0, 0)
    hand.press("Delete")
    hand.answering(path)
    hand.press("Open session…")
    findings = hand.bench.findings.kept
    hand.wait(lambda: hand.bench.jobs.is_idle and len(findings.findings) == 1)
    hand.tab("Findings")
    hand.wait()
    album.every("reopened")


def _voxel(hand: Hand) -> tuple[int, int, int]:
    """Return the voxel that was clicked last."""
    voxel = hand.bench.probe.index
    assert voxel is not None
    return voxel


def _cells(model: QAbstractItemModel, row: int) -> list[str]:
    return [str(model.data(model.index(row, c))) for c in range(model.columnCount())]


STEPS: tuple[Step, ...] = (
    open_scan,
    ask,
    click_lesion,
    drag_window,
    switch_views,
    open_presets,
    draw_roi,
    read_report,
    doubt_the_map,
    find_patches,
    read_card,
    keep_finding,
    export_everything,
    save_and_reopen,
)
