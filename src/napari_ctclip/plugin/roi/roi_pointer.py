"""ROI pointer: drawing a sphere or a box with the mouse, in any plane."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from psygnal import Signal

from napari_ctclip.core.roi import Roi, RoiKind
from napari_ctclip.plugin.canvas.pointer import CLICK_PIXELS
from napari_ctclip.plugin.roi.roi_flow import RoiFlow
from napari_ctclip.plugin.window.window import Window

__all__ = ["LARGEST_MM", "RoiPointer"]

LARGEST_MM = 60.0
"""Ours: the largest radius of a sphere; beyond it an organ says more."""


class RoiPointer:
    """The two tools: a sphere from its centre outwards, a box from corner to corner.

    Parameters
    ----------
    window : Window
        Whose scene is drawn on.
    flow : RoiFlow
        Takes what is drawn.
    """

    tool_changed = Signal()
    """Another tool has the mouse, or none."""

    def __init__(self, window: Window, flow: RoiFlow) -> None:
        self._window, self._scene, self._flow = window, window.scene, flow
        self.tool: RoiKind | None = None

    def arm(self, tool: RoiKind | None) -> None:
        """Give the mouse to a tool; None gives it back."""
        if tool is not self.tool:
            self.tool = tool
            self.tool_changed.emit()

    def toggle(self, tool: RoiKind) -> None:
        """Arm a tool, or disarm it if it was armed."""
        self.arm(None if self.tool is tool else tool)

    def drag(self, viewer: Any, event: Any) -> Iterator[None] | None:
        """Return what follows the mouse from this press on; None if no tool has it."""
        if self.tool is None or self._scene.frame is None:
            return None
        if self._scene.index_at(event.position[-3:]) is None:
            return None
        return self._drag(viewer, event, self.tool)

    def _drag(self, viewer: Any, event: Any, tool: RoiKind) -> Iterator[None]:
        pressed, first = event.pos, np.asarray(event.position[-3:])
        start = self._scene.index_at(first)
        across = viewer.dims.order[-3] - (viewer.dims.ndim - 3)
        event.handled = True  # else the canvas pans
        roi: Roi | None = None
        yield
        while event.type == "mouse_move":
            event.handled = True
            if _pixels(pressed, event.pos) > CLICK_PIXELS:
                roi = self._dragged(tool, start, first, event, across) or roi
                if roi is not None:
                    self._flow.preview(roi)
            yield
        if _pixels(pressed, event.pos) <= CLICK_PIXELS:
            roi = self._clicked(tool, start)
        if roi is not None:
            drawn = roi
            self._window.guarded(lambda: self._flow.take(drawn))

    def _clicked(self, tool: RoiKind, index: Any) -> Roi:
        """Return an ROI of the size that is set, about a voxel."""
        if tool is RoiKind.SPHERE:
            return Roi.sphere(index, self._flow.radius_mm)
        return Roi.box(index, self._flow.sides_mm)

    def _dragged(
        self, tool: RoiKind, start: Any, first: Any, event: Any, across: int
    ) -> Roi | None:
        """Return what was drawn so far; None where the mouse has left the scan."""
        here = np.asarray(event.position[-3:])
        if tool is RoiKind.SPHERE:
            radius = min(float(np.linalg.norm(here - first)), LARGEST_MM)
            return Roi.sphere(start, round(radius, 1))
        end, frame = self._scene.index_at(here), self._scene.frame
        if end is None or frame is None:
            return None
        depth = self._flow.sides_mm[across]
        return Roi.box_between(frame.geometry, start, end, across=across, depth_mm=depth)


def _pixels(start: Any, end: Any) -> float:
    return float(abs(end[0] - start[0]) + abs(end[1] - start[1]))
