"""Scene: the viewer's layers, kept in step with the session."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from psygnal import Signal

from napari_ctclip.core.organ_masks import OrganMasks
from napari_ctclip.core.study import Study
from napari_ctclip.core.volume import Volume, Window
from napari_ctclip.plugin._compat import guard_layer_removal
from napari_ctclip.plugin.canvas import CanvasTexts
from napari_ctclip.plugin.layers import (
    CT_RANGE_HU,
    Frame,
    LayerData,
    ct_layer,
    default_hidden,
    heat_layer,
    organ_colormap,
    organ_layer,
    own_metadata,
    probe_layer,
)
from napari_ctclip.scoring.answer import Answer

if TYPE_CHECKING:
    from napari.layers import Image, Layer
    from napari.viewer import Viewer

__all__ = ["Scene"]

_RANK = {"ct": 0, "heat": 2, "organs": 3, "probe": 4}  # other layers lie at 1
_HEAT_RANGE = (0.0, 0.3)


class Scene:
    """What is drawn of the open study.

    Parameters
    ----------
    viewer : Viewer
        Where it is drawn.
    """

    heat_shown = Signal(str, bool)
    """A prompt's heat became visible or not, also by the user's hand in the layer list."""
    heat_range_changed = Signal()
    """Heat begins and ends elsewhere."""

    def __init__(self, viewer: Viewer) -> None:
        guard_layer_removal(viewer)
        self.viewer = viewer
        self.texts = CanvasTexts(viewer)
        self.frame: Frame | None = None
        self.ct: Image | None = None
        self.hidden_organs: frozenset[str] = frozenset()
        self.heat_range = _HEAT_RANGE
        self.heat_range_is_chosen = False  # by the user
        self.heat_opacity = 0.75
        self._masks: OrganMasks | None = None
        self._own: dict[str, Layer] = {}  # "organs", "probe", "heat <prompt>"
        viewer.layers.events.removed.connect(self._on_removed)
        viewer.dims.events.ndisplay.connect(self._on_ndisplay)

    # --- study ----------------------------------------------------------------------------------

    def add_ct(self, volume: Volume, *, more: dict[str, Any] | None = None) -> Image:
        """Add the layer of a scan and return it; ``more`` joins its metadata."""
        image: Image = self._add(ct_layer(volume, more=more))
        return image

    def set_study(self, study: Study | None, ct: Image | None) -> None:
        """Draw another study, whose scan is the layer ``ct``; the last one's layers go."""
        for key in list(self._own):
            self._remove(key)
        self._masks = None
        self.ct = ct
        if study is None or ct is None:
            self.frame = None
            self.texts.hide()
            return
        self.frame = Frame(study.volume.geometry)
        if own_metadata(ct).get("role") == "ct":
            ct.contrast_limits_range = CT_RANGE_HU
        for layer in self.viewer.layers:
            if own_metadata(layer).get("role") == "ct":
                layer.visible = layer is ct
        self.texts.show()
        self.texts.set_probe(None)
        ct.events.contrast_limits.connect(self._describe_window)
        self._describe_window()
        self._show_whole_scan()

    def set_window(self, window: Window) -> None:
        """Show the scan in another window."""
        if self.ct is None:
            return
        low, high = window.limits
        least, most = self.ct.contrast_limits_range
        self.ct.contrast_limits_range = (min(least, low), max(most, high))
        self.ct.contrast_limits = window.limits

    # --- organs ---------------------------------------------------------------------------------

    def set_masks(self, masks: OrganMasks | None) -> None:
        """Draw organ outlines; None takes them off."""
        self._masks = masks
        if masks is None or self.frame is None:
            self._remove("organs")
            return
        self.hidden_organs = default_hidden(masks)
        data, properties, _ = organ_layer(masks, self.frame)
        layer = self._own.get("organs")
        if layer is not None and layer.data.shape == data.shape:
            layer.data = data
            layer.colormap = properties["colormap"]
            layer.features = properties["features"]
            return
        self._remove("organs")
        layer = self._add((data, properties, "labels"), key="organs")
        layer.contour = 1
        layer.editable = False

    def show_organ(self, name: str, shown: bool) -> None:
        """Draw, or no longer draw, one organ's outline."""
        if self._masks is None:
            return
        self.hidden_organs = self.hidden_organs - {name} if shown else self.hidden_organs | {name}
        layer = self._own.get("organs")
        if layer is None:  # removed by hand: asked for again
            hidden = self.hidden_organs
            self.set_masks(self._masks)
            self.hidden_organs, layer = hidden, self._own["organs"]
        layer.colormap = organ_colormap(self._masks, self.hidden_organs)

    def toggle_organs(self) -> None:
        """Show or hide all outlines."""
        layer = self._own.get("organs")
        if layer is not None:
            layer.visible = not layer.visible

    # --- heat -----------------------------------------------------------------------------------

    def show_heat(self, answer: Answer, *, colour: str, visible: bool) -> None:
        """Draw an answer's heat: in the layer it has, in that of a hidden one, or in a new one."""
        if self.frame is None:
            return
        key = f"heat {answer.prompt.positive}"
        data, properties, kind = heat_layer(
            answer.similarity_map, self.frame, colour=colour, limits=self.heat_range
        )
        layer = self._own.get(key) or self._recycled_heat(key)
        if layer is None:
            properties |= {"opacity": self.heat_opacity, "visible": visible}
            layer = self._add((data, properties, kind), key=key)
            layer.contrast_limits_range = _slider_range(self.heat_range)
            layer.colorbar.visible = True
            layer.events.visible.connect(self._on_visible)
        else:
            layer.metadata, layer.name = properties["metadata"], properties["name"]
            layer.colormap = properties["colormap"]
            for name in ("translate", "scale"):
                if not np.array_equal(getattr(layer, name), properties[name]):
                    setattr(layer, name, properties[name])
            layer.data = data
            layer.visible = visible
        self._describe_heat()

    def set_heat_visible(self, prompt: str, visible: bool) -> None:
        """Show or hide one prompt's heat."""
        if self.has_heat(prompt):
            self._own[f"heat {prompt}"].visible = visible
        self._describe_heat()

    def has_heat(self, prompt: str) -> bool:
        """Return whether a prompt has a heat layer."""
        return f"heat {prompt}" in self._own

    def remove_heat(self, prompt: str) -> None:
        """Take one prompt's heat off."""
        self._remove(f"heat {prompt}")
        self._describe_heat()

    def set_heat_range(self, low: float, high: float) -> None:
        """Show heat from ``low`` (transparent) to ``high`` (full), the same for every prompt."""
        limits = (low, max(high, low + 1e-4))
        if limits == self.heat_range:
            return
        self.heat_range = limits
        for layer in self._heats():
            layer.contrast_limits_range = _slider_range(self.heat_range)
            layer.contrast_limits = self.heat_range
        self.heat_range_changed.emit()

    def set_heat_opacity(self, opacity: float) -> None:
        """Set how strongly every heat covers the scan."""
        self.heat_opacity = opacity
        for layer in self._heats():
            layer.opacity = opacity

    # --- places ---------------------------------------------------------------------------------

    def go_to(self, index: tuple[int, int, int]) -> None:
        """Turn to a voxel of the scan, in whichever plane is shown, and mark it."""
        if self.frame is None:
            return
        place = self.frame.index_to_display(index)
        self.viewer.dims.set_point(range(3), place.tolist())
        self.mark(index)

    def mark(self, index: tuple[int, int, int]) -> None:
        """Put the probe's ring at a voxel."""
        if self.frame is None:
            return
        layer = self._own.get("probe") or self._add(probe_layer(self.frame), key="probe")
        layer.data = [index]
        layer.selected_data = set()

    def index_at(self, position: Any) -> tuple[int, int, int] | None:
        """Return the scan's voxel at a place in the viewer's world; None outside."""
        return None if self.frame is None else self.frame.display_to_index(position)

    # --- inside ---------------------------------------------------------------------------------

    def _add(self, data: LayerData, key: str = "") -> Any:
        """Add a layer in its place of the list, without changing what is selected."""
        from napari.layers import Layer

        layers = self.viewer.layers
        selected = layers.selection.active
        layer = Layer.create(*data)
        rank = _rank(layer)
        above = sum(1 for other in layers if _rank(other) <= rank)
        layers.insert(above, layer)
        if key:
            self._own[key] = layer
            if selected is not None:
                layers.selection.active = selected
        return layer

    def _recycled_heat(self, key: str) -> Any:
        """Return the layer of a hidden heat, now under another key; None if none is hidden."""
        # new numbers in an old layer cost napari a fraction of what a new layer does
        hidden = next(
            (k for k, v in self._own.items() if k.startswith("heat ") and not v.visible), ""
        )
        if hidden:
            self._own[key] = self._own.pop(hidden)
        return self._own.get(key)

    def _remove(self, key: str) -> None:
        layer = self._own.pop(key, None)
        if layer is not None and layer in self.viewer.layers:
            self.viewer.layers.remove(layer)

    def _on_removed(self, event: Any) -> None:
        for key, layer in list(self._own.items()):
            if layer is event.value:
                del self._own[key]
                if key.startswith("heat "):
                    self.heat_shown.emit(key.removeprefix("heat "), False)
        self._describe_heat()

    def _on_ndisplay(self, *_: Any) -> None:
        """Hide organs in 3D, where napari draws them solid and over everything."""
        layer = self._own.get("organs")
        if layer is not None:
            layer.visible = self.viewer.dims.ndisplay == 2

    def _on_visible(self, event: Any) -> None:
        self.heat_shown.emit(own_metadata(event.source)["prompt"], event.source.visible)
        self._describe_heat()

    def _heats(self) -> list[Any]:
        return [layer for key, layer in self._own.items() if key.startswith("heat ")]

    def _describe_window(self, *_: Any) -> None:
        if self.ct is not None:
            low, high = self.ct.contrast_limits
            self.texts.set_window(Window((low + high) / 2, high - low))

    def _describe_heat(self) -> None:
        shown = [layer for layer in self._heats() if layer.visible]
        self.texts.set_heat(", ".join(own_metadata(layer)["prompt"] for layer in shown))

    def _show_whole_scan(self) -> None:
        assert self.frame is not None
        middle = [n // 2 for n in self.frame.geometry.shape]
        self.viewer.dims.set_point(range(3), self.frame.index_to_display(middle).tolist())
        self.viewer.fit_to_view(layers=[self.ct])


def _rank(layer: Layer) -> int:
    return _RANK.get(own_metadata(layer).get("role", ""), 1)


def _slider_range(limits: tuple[float, float]) -> tuple[float, float]:
    low, high = limits
    return min(low, -1.0), max(high, 1.0)
