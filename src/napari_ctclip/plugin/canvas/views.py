"""Views: one plane, three linked planes with a crosshair, or 3D."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import numpy as np
from psygnal import Signal
from qtpy.QtCore import QEvent, QObject, Qt, QTimer
from qtpy.QtWidgets import QSplitter

from napari_ctclip.plugin.canvas._compat import (
    beside_canvas,
    draw_lines,
    hold_drawing,
    main_window,
    own_canvas,
)
from napari_ctclip.plugin.canvas.panes import LinkedPlane
from napari_ctclip.plugin.canvas.pointer import Pointer
from napari_ctclip.plugin.canvas.scene import Scene

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = ["View", "Views"]

_PLANES = {"Coronal": (1, 0, 2), "Sagittal": (2, 0, 1)}
_AXIAL = (0, 1, 2)
_CROSS = "#00e5ff80"
_SHARE_OF_AXIAL, _SHARE_OF_OTHERS = 3, 2  # of the width


class View(StrEnum):
    """What the middle of the window shows."""

    PLANE = "One plane"
    PLANES = "Three planes"
    VOLUME = "3D"


class Views(QObject):
    """The canvases in the middle of the window.

    Parameters
    ----------
    scene : Scene
        What they show.
    pointer : Pointer
        What the mouse does in them.
    parent : QObject or None
        What it dies with.
    """

    changed = Signal(View)
    """Another view is shown, whoever asked for it."""
    followed = Signal()
    """The planes show other slices, or there are other planes."""

    def __init__(self, scene: Scene, *, pointer: Pointer, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._scene, self._viewer, self._pointer = scene, scene.viewer, pointer
        self.view = View.PLANE
        self.planes: tuple[LinkedPlane, ...] = ()
        self._beside: QSplitter | None = None
        self._fit_is_due = False
        self._then: Callable[[], None] | None = None
        self._viewer.dims.events.current_step.connect(self._follow)
        self._viewer.dims.events.ndisplay.connect(self._on_ndisplay)
        scene.study_changed.connect(self._on_study_changed)
        window = main_window(self._viewer)
        if window is not None:
            window.installEventFilter(self)

    def show(self, view: View, *, then: Callable[[], None] | None = None) -> None:
        """Show one plane, three planes or 3D; without a scan there is one plane to show.

        Parameters
        ----------
        view : View
            Which.
        then : callable or None
            Called once the canvases have their sizes and show the whole scan.
        """
        if self._scene.frame is None:
            view = View.PLANE
        is_new = view != self.view
        self.view = view
        if is_new:  # a 3D picture takes a second without a graphics card: draw the last one only
            hold_drawing(self._viewer, True)
            self._fit_soon()
        self._viewer.dims.ndisplay = 3 if view is View.VOLUME else 2
        if view is View.PLANES:
            self._viewer.dims.order = _AXIAL
            self._show_planes()
        elif self._beside is not None:
            self._beside.hide()
        self._follow()
        if then is not None and self._fit_is_due:
            self._then = then
        elif then is not None:
            then()
        if is_new:
            self.changed.emit(view)

    def next(self) -> None:
        """Show the next view."""
        views = list(View)
        self.show(views[(views.index(self.view) + 1) % len(views)])

    def shown_models(self) -> tuple[Any, ...]:
        """Return the viewer, and the models of the planes that are shown beside it."""
        beside = self.planes if self.view is View.PLANES else ()
        return (self._viewer, *(plane.model for plane in beside))

    def canvases(self) -> tuple[tuple[Any, Any], ...]:
        """Return every canvas with the dims of what it shows; those of hidden planes too."""
        own = (own_canvas(self._viewer), self._viewer.dims)
        return (own, *((plane.canvas, plane.model.dims) for plane in self.planes))

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        """Give the canvases back when the window closes."""
        if event is not None and event.type() == QEvent.Type.Close:
            self._release()
        return bool(super().eventFilter(watched, event))

    # --- inside ---------------------------------------------------------------------------------

    def _show_planes(self) -> None:
        layout = beside_canvas(self._viewer)
        if layout is None:
            return
        if self._beside is None:
            self._beside = QSplitter(Qt.Orientation.Vertical)
            self.planes = tuple(
                LinkedPlane(self._viewer, name, order=order, parent=self._beside)
                for name, order in _PLANES.items()
            )
            for plane in self.planes:
                self._beside.addWidget(plane)
                self._pointer.attach(plane.model)
        own = own_canvas(self._viewer)
        if layout.geometry().width() > layout.geometry().height():
            self._beside.setOrientation(Qt.Orientation.Vertical)
            layout.addWidget(self._beside, _SHARE_OF_OTHERS)
            layout.setStretch(layout.indexOf(own), _SHARE_OF_AXIAL)
        else:  # a tall, narrow middle: under the axial plane, side by side
            self._beside.setOrientation(Qt.Orientation.Horizontal)
            own.addWidget(self._beside)
        self._beside.show()

    def _follow(self, *_: Any) -> None:
        """Turn the planes to the viewer's point and draw the crosshair through it."""
        if self._beside is not None:
            self._turn_planes()
        self.followed.emit()

    def _turn_planes(self) -> None:
        # napari has two axes once the last layer is gone, as on closing
        shown = self.view is View.PLANES and self._viewer.dims.ndim == 3
        canvases = {own_canvas(self._viewer): self._viewer.dims.order}
        for plane in self.planes:
            if shown:
                plane.follow()
            canvases[plane.canvas] = plane.model.dims.order
        frame = self._scene.frame
        for canvas, order in canvases.items():
            lines = None
            if shown and frame is not None:
                lines = _cross(np.asarray(self._viewer.dims.point), frame.extent, order)
            draw_lines(canvas, lines, _CROSS, name="cross")

    def _fit_soon(self) -> None:
        """Show the whole scan once the canvases have their new sizes."""
        if not self._fit_is_due:
            self._fit_is_due = True
            QTimer.singleShot(0, self._fit)

    def _fit(self) -> None:
        self._fit_is_due = False
        hold_drawing(self._viewer, False)
        self._scene.fit()
        for plane in self.planes:
            if self.view is View.PLANES:
                plane.fit()
        then, self._then = self._then, None
        if then is not None:
            then()

    def _on_ndisplay(self, *_: Any) -> None:
        """Follow napari's own button between two and three dimensions."""
        is_volume = self._viewer.dims.ndisplay == 3
        if is_volume != (self.view is View.VOLUME):
            self.show(View.VOLUME if is_volume else View.PLANE)

    def _on_study_changed(self) -> None:
        self.show(self.view)
        if self.view is View.PLANES:
            self._fit_soon()

    def _release(self) -> None:
        for plane in self.planes:
            plane.release()
        self.planes = ()
        if self._beside is not None:
            self._beside.hide()
            self._beside.setParent(None)
        self._beside = None
        self.view = View.PLANE


def _cross(
    point: npt.NDArray[np.float64], extent: npt.NDArray[np.float64], order: tuple[int, ...]
) -> npt.NDArray[np.float64]:
    """Return the ends (4, 2), as (x, y), of two lines through a point over a plane."""
    down, right = order[-2:]
    (top, bottom), (left, end) = extent[:, down], extent[:, right]
    y, x = point[down], point[right]
    return np.array([(left, y), (end, y), (x, top), (x, bottom)], dtype=np.float64)
