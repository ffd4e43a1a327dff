"""Truth tab: what the heat means, and two tests of it: erase a place, take the tokens away."""

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
    QGroupBox,
    QHBoxLayout,
    QVBoxLayout,
    QWidget,
)

from napari_ctclip.core.anatomy import anatomy_label
from napari_ctclip.core.errors import CtClipError
from napari_ctclip.core.region import Region
from napari_ctclip.exporting.faithfulness_figures import draw_curves, draw_effects
from napari_ctclip.plugin.faithfulness.faithfulness_flow import CHANGE, FILLED
from napari_ctclip.plugin.prompts.heatmap_controls import HeatmapLegend
from napari_ctclip.plugin.shell.workbench import Workbench
from napari_ctclip.plugin.widgets.panel_parts import push_button, sentence, tab_layout
from napari_ctclip.plugin.widgets.themed_plot import PlotColours, ThemedPlot
from napari_ctclip.regions.drawn_region import sphere_region

if TYPE_CHECKING:
    from napari_ctclip.explanation.map_test import MapTest
    from napari_ctclip.explanation.occlusion import OccludedRegion
    from napari_ctclip.plugin.prompts.prompt_state import PromptRow

__all__ = ["FaithfulnessPlot", "FaithfulnessTab", "Place"]

_CONTROLS = 5
_RADIUS_MM = 12.0
_HINT = (
    "Erase a place: it is filled with the normal tissue around it and the selected prompt is asked "
    "again; the same is done at five other places of the organ. The scan itself stays as it is."
)
_CURVES_HINT = (
    "Deletion and insertion: the tokens that the map ranks highest are blurred, or all but these, "
    "beside as many drawn at random."
)
_ROW_PIXELS = 170


class Place(StrEnum):
    """What is erased."""

    BALL = "ball at the clicked place"
    HEAT = "heat at the clicked place"
    FINDING = "selected finding"


