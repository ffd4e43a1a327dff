"""Explore tab: window, prompts, heat, organs and probe: the daily work."""

from __future__ import annotations

from functools import partial
from typing import Any

from magicgui.widgets import create_widget
from napari.layers import Image
from qtpy.QtCore import QEvent, QModelIndex, QObject, Qt
from qtpy.QtGui import QKeyEvent, QResizeEvent
from qtpy.QtWidgets import (
    QFormLayout,
    QHBoxLayout,
    QPushButton,
    QSizePolicy,
    QTableView,
    QWidget,
)

from napari_ctclip.plugin.canvas.foreign_layers import is_volume_layer
from napari_ctclip.plugin.findings.export_dialog import ExportDialog
from napari_ctclip.plugin.prompts.heat_controls import HeatControls
from napari_ctclip.plugin.prompts.how_asked import HowAsked
from napari_ctclip.plugin.prompts.organ_plot import OrganPlot
from napari_ctclip.plugin.prompts.probe_box import ProbeBox
from napari_ctclip.plugin.prompts.prompt_line import PromptLine
from napari_ctclip.plugin.prompts.prompt_table import COLUMNS, PromptRow
from napari_ctclip.plugin.prompts.prompt_tools import PromptTools
from napari_ctclip.plugin.shell.workbench import Workbench
from napari_ctclip.plugin.study.view_buttons import ViewButtons, WindowButtons
from napari_ctclip.plugin.widgets.fold import Fold
from napari_ctclip.plugin.widgets.panel_parts import tab_layout
from napari_ctclip.plugin.widgets.row_table import row_view
from napari_ctclip.reports.abnormality_dictionary import findings_by_anatomy

__all__ = ["ExploreTab"]

_NEGATIVE_COLUMN = COLUMNS.index("Negative")
_WIDTHS = (140, 44, 50, 92, 44)


