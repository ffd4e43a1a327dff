"""Model view: what a model is shown, every channel in three planes, as a PNG."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_ctclip.core.geometry import Geometry

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["model_view_png"]

_OPPOSITE = {"R": "L", "L": "R", "A": "P", "P": "A", "S": "I", "I": "S"}
_OTHERS = ((1, 2), (0, 2), (0, 1))
_MOST_CHANNELS = 8  # more rows than that are no picture
_PAPER, _INK = "#1a1c20", "#f0f1f2"
_CROP_COLOURS = ("#40e0ff", "#ffb347", "#7fff7f", "#ff7fd4")
_LETTER: Any = {"color": "#ffe14d", "fontsize": 9, "fontweight": "bold"}

Box = tuple[tuple[int, int], tuple[int, int], tuple[int, int]]


def model_view_png(
    image: npt.NDArray[np.float32],
    geometry: Geometry,
    inside: npt.NDArray[np.bool_],
    *,
    channel_names: Sequence[str],
    crops: Sequence[Box] = (),
    title: str = "",
) -> bytes:
    """Return a PNG of the planes through the middle of the scan, a row a channel.

    Letters at the edges say where each image axis points; padding is tinted red, crops are framed.

    Parameters
    ----------
    image : ndarray, shape (C, D, H, W)
        Prepared, values about 0..1 or -1..1; each channel is shown over its whole range.
    geometry : Geometry
        Of (D, H, W).
    inside : ndarray, shape (D, H, W), bool
        False where the image is padding.
    channel_names : sequence of str
        One a channel.
    crops : sequence of Box
        Start and stop (z, y, x), voxels.
    title : str
        Above it.
    """
    # the Agg canvas itself: no window system and no pyplot state, so any thread may draw
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rows = min(len(image), _MOST_CHANNELS)
    figure = Figure(figsize=(9, 0.5 + 3.0 * rows), layout="constrained", facecolor=_PAPER)
    FigureCanvasAgg(figure)
    axes = figure.subplots(rows, 3, squeeze=False)
    centre = [int(np.flatnonzero(inside.any(axis=others)).mean()) for others in _OTHERS]
    for row, (channel, name) in enumerate(zip(image[:rows], channel_names, strict=False)):
        limits = float(channel.min()), max(float(channel.max()), float(channel.min()) + 1e-6)
        for axis, ax in enumerate(axes[row]):
            plane = (axis, centre[axis])
            _draw_plane(ax, channel, inside, plane=plane, limits=limits)
            ax.set_aspect(_aspect(geometry, axis))
            _write_letters(ax, geometry, axis)
            _frame_crops(ax, crops, plane)
            ax.set_title(name if axis == 0 else "", fontsize=9, loc="left", color=_INK)
    figure.suptitle(title, fontsize=10, color=_INK, parse_math=False)
    stream = BytesIO()
    figure.savefig(stream, dpi=100, format="png")
    return stream.getvalue()


def _draw_plane(
    ax: Axes,
    channel: npt.NDArray[np.float32],
    inside: npt.NDArray[np.bool_],
    *,
    plane: tuple[int, int],
    limits: tuple[float, float],
) -> None:
    axis, position = plane
    picture = np.take(channel, position, axis=axis)
    ax.imshow(picture, cmap="gray", vmin=limits[0], vmax=limits[1], interpolation="nearest")
    padding: npt.NDArray[Any] = np.zeros((*picture.shape, 4), dtype=np.float32)
    padding[~np.take(inside, position, axis=axis)] = (0.9, 0.1, 0.1, 0.35)
    ax.imshow(padding, interpolation="nearest")
    ax.set_axis_off()


def _aspect(geometry: Geometry, axis: int) -> float:
    row_mm, column_mm = (s for i, s in enumerate(geometry.spacing_mm) if i != axis)
    return row_mm / column_mm


def _write_letters(ax: Axes, geometry: Geometry, axis: int) -> None:
    """Write where rows and columns of a plane point to, at its edges."""
    from matplotlib.patheffects import withStroke

    down, right = (code for i, code in enumerate(geometry.axis_codes) if i != axis)
    for x, y, letter in (
        (0.5, 0.97, _OPPOSITE[down]),
        (0.5, 0.03, down),
        (0.02, 0.5, _OPPOSITE[right]),
        (0.98, 0.5, right),
    ):
        text = ax.text(x, y, letter, transform=ax.transAxes, ha="center", va="center", **_LETTER)
        text.set_path_effects([withStroke(linewidth=2, foreground="black")])


def _frame_crops(ax: Axes, crops: Sequence[Box], plane: tuple[int, int]) -> None:
    from matplotlib.patches import Rectangle

    axis, position = plane
    for number, box in enumerate(crops):
        if not box[axis][0] <= position < box[axis][1]:
            continue
        (top, bottom), (left, right) = (span for i, span in enumerate(box) if i != axis)
        colour = _CROP_COLOURS[number % len(_CROP_COLOURS)]
        frame = Rectangle((left - 0.5, top - 0.5), right - left, bottom - top, fill=False)
        frame.set(edgecolor=colour, linewidth=1.5)
        ax.add_patch(frame)
