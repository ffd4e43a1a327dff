"""Truth plot: what erasing did beside its controls, and the curves of taking tokens away."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtWidgets import QWidget

from napari_ctclip.exporting.faithfulness_figures import draw_curves, draw_effects
from napari_ctclip.plugin.widgets.themed_plot import PlotColours, ThemedPlot

if TYPE_CHECKING:
    from napari_ctclip.explanation.map_test import MapTest
    from napari_ctclip.explanation.occlusion import OccludedRegion

__all__ = ["FaithfulnessPlot"]


_ROW_PIXELS = 170


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
