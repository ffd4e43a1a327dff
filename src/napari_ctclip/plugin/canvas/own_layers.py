"""Own layers: those that the plugin puts into a viewer, by name, each in its place of the list."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from psygnal import Signal

from napari_ctclip.plugin.canvas._compat_layers import step_quickly
from napari_ctclip.plugin.canvas.layers import LayerData, own_metadata

if TYPE_CHECKING:
    from napari.layers import Layer
    from napari.viewer import Viewer

__all__ = ["OwnLayers"]

_RANK = {
    "ct": 0,
    "ct 3d": 0,
    "organs 3d": 1,
    "regions": 2,
    "heatmap": 2,
    "change": 2,
    "organs": 3,
    "findings": 4,
    "place": 5,
    "similar": 5,
    "probe": 6,
}
"""Others: 1."""


class OwnLayers:
    """The plugin's layers of the open study.

    Parameters
    ----------
    viewer : Viewer
        Where they are.
    """

    removed = Signal(str)
    """One is no longer in the viewer, also by the user's hand: its key."""

    def __init__(self, viewer: Viewer) -> None:
        self._viewer = viewer
        self._layers: dict[str, Layer] = {}
        self._planar: set[str] = set()
        viewer.layers.events.removed.connect(self._on_removed)

    @property
    def viewer(self) -> Viewer:
        """Where they are."""
        return self._viewer

    def __contains__(self, key: str) -> bool:
        return key in self._layers

    def names(self) -> tuple[str, ...]:
        """Return what there is, oldest first."""
        return tuple(self._layers)

    def get(self, key: str) -> Any:
        """Return a layer; None if there is none."""
        return self._layers.get(key)

    def add(self, data: LayerData, key: str = "", *, planar: bool = False) -> Any:
        """Add a layer above those of its rank; one with a key leaves the selection as it is.

        Parameters
        ----------
        data : LayerData
            The layer.
        key : str
            The name it is found by later; none if empty.
        planar : bool
            Whether it is for planes only, and out of sight while the viewer shows 3D.
        """
        from napari.layers import Layer

        layers = self._viewer.layers
        selected = layers.selection.active
        layer = Layer.create(*data)
        rank = _rank(layer)
        above = sum(1 for other in layers if _rank(other) <= rank)
        layers.insert(above, layer)
        step_quickly(layer)  # after the list drew its thumbnail
        if key:
            self._layers[key] = layer
            if planar:
                self._planar.add(key)
            if selected is not None:
                layers.selection.active = selected
        return layer

    def planar(self) -> tuple[Any, ...]:
        """Return the layers that are for planes only."""
        return tuple(layer for key, layer in self._layers.items() if key in self._planar)

    def rename(self, key: str, new: str) -> None:
        """Keep a layer under another key."""
        self._layers[new] = self._layers.pop(key)

    def remove(self, key: str) -> None:
        """Take a layer off, if it is there."""
        layer = self._layers.pop(key, None)
        if layer is not None and layer in self._viewer.layers:
            self._viewer.layers.remove(layer)

    def clear(self) -> None:
        """Take all off."""
        for key in self.names():
            self.remove(key)

    def _on_removed(self, event: Any) -> None:
        for key, layer in list(self._layers.items()):
            if layer is event.value:
                del self._layers[key]
                self.removed.emit(key)


def _rank(layer: Layer) -> int:
    return _RANK.get(own_metadata(layer).get("role", ""), 1)
