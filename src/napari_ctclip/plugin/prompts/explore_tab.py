"""Explore tab: window, prompts, heatmaps, organs and probe: the daily work."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
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

from napari_ctclip.explanation.found_regions import CutRegion
from napari_ctclip.plugin.canvas.foreign_layers import is_volume_layer
from napari_ctclip.plugin.canvas.views import Views
from napari_ctclip.plugin.prompts.heatmap_controls import HeatmapControls
from napari_ctclip.plugin.prompts.organ_plot import OrganPlot
from napari_ctclip.plugin.prompts.phrasing import PhrasingFlow, PromptDetails
from napari_ctclip.plugin.prompts.probe import ProbeBox, ProbeFlow
from napari_ctclip.plugin.prompts.prompt_flow import PromptFlow
from napari_ctclip.plugin.prompts.prompt_line import PromptLine
from napari_ctclip.plugin.prompts.prompt_state import PromptRow
from napari_ctclip.plugin.prompts.prompt_table import COLUMNS
from napari_ctclip.plugin.prompts.prompt_tools import PromptTools
from napari_ctclip.plugin.prompts.word_flow import WordFlow
from napari_ctclip.plugin.study.organs import OrganNamingFlow
from napari_ctclip.plugin.study.study_flow import StudyFlow
from napari_ctclip.plugin.study.view_buttons import ViewButtons, WindowButtons
from napari_ctclip.plugin.widgets.fold import Fold
from napari_ctclip.plugin.widgets.panel_parts import tab_layout
from napari_ctclip.plugin.widgets.row_table import row_view
from napari_ctclip.plugin.window.window import Window
from napari_ctclip.reports.abnormality_dictionary import findings_by_anatomy

__all__ = ["ExploreFlows", "ExploreTab"]

_NEGATIVE_COLUMN = COLUMNS.index("Negative")
_WIDTHS = (140, 44, 50, 92, 44)


@dataclass(frozen=True, eq=False)
class ExploreFlows:
    """What the tab shows and steers.

    Attributes
    ----------
    prompts, phrasing, words, probe : PromptFlow, PhrasingFlow, WordFlow, ProbeFlow
        The prompts, the templates they are put in, the map of their words, and the probe.
    studies, organ_names : StudyFlow, OrganNamingFlow
        The open scan, and what the model calls its organs.
    views : Views
        The canvases.
    """

    prompts: PromptFlow
    phrasing: PhrasingFlow
    words: WordFlow
    probe: ProbeFlow
    studies: StudyFlow
    organ_names: OrganNamingFlow
    views: Views


class ExploreTab(QWidget):
    """The tab.

    Parameters
    ----------
    window : Window
        What it works on.
    flows : ExploreFlows
        What it shows and steers.
    export : callable
        Asks what to export, and where to.
    keep : callable
        Makes a finding of a region and a prompt.
    parent : QWidget or None
        The panel.
    """

    def __init__(
        self,
        window: Window,
        flows: ExploreFlows,
        *,
        export: Callable[[], None],
        keep: Callable[[CutRegion, str], None],
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._window, self._flows, self._export = window, flows, export
        self._prompts, self._state = flows.prompts, flows.prompts.state
        self._ticked = False
        self.volume: Any = create_widget(
            annotation=Image, name="volume", options={"choices": self._volume_choices}
        )
        self.volume.native.setAccessibleName("Volume")
        self.volume.native.setToolTip("The layer that is queried: a CT opened here or by napari")
        self.windows = WindowButtons(window.scene)
        self.views = ViewButtons(flows.views)
        self.line = PromptLine(findings=findings_by_anatomy)
        self.table = self._make_table()
        self.details = PromptDetails(window, prompts=flows.prompts, phrasing=flows.phrasing)
        self.encode = QPushButton("Encode")
        self.encode.setToolTip("Encode the scan with the model; needed once, starts by itself")
        self.remove = QPushButton("Remove")
        self.remove.setToolTip("Forget the selected prompts (Delete)")
        self.export = QPushButton("Export…")
        self.export.setToolTip(
            "Tables, heatmaps, key slices, DICOM objects, reports: choose what and where"
        )
        self.tools = PromptTools(
            window,
            prompts=flows.prompts,
            words=flows.words,
            selected=self.selected_prompts,
            keep=keep,
        )
        self.heatmaps = HeatmapControls(self._state)
        self.plot = OrganPlot()
        self.plot.set_theme(window.viewer.theme)
        self.probe = ProbeBox(window, flows.probe, organ_names=flows.organ_names)
        self._lay_out()
        self._connect()
        self._on_study_opened()
        self._on_model_changed()
        self._select_last()

    # --- layout ---------------------------------------------------------------------------------

    def _make_table(self) -> QTableView:
        table = row_view(self._prompts.table, "Prompts", widths=_WIDTHS, wide="first")
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
        layout.addWidget(self.details)
        layout.addLayout(below)
        layout.addWidget(self.heatmaps)
        layout.addWidget(self.organs, 2)
        layout.addWidget(self.probe)

    def _connect(self) -> None:
        window, prompts = self._window, self._prompts
        self.volume.changed.connect(self._on_volume_chosen)
        self.line.entered.connect(self._on_entered)
        self.encode.clicked.connect(lambda: window.guarded(prompts.encode))
        self.export.clicked.connect(lambda: window.guarded(self._export))
        self.remove.clicked.connect(self.remove_selected)
        self.table.installEventFilter(self)
        self.table.clicked.connect(self._on_clicked)
        self.table.activated.connect(self._on_clicked)
        prompts.table.ticked.connect(self._on_ticked)
        selection = self.table.selectionModel()
        if selection is not None:
            selection.currentRowChanged.connect(self._on_current_changed)
        self.plot.organ_clicked.connect(self._on_organ_clicked)
        prompts.answered.connect(self._on_answered)
        self._flows.studies.study_opened.connect(self._on_study_opened)
        window.session.model_changed.connect(self._on_model_changed)
        window.session.encoding_changed.connect(self._on_encoding_changed)
        window.viewer.events.theme.connect(lambda event: self.plot.set_theme(event.value))
        window.viewer.layers.events.inserted.connect(self._refresh_volumes)
        window.viewer.layers.events.removed.connect(self._refresh_volumes)

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
        rows = self._state.rows
        current = self.table.currentIndex().row()
        return rows[current] if 0 <= current < len(rows) else None

    def selected_prompts(self) -> list[PromptRow]:
        """Return the selected rows of the table, top first."""
        selection = self.table.selectionModel()
        rows = self._state.rows
        chosen = [] if selection is None else sorted(i.row() for i in selection.selectedRows())
        return [rows[row] for row in chosen]

    def remove_selected(self) -> None:
        """Forget the selected prompts."""
        positives = [row.prompt.positive for row in self.selected_prompts()]
        self._window.guarded(lambda: self._prompts.remove(*positives))

    def select_next(self) -> None:
        """Make the next prompt the current one, show only its heatmap and go to its peak."""
        count = len(self._state.rows)
        if count:
            self.show_row((self.table.currentIndex().row() + 1) % count)

    def show_row(self, row: int) -> None:
        """Select a prompt, show only its heatmap and go to its peak."""
        self.table.selectRow(row)
        self._go_to_row(row)

    def _on_entered(self, text: str) -> None:
        self._window.guarded(lambda: self._prompts.add(text))
        first = text.split(";")[0].strip()
        row = self._prompts.table.row_of(" ".join(first.split()))
        if row is not None:
            self.table.selectRow(row)

    def _on_clicked(self, index: QModelIndex) -> None:
        ticked, self._ticked = self._ticked, False
        if not ticked and index.column() != _NEGATIVE_COLUMN:
            self._go_to_row(index.row())

    def _on_ticked(self, *_: Any) -> None:
        self._ticked = True  # Qt tells of the tick before it tells of the click

    def _go_to_row(self, row: int) -> None:
        positive = self._state.rows[row].prompt.positive
        self._window.guarded(lambda: self._prompts.show_only(positive))
        self._window.guarded(lambda: self.go_to_peak(positive))

    def go_to_peak(self, positive: str) -> None:
        """Turn to where the similarity to a prompt is highest, and probe there."""
        row = self._state.find(positive)
        if row is not None and row.peak is not None:
            self._flows.probe.look_at(row.peak)

    def _on_volume_chosen(self, layer: Any) -> None:
        if layer is not None and layer is not self._flows.studies.layer:
            self._window.guarded(lambda: self._flows.studies.use_layer(layer))

    def _on_organ_clicked(self, anatomy: str) -> None:
        row = self.selected_prompt()
        frame = self._window.scene.frame
        if row is None or row.answer is None or frame is None:
            return
        score = next((s for s in row.answer.organs if s.anatomy == anatomy), None)
        if score is not None:
            index = frame.world_to_index(score.peak.world_mm)
            self._window.guarded(lambda: self._flows.probe.look_at(index))

    # --- what changes elsewhere -----------------------------------------------------------------

    def _on_current_changed(self, *_: Any) -> None:
        row = self.selected_prompt()
        self.details.show_row(row)
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
        study = self._window.session.study
        self.windows.set_file_windows({} if study is None else study.volume.windows)
        self.probe.clear()
        self._refresh_volumes()
        self._on_current_changed()

    def _on_model_changed(self, *_: Any) -> None:
        model = self._window.session.model
        if model is not None:
            self.line.set_presets(model.suggested_prompts)

    def _refresh_volumes(self, *_: Any) -> None:
        self.volume.changed.disconnect(self._on_volume_chosen)
        self.volume.reset_choices()
        if self._flows.studies.layer in self.volume.choices:
            self.volume.value = self._flows.studies.layer
        self.volume.changed.connect(self._on_volume_chosen)

    def _volume_choices(self, *_: Any) -> list[Any]:
        return [layer for layer in self._window.viewer.layers if is_volume_layer(layer)]

    def _select_last(self) -> None:
        count = len(self._state.rows)
        if count:
            self.table.selectRow(count - 1)
