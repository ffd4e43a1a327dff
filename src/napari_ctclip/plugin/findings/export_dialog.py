"""Export dialog: which kinds of files, how large the pictures, and where to."""

from __future__ import annotations

from pathlib import Path

from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QCheckBox,
    QDialog,
    QDialogButtonBox,
    QFileDialog,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from napari_ctclip.exporting.content import EVERYDAY_KINDS, ExportContent, ExportKind
from napari_ctclip.figures.figures import DEFAULT_SIZE
from napari_ctclip.plugin.findings.exporting import ExportFlow, why_not
from napari_ctclip.plugin.window.settings import keep_setting, setting
from napari_ctclip.plugin.window.window import Window

__all__ = ["ExportDialog", "remembered_kinds"]

_TEXTS = {
    ExportKind.CSV: "Tables of scores and findings (CSV)",
    ExportKind.NIFTI: "Heatmaps, organs and findings on the scan's grid (NIfTI)",
    ExportKind.PNG: "Key slices (PNG)",
    ExportKind.SEG: "Findings and organs as DICOM SEG",
    ExportKind.PARAMETRIC_MAP: "Heatmaps as DICOM Parametric Map",
    ExportKind.HTML: "Report in one file (HTML)",
    ExportKind.PDF: "Report (PDF)",
    ExportKind.SCRIPT: "Reproduction script (Python)",
}
_SMALLEST, _LARGEST = 200, 8000  # pixels
_LAST_FOLDER, _LAST_KINDS = "export_folder", "export_kinds"
_BETWEEN = "; "


class ExportDialog(QDialog):
    """What to write of the open study; it stays usable while files are written.

    Parameters
    ----------
    window : Window
        Where the user reads what goes wrong.
    exports : ExportFlow
        Writes the answers and findings.
    parent : QWidget or None
        The window it stands over.

    Raises
    ------
    CtClipError
        If there is nothing to export.
    """

    def __init__(
        self, window: Window, exports: ExportFlow, *, parent: QWidget | None = None
    ) -> None:
        content = exports.content()
        super().__init__(parent)
        self._window, self._exports = window, exports
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle("Export answers and findings")
        self._remembered = remembered_kinds()
        possible = {kind for kind in self._remembered if not why_not(kind, content)}
        self._offered = possible or set(EVERYDAY_KINDS)
        self.boxes = {kind: self._box(kind, content) for kind in _TEXTS}
        self.width_px, self.height_px = (self._pixels(n) for n in DEFAULT_SIZE)
        self.width_px.setAccessibleName("Picture width")
        self.height_px.setAccessibleName("Picture height")
        self.folder = QLineEdit(str(setting(_LAST_FOLDER, default="")) or str(Path.home()))
        self.folder.setAccessibleName("Export folder")
        self.folder.setToolTip("Made if it does not exist; files of the same name are replaced")
        self.browse = QPushButton("Browse…")
        self.browse.setToolTip("Choose the folder")
        self.buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Cancel)
        self.write = self.buttons.addButton("Write", QDialogButtonBox.ButtonRole.AcceptRole)
        self._lay_out(content)
        self.browse.clicked.connect(self._browse)
        self.buttons.accepted.connect(self.accept)
        self.buttons.rejected.connect(self.reject)
        for box in self.boxes.values():
            box.toggled.connect(self._enable)
        self._enable()

    @property
    def kinds(self) -> tuple[ExportKind, ...]:
        """What is ticked."""
        return tuple(kind for kind, box in self.boxes.items() if box.isChecked())

    def accept(self) -> None:
        """Write what is ticked, in the background; the dialog closes."""
        folder = self.folder.text().strip()
        if not folder:
            self.folder.setFocus()
            return
        keep_setting(_LAST_FOLDER, folder)
        keep_setting(_LAST_KINDS, _BETWEEN.join(self._to_remember()))
        size = (self.width_px.value(), self.height_px.value())
        path = Path(folder).expanduser()
        self._window.guarded(lambda: self._exports.write(path, kinds=self.kinds, figure_size=size))
        super().accept()

    def _box(self, kind: ExportKind, content: ExportContent) -> QCheckBox:
        reason = why_not(kind, content)
        box = QCheckBox(_TEXTS[kind] + (f": {reason}" if reason else ""))
        box.setEnabled(not reason)
        box.setChecked(not reason and kind in self._offered)
        box.setToolTip(reason)
        return box

    def _to_remember(self) -> list[ExportKind]:
        """Return what is ticked, and what was before where it could not be ticked this time."""
        return [
            kind
            for kind, box in self.boxes.items()
            if box.isChecked() or (not box.isEnabled() and kind in self._remembered)
        ]

    def _pixels(self, value: int) -> QSpinBox:
        box = QSpinBox()
        box.setRange(_SMALLEST, _LARGEST)
        box.setValue(value)
        box.setSuffix(" px")
        return box

    def _lay_out(self, content: ExportContent) -> None:
        size = QHBoxLayout()
        size.addWidget(self.width_px)
        size.addWidget(QLabel("x"))
        size.addWidget(self.height_px)
        size.addStretch(1)
        where = QHBoxLayout()
        where.addWidget(self.folder, 1)
        where.addWidget(self.browse)
        form = QFormLayout()
        form.addRow("Picture size", size)
        form.addRow("Folder", where)
        counts = QLabel(
            f"Prompts answered: {len(content.answers)}. Findings saved: {len(content.kept)}. "
            "DICOM objects carry the patient of their series; no other file does."
        )
        counts.setWordWrap(True)
        layout = QVBoxLayout(self)
        layout.addWidget(counts)
        for box in self.boxes.values():
            layout.addWidget(box)
        layout.addLayout(form)
        layout.addWidget(self.buttons)

    def _browse(self) -> None:
        chosen = QFileDialog.getExistingDirectory(self, "Export to", self.folder.text())
        if chosen:
            self.folder.setText(chosen)

    def _enable(self, *_: bool) -> None:
        if self.write is not None:
            self.write.setEnabled(bool(self.kinds))


def remembered_kinds() -> tuple[ExportKind, ...]:
    """Return what the last export wrote; the everyday kinds before the first one."""
    parts = str(setting(_LAST_KINDS, default="")).split(_BETWEEN.strip())
    known = {str(kind): kind for kind in ExportKind} | {"recipe": ExportKind.SCRIPT}  # until 0.1
    return tuple(known[p.strip()] for p in parts if p.strip() in known) or EVERYDAY_KINDS
