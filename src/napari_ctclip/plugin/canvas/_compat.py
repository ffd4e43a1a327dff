"""What napari keeps private or renames between versions, in one place."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from weakref import ref

from napari.components.overlays import TextOverlay
from qtpy.QtCore import QTimer

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.qt import QtViewer
    from napari.viewer import Viewer
    from qtpy.QtWidgets import QBoxLayout, QMainWindow

__all__ = [
    "before_slicing",
    "beside_canvas",
    "camera_of",
    "draw_lines",
    "floating_axes",
    "guard_layer_removal",
    "hold_drawing",
    "is_going",
    "main_window",
    "make_canvas",
    "on_labels_painted",
    "own_canvas",
    "place_text",
    "plain_viewer",
    "quits_program",
    "remove_text",
    "scale_bar",
]

_LOG = logging.getLogger(__name__)


def guard_layer_removal(viewer: Viewer) -> None:
    """Make the canvas's OpenGL context current before any layer goes.

    Without it vispy frees the layer's buffers in whichever context is current, and hiding, painting
    and removing a layer ends the process (napari 0.6 to 0.9, PyQt6 and PySide6).
    """
    _guard(viewer, lambda: viewer.window._qt_viewer)


def _guard(viewer: Any, qt_viewer: Callable[[], QtViewer]) -> None:
    def make_current(event: Any = None) -> None:
        try:
            qt_viewer().canvas._scene_canvas.set_current()
        except (AttributeError, RuntimeError) as error:  # no Qt window, or it is being closed
            _LOG.debug("no canvas to make current: %s", error)

    if getattr(viewer.layers, "_ctclip_guarded", None) is None:
        viewer.layers.events.removing.connect(make_current, position="first")
        object.__setattr__(viewer.layers, "_ctclip_guarded", make_current)


def make_canvas(viewer: Viewer, model: ViewerModel, *, alone: bool = False) -> QtViewer:
    """Return a canvas of its own for a second viewer model, to stand beside the viewer's.

    It takes no dropped files; they belong to the viewer.

    Parameters
    ----------
    viewer : Viewer
        Beside whose canvas it stands.
    model : ViewerModel
        What it shows.
    alone : bool
        Whether it has sliders and the keyboard of its own; else both are the viewer's.
    """
    from napari.qt import QtViewer

    canvas = QtViewer(model)
    reference = ref(canvas)
    _guard(model, lambda: reference())
    canvas.setAcceptDrops(False)
    native = canvas.canvas.native
    native.setMinimumSize(120, 120)
    if not alone:
        canvas.dims.hide()
        native.setFocusProxy(viewer.window._qt_viewer.canvas.native)
    return canvas


def draw_lines(canvas: QtViewer, lines: Any, colour: str, *, name: str) -> None:
    """Draw lines over a canvas, or move those drawn before under the same name.

    Parameters
    ----------
    canvas : QtViewer
        The viewer's own, or one of :func:`make_canvas`.
    lines : ndarray, shape (2 n, 2) or None
        Ends (x, y) of n lines in the world of the plane shown; None hides them.
    colour : str
        Of the lines.
    name : str
        What they are, e.g. ``"cross"``.
    """
    from vispy.scene.visuals import Line

    key = f"_ctclip_{name}"
    drawn = getattr(canvas, key, None)
    if lines is None:
        if drawn is not None:
            drawn.visible = False
        return
    if drawn is None:
        drawn = Line(pos=lines, color=colour, width=1, connect="segments", method="gl")
        drawn.set_gl_state("translucent", depth_test=False)
        drawn.order = 10_000
        drawn.parent = canvas.canvas.view.scene
        setattr(canvas, key, drawn)
    drawn.set_data(pos=lines)
    drawn.visible = True


def own_canvas(viewer: Viewer) -> QtViewer:
    """Return the viewer's own canvas."""
    canvas: QtViewer = viewer.window._qt_viewer
    return canvas


