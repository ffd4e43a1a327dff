"""Plots: similarity per organ, themed like napari."""

from __future__ import annotations

from typing import Any

from matplotlib.backends.backend_qtagg import FigureCanvasQTAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from napari.utils.theme import get_theme
from psygnal import Signal
from qtpy.QtCore import QSize, QTimer
from qtpy.QtWidgets import QSizePolicy, QVBoxLayout, QWidget

from napari_ctclip.core.anatomy import anatomy_label, colour_of
from napari_ctclip.plugin.prompt_table import ranked_organs
from napari_ctclip.scoring.answer import Answer

__all__ = ["OrganPlot"]

_MOST_BARS = 6
_MOST_TICKS = 5
_FONT = 8
_HINT = "Ask a prompt to see its similarity per organ"


class OrganPlot(QWidget):
    """Bars of one answer's similarity per organ; a click on a bar names the organ.

    Parameters
    ----------
    parent : QWidget or None
        The panel.
    """

    organ_clicked = Signal(str)
    """The anatomy whose bar was clicked."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.figure = Figure(layout="constrained")
        self.canvas = FigureCanvasQTAgg(self.figure)  # type: ignore[no-untyped-call]
        self.canvas.setAccessibleName("Similarity per organ")
        self._answer: Answer | None = None
        self._shown: list[str] = []
        self._theme = "dark"
        # drawn when the window is idle: a plot must not hold up the heat it goes with
        self._soon = QTimer(self)
        self._soon.setSingleShot(True)
        self._soon.timeout.connect(self._draw)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.canvas)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        self.setMinimumHeight(136)
        self.canvas.mpl_connect("button_press_event", self._on_click)
        self.show_answer(None)

    def sizeHint(self) -> QSize:
        """Return a size that leaves room for the table."""
        return QSize(360, 190)

    def set_theme(self, theme: str) -> None:
        """Draw in the colours of a napari theme."""
        self._theme = theme
        self.show_answer(self._answer)

    def show_answer(self, answer: Answer | None) -> None:
        """Draw an answer's organs, the most similar on top; None empties the plot."""
        self._answer = answer
        organs = [] if answer is None else ranked_organs(answer)[:_MOST_BARS]
        self._shown = [score.anatomy for score in organs]
        self._soon.start(0)

    def _draw(self) -> None:
        answer = self._answer
        self.figure.clear()
        theme = get_theme(self._theme)
        ink, paper = theme.text.as_hex(), theme.background.as_hex()
        self.figure.set_facecolor(paper)
        axes = self.figure.add_subplot()
        axes.set_facecolor(paper)
        axes.tick_params(colors=ink, labelsize=_FONT)
        for spine in axes.spines.values():
            spine.set_color(theme.secondary.as_hex())
        if answer is None or not self._shown:
            text = (
                "Ask a prompt to see its similarity per organ"
                if answer is None
                else "No organ masks"
            )
            axes.set_axis_off()
            axes.text(0.5, 0.5, text, color=ink, ha="center", va="center", fontsize=_FONT + 1)
        else:
            self._draw_bars(axes, answer, ink)
        self.canvas.draw_idle()  # type: ignore[no-untyped-call]

    def _draw_bars(self, axes: Any, answer: Answer, ink: str) -> None:
        organs = ranked_organs(answer)[:_MOST_BARS]
        places = range(len(organs))
        colours = [tuple(c / 255 for c in colour_of(s.anatomy)) for s in organs]
        axes.barh(places, [s.similarity for s in organs], color=colours, height=0.7)
        axes.set_yticks(places, [anatomy_label(s.anatomy) for s in organs])
        axes.invert_yaxis()
        axes.axvline(0.0, color=ink, linewidth=0.8)
        axes.xaxis.set_major_locator(MaxNLocator(_MOST_TICKS))
        axes.set_xlabel("similarity, relative to this scan", color=ink, fontsize=_FONT)
        title = answer.prompt.positive
        title = title if len(title) <= 40 else title[:39] + "…"
        self.figure.suptitle(f"Similarity per organ: {title}", color=ink, fontsize=_FONT + 1)

    def _on_click(self, event: Any) -> None:
        if event.ydata is None or not self._shown:
            return
        place = round(event.ydata)
        if 0 <= place < len(self._shown):
            self.organ_clicked.emit(self._shown[place])
