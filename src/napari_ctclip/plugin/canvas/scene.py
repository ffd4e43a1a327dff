"""Scene: the viewer's layers, kept in step with the session."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from psygnal import Signal

from napari_ctclip.core.study import Study
from napari_ctclip.core.volume import Volume, Window
from napari_ctclip.plugin.canvas._compat import guard_layer_removal
from napari_ctclip.plugin.canvas._compat_layers import step_quickly
from napari_ctclip.plugin.canvas.canvas import CanvasTexts
from napari_ctclip.plugin.canvas.difference_layer import DifferenceLayer
from napari_ctclip.plugin.canvas.layers import (
    CT_RANGE_HU,
    Frame,
    LayerData,
    ct_layer,
    heat_layer,
    own_metadata,
    probe_layer,
)
from napari_ctclip.plugin.canvas.organ_outlines import OrganOutlines
from napari_ctclip.plugin.canvas.own_layers import OwnLayers
from napari_ctclip.plugin.canvas.volume_view import VolumeView
from napari_ctclip.plugin.findings.finding_layer import FindingLayer
from napari_ctclip.scoring.answer import Answer

if TYPE_CHECKING:
    from napari.layers import Image
    from napari.viewer import Viewer

__all__ = ["Scene"]

_HEAT = "heat "
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
    heat_described = Signal()
    """Heat was drawn, shown, hidden or taken off."""
    heat_range_changed = Signal()
    """Heat begins and ends elsewhere."""
    study_changed = Signal()
    """Another scan is drawn, or none."""
    window_changed = Signal()
    """The scan is shown in another window, or another scan is shown."""

    def __init__(self, viewer: Viewer) -> None:
        guard_layer_removal(viewer)
        self.viewer = viewer
        self.texts = CanvasTexts(viewer)
        self.frame: Frame | None = None
        self.ct: Image | None = None
        self.heat_range = _HEAT_RANGE
        self.heat_range_is_chosen = False  # by the user
        self.heat_opacity = 0.75
        self._own = OwnLayers(viewer)  # "organs", "probe", "heat <prompt>"
        self.outlines = OrganOutlines(self._own)
        self.difference = DifferenceLayer(self._own)
        self.findings = FindingLayer(self._own)
        self.volume_view = VolumeView(viewer, self._own, self.outlines)
        self._own.removed.connect(self._on_removed)

    # --- study ----------------------------------------------------------------------------------

    def add_ct(self, volume: Volume, *, more: dict[str, Any] | None = None) -> Image:
        """Add the layer of a scan and return it; ``more`` joins its metadata."""
        image: Image = self._own.add(ct_layer(volume, more=more))
        return image

    def set_study(self, study: Study | None, ct: Image | None) -> None:
        """Draw another study, whose scan is the layer ``ct``; the last one's layers go."""
        self._own.clear()
        self.ct = ct
        if study is None or ct is None:
            self.frame = None
            self.outlines.set_frame(None)
            self.findings.set_frame(None)
            self.volume_view.set_scan(None, None)
            self.texts.hide()
            self.study_changed.emit()
            return
        step_quickly(ct)
        self.frame = Frame(study.volume.geometry)
        self.outlines.set_frame(self.frame)
        self.findings.set_frame(self.frame)
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
        self.volume_view.set_scan(study.volume, ct)
        self.study_changed.emit()

    def set_window(self, window: Window) -> None:
        """Show the scan in another window; napari's own slider follows."""
        if self.ct is not None:
            self.ct.contrast_limits = window.limits

    @property
    def window(self) -> Window | None:
        """The window the scan is shown in, whoever set it; None without a scan."""
        if self.ct is None:
            return None
        low, high = self.ct.contrast_limits
        return Window((low + high) / 2, high - low)

    def fit(self) -> None:
        """Show the whole scan, in a plane or in 3D."""
        if self.ct is None:
            self.viewer.fit_to_view()
        elif self.volume_view.is_shown:
            self.volume_view.fit()
        else:
            self.viewer.fit_to_view(layers=[self.ct])

    def toggle_organs(self) -> None:
        """Show or hide all organs, in the planes or in 3D."""
        if self.volume_view.is_shown:
            self.volume_view.toggle_organs()
        else:
            self.outlines.toggle()

    # --- heat -----------------------------------------------------------------------------------

    def show_heat(self, answer: Answer, *, colour: str, visible: bool) -> None:
        """Draw an answer's heat: in the layer it has, in that of a hidden one, or in a new one."""
        if self.frame is None:
            return
        key = _HEAT + answer.prompt.positive
        data, properties, kind = heat_layer(
            answer.similarity_map, self.frame, colour=colour, limits=self.heat_range
        )
        layer = self._own.get(key) or self._recycled_heat(key)
        if layer is None:
            properties |= {"opacity": self.heat_opacity, "visible": visible}
            layer = self._own.add((data, properties, kind), key)
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
            self._own.get(_HEAT + prompt).visible = visible
        self._describe_heat()

    def has_heat(self, prompt: str) -> bool:
        """Return whether a prompt has a heat layer."""
        return _HEAT + prompt in self._own

    def remove_heat(self, prompt: str) -> None:
        """Take one prompt's heat off."""
        self._own.remove(_HEAT + prompt)
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

    # --- what goes with the scan ----------------------------------------------------------------

    def put(self, key: str, data: LayerData) -> Any:
        """Draw a further layer, in place of that of the key, hidden if that was; return it."""
        old, (values, properties, kind) = self._own.get(key), data
        if old is not None:
            properties = properties | {"visible": old.visible, "opacity": old.opacity}
            self._own.remove(key)
        return self._own.add((values, properties, kind), key)

    def layer(self, key: str) -> Any:
        """Return a layer that was put; None if it is gone."""
        return self._own.get(key)

    def take_off(self, key: str) -> None:
        """Take a layer that was put off, if it is there."""
        self._own.remove(key)

    def shown_heats(self) -> tuple[Any, ...]:
        """Return the heat layers that are visible."""
        return tuple(layer for layer in self._heats() if layer.visible)

    # --- places ---------------------------------------------------------------------------------

    def go_to(self, index: tuple[int, int, int]) -> None:
        """Turn to a voxel of the scan, in whichever plane is shown, and mark it."""
        if self.frame is None:
            return
        self.turn_to(index)
        self.mark(index)

    def turn_to(self, index: tuple[int, int, int]) -> None:
        """Turn every plane to a voxel of the scan."""
        if self.frame is not None:
            place = self.frame.index_to_display(index)
            self.viewer.dims.set_point(range(3), place.tolist())

    def mark(self, index: tuple[int, int, int]) -> None:
        """Put the probe's ring at a voxel."""
        if self.frame is None:
            return
        layer = self._own.get("probe") or self._own.add(probe_layer(self.frame), "probe")
        layer.data = [index]
        layer.selected_data = set()

    def index_at(self, position: Any) -> tuple[int, int, int] | None:
        """Return the scan's voxel at a place in the viewer's world; None outside."""
        return None if self.frame is None else self.frame.display_to_index(position)

    # --- inside ---------------------------------------------------------------------------------

    def _recycled_heat(self, key: str) -> Any:
        """Return the layer of a hidden heat, now under another key; None if none is hidden."""
        # new numbers in an old layer cost napari a fraction of what a new layer does
        heats = [k for k in self._own.names() if k.startswith(_HEAT)]
        hidden = next((k for k in heats if not self._own.get(k).visible), "")
        if hidden:
            self._own.rename(hidden, key)
        return self._own.get(key)

    def _on_removed(self, key: str) -> None:
        if key.startswith(_HEAT):
            self.heat_shown.emit(key.removeprefix(_HEAT), False)
        self._describe_heat()

    def _on_visible(self, event: Any) -> None:
        self.heat_shown.emit(own_metadata(event.source)["prompt"], event.source.visible)
        self._describe_heat()

    def _heats(self) -> list[Any]:
        return [self._own.get(key) for key in self._own.names() if key.startswith(_HEAT)]

    def _describe_window(self, *_: Any) -> None:
        if self.window is not None:
            self.texts.set_window(self.window)
            self.window_changed.emit()

    def _describe_heat(self) -> None:
        shown = self.shown_heats()
        self.texts.set_heat(", ".join(own_metadata(layer)["prompt"] for layer in shown))
        self.heat_described.emit()

    def _show_whole_scan(self) -> None:
        assert self.frame is not None
        middle = [n // 2 for n in self.frame.geometry.shape]
        self.viewer.dims.set_point(range(3), self.frame.index_to_display(middle).tolist())
        self.viewer.fit_to_view(layers=[self.ct])


def _slider_range(limits: tuple[float, float]) -> tuple[float, float]:
    low, high = limits
    return min(low, -1.0), max(high, 1.0)
