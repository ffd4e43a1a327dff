"""Place plot: the CT numbers of a place, counted."""

from __future__ import annotations

from matplotlib.backends.backend_qtagg import FigureCanvasQTAgg
from matplotlib.figure import Figure
from napari.utils.theme import get_theme
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_ctclip.regions.region_statistics import HounsfieldHistogram

__all__ = ["PlacePlot"]

_FONT = 8
_PIXELS = 74


class PlacePlot(QWidget):
    """A small histogram in the colours of the window; nothing to see without a place.

    Parameters
    ----------
    parent : QWidget or None
        The tab.
    """

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.figure = Figure(layout="constrained")
        self.canvas = FigureCanvasQTAgg(self.figure)  # type: ignore[no-untyped-call]
        self.canvas.setAccessibleName("CT numbers of the place; the line above says the same")
        self._theme = "dark"
        self._histogram: HounsfieldHistogram | None = None
        self._soon = QTimer(self)  # drawn when the window is idle
        self._soon.setSingleShot(True)
        self._soon.timeout.connect(self._draw)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.canvas)
        self.setFixedHeight(_PIXELS)

    def set_theme(self, theme: str) -> None:
        """Draw in the colours of a napari theme."""
        self._theme = theme
        self._soon.start(0)

    def show_histogram(self, histogram: HounsfieldHistogram | None) -> None:
        """Draw a histogram; None hides the plot."""
        self._histogram = histogram
        self.setVisible(histogram is not None)
        self._soon.start(0)

    def _draw(self) -> None:
        self.figure.clear()
        theme = get_theme(self._theme)
        ink, paper = theme.text.as_hex(), theme.background.as_hex()
        self.figure.set_facecolor(paper)
        counted = self._histogram
        if counted is not None:
            axes = self.figure.add_subplot()
            axes.set_facecolor(paper)
            axes.tick_params(colors=ink, labelsize=_FONT)
            for side, spine in axes.spines.items():
                spine.set_visible(side == "bottom")
                spine.set_color(ink)
            axes.set_yticks([])
            axes.stairs(counted.shares, counted.edges, fill=True, color=theme.current.as_hex())
            axes.set_xlim(float(counted.edges[0]), float(counted.edges[-1]))
            axes.set_xlabel("HU", color=ink, fontsize=_FONT, labelpad=1)
        self.canvas.draw_idle()  # type: ignore[no-untyped-call]
