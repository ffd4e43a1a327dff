"""What napari keeps private or renames between versions, in one place."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from napari.components.overlays import TextOverlay

if TYPE_CHECKING:
    from napari.viewer import Viewer
    from qtpy.QtWidgets import QMainWindow

__all__ = [
    "guard_layer_removal",
    "keep_setting",
    "main_window",
    "place_text",
    "plain_viewer",
    "remove_text",
    "scale_bar",
    "setting",
]

_LOG = logging.getLogger(__name__)


def guard_layer_removal(viewer: Viewer) -> None:
    """Make the canvas's OpenGL context current before any layer goes.

    Without it vispy frees the layer's buffers in whichever context is current, and hiding, painting
    and removing a layer ends the process (napari 0.6 to 0.9, PyQt6 and PySide6).
    """

    def make_current(event: Any = None) -> None:
        try:
            viewer.window._qt_viewer.canvas._scene_canvas.set_current()
        except (AttributeError, RuntimeError) as error:  # no Qt window, or it is being closed
            _LOG.debug("no canvas to make current: %s", error)

    if getattr(viewer.layers, "_ctclip_guarded", None) is None:
        viewer.layers.events.removing.connect(make_current, position="first")
        object.__setattr__(viewer.layers, "_ctclip_guarded", make_current)


def plain_viewer(viewer: Viewer) -> Viewer:
    """Return the viewer itself where napari hands plugins a proxy that hides private names."""
    plain: Viewer = getattr(viewer, "__wrapped__", viewer)
    return plain


def main_window(viewer: Viewer) -> QMainWindow | None:
    """Return the viewer's window; None without one (``ViewerModel``)."""
    window: QMainWindow | None = getattr(getattr(viewer, "window", None), "_qt_window", None)
    return window


def scale_bar(viewer: Viewer) -> Any:
    """Return the viewer's scale bar overlay."""
    return viewer.canvas.overlays.scale_bar


def place_text(viewer: Viewer, name: str, **properties: Any) -> None:
    """Put a line of text on the canvas, or change it; every part of the plugin has its own name."""
    overlays = viewer.canvas.overlays
    key = f"ctclip_{name}"
    if key not in overlays:
        overlays[key] = TextOverlay(**properties)
        return
    for field, value in properties.items():
        setattr(overlays[key], field, value)


def remove_text(viewer: Viewer) -> None:
    """Take all of the plugin's lines off the canvas."""
    overlays = viewer.canvas.overlays
    for key in [key for key in overlays if key.startswith("ctclip_")]:
        overlays[key].visible = False


def setting(name: str, *, default: Any) -> Any:
    """Return one of the plugin's settings (Preferences > Plugin Preferences)."""
    found = _settings()
    return default if found is None else getattr(found, name, default)


def keep_setting(name: str, value: Any) -> None:
    """Store one of the plugin's settings."""
    found = _settings()
    if found is not None:
        setattr(found, name, value)


def _settings() -> Any:
    from napari.settings import get_plugin_settings

    try:
        return get_plugin_settings("napari-ctclip").panel
    except (AttributeError, KeyError, ValueError) as error:  # plugin not registered, e.g. in tests
        _LOG.debug("no plugin settings: %s", error)
        return None
