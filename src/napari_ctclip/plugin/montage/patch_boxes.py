"""Patch boxes: the montage's patches drawn on the slice that is shown, with their rank."""

from __future__ import annotations

from typing import Any

import numpy as np
from napari.layers import Shapes

from napari_ctclip.core.montage import Montage
from napari_ctclip.plugin.canvas.layers import NAMESPACE, own_metadata
from napari_ctclip.plugin.canvas.scene import Scene

__all__ = ["PatchBoxes"]

_EDGE = "#ffd166"
_CHOSEN = "#00e5ff"
_AXIAL = 0


class PatchBoxes:
    """One Shapes layer that holds the boxes of the current slice only.

    All boxes of a scan at once cost napari half a second; those of a slice are rebuilt in 35 ms.

    Parameters
    ----------
    scene : Scene
        Where they are drawn.
    """

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._montage: Montage | None = None
        self._chosen = -1
        self._layer: Shapes | None = None
        self._drawn: tuple[Any, ...] = ()
        self.shown: tuple[int, ...] = ()
        """Tiles whose box is drawn."""
        scene.viewer.dims.events.current_step.connect(self._rebuild)
        scene.viewer.dims.events.order.connect(self._rebuild)
        scene.viewer.dims.events.ndisplay.connect(self._rebuild)
        scene.viewer.layers.events.removed.connect(self._on_removed)

    def show(self, montage: Montage | None) -> None:
        """Draw the boxes of a montage; None takes them off."""
        self._montage, self._chosen, self._drawn = montage, -1, ()
        if montage is None:
            if self._layer is not None and self._layer in self._scene.viewer.layers:
                self._scene.viewer.layers.remove(self._layer)  # the scene guards removals
            self._layer, self.shown = None, ()
            return
        if self._layer is None:
            self._layer = self._own_layer() or self._add_layer()
        self._rebuild()

    def choose(self, number: int) -> None:
        """Draw one box in another colour."""
        self._chosen, self._drawn = number, ()
        self._rebuild()

    def _own_layer(self) -> Shapes | None:
        """Return the layer that an earlier panel of this viewer left."""
        layers = self._scene.viewer.layers
        return next((la for la in layers if own_metadata(la).get("role") == "patches"), None)

    def _add_layer(self) -> Shapes:
        frame = self._scene.frame
        assert frame is not None, "a montage is of an open scan"
        layer = Shapes(
            None,
            ndim=3,
            name="Patches",
            metadata={NAMESPACE: {"schema": 1, "role": "patches"}},
            **frame.placing(frame.geometry),
        )
        layers = self._scene.viewer.layers
        selected = layers.selection.active
        layers.append(layer)
        layer.editable = False
        if selected is not None:
            layers.selection.active = selected
        return layer

    def _rebuild(self, *_: Any) -> None:
        frame, montage, layer = self._scene.frame, self._montage, self._layer
        if frame is None or montage is None or layer is None:
            return
        dims = self._scene.viewer.dims
        axial = dims.ndisplay == 2 and dims.order[0] == _AXIAL
        z = int(np.rint((dims.point[0] - frame.translate[0]) / frame.scale[0]))
        on_slice = []
        for number, patch in enumerate(montage.patches):
            box = patch.box(montage.geometry)
            reach = max(0.5, patch.thickness_mm / 2 / float(frame.scale[0]))
            if axial and abs(z - box.z) <= reach:
                on_slice.append((number, box))
        drawn = (z, tuple(number for number, _ in on_slice))
        if drawn == self._drawn or (not on_slice and not len(layer.data)):
            self._drawn = drawn
            return
        self._drawn, self.shown = drawn, drawn[1]
        rectangles = [
            np.array([[z, y, x] for y, x in _corners(box.y, box.x)], dtype=float)
            for _, box in on_slice
        ]
        layer.data = rectangles
        layer.selected_data = set()
        if rectangles:
            layer.edge_color = [_CHOSEN if n == self._chosen else _EDGE for n in self.shown]
            layer.face_color = "transparent"
            layer.edge_width = 1.2
            ranks = montage.best_first()
            layer.features = {"rank": [ranks.index(number) + 1 for number in self.shown]}
            layer.text = {
                "string": "{rank}",
                "size": 11,
                "color": _EDGE,
                "anchor": "upper_left",
                "translation": [0, 2, 2],
            }

    def _on_removed(self, event: Any) -> None:
        if event.value is self._layer:
            self._layer, self.shown = None, ()


def _corners(y: tuple[float, float], x: tuple[float, float]) -> list[tuple[float, float]]:
    return [(y[0], x[0]), (y[0], x[1]), (y[1], x[1]), (y[1], x[0])]
