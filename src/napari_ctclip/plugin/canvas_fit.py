"""Canvas fit: what a canvas shows keeps its proportion to the canvas when that changes size."""

from __future__ import annotations

import math
from typing import Any

from napari_ctclip.plugin._compat import camera_of, scale_bar

__all__ = ["CanvasFit"]

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
        self._fitting = _fitting_zoom(viewer)
        viewer.canvas.events.size.connect(self._on_size)
        camera_of(viewer).events.zoom.connect(self._measure)
        viewer.layers.events.inserted.connect(self._on_layers)
        viewer.layers.events.removed.connect(self._on_layers)
        viewer.dims.events.order.connect(self._on_layers)

    def _on_size(self, *_: Any) -> None:
        before, now = self._fitting, _fitting_zoom(self._viewer)
        self._fitting = now
        if before and now:
            camera_of(self._viewer).zoom *= now / before
        self._measure()
        self._size_colour_bars()

    def _on_layers(self, *_: Any) -> None:
        self._fitting = _fitting_zoom(self._viewer)
        self._size_colour_bars()

    def _measure(self, *_: Any) -> None:
        """Give the scale bar the longest round length that leaves the letters alone."""
        zoom, width = camera_of(self._viewer).zoom, self._viewer.canvas.size[1]
        if zoom > 0 and width > 0 and self._viewer.layers:
            scale_bar(self._viewer).length = _round_down(_BAR_SHARE * width / zoom)

    def _size_colour_bars(self) -> None:
        size = _COLOUR_BARS[self._viewer.canvas.size[0] >= _TALL]
        for layer in self._viewer.layers:
            bar = getattr(layer, "colorbar", None)
            if bar is not None and tuple(bar.size) != size:
                bar.size = size


def _fitting_zoom(viewer: Any) -> float:
    """Return the zoom at which the scan just fits the canvas, but for a factor; 0 for none."""
    height, width = viewer.canvas.size
    if viewer.dims.ndim != 3 or not viewer.layers or min(height, width) < 2:
        return 0.0
    spans = [float(high - low) for low, high, _ in viewer.dims.range]
    down, right = (spans[axis] for axis in viewer.dims.order[-2:])
    return float(min(height / max(down, 1e-6), width / max(right, 1e-6)))


def _round_down(length: float) -> float:
    """Return the largest of 1, 2, 5, 10, 20, 50 ... that is not longer."""
    tenfold: float = 10.0 ** math.floor(math.log10(length))
    steps = [step for step in (1.0, 2.0, 5.0) if step * tenfold <= length * (1 + 1e-9)]
    return tenfold * max(steps, default=1.0)
