"""Heatmap layers: similarity maps over the scan, drawn by the difference to those before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from psygnal import Signal

from napari_ctclip.core.similarity_map import SimilarityMap
from napari_ctclip.plugin.canvas.layers import Frame, heatmap_layer, own_metadata
from napari_ctclip.plugin.canvas.own_layers import OwnLayers

__all__ = ["Heatmap", "HeatmapLayers"]

_PREFIX = "heatmap "


@dataclass(frozen=True, eq=False)
class Heatmap:
    """One heatmap to draw.

    Attributes
    ----------
    similarity_map : SimilarityMap
        Its numbers; the positive text of its prompt tells it from others.
    colour : str
        Of its strongest place, ``"#rrggbb"``.
    visible : bool
        Whether it is to be seen.
    """

    similarity_map: SimilarityMap
    colour: str
    visible: bool

    @property
    def key(self) -> str:
        """The text that tells it from others."""
        return self.similarity_map.prompt.positive

    def draws_as(self, other: Heatmap | None) -> bool:
        """Return whether a layer of the other shows the same numbers in the same colour."""
        return (
            other is not None
            and self.similarity_map is other.similarity_map
            and self.colour == other.colour
        )


class HeatmapLayers:
    """The layers "Heatmap: ..." of the open scan.

    A layer is made when its heatmap is first to be seen. New numbers in an old layer cost napari a
    fraction of what a new layer does, so a heatmap without one takes the layer of a hidden one.

    Parameters
    ----------
    own : OwnLayers
        Where the layers are kept.
    """

    visible_changed = Signal(str, bool)
    """A heatmap became visible or not, also by the user's hand in the layer list: its key."""
    described = Signal(tuple)
    """The keys of those that are visible."""

    def __init__(self, own: OwnLayers) -> None:
        self._own = own
        self._frame: Frame | None = None
        self._drawn: dict[str, Heatmap] = {}
        self._limits, self._opacity = (0.0, 1.0), 1.0
        own.removed.connect(self._on_removed)

    def set_frame(self, frame: Frame | None) -> None:
        """Take another scan; the layers of the last one are gone."""
        self._frame = frame
        self._drawn.clear()

    def draw(
        self, heatmaps: Sequence[Heatmap], *, limits: tuple[float, float], opacity: float
    ) -> None:
        """Make the layers show these heatmaps and no others.

        Parameters
        ----------
        heatmaps : sequence of Heatmap
            At most one a prompt.
        limits : tuple of float
            Similarities where a heatmap begins (transparent) and is strongest.
        opacity : float
            How strongly they cover the scan.
        """
        if self._frame is None:
            return
        wanted = {heatmap.key: heatmap for heatmap in heatmaps}
        seen = {heatmap.key for heatmap in heatmaps if heatmap.visible}
        spare = [k for k, layer in self._layers().items() if not layer.visible and k not in seen]
        for key, layer in self._layers().items():
            if key not in wanted:
                self._own.remove(_PREFIX + key)
                self._drawn.pop(key, None)
                continue
            if layer.visible and not wanted[key].visible:
                layer.visible = False
        self._set_display(limits, opacity)
        for heatmap in heatmaps:
            if heatmap.visible or _PREFIX + heatmap.key in self._own:
                self._draw_one(heatmap, spare)
        self._describe()

    def _set_display(self, limits: tuple[float, float], opacity: float) -> None:
        """Give every layer another range or opacity; what a user set in napari stays until then."""
        for layer in self._layers().values():
            if limits != self._limits:
                layer.contrast_limits_range = _slider_range(limits)
                layer.contrast_limits = limits
            if opacity != self._opacity:
                layer.opacity = opacity
        self._limits, self._opacity = limits, opacity

    def _draw_one(self, heatmap: Heatmap, spare: list[str]) -> None:
        key = _PREFIX + heatmap.key
        layer = self._own.get(key) or self._recycled(key, spare)
        if layer is None or not heatmap.draws_as(self._drawn.get(heatmap.key)):
            assert self._frame is not None
            data, properties, kind = heatmap_layer(
                heatmap.similarity_map, self._frame, colour=heatmap.colour, limits=self._limits
            )
            if layer is None:
                properties |= {"opacity": self._opacity, "visible": heatmap.visible}
                layer = self._own.add((data, properties, kind), key)
                layer.contrast_limits_range = _slider_range(self._limits)
                layer.colorbar.visible = True
                layer.events.visible.connect(self._on_visible)
            else:
                _redraw(layer, data, properties)
        self._drawn[heatmap.key] = heatmap
        if layer.visible != heatmap.visible:  # napari draws anew even if nothing changes
            layer.visible = heatmap.visible

    def _recycled(self, key: str, spare: list[str]) -> Any:
        """Return the layer of a heatmap that was hidden before, now under another key."""
        hidden = next((k for k in spare if _PREFIX + k in self._own), None)
        if hidden is None:
            return None
        spare.remove(hidden)
        self._drawn.pop(hidden, None)
        self._own.rename(_PREFIX + hidden, key)
        return self._own.get(key)

    def _layers(self) -> dict[str, Any]:
        keys = [key for key in self._own.names() if key.startswith(_PREFIX)]
        return {key.removeprefix(_PREFIX): self._own.get(key) for key in keys}

    def _on_removed(self, key: str) -> None:
        if key.startswith(_PREFIX):
            self._drawn.pop(key.removeprefix(_PREFIX), None)
            self.visible_changed.emit(key.removeprefix(_PREFIX), False)
            self._describe()

    def _on_visible(self, event: Any) -> None:
        self.visible_changed.emit(own_metadata(event.source)["prompt"], event.source.visible)
        self._describe()

    def _describe(self) -> None:
        self.described.emit(tuple(key for key, layer in self._layers().items() if layer.visible))


def _redraw(layer: Any, data: Any, properties: dict[str, Any]) -> None:
    """Put other numbers, with their place, name and colour, in a layer."""
    layer.metadata, layer.name = properties["metadata"], properties["name"]
    layer.colormap = properties["colormap"]
    for name in ("translate", "scale"):
        if not np.array_equal(getattr(layer, name), properties[name]):
            setattr(layer, name, properties[name])
    layer.data = data


def _slider_range(limits: tuple[float, float]) -> tuple[float, float]:
    low, high = limits
    return min(low, -1.0), max(high, 1.0)
