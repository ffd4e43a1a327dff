"""Faithfulness tab: two tests of a heatmap: occlusion of a region, deletion and insertion."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtGui import QShowEvent
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDoubleSpinBox,
    QFileDialog,
    QFormLayout,
    QHBoxLayout,
    QWidget,
)

from napari_ctclip.core.anatomy import anatomy_label
from napari_ctclip.core.errors import CtClipError
from napari_ctclip.core.region import Region
from napari_ctclip.core.roi import Roi
from napari_ctclip.exporting.faithfulness_figures import draw_curves, draw_effects
from napari_ctclip.plugin.faithfulness.faithfulness_flow import CHANGE, FILLED, FaithfulnessFlow
from napari_ctclip.plugin.widgets.panel_parts import push_button, sentence, tab_layout
from napari_ctclip.plugin.widgets.themed_plot import PlotColours, ThemedPlot
from napari_ctclip.plugin.window.window import Window
from napari_ctclip.regions.drawn_region import roi_region

if TYPE_CHECKING:
    from napari_ctclip.explanation.map_test import MapTest
    from napari_ctclip.explanation.occlusion import OccludedRegion
    from napari_ctclip.plugin.prompts.prompt_state import PromptRow

__all__ = ["FaithfulnessPlot", "FaithfulnessTab", "OccludedPart"]

_CONTROLS = 5
_RADIUS_MM = 12.0
_HINT = (
    "Occlusion (inpainting): a region is filled with the normal tissue around it and the selected "
    "prompt is queried again; so are five matched control regions of the organ. The scan itself "
    "stays as it is."
)
_CURVES_HINT = (
    "Deletion and insertion: the tokens that the map ranks highest are blurred, or all but these, "
    "beside as many drawn at random."
)
_ROW_PIXELS = 170


class OccludedPart(StrEnum):
    """What is occluded."""

    SPHERE = "sphere at the clicked point"
    HEATMAP = "heatmap at the clicked point"
    FINDING = "selected finding"


class FaithfulnessTab(QWidget):
    """The tab.

    Parameters
    ----------
    window : Window
        Whose scan is tested.
    flow : FaithfulnessFlow
        The tests.
    selected_prompt : callable
        Returns the row selected in the Explore tab, or None.
    selected_region : callable
        Returns the region of the finding selected in the Findings tab, or None.
    probed : callable
        Returns the voxel (z, y, x) that was probed last, or None.
    """

    def __init__(
        self,
        window: Window,
        flow: FaithfulnessFlow,
        *,
        selected_prompt: Callable[[], PromptRow | None],
        selected_region: Callable[[], Region | None],
        probed: Callable[[], tuple[int, int, int] | None],
    ) -> None:
        super().__init__()
        self._window, self._flow, self._probed = window, flow, probed
        self._selected_prompt, self._selected_region = selected_prompt, selected_region
        self.part = QComboBox()
        self.part.addItems([part.value for part in OccludedPart])
        self.part.setToolTip("What is filled with normal tissue")
        self.part.setAccessibleName("Region to occlude")
        self.radius = QDoubleSpinBox()
        self.radius.setRange(1.0, 60.0)
        self.radius.setValue(_RADIUS_MM)
        self.radius.setSuffix(" mm")
        self.radius.setToolTip("Radius of the sphere: let it hold the lesion with its rim")
        self.radius.setAccessibleName("Radius")
        self.occlude = push_button(
            "Occlude and query", "Does the selected prompt's score go with this region?"
        )
        self.result = sentence(_HINT, "What the occlusion did")
        self.change = QCheckBox("Change of the map")
        self.change.setToolTip("Blue fell, orange rose, clear stayed")
        self.filled = QCheckBox("Occluded region")
        self.filled.setToolTip("What the model saw instead")
        self.curves = push_button(
            "Delete and insert", "Deletion and insertion curves; up to 36 encodings"
        )
        self.verdict = sentence(_CURVES_HINT, "What the curves say")
        self.plot = FaithfulnessPlot()
        self.plot.set_theme(window.viewer.theme)
        self.save = push_button(
            "Save…", "Tables and pictures of the last tests, with what they depend on"
        )
        self._lay_out()
        self._connect()
        self._show()
        self.refresh_cost()

    # --- layout ---------------------------------------------------------------------------------

    def _lay_out(self) -> None:
        form = QFormLayout()
        form.addRow("Occlude", self.part)
        form.addRow("Radius", self.radius)
        shown = QHBoxLayout()
        shown.addWidget(self.change)
        shown.addWidget(self.filled)
        buttons = QHBoxLayout()
        buttons.addWidget(self.occlude)
        buttons.addWidget(self.curves)
        layout = tab_layout(self)
        layout.addLayout(form)
        layout.addLayout(buttons)
        layout.addWidget(self.result)
        layout.addLayout(shown)
        layout.addWidget(self.plot, 1)
        layout.addWidget(self.verdict)
        layout.addWidget(self.save)

    def _connect(self) -> None:
        window, flow = self._window, self._flow
        for button, act in (
            (self.occlude, self._occlude),
            (self.curves, self._test),
            (self.save, self._save),
        ):
            button.clicked.connect(lambda *_, act=act: window.guarded(act))
        self.change.toggled.connect(lambda on: flow.set_layer_shown(CHANGE, on))
        self.filled.toggled.connect(lambda on: flow.set_layer_shown(FILLED, on))
        self.part.currentTextChanged.connect(self.refresh_cost)
        self.radius.valueChanged.connect(self.refresh_cost)
        flow.changed.connect(self._show)
        flow.cost.known.connect(self.refresh_cost)
        window.viewer.events.theme.connect(lambda event: self.plot.set_theme(event.value))

    # --- the user -------------------------------------------------------------------------------

    def showEvent(self, event: QShowEvent | None) -> None:
        """Find out what a test would take, once someone looks."""
        super().showEvent(event)
        self.refresh_cost()
        self._window.guarded(self._flow.cost.estimate)

    def _row(self) -> PromptRow:
        row = self._selected_prompt()
        if row is None or row.answer is None:
            raise CtClipError("no answered prompt is selected: query one in the Explore tab first")
        return row

    def _region(self, row: PromptRow) -> Callable[[], Region]:
        """Return what makes the chosen region."""
        chosen = OccludedPart(self.part.currentText())
        if chosen is OccludedPart.FINDING:
            region = self._selected_region()
            if region is None:
                raise CtClipError("no finding with a region is selected in the Findings tab")
            return lambda: region
        index = self._probed() or row.peak
        study = self._window.session.study
        if index is None or study is None:
            raise CtClipError("no point was clicked: click one in the picture first")
        if chosen is OccludedPart.HEATMAP:
            return partial(self._flow.heatmap_region, row.prompt.positive, index)
        return partial(roi_region, Roi.sphere(index, self.radius.value()), study)

    def _occlude(self) -> None:
        row = self._row()
        self._flow.occlude(row.prompt, self._region(row), controls=_CONTROLS)

    def _test(self) -> None:
        self._flow.test_map(self._row().prompt)

    def _save(self) -> None:
        folder = QFileDialog.getExistingDirectory(self, "Save the tests to")
        if folder:
            self._flow.save(Path(folder))

    # --- what changes elsewhere -----------------------------------------------------------------

    def _show(self) -> None:
        occluded, tested = self._flow.occluded, self._flow.tested
        text = _HINT
        if occluded is not None:
            text = "\n".join(
                f"{_named(effect.where)}: {effect.before:+.2f}, occluded {effect.after:+.2f}; "
                f"{effect.reading}."
                for effect in occluded.effects
            )
        self.result.setText(text)
        self.verdict.setText(_CURVES_HINT if tested is None else tested.reading)
        for box, on in ((self.change, occluded is not None), (self.filled, False)):
            box.setEnabled(occluded is not None)
            box.blockSignals(True)
            box.setChecked(on)
            box.blockSignals(False)
        self.save.setEnabled(occluded is not None or tested is not None)
        self.plot.show_tests(occluded, tested)

    def refresh_cost(self, *_: object) -> None:
        """Write on the buttons about how long they take, while they are seen."""
        chosen = OccludedPart(self.part.currentText())
        self.radius.setEnabled(chosen is OccludedPart.SPHERE)
        if not self.isVisible():
            return
        occlusion = curves = None
        row = self._selected_prompt()
        if self._window.session.is_ready and row is not None and row.answer is not None:
            curves = self._flow.cost.of_curves()
            occlusion = None if chosen is OccludedPart.HEATMAP else self._seconds(row)
        self.occlude.setText("Occlude and query" + _about(occlusion))
        self.curves.setText("Delete and insert" + _about(curves))

    def _seconds(self, row: PromptRow) -> float | None:
        try:
            return self._flow.cost.of_occlusion(self._region(row)(), _CONTROLS)
        except CtClipError:  # nothing is chosen yet
            return None


def _about(seconds: float | None) -> str:
    if seconds is None:
        return ""
    return f" ({seconds:.0f} s)" if seconds < 90 else f" ({seconds / 60:.0f} min)"


def _named(where: str) -> str:
    """Return an organ's label; other regions as they are."""
    return anatomy_label(where) if "_" in where else where


