"""Follow-up dock: opens a prior scan beside the open one and lists what changed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qtpy.QtCore import QEvent, QModelIndex, QObject, QSize, Qt
from qtpy.QtWidgets import (
    QCheckBox,
    QFileDialog,
    QHBoxLayout,
    QHeaderView,
    QPushButton,
    QWidget,
)

from napari_ctclip.core.anatomy import anatomy_label
from napari_ctclip.core.errors import CtClipError
from napari_ctclip.plugin.canvas._compat import main_window
from napari_ctclip.plugin.canvas.panes import SecondPane
from napari_ctclip.plugin.follow_up.follow_up_flow import FollowUpFlow
from napari_ctclip.plugin.prompts.probe import ProbeFlow
from napari_ctclip.plugin.prompts.prompt_flow import PromptFlow
from napari_ctclip.plugin.study.series_dialog import ask_series
from napari_ctclip.plugin.study.study_flow import StudyFlow
from napari_ctclip.plugin.widgets.docking import dock_beside_panel
from napari_ctclip.plugin.widgets.panel_parts import sentence, tab_layout
from napari_ctclip.plugin.widgets.row_table import SORT_ROLE, Role, RowTable, row_view, sorted_rows
from napari_ctclip.plugin.window.status_strip import StatusStrip
from napari_ctclip.plugin.window.window import Window
from napari_ctclip.scoring.answer import ScoreChange
from napari_ctclip.scoring.region_scores import WHOLE_SCAN
from napari_ctclip.session.follow_up import write_changes

__all__ = ["ChangeTable", "FollowUpDock"]

_CT_FILES = "CT (*.nii *.nii.gz *.nrrd *.mha *.mhd *.dcm *.gz);;All files (*)"
_MASK_FILES = "Label maps (*.nii *.nii.gz *.nrrd *.mha *.mhd *.dcm);;All files (*)"
_NOTHING = "Open an earlier CT of the same patient. It is shown to the right of the open one."
_BEYOND = "This point lies beyond the prior scan."


class FollowUpDock(QWidget):
    """The dock "CT-CLIP follow-up".

    Parameters
    ----------
    window : Window
        Of the current scan.
    prompts, studies, probe : PromptFlow, StudyFlow, ProbeFlow
        Of the current scan: its prompts, how it was opened, and its probe.
    """

    def __init__(
        self, window: Window, *, prompts: PromptFlow, studies: StudyFlow, probe: ProbeFlow
    ) -> None:
        super().__init__()
        self.setObjectName("ctclip follow-up")
        self._window, self._studies, self._probe = window, studies, probe
        self.pane = SecondPane(window.viewer, title="Prior: none yet")
        self.flow = FollowUpFlow(
            window, self.pane.viewer, prompts=prompts, studies=studies, probe=probe
        )
        self.open_file = QPushButton("Open prior CT…")
        self.open_folder = QPushButton("Open DICOM folder…")
        self.masks = QPushButton("Masks of the prior…")
        self.masks.setToolTip("A label map file made for the prior scan")
        self.linked = QCheckBox("Move both scans together")
        self.linked.setChecked(True)
        self.state = sentence(_NOTHING)
        self.changes = ChangeTable(self)
        self.sorted = sorted_rows(self.changes)
        self.table = row_view(self.sorted, "Changes")
        self.export = QPushButton("Export CSV…")
        self.status = StatusStrip(window.jobs, messages=window.messages)
        self._released = False
        self._lay_out()
        self._connect()
        self._show_changes()
        self.setMinimumWidth(400)

    def _lay_out(self) -> None:
        opening = QHBoxLayout()
        opening.addWidget(self.open_file)
        opening.addWidget(self.open_folder)
        linking = QHBoxLayout()
        linking.addWidget(self.linked, 1)
        linking.addWidget(self.masks)
        self.table.setSortingEnabled(True)
        self.table.sortByColumn(-1, Qt.SortOrder.AscendingOrder)  # as queried, until the user sorts
        header = self.table.horizontalHeader()
        if header is not None:
            for column in self.changes.numbers:
                header.setSectionResizeMode(column, QHeaderView.ResizeMode.ResizeToContents)
            header.setSectionResizeMode(1, QHeaderView.ResizeMode.Stretch)
        layout = tab_layout(self)
        layout.addLayout(opening)
        layout.addLayout(linking)
        layout.addWidget(self.state)
        layout.addWidget(self.table, 1)
        layout.addWidget(self.export)
        layout.addWidget(self.status)

    def _connect(self) -> None:
        flow = self.flow
        self.open_file.clicked.connect(self._ask_file)
        self.open_folder.clicked.connect(self._ask_folder)
        self.masks.clicked.connect(self._ask_masks)
        self.linked.toggled.connect(self._set_linked)
        self.table.doubleClicked.connect(self._go_to)
        self.export.clicked.connect(self._ask_export)
        flow.changed.connect(self._show_changes)
        flow.linked.connect(self._show_state)
        flow.studies.study_opened.connect(self._show_state)
        flow.studies.series_choice_needed.connect(self._on_series_choice_needed)
        flow.views.beyond.connect(self._show_beyond)
        self._studies.study_opened.connect(self._show_state)
        main = main_window(self._window.viewer)
        if main is not None:
            main.installEventFilter(self)

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        """Let the prior go when the window closes."""
        if event is not None and event.type() == QEvent.Type.Close:
            self.release()
        return bool(super().eventFilter(watched, event))

    def sizeHint(self) -> QSize:
        """Return the panel's size."""
        return QSize(460, 860)

    def event(self, event: QEvent | None) -> bool:
        """Open beside the panel; give the picture's room back when napari takes the dock away."""
        if event is not None and event.type() == QEvent.Type.ParentChange:
            if self.parent() is not None:
                dock_beside_panel(self)
            elif hasattr(self, "_released"):
                self.release()
        return bool(super().event(event))

    def release(self) -> None:
        """Close the prior scan and its picture."""
        if not self._released:
            self._released = True
            self.flow.close()
            self.pane.release()

    # --- the user -------------------------------------------------------------------------------

    def open_prior(self, path: Path, *, series: int | None = None) -> None:
        """Read a file or a DICOM folder as the prior scan."""
        self.flow.studies.open_path(path, series=series)

    def write_table(self, path: Path) -> None:
        """Write the change table.

        Raises
        ------
        CtClipError
            If there is nothing to write.
        """
        if not self.changes.rows:
            raise CtClipError("Nothing to export: open a prior scan and query a prompt.")
        write_changes(self.changes.rows, path)
        self._window.messages.info(f"{len(self.changes.rows)} changes written to {path}.")

    def _ask_file(self) -> None:
        path, _ = QFileDialog.getOpenFileName(self, "Open prior CT", "", _CT_FILES)
        if path:
            self._window.guarded(lambda: self.open_prior(Path(path)))

    def _ask_folder(self) -> None:
        path = QFileDialog.getExistingDirectory(self, "Open DICOM folder")
        if path:
            self._window.guarded(lambda: self.open_prior(Path(path)))

    def _ask_masks(self) -> None:
        path, _ = QFileDialog.getOpenFileName(self, "Organ masks of the prior", "", _MASK_FILES)
        if path:
            self._window.guarded(lambda: self.flow.studies.load_masks(Path(path)))

    def _ask_export(self) -> None:
        path, _ = QFileDialog.getSaveFileName(self, "Export changes", "changes.csv", "CSV (*.csv)")
        if path:
            self._window.guarded(lambda: self.write_table(Path(path)))

    def _on_series_choice_needed(self, path: Path, choices: tuple[str, ...]) -> None:
        series = ask_series(path, choices, parent=self)
        if series is not None:
            self.open_prior(path, series=series)

    def _set_linked(self, linked: bool) -> None:
        self.flow.views.enabled = linked
        self._window.guarded(self.flow.views.follow_current)
        self._show_state()

    def _go_to(self, index: QModelIndex) -> None:
        change = self.changes.rows[self.sorted.mapToSource(index).row()]
        frame = self._window.scene.frame
        if frame is not None:
            voxel = frame.world_to_index(change.after.peak.world_mm)
            self._window.guarded(lambda: self._probe.look_at(voxel))

    # --- what changes elsewhere -----------------------------------------------------------------

    def _show_changes(self) -> None:
        with self._window.messages.border():
            self.changes.set_rows(self.flow.pair.changes())
        self.export.setEnabled(bool(self.changes.rows))

    def _show_state(self) -> None:
        study = self.flow.session.study
        self.masks.setEnabled(study is not None)
        if study is None:
            self.pane.set_heading("Prior: none yet")
            self.state.setText(_NOTHING)
            return
        name = Path(study.volume.source_path).name or "from memory"
        self.pane.set_heading(f"Prior: {name}")
        self.state.setText(self._link_text())

    def _link_text(self) -> str:
        if not self.linked.isChecked():
            return "Each scan moves alone."
        if self.flow.notices:
            words = self.flow.notices[0].message
            return words[:1].upper() + words[1:] + "."
        return "Not linked yet: both scans need organ masks (Data tab: Quick masks)."

    def _show_beyond(self, beyond: bool) -> None:
        text = _BEYOND if beyond else self._link_text()
        if self.state.text() != text:
            self.state.setText(text)


