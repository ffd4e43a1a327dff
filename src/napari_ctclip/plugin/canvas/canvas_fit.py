"""Canvas fit: what a canvas shows keeps its proportion to the canvas when that changes size."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from napari_ctclip.plugin.canvas._compat import camera_of, scale_bar

__all__ = ["CanvasFit", "fitting_zoom"]

_BAR_SHARE = 0.28
"""Ours: of the canvas's width; half of it is free beside the letter in the middle."""

_TALL = 420  # pixels; below, a whole colour bar would reach the letter at the side
_COLOUR_BARS = {True: (25.0, 150.0), False: (14.0, 64.0)}


class CanvasFit:
    """Zoom, scale bar and colour bars of one canvas.

    napari keeps the zoom when a window grows, and the scan small in the middle of it; its scale bar
    and colour bars have a fixed size, which covers the letters of a small canvas.

    Parameters
    ----------
    viewer : Viewer or ViewerModel
        Whose canvas it is.
    """

    def __init__(self, viewer: Any) -> None:
        self._viewer = viewer
        self._size = tuple(viewer.canvas.size)
        viewer.canvas.events.size.connect(self._on_size)
        camera_of(viewer).events.zoom.connect(self._measure)
        viewer.layers.events.inserted.connect(self._size_colour_bars)

    def _on_size(self, *_: Any) -> None:
        size = tuple(self._viewer.canvas.size)
        before, now = (fitting_zoom(self._viewer, *s) for s in (self._size, size))
        self._size = size
        if before and now:
            camera_of(self._viewer).zoom *= now / before
        self._measure()
        self._size_colour_bars()

    def _measure(self, *_: Any) -> None:
        """Give the scale bar the longest round length that leaves the letters alone."""
        zoom, width = camera_of(self._viewer).zoom, self._viewer.canvas.size[1]
        if zoom > 0 and width > 0 and self._viewer.layers:
            scale_bar(self._viewer).length = _round_down(_BAR_SHARE * width / zoom)

    def _size_colour_bars(self, *_: Any) -> None:
        size = _COLOUR_BARS[self._viewer.canvas.size[0] >= _TALL]
        for layer in self._viewer.layers:
            bar = getattr(layer, "colorbar", None)
            if bar is not None and tuple(bar.size) != size:
                bar.size = size


def fitting_zoom(viewer: Any, height: float, width: float) -> float:
    """Return the zoom at which the scan just fits a canvas, but for a factor; 0 for none."""
    if viewer.dims.ndim != 3 or not viewer.layers or min(height, width) < 2:
        return 0.0
    spans = np.array([high - low for low, high, _ in viewer.dims.range])
    down, right = (float(spans[axis]) for axis in viewer.dims.order[-2:])
    if viewer.dims.ndisplay == 3:
        camera = camera_of(viewer)
        up, ahead = np.asarray(camera.up_direction), np.asarray(camera.view_direction)
        down, right = (float(np.abs(axis) @ spans) for axis in (up, np.cross(ahead, up)))
    return float(min(height / max(down, 1e-6), width / max(right, 1e-6)))


def _round_down(length: float) -> float:
    """Return the largest of 1, 2, 5, 10, 20, 50 ... that is not longer."""
    tenfold: float = 10.0 ** math.floor(math.log10(length))
    steps = [step for step in (1.0, 2.0, 5.0) if step * tenfold <= length * (1 + 1e-9)]
    return tenfold * max(steps, default=1.0)