class FaithfulnessTab(QWidget):
    """The tab.

    Parameters
    ----------
    workbench : Workbench
        What it works on.
    selected_prompt : callable
        Returns the row selected in the Explore tab, or None.
    selected_region : callable
        Returns the region of the finding selected in the Findings tab, or None.
    parent : QWidget or None
        The panel.
    """

    def __init__(
        self,
        workbench: Workbench,
        *,
        selected_prompt: Callable[[], PromptRow | None],
        selected_region: Callable[[], Region | None],
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._bench = workbench
        self._selected_prompt, self._selected_region = selected_prompt, selected_region
        self.legend = HeatmapLegend(
            workbench.session, state=workbench.prompts.state, ghost=workbench.ghost
        )
        self.place = QComboBox()
        self.place.addItems([place.value for place in Place])
        self.place.setToolTip("What is filled with normal tissue")
        self.place.setAccessibleName("Place to erase")
        self.radius = QDoubleSpinBox()
        self.radius.setRange(1.0, 60.0)
        self.radius.setValue(_RADIUS_MM)
        self.radius.setSuffix(" mm")
        self.radius.setToolTip("Radius of the ball: let it hold the lesion with its rim")
        self.radius.setAccessibleName("Radius")
        self.erase = push_button(
            "Erase and ask again", "Does the selected prompt's score go with this place?"
        )
        self.result = sentence(_HINT, "What erasing did")
        self.change = QCheckBox("Change of the map")
        self.change.setToolTip("Blue fell, orange rose, clear stayed")
        self.filled = QCheckBox("Erased place")
        self.filled.setToolTip("What the model saw instead")
        self.curves = push_button(
            "Take the tokens away", "Deletion and insertion curves; up to 36 encodings"
        )
        self.verdict = sentence(_CURVES_HINT, "What the curves say")
        self.plot = FaithfulnessPlot()
        self.plot.set_theme(workbench.viewer.theme)
        self.save = push_button(
            "Save…", "Tables and pictures of the last tests, with what they depend on"
        )
        self._lay_out()
        self._connect()
        self._show()
        self._show_cost()

    # --- layout ---------------------------------------------------------------------------------

    def _lay_out(self) -> None:
        form = QFormLayout()
        form.addRow("Erase", self.place)
        form.addRow("Radius", self.radius)
        shown = QHBoxLayout()
        shown.addWidget(self.change)
        shown.addWidget(self.filled)
        buttons = QHBoxLayout()
        buttons.addWidget(self.erase)
        buttons.addWidget(self.curves)
        layout = tab_layout(self)
        meaning = QGroupBox("What the heat means")
        inner = QVBoxLayout(meaning)
        inner.setContentsMargins(6, 4, 6, 4)
        inner.addWidget(self.legend)
        layout.addWidget(meaning)
        layout.addLayout(form)
        layout.addLayout(buttons)
        layout.addWidget(self.result)
        layout.addLayout(shown)
        layout.addWidget(self.plot, 1)
        layout.addWidget(self.verdict)
        layout.addWidget(self.save)

    def _connect(self) -> None:
        bench = self._bench
        for button, act in (
            (self.erase, self._erase),
            (self.curves, self._test),
            (self.save, self._save),
        ):
            button.clicked.connect(lambda *_, act=act: bench.guarded(act))
        self.change.toggled.connect(lambda on: bench.truth.set_layer_shown(CHANGE, on))
        self.filled.toggled.connect(lambda on: bench.truth.set_layer_shown(FILLED, on))
        self.place.currentTextChanged.connect(self._show_cost)
        self.radius.valueChanged.connect(self._show_cost)
        bench.truth.changed.connect(self._show)
        bench.truth.cost.known.connect(self._show_cost)
        bench.probe.probed.connect(self._show_cost)
        bench.viewer.events.theme.connect(lambda event: self.plot.set_theme(event.value))

    # --- the user -------------------------------------------------------------------------------

    def showEvent(self, event: QShowEvent | None) -> None:
        """Find out what a test would take, once someone looks."""
        super().showEvent(event)
        self._show_cost()
        self._bench.guarded(self._bench.truth.cost.estimate)

    def _row(self) -> PromptRow:
        row = self._selected_prompt()
        if row is None or row.answer is None:
            raise CtClipError("no answered prompt is selected: ask one in the Explore tab first")
        return row

    def _place(self, row: PromptRow) -> Callable[[], Region]:
        """Return what makes the chosen region."""
        chosen = Place(self.place.currentText())
        if chosen is Place.FINDING:
            region = self._selected_region()
            if region is None:
                raise CtClipError("no finding with a region is selected in the Findings tab")
            return lambda: region
        index = self._bench.probe.index or row.peak
        study = self._bench.session.study
        if index is None or study is None:
            raise CtClipError("no place was clicked: click one in the picture first")
        if chosen is Place.HEAT:
            return partial(self._bench.truth.hot_region, row.prompt.positive, index)
        radius = self.radius.value()
        return partial(sphere_region, study.volume.geometry, index, radius_mm=radius)

    def _erase(self) -> None:
        row = self._row()
        self._bench.truth.erase(row.prompt, self._place(row), controls=_CONTROLS)

    def _test(self) -> None:
        self._bench.truth.test_map(self._row().prompt)

    def _save(self) -> None:
        folder = QFileDialog.getExistingDirectory(self, "Save the tests to")
        if folder:
            self._bench.truth.save(Path(folder))

    # --- what changes elsewhere -----------------------------------------------------------------

    def _show(self) -> None:
        erased, tested = self._bench.truth.erased, self._bench.truth.tested
        text = _HINT
        if erased is not None:
            text = "\n".join(
                f"{_named(effect.where)}: {effect.before:+.2f}, erased {effect.after:+.2f}; "
                f"{effect.reading}."
                for effect in erased.effects
            )
        self.result.setText(text)
        self.verdict.setText(_CURVES_HINT if tested is None else tested.reading)
        for box, on in ((self.change, erased is not None), (self.filled, False)):
            box.setEnabled(erased is not None)
            box.blockSignals(True)
            box.setChecked(on)
            box.blockSignals(False)
        self.save.setEnabled(erased is not None or tested is not None)
        self.plot.show_tests(erased, tested)

    def _show_cost(self, *_: object) -> None:
        """Write on the buttons about how long they take, while they are seen."""
        bench = self._bench
        chosen = Place(self.place.currentText())
        self.radius.setEnabled(chosen is Place.BALL)
        if not self.isVisible():
            return
        erase = curves = None
        row = self._selected_prompt()
        if bench.session.is_ready and row is not None and row.answer is not None:
            curves = bench.truth.cost.of_curves()
            erase = None if chosen is Place.HEAT else self._seconds(row)
        self.erase.setText("Erase and ask again" + _about(erase))
        self.curves.setText("Take tokens away" + _about(curves))

    def _seconds(self, row: PromptRow) -> float | None:
        try:
            return self._bench.truth.cost.of_occlusion(self._place(row)(), _CONTROLS)
        except CtClipError:  # nothing is chosen yet
            return None


def _about(seconds: float | None) -> str:
    if seconds is None:
        return ""
    return f" ({seconds:.0f} s)" if seconds < 90 else f" ({seconds / 60:.0f} min)"


def _named(where: str) -> str:
    """Return an organ as it is said; other places as they are."""
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
        self._erased: OccludedRegion | None = None
        self._tested: MapTest | None = None

    def show_tests(self, erased: OccludedRegion | None, tested: MapTest | None) -> None:
        """Draw the last results; nothing of what is None."""
        self._erased, self._tested = erased, tested
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
        if self._erased is not None:
            axes = _axes(rows.pop(0), 1, colours.paper)
            draw_effects(axes[0], self._erased, ink=colours.ink)
        if self._tested is not None:
            axes = _axes(rows.pop(0), 2, colours.paper)
            draw_curves(axes, self._tested, ink=colours.ink)

    def _count(self) -> int:
        return sum(test is not None for test in (self._erased, self._tested))


def _axes(figure: Any, count: int, paper: str) -> list[Any]:
    figure.set_facecolor(paper)
    axes: list[Any] = figure.subplots(1, count, squeeze=False)[0].tolist()
    for one in axes:
        one.set_facecolor(paper)
    return axes
