"""Themed plot: a figure in the colours of the window, drawn when the window is idle."""

from __future__ import annotations

from typing import Any, NamedTuple

from matplotlib.backends.backend_qtagg import FigureCanvasQTAgg
from matplotlib.figure import Figure
from napari.utils.theme import get_theme
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QVBoxLayout, QWidget

__all__ = ["FONT", "PlotColours", "ThemedPlot"]

FONT = 8
"""Of numbers and names in a plot of the panel, points."""


class PlotColours(NamedTuple):
    """What a napari theme gives a plot, as "#rrggbb"."""

    ink: str
    paper: str
    edge: str
    fill: str

    def dress(self, axes: Any) -> None:
        """Colour the paper, ticks and frame of axes."""
        axes.set_facecolor(self.paper)
        axes.tick_params(colors=self.ink, labelsize=FONT, which="both")
        for spine in axes.spines.values():
            spine.set_color(self.edge)


class ThemedPlot(QWidget):
    """A figure that a subclass fills.

    Parameters
    ----------
    spoken : str
        What the plot shows, for those who do not see it.
    parent : QWidget or None
        The widget it lies in.
    """

    def __init__(self, spoken: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.figure = Figure(layout="constrained")
        self.canvas = FigureCanvasQTAgg(self.figure)  # type: ignore[no-untyped-call]
        self.canvas.setAccessibleName(spoken)
        self._theme = "dark"
        # once for several changes, and never before the heatmap or list it goes with
        self._soon = QTimer(self)
        self._soon.setSingleShot(True)
        self._soon.timeout.connect(self.draw)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.canvas)

    def set_theme(self, theme: str) -> None:
        """Draw in the colours of a napari theme."""
        self._theme = theme
        self.draw_soon()

    def draw_soon(self) -> None:
        """Draw when the window is idle."""
        self._soon.start(0)

    def draw(self) -> None:
        """Draw now."""
        theme = get_theme(self._theme)
        colours = PlotColours(
            theme.text.as_hex(),
            theme.background.as_hex(),
            theme.secondary.as_hex(),
            theme.current.as_hex(),
        )
        self.figure.clear()
        self.figure.set_facecolor(colours.paper)
        self.fill(colours)
        self.canvas.draw_idle()  # type: ignore[no-untyped-call]

    def fill(self, colours: PlotColours) -> None:
        """Draw into the empty figure."""
        raise NotImplementedError