def hold_drawing(viewer: Viewer, held: bool) -> None:
    """Draw the viewer's own canvas no more, or again, where there is a window."""
    if main_window(viewer) is not None:
        own_canvas(viewer).canvas.native.setUpdatesEnabled(not held)


def before_slicing(viewer: Viewer, callback: Callable[..., Any]) -> None:
    """Call back when the viewer turns to 2D or 3D, before its layers are sliced for that.

    ``connect(position="first")`` comes after all of napari's own callbacks.
    """
    emitter = viewer.dims.events.ndisplay
    emitter.connect(callback)
    names = [c[1] if isinstance(c, tuple) else "" for c in emitter._callbacks]
    place = names.index("_update_layers") if "_update_layers" in names else 0
    for row in (emitter._callbacks, emitter._callback_refs, emitter._callback_pass_event):
        row.insert(place, row.pop())


def beside_canvas(viewer: Viewer) -> QBoxLayout | None:
    """Return the layout that the viewer's canvas stands in; None without a window."""
    window = main_window(viewer)
    centre = None if window is None else window.centralWidget()
    layout: QBoxLayout | None = None if centre is None else centre.layout()  # type: ignore[assignment]
    return layout


def camera_of(viewer: Any) -> Any:
    """Return a viewer's camera."""
    return viewer.scene.camera


def on_labels_painted(layer: Any, act: Callable[[Any], None]) -> None:
    """Call ``act(box)`` after a stroke, a fill, napari's undo or redo changed a labels layer.

    ``box`` is a slice an axis; None where it is not known. napari tells of a fill before it is
    done and of its undo not at all.
    """

    def later(box: Any) -> None:
        QTimer.singleShot(0, lambda: act(box))

    layer.events.paint.connect(lambda event: later(_box_of(event.value)))
    for name in ("undo", "redo"):
        original = getattr(layer, name)

        def step(original: Callable[[], None] = original) -> None:
            original()
            later(None)

        setattr(layer, name, step)


def _box_of(item: Any) -> Any:
    """Return the box that a step of napari's paint history changed."""
    boxes = [
        atom.slice_key
        if hasattr(atom, "slice_key")
        else tuple(slice(int(axis.min()), int(axis.max()) + 1) for axis in atom[0])
        for atom in item
    ]
    axes = zip(*boxes, strict=True)
    return tuple(slice(min(s.start for s in a), max(s.stop for s in a)) for a in axes) or None


def plain_viewer(viewer: Viewer) -> Viewer:
    """Return the viewer itself where napari hands plugins a proxy that hides private names."""
    plain: Viewer = getattr(viewer, "__wrapped__", viewer)
    return plain


def main_window(viewer: Viewer) -> QMainWindow | None:
    """Return the viewer's window; None without one (``ViewerModel``)."""
    window: QMainWindow | None = getattr(getattr(viewer, "window", None), "_qt_window", None)
    return window


def is_going(viewer: Viewer) -> bool:
    """Return whether a script's ``viewer.close()`` has begun, which nothing can hold up."""
    try:
        return bool(own_canvas(viewer).isHidden())
    except (AttributeError, RuntimeError):  # gone already
        return True


def quits_program(window: QMainWindow, set_to: bool) -> bool:
    """Return whether the close of a window ends the program, and set whether the next one does.

    napari notes *Exit* before it closes the window, and keeps the note if the window stays.
    """
    was = bool(getattr(window, "_quit_app", False))
    if was != set_to:
        window._quit_app = set_to  # type: ignore[attr-defined]
    return was


def scale_bar(viewer: Viewer) -> Any:
    """Return the viewer's scale bar overlay."""
    return viewer.canvas.overlays.scale_bar


def floating_axes(viewer: Viewer) -> Any:
    """Return the arrows in a corner of the canvas, named as the layers' axes are."""
    return viewer.canvas.overlays.axes


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