class FaithfulnessPlot(ThemedPlot):
    """Drawn by the same code as the saved pictures, in the colours of the window.

    Parameters
    ----------
    parent : QWidget or None
        The tab.
    """

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__("Tests of the map; the lines of text say the same", parent)
        self._occluded: OccludedRegion | None = None
        self._tested: MapTest | None = None

    def show_tests(self, occluded: OccludedRegion | None, tested: MapTest | None) -> None:
        """Draw the last results; nothing of what is None."""
        self._occluded, self._tested = occluded, tested
        count = self._count()
        self.setVisible(count > 0)
        self.setMinimumHeight(_ROW_PIXELS * count)
        self.draw_soon()

    def fill(self, colours: PlotColours) -> None:
        """Draw a test a row, the two curves side by side: the panel is narrow."""
        count = self._count()
        if not count:
            return
        rows = self.figure.subfigures(count, 1, squeeze=False)[:, 0].tolist()
        if self._occluded is not None:
            axes = _axes(rows.pop(0), 1, colours.paper)
            draw_effects(axes[0], self._occluded, ink=colours.ink)
        if self._tested is not None:
            axes = _axes(rows.pop(0), 2, colours.paper)
            draw_curves(axes, self._tested, ink=colours.ink)

    def _count(self) -> int:
        return sum(test is not None for test in (self._occluded, self._tested))


def _axes(figure: Any, count: int, paper: str) -> list[Any]:
    figure.set_facecolor(paper)
    axes: list[Any] = figure.subplots(1, count, squeeze=False)[0].tolist()
    for one in axes:
        one.set_facecolor(paper)
    return axes
