"""Layer mirror: a viewer's layers once more in another viewer model, kept alike."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from napari.layers import Image, Labels, Layer, Points

from napari_ctclip.plugin.canvas._compat_layers import step_quickly

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.viewer import Viewer

__all__ = ["LayerMirror"]

_MIRRORED = (Image, Labels, Points)
_FIELDS = (
    "blending", "colormap", "contour", "contrast_limits", "gamma", "interpolation2d", "opacity",
    "scale", "translate", "visible", "data",
)  # fmt: skip


class LayerMirror:
    """Copies of 3D images, labels and points; the arrays are shared, only what is drawn is not.

    A napari layer holds the slice it shows, so one layer cannot be shown in two planes.

    Parameters
    ----------
    viewer : Viewer
        Whose layers they are.
    target : ViewerModel
        Where the copies go.
    """

    def __init__(self, viewer: Viewer, target: ViewerModel) -> None:
        self._source, self._target = viewer.layers, target
        self._copies: dict[Layer, Layer] = {}
        self._links: dict[Layer, list[tuple[Any, Any]]] = {}
        events = self._source.events
        events.inserted.connect(self._on_inserted)
        events.removed.connect(self._on_removed)
        events.reordered.connect(self._on_reordered)
        for layer in self._source:
            self._add(layer)

    def close(self) -> None:
        """Follow the viewer no longer."""
        events = self._source.events
        events.inserted.disconnect(self._on_inserted)
        events.removed.disconnect(self._on_removed)
        events.reordered.disconnect(self._on_reordered)
        for layer in list(self._copies):
            self._unlink(layer)

    def _add(self, layer: Layer) -> None:
        if not isinstance(layer, _MIRRORED) or layer.ndim != 3 or getattr(layer, "rgb", False):
            return
        copy = Layer.create(*layer.as_layer_data_tuple())
        step_quickly(copy)
        self._copies[layer] = copy
        self._links[layer] = []
        for field in _FIELDS:
            event = getattr(layer.events, field, None)
            if event is None or not hasattr(copy, field):
                continue
            if field not in ("data", "scale", "translate"):
                setattr(copy, field, getattr(layer, field))
            take = partial(_take, layer, copy, field)
            event.connect(take)
            self._links[layer].append((event, take))
        below = [other for other in self._source if other in self._copies]
        self._target.layers.insert(below.index(layer), copy)

    def _unlink(self, layer: Layer) -> None:
        self._copies.pop(layer)
        for event, take in self._links.pop(layer):
            event.disconnect(take)

    def _on_inserted(self, event: Any) -> None:
        self._add(event.value)

    def _on_removed(self, event: Any) -> None:
        copy = self._copies.get(event.value)
        if copy is not None:
            self._unlink(event.value)
            self._target.layers.remove(copy)

    def _on_reordered(self, *_: Any) -> None:
        layers = self._target.layers
        for place, layer in enumerate(la for la in self._source if la in self._copies):
            now = layers.index(self._copies[layer])
            if now != place:
                layers.move(now, place)


def _take(layer: Any, copy: Any, field: str, *_: Any) -> None:
    setattr(copy, field, getattr(layer, field))
    if field == "data" and isinstance(copy, Points):
        copy.selected_data = set()
