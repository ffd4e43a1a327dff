"""Figures: three planes through a point with heatmap, contours, legend and organ bars, as a PNG."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from napari_ctclip.core.anatomy import anatomy_label
from napari_ctclip.core.errors import DataError
from napari_ctclip.figures.key_slices import KeySlices, draw_key_slices
from napari_ctclip.io.files import replacing

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    "DEFAULT_SIZE",
    "LARGEST_SIDE",
    "key_slice_figure",
    "write_figure",
    "write_gray_picture",
]

DEFAULT_SIZE = (1650, 506)
"""Width and height of a figure, pixels."""

LARGEST_SIDE, _SMALLEST_SIDE = 10_000, 200
_HEIGHT_INCHES = 4.6  # letters keep their size within the picture whatever its size
_MOST_BARS = 10


def write_gray_picture(gray: npt.NDArray[np.uint8], path: Path) -> None:
    """Write gray values (H, W) as a PNG, pixel by pixel."""
    from matplotlib.image import imsave

    imsave(path, gray, cmap="gray", vmin=0, vmax=255, format="png")


def key_slice_figure(
    shown: KeySlices,
    *,
    title: str,
    organ_probabilities: Mapping[str, float] | None = None,
    probability_means: str = "",
    size: tuple[int, int] = DEFAULT_SIZE,
) -> Figure:
    """Return axial, coronal and sagittal slices with heatmap and contours, and organ bars.

    Parameters
    ----------
    shown : KeySlices
        What the planes show.
    title : str
        Above them.
    organ_probabilities : mapping of str to float, optional
        Bars, in this order; no bars where there are none.
    probability_means : str
        What the bars were calibrated on, in words.
    size : tuple of int
        Width and height, pixels.

    Raises
    ------
    DataError
        If the size is no picture's.
    """
    # the Agg canvas itself: no window system and no pyplot state, so any thread may draw
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    width, height = size
    if not (min(size) >= _SMALLEST_SIDE and max(size) <= LARGEST_SIDE):
        raise DataError(
            f"a figure of {width} x {height} pixels cannot be drawn; expected {_SMALLEST_SIDE} to "
            f"{LARGEST_SIDE} a side, e.g. 1650x506"
        )
    dpi = height / _HEIGHT_INCHES
    figure = Figure(figsize=(width / dpi, _HEIGHT_INCHES), dpi=dpi, layout="constrained")
    FigureCanvasAgg(figure)
    bars = organ_probabilities or {}
    widths = (1.0, 1.0, 1.0, 0.8) if bars else (1.0, 1.0, 1.0)
    axes = figure.subplots(1, len(widths), width_ratios=widths)
    draw_key_slices(figure, list(axes[:3]), shown)
    if bars:
        _draw_bars(axes[3], bars, probability_means)
    across = max(40, round(10.5 * width / dpi))  # letters of 10 points that fit
    # what a user typed: a dollar sign is no formula
    figure.suptitle("\n".join(wrap(title, width=across)), fontsize=10, parse_math=False)
    return figure


def write_figure(figure: Figure, path: Path) -> None:
    """Write a figure as a PNG of its own size, whole or not at all."""
    with replacing(path) as partial:
        figure.savefig(partial, format="png")


def _draw_bars(ax: Axes, organ_probabilities: Mapping[str, float], means: str) -> None:
    shown = list(organ_probabilities.items())[:_MOST_BARS][::-1]
    ax.barh([anatomy_label(name) for name, _ in shown], [p for _, p in shown], color="#e07b39")
    ax.set_xlim(0, 1)
    label = "\n".join(wrap(f"probability: {means}", width=34))
    ax.set_xlabel(label, fontsize=8, parse_math=False)
    ax.set_title("organs", fontsize=9)
    ax.tick_params(labelsize=8)
