"""Organ plot: the organs of an answer by their similarity, and as bars."""

from __future__ import annotations

from typing import Any

from matplotlib.ticker import MaxNLocator
from psygnal import Signal
from qtpy.QtCore import QSize
from qtpy.QtWidgets import QSizePolicy, QWidget

from napari_ctclip.core.anatomy import anatomy_label, colour_of
from napari_ctclip.plugin.widgets.themed_plot import FONT, PlotColours, ThemedPlot
from napari_ctclip.scoring.answer import Answer
from napari_ctclip.scoring.region_scores import RegionScore

__all__ = ["OrganPlot", "ranked_organs"]

_MOST_BARS = 6
_MOST_TICKS = 5
_EVERYWHERE = ("body",)
_HINT = "Type a prompt to see its similarity per organ"


class OrganPlot(ThemedPlot):
    """Bars of one answer's similarity per organ; a click on a bar names the organ.

    Parameters
    ----------
    parent : QWidget or None
        The panel.
    """

    organ_clicked = Signal(str)
    """The anatomy whose bar was clicked."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__("Similarity per organ", parent)
        self._answer: Answer | None = None
        self._shown: list[str] = []
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        self.setMinimumHeight(136)
        self.canvas.mpl_connect("button_press_event", self._on_click)
        self.show_answer(None)

    def sizeHint(self) -> QSize:
        """Return a size that leaves room for the table."""
        return QSize(360, 190)

    def show_answer(self, answer: Answer | None) -> None:
        """Draw an answer's organs, the most similar on top; None empties the plot."""
        self._answer = answer
        organs = [] if answer is None else ranked_organs(answer)[:_MOST_BARS]
        self._shown = [score.anatomy for score in organs]
        self.draw_soon()

    def fill(self, colours: PlotColours) -> None:
        """Draw a bar an organ."""
        answer = self._answer
        axes = self.figure.add_subplot()
        colours.dress(axes)
        if answer is None or not self._shown:
            text = _HINT if answer is None else "No organ masks"
            axes.set_axis_off()
            axes.text(
                0.5, 0.5, text, color=colours.ink, ha="center", va="center", fontsize=FONT + 1
            )
        else:
            self._draw_bars(axes, answer, colours.ink)

    def _draw_bars(self, axes: Any, answer: Answer, ink: str) -> None:
        organs = ranked_organs(answer)[:_MOST_BARS]
        places = range(len(organs))
        colours = [tuple(c / 255 for c in colour_of(s.anatomy)) for s in organs]
        axes.barh(places, [s.similarity for s in organs], color=colours, height=0.7)
        axes.set_yticks(places, [anatomy_label(s.anatomy) for s in organs])
        axes.invert_yaxis()
        axes.axvline(0.0, color=ink, linewidth=0.8)
        axes.xaxis.set_major_locator(MaxNLocator(_MOST_TICKS))
        axes.set_xlabel("similarity, relative to this scan", color=ink, fontsize=FONT)
        title = answer.prompt.positive
        title = title if len(title) <= 40 else title[:39] + "…"
        self.figure.suptitle(
            f"Similarity per organ: {title}", color=ink, fontsize=FONT + 1, parse_math=False
        )

    def _on_click(self, event: Any) -> None:
        if event.ydata is None or not self._shown:
            return
        place = round(event.ydata)
        if 0 <= place < len(self._shown):
            self.organ_clicked.emit(self._shown[place])


def ranked_organs(answer: Answer) -> list[RegionScore]:
    """Return the organs, most similar first, without those that say nothing about where."""
    return [score for score in answer.organs if score.anatomy not in _EVERYWHERE]
