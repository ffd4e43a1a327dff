"""Organ outlines: organ masks drawn over the scan, each organ shown or hidden."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from psygnal import Signal

from napari_ctclip.core.organ_masks import OrganMasks
from napari_ctclip.plugin.canvas.layers import Frame, default_hidden, organ_colormap, organ_layer
from napari_ctclip.plugin.canvas.own_layers import OwnLayers

__all__ = ["OrganOutlines"]

_KEY = "organs"
_CALLED = "the model calls it"


class OrganOutlines:
    """The layer "Organs".

    Parameters
    ----------
    own : OwnLayers
        Where it is kept.
    """

    changed = Signal()
    """Other organs, or others of them, are to be seen."""

    def __init__(self, own: OwnLayers) -> None:
        self._own = own
        self._frame: Frame | None = None
        self.masks: OrganMasks | None = None
        self.hidden: frozenset[str] = frozenset()
        self._called: Mapping[str, str] = {}

    @property
    def layer(self) -> Any:
        """The layer; None without masks, or after the user removed it."""
        return self._own.get(_KEY)

    def set_frame(self, frame: Frame | None) -> None:
        """Take another scan; its masks follow."""
        self._frame, self.masks = frame, None
        self._own.remove(_KEY)

    def set_masks(self, masks: OrganMasks | None) -> None:
        """Draw organ outlines; None takes them off."""
        self.masks, self._called = masks, {}
        self.hidden = frozenset() if masks is None else default_hidden(masks)
        self._draw()
        self.changed.emit()

    def show(self, name: str, shown: bool) -> None:
        """Draw, or no longer draw, one organ's outline."""
        if self.masks is None:
            return
        self.hidden = self.hidden - {name} if shown else self.hidden | {name}
        if self.layer is None:  # removed by hand: asked for again
            self._draw()
        self.layer.colormap = organ_colormap(self.masks, self.hidden)
        self.changed.emit()

    def tell_names(self, called: Mapping[str, str]) -> None:
        """Write what a model calls each organ beside its name, for napari's status bar."""
        self._called = called
        layer = self.layer
        if layer is None:
            return
        index, names = (list(layer.features[column]) for column in ("index", "name"))
        layer.features = {
            "index": index,
            "name": names,
            _CALLED: [called.get(name) for name in names],
        }

    def toggle(self) -> None:
        """Show or hide all outlines."""
        if self.layer is not None:
            self.layer.visible = not self.layer.visible

    def _draw(self) -> None:
        masks = self.masks
        if masks is None or self._frame is None:
            self._own.remove(_KEY)
            return
        data, properties, _ = organ_layer(masks, self._frame, self.hidden)
        layer = self.layer
        if layer is not None and layer.data.shape == data.shape:
            layer.data = data
            layer.colormap = properties["colormap"]
            layer.features = properties["features"]
            return
        self._own.remove(_KEY)
        layer = self._own.add((data, properties, "labels"), _KEY, planar=True)
        layer.contour = 1
        layer.editable = False
        if self._called:
            self.tell_names(self._called)
