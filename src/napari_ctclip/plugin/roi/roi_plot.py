"""Place plot: the CT numbers of a place, counted."""

from __future__ import annotations

from qtpy.QtWidgets import QWidget

from napari_ctclip.plugin.widgets.themed_plot import FONT, PlotColours, ThemedPlot
from napari_ctclip.regions.region_statistics import HounsfieldHistogram

__all__ = ["RoiPlot"]

_PIXELS = 74


class RoiPlot(ThemedPlot):
    """A small histogram; nothing to see without a place.

    Parameters
    ----------
    parent : QWidget or None
        The tab.
    """

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__("CT numbers of the place; the line above says the same", parent)
        self._histogram: HounsfieldHistogram | None = None
        self.setFixedHeight(_PIXELS)

    def show_histogram(self, histogram: HounsfieldHistogram | None) -> None:
        """Draw a histogram; None hides the plot."""
        self._histogram = histogram
        self.setVisible(histogram is not None)
        self.draw_soon()

    def fill(self, colours: PlotColours) -> None:
        """Draw the counts over an axis of HU."""
        counted = self._histogram
        if counted is None:
            return
        axes = self.figure.add_subplot()
        colours._replace(edge=colours.ink).dress(axes)
        axes.spines[["left", "right", "top"]].set_visible(False)
        axes.set_yticks([])
        axes.stairs(counted.shares, counted.edges, fill=True, color=colours.fill)
        axes.set_xlim(float(counted.edges[0]), float(counted.edges[-1]))
        axes.set_xlabel("HU", color=colours.ink, fontsize=FONT, labelpad=1)
