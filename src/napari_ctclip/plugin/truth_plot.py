"""Truth plot: what erasing did beside its controls, and the curves of taking tokens away."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from matplotlib.backends.backend_qtagg import FigureCanvasQTAgg
from matplotlib.figure import Figure
from napari.utils.theme import get_theme
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_ctclip.exporting.truth_pictures import draw_curves, draw_effects

if TYPE_CHECKING:
    from napari_ctclip.scoring.erase import ErasedPlace
    from napari_ctclip.scoring.map_test import MapTest

__all__ = ["TruthPlot"]


_ROW_PIXELS = 170


class TruthPlot(QWidget):
    """Drawn by the same code as the saved pictures, in the colours of the window.

    Parameters
    ----------
    parent : QWidget or None
        The tab.
    """

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.figure = Figure(layout="constrained")
        self.canvas = FigureCanvasQTAgg(self.figure)  # type: ignore[no-untyped-call]
        self.canvas.setAccessibleName("Tests of the map; the lines of text say the same")
        self._theme = "dark"
        self._erased: ErasedPlace | None = None
        self._tested: MapTest | None = None
        self._soon = QTimer(self)
        self._soon.setSingleShot(True)
        self._soon.timeout.connect(self._draw)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.canvas)

    def set_theme(self, theme: str) -> None:
        """Draw in the colours of a napari theme."""
        self._theme = theme
        self._soon.start(0)

    def show_tests(self, erased: ErasedPlace | None, tested: MapTest | None) -> None:
        """Draw the last results; nothing of what is None."""
        self._erased, self._tested = erased, tested
        count = sum(test is not None for test in (erased, tested))
        self.setVisible(count > 0)
        self.setMinimumHeight(_ROW_PIXELS * count)
        self._soon.start(0)

    def _draw(self) -> None:
        self.figure.clear()
        theme = get_theme(self._theme)
        ink, paper = theme.text.as_hex(), theme.background.as_hex()
        self.figure.set_facecolor(paper)
        count = sum(test is not None for test in (self._erased, self._tested))
        if count:
            # the panel is narrow: a test a row, the two curves side by side
            rows = self.figure.subfigures(count, 1, squeeze=False)[:, 0].tolist()
            if self._erased is not None:
                draw_effects(_axes(rows.pop(0), 1, paper)[0], self._erased, ink=ink)
            if self._tested is not None:
                draw_curves(_axes(rows.pop(0), 2, paper), self._tested, ink=ink)
        self.canvas.draw_idle()  # type: ignore[no-untyped-call]


def _axes(figure: Any, count: int, paper: str) -> list[Any]:
    figure.set_facecolor(paper)
    axes: list[Any] = figure.subplots(1, count, squeeze=False)[0].tolist()
    for one in axes:
        one.set_facecolor(paper)
    return axes
