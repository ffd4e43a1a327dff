"""Pointer: what the mouse does in a canvas: probe, move the crosshair, set the window."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from psygnal import Signal

from napari_ctclip.core.volume import Window
from napari_ctclip.plugin.canvas.scene import Scene

__all__ = ["CLICK_PIXELS", "Pointer", "Tool"]

CLICK_PIXELS = 3.0
"""A press that moves no farther is a click."""

Tool = Callable[[Any, Any], Iterator[None] | None]
"""Takes a viewer and a left press; returns what follows the mouse, or None to leave it alone."""

_LEFT, _RIGHT = 1, 2
_LEAST_WIDTH = 1.0
_WIDTHS_A_PIXEL = 1 / 300
"""Ours: a drag of 300 pixels is as much as the window is wide; never less than 1 HU a pixel."""


class Pointer:
    """The mouse in every canvas of the window.

    Parameters
    ----------
    scene : Scene
        What is pointed at.
    on_click : callable
        Takes the voxel (z, y, x) of a left click that does not drag.
    """

    hovered = Signal(tuple)
    """The mouse is over a voxel (z, y, x) of the scan, in any plane."""

    def __init__(self, scene: Scene, on_click: Callable[[tuple[int, int, int]], None]) -> None:
        self._scene, self._on_click = scene, on_click
        self.tools: list[Tool] = []
        """Called in turn before a left press counts as a click."""

    def attach(self, viewer: Any) -> None:
        """Watch the mouse in a viewer, or in the model of another canvas of it."""
        viewer.mouse_drag_callbacks.append(self._on_press)
        viewer.mouse_move_callbacks.append(self._on_move)

    def _on_press(self, viewer: Any, event: Any) -> Iterator[None] | None:
        if viewer.dims.ndisplay != 2:
            return None
        if event.button == _LEFT and _pans(viewer):
            drags = (tool(viewer, event) for tool in self.tools)
            return next((drag for drag in drags if drag is not None), None) or self._click(event)
        if event.button == _RIGHT and self._scene.window is not None:
            return self._drag_window(event, self._scene.window)
        return None

    def _click(self, event: Any) -> Iterator[None]:
        """Act on a click; a drag stays napari's."""
        start = event.pos
        yield
        while event.type == "mouse_move":
            yield
        moved = abs(event.pos[0] - start[0]) + abs(event.pos[1] - start[1])
        index = self._scene.index_at(event.position[-3:])
        if moved <= CLICK_PIXELS and index is not None:
            self._on_click(index)

    def _drag_window(self, event: Any, window: Window) -> Iterator[None]:
        """Widen to the right, narrow to the left; brighten upwards, darken downwards."""
        start = event.pos
        gain = max(1.0, window.width * _WIDTHS_A_PIXEL)
        event.handled = True  # else the canvas zooms
        yield
        while event.type == "mouse_move":
            across, down = event.pos[0] - start[0], event.pos[1] - start[1]
            width = max(_LEAST_WIDTH, window.width + gain * across)
            self._scene.set_window(Window(round(window.level + gain * down), round(width)))
            event.handled = True
            yield

    def _on_move(self, viewer: Any, event: Any) -> None:
        """Tell where the mouse is; move the crosshair with it while Shift is held."""
        if viewer.dims.ndisplay != 2:
            return
        index = self._scene.index_at(event.position[-3:])
        if index is None:
            return
        self.hovered.emit(index)
        if _has_shift(event) and _pans(viewer):
            self._scene.turn_to(index)


def _pans(viewer: Any) -> bool:
    """Return whether no tool of napari's has the mouse."""
    active = viewer.layers.selection.active
    return active is None or str(active.mode) in ("pan_zoom", "transform")


def _has_shift(event: Any) -> bool:
    return any(str(getattr(modifier, "name", modifier)) == "Shift" for modifier in event.modifiers)