class ChangeTable(RowTable[ScoreChange]):
    """One row a prompt and region."""

    titles = ("Prompt", "Where", "Before", "After", "Change")
    tooltips = (
        "Double-click a row to go there",
        "Organ, or the whole scan; ◐: one of the scans shows it only in part",
        "Similarity in the prior scan",
        "Similarity in the current scan",
        "After less before. Kernel, dose, contrast and breathing change similarities too.",
    )
    numbers = (2, 3, 4)

    def cell(self, row: int, column: int, role: int) -> Any:
        """Return what a cell shows, or is sorted by."""
        change = self.rows[row]
        before, after = change.before.similarity, change.after.similarity
        difference = change.difference
        if role == SORT_ROLE:
            return (change.prompt, change.anatomy, before, after, difference)[column]
        if role == Role.DisplayRole:
            cells = (
                change.prompt,
                _where(change),
                f"{before:.3f}",
                f"{after:.3f}",
                f"{_arrow(difference)} {difference:+.3f}",
            )
            return cells[column]
        if role == Role.ToolTipRole:
            return change.note or None
        return None


def _where(change: ScoreChange) -> str:
    name = change.anatomy if change.anatomy == WHOLE_SCAN else anatomy_label(change.anatomy)
    return f"{name} ◐" if change.note else name


def _arrow(difference: float) -> str:
    if abs(difference) < 0.0005:
        return "="
    return "▲" if difference > 0 else "▼"
