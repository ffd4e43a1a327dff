"""Training curves: loss terms, learning rate and speed of a run, themed like napari."""

from __future__ import annotations

from typing import Any

import numpy as np
from qtpy.QtCore import QSize
from qtpy.QtWidgets import QSizePolicy, QWidget

from napari_ctclip.plugin.widgets.themed_plot import FONT, PlotColours, ThemedPlot
from napari_ctclip.pretraining.runs.run_record import Floats, RunRecord, thinned

__all__ = ["TrainingCurves"]

_MOST_POINTS = 800
_STYLES = ("-", "--", ":", "-.")  # terms differ by more than their colour
_COLOURS = ("#ff9d2e", "#4cc9f0", "#f15bb5", "#9bdc28", "#b892ff", "#ff6b5e")
_ON_WHITE = ("#b35900", "#0077a8", "#b3186f", "#4d7a00", "#6a3fc4", "#b3261e")
_HINT = "No step is logged yet"


class TrainingCurves(ThemedPlot):
    """Three plots over the steps of a run, one above the other.

    Parameters
    ----------
    parent : QWidget or None
        The monitor.
    """

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__("Training curves", parent)
        self._record: RunRecord | None = None
        self._is_log = False
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setMinimumHeight(250)
        self.show_record(None)

    def sizeHint(self) -> QSize:
        """Return a size that leaves room for the controls."""
        return QSize(400, 330)

    def set_log(self, is_log: bool) -> None:
        """Draw the loss on a logarithmic scale, or a linear one."""
        self._is_log = is_log
        self.draw_soon()

    def show_record(self, record: RunRecord | None) -> None:
        """Draw a run; None empties the plots."""
        self._record = record
        self.draw_soon()

    def fill(self, colours: PlotColours) -> None:
        """Draw the loss, the learning rate and the seconds a step."""
        lines = _ON_WHITE if _is_light(colours.paper) else _COLOURS
        record = self._record
        if record is None or not record.done:
            text = _HINT if record is not None else "Open the folder of a run to see its curves"
            self.figure.text(
                0.5, 0.5, text, color=colours.ink, ha="center", va="center", fontsize=FONT + 1
            )
            return
        steps = record.metrics["step"]
        loss, rate, speed = self.figure.subplots(
            3, 1, sharex=True, gridspec_kw={"height_ratios": (3, 1, 1)}
        )
        for number, name in enumerate(record.terms):
            if name in record.metrics:
                style = {"linestyle": _STYLES[number % 4], "color": lines[number % 6]}
                _line(loss, steps, record.metrics[name], label=name.replace("_", " "), **style)
        logs = self._is_log and _has_positive(record)
        loss.set_yscale("log" if logs else "linear")
        if "learning_rate" in record.metrics:
            _line(rate, steps, record.metrics["learning_rate"], color=lines[1])
        if len(record.step_seconds):
            _line(speed, steps, record.step_seconds, color=lines[3], label="a step")
        if "waited" in record.metrics:
            waited = record.metrics["waited"]
            _line(speed, steps, waited, color=lines[5], linestyle="--", label="waiting for data")
        for axes, title in ((loss, "loss"), (rate, "learning rate"), (speed, "seconds")):
            _name(axes, title, colours)
        speed.set_xlabel("step", color=colours.ink, fontsize=FONT)


def _line(axes: Any, x: Floats, y: Floats, **style: Any) -> None:
    thin_x, thin_y = thinned(x, y, most=_MOST_POINTS)
    marker = "o" if len(thin_x) < 3 else ""
    axes.plot(thin_x, thin_y, linewidth=1.2, marker=marker, markersize=3, **style)


def _name(axes: Any, title: str, colours: PlotColours) -> None:
    ink, paper, edge = colours.ink, colours.paper, colours.edge
    colours.dress(axes)
    axes.set_ylabel(title, color=ink, fontsize=FONT)
    axes.locator_params(axis="x", integer=True)
    if title == "learning rate":
        axes.ticklabel_format(axis="y", style="sci", scilimits=(0, 0))
        axes.yaxis.get_offset_text().set(color=ink, fontsize=FONT - 1)
    if len(axes.lines) > 1:
        place = "upper right" if title == "loss" else "center right"  # off the lines
        legend = axes.legend(fontsize=FONT - 1, facecolor=paper, edgecolor=edge, loc=place)
        for text in legend.get_texts():
            text.set_color(ink)


def _has_positive(record: RunRecord) -> bool:
    columns = [record.metrics[name] for name in record.terms if name in record.metrics]
    return any(np.nanmax(column, initial=0) > 0 for column in columns)


def _is_light(colour: str) -> bool:
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return red * 0.3 + green * 0.59 + blue * 0.11 > 127