class ExploreTab(QWidget):
    """The tab.

    Parameters
    ----------
    workbench : Workbench
        What it works on.
    parent : QWidget or None
        The panel.
    """

    def __init__(self, workbench: Workbench, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._bench = workbench
        self._ticked = False
        self.volume: Any = create_widget(
            annotation=Image, name="volume", options={"choices": self._volume_choices}
        )
        self.volume.native.setAccessibleName("Volume")
        self.volume.native.setToolTip("The layer that is asked: a CT opened here or by napari")
        self.windows = WindowButtons(workbench.scene)
        self.views = ViewButtons(workbench.views)
        self.line = PromptLine(findings=findings_by_anatomy)
        self.table = self._make_table()
        self.how = HowAsked(workbench)
        self.encode = QPushButton("Encode")
        self.encode.setToolTip("Let the model look at the scan; needed once, starts by itself")
        self.remove = QPushButton("Remove")
        self.remove.setToolTip("Forget the selected prompts (Delete)")
        self.export = QPushButton("Export…")
        self.export.setToolTip(
            "Tables, heatmaps, key slices, DICOM objects, reports: choose what and where"
        )
        self.tools = PromptTools(workbench, self.selected_prompts)
        self.heat = HeatControls(workbench.scene)
        self.plot = OrganPlot()
        self.plot.set_theme(workbench.viewer.theme)
        self.probe = ProbeBox(workbench)
        self._lay_out()
        self._connect()
        self._on_study_opened()
        self._on_model_changed()
        self._select_last()

    # --- layout ---------------------------------------------------------------------------------

    def _make_table(self) -> QTableView:
        table = row_view(self._bench.prompts.table, "Prompts", widths=_WIDTHS, wide="first")
        table.setMinimumHeight(104)
        table.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Ignored)
        table.setColumnHidden(_NEGATIVE_COLUMN, True)  # the line below shows and edits it
        return table

    def _lay_out(self) -> None:
        form = QFormLayout()
        form.addRow("Volume", self.volume.native)
        form.addRow("Window", self.windows)
        form.addRow("View", self.views)
        below = QHBoxLayout()
        for button in (self.encode, self.tools, self.export, self.remove):
            below.addWidget(button)
        self.organs = Fold("Organs", self.plot)
        layout = tab_layout(self)
        layout.addLayout(form)
        layout.addWidget(self.line)
        layout.addWidget(self.table, 3)
        layout.addWidget(self.tools.legend)
        layout.addWidget(self.tools.word_legend)
        layout.addWidget(self.how)
        layout.addLayout(below)
        layout.addWidget(self.heat)
        layout.addWidget(self.organs, 2)
        layout.addWidget(self.probe)

    def _connect(self) -> None:
        bench = self._bench
        self.volume.changed.connect(self._on_volume_chosen)
        self.line.entered.connect(self._on_entered)
        self.encode.clicked.connect(lambda: bench.guarded(bench.prompts.encode))
        self.export.clicked.connect(self._ask_export)
        self.remove.clicked.connect(self.remove_selected)
        self.table.installEventFilter(self)
        self.table.clicked.connect(self._on_clicked)
        self.table.activated.connect(self._on_clicked)
        bench.prompts.table.shown_changed.connect(self._on_ticked)
        selection = self.table.selectionModel()
        if selection is not None:
            selection.currentRowChanged.connect(self._on_current_changed)
        self.plot.organ_clicked.connect(self._on_organ_clicked)
        bench.prompts.answered.connect(self._on_answered)
        bench.studies.study_opened.connect(self._on_study_opened)
        bench.session.model_changed.connect(self._on_model_changed)
        bench.session.encoding_changed.connect(self._on_encoding_changed)
        bench.viewer.events.theme.connect(lambda event: self.plot.set_theme(event.value))
        bench.viewer.layers.events.inserted.connect(self._refresh_volumes)
        bench.viewer.layers.events.removed.connect(self._refresh_volumes)

    # --- the user -------------------------------------------------------------------------------

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        """Give the plot's room to the rest where there is too little."""
        super().resizeEvent(event)
        above = self.parentWidget()  # what is seen of the tab
        if above is not None:
            self.organs.make_room(above.height() - self.minimumSizeHint().height())

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        """Let Delete in the table forget the selected prompts."""
        if isinstance(event, QKeyEvent) and watched is self.table:
            pressed = event.type() == QEvent.Type.KeyPress
            if pressed and event.key() in (Qt.Key.Key_Delete, Qt.Key.Key_Backspace):
                self.remove_selected()
                return True
        return bool(super().eventFilter(watched, event))

    def selected_prompt(self) -> PromptRow | None:
        """Return the current row of the table."""
        rows = self._bench.prompts.table.rows
        current = self.table.currentIndex().row()
        return rows[current] if 0 <= current < len(rows) else None

    def selected_prompts(self) -> list[PromptRow]:
        """Return the selected rows of the table, top first."""
        selection = self.table.selectionModel()
        rows = self._bench.prompts.table.rows
        chosen = [] if selection is None else sorted(i.row() for i in selection.selectedRows())
        return [rows[row] for row in chosen]

    def remove_selected(self) -> None:
        """Forget the selected prompts."""
        for row in self.selected_prompts():
            self._bench.guarded(partial(self._bench.prompts.remove, row.prompt.positive))

    def select_next(self) -> None:
        """Make the next prompt the current one, show only its heat and go to its peak."""
        count = len(self._bench.prompts.table.rows)
        if count:
            self.show_row((self.table.currentIndex().row() + 1) % count)

    def show_row(self, row: int) -> None:
        """Select a prompt, show only its heat and go to its peak."""
        self.table.selectRow(row)
        self._go_to_row(row)

    def _on_entered(self, text: str) -> None:
        self._bench.guarded(lambda: self._bench.prompts.add(text))
        first = text.split(";")[0].strip()
        row = self._bench.prompts.table.row_of(" ".join(first.split()))
        if row is not None:
            self.table.selectRow(row)

    def _on_clicked(self, index: QModelIndex) -> None:
        ticked, self._ticked = self._ticked, False
        if not ticked and index.column() != _NEGATIVE_COLUMN:
            self._go_to_row(index.row())

    def _on_ticked(self, *_: Any) -> None:
        self._ticked = True  # Qt tells of the tick before it tells of the click

    def _go_to_row(self, row: int) -> None:
        prompt = self._bench.prompts.table.rows[row].prompt
        self._bench.guarded(lambda: self._bench.prompts.show_only(prompt.positive))
        self._bench.guarded(lambda: self._bench.go_to_peak(prompt.positive))

    def _ask_export(self) -> None:
        self._bench.guarded(lambda: ExportDialog(self._bench, self.window()).show())

    def _on_volume_chosen(self, layer: Any) -> None:
        if layer is not None and layer is not self._bench.studies.layer:
            self._bench.guarded(lambda: self._bench.studies.use_layer(layer))

    def _on_organ_clicked(self, anatomy: str) -> None:
        row = self.selected_prompt()
        frame = self._bench.scene.frame
        if row is None or row.answer is None or frame is None:
            return
        score = next((s for s in row.answer.organs if s.anatomy == anatomy), None)
        if score is not None:
            index = frame.world_to_index(score.peak.world_mm)
            self._bench.guarded(lambda: self._bench.look_at(index))

    # --- what changes elsewhere -----------------------------------------------------------------

    def _on_current_changed(self, *_: Any) -> None:
        row = self.selected_prompt()
        self.how.show_row(row)
        self.plot.show_answer(None if row is None else row.answer)

    def _on_answered(self, positive: str) -> None:
        row = self.selected_prompt()
        if row is None:
            self._select_last()
        elif row.prompt.positive == positive:
            self._on_current_changed()

    def _on_encoding_changed(self, encoding: object) -> None:
        self.encode.setEnabled(encoding is None)
        self._on_current_changed()

    def _on_study_opened(self) -> None:
        study = self._bench.session.study
        self.windows.set_file_windows({} if study is None else study.volume.windows)
        self.probe.clear()
        self._refresh_volumes()
        self._on_current_changed()

    def _on_model_changed(self, *_: Any) -> None:
        model = self._bench.session.model
        if model is not None:
            self.line.set_presets(model.suggested_prompts)

    def _refresh_volumes(self, *_: Any) -> None:
        self.volume.changed.disconnect(self._on_volume_chosen)
        self.volume.reset_choices()
        if self._bench.studies.layer in self.volume.choices:
            self.volume.value = self._bench.studies.layer
        self.volume.changed.connect(self._on_volume_chosen)

    def _volume_choices(self, *_: Any) -> list[Any]:
        return [layer for layer in self._bench.viewer.layers if is_volume_layer(layer)]

    def _select_last(self) -> None:
        count = len(self._bench.prompts.table.rows)
        if count:
            self.table.selectRow(count - 1)
