"""Scene: the viewer's layers, kept in step with the session."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from psygnal import Signal

from napari_ctclip.core.study import Study
from napari_ctclip.core.volume import Volume, Window
from napari_ctclip.plugin.canvas._compat import guard_layer_removal
from napari_ctclip.plugin.canvas._compat_layers import step_quickly
from napari_ctclip.plugin.canvas.difference_layer import DifferenceLayer
from napari_ctclip.plugin.canvas.heatmap_layers import HeatmapLayers
from napari_ctclip.plugin.canvas.layers import (
    CT_RANGE_HU,
    Frame,
    LayerData,
    ct_layer,
    own_metadata,
    probe_layer,
)
from napari_ctclip.plugin.canvas.organ_outlines import OrganOutlines
from napari_ctclip.plugin.canvas.own_layers import OwnLayers
from napari_ctclip.plugin.canvas.texts import CanvasTexts
from napari_ctclip.plugin.canvas.volume_view import VolumeView

if TYPE_CHECKING:
    from napari.layers import Image
    from napari.viewer import Viewer

__all__ = ["Scene"]


class Scene:
    """What is drawn of the open study.

    Parameters
    ----------
    viewer : Viewer
        Where it is drawn.
    """

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
        self.own = OwnLayers(viewer)
        self.outlines = OrganOutlines(self.own)
        self.difference = DifferenceLayer(self.own)
        self.heatmaps = HeatmapLayers(self.own)
        self.heatmaps.described.connect(self.texts.set_heatmaps)
        self.volume_view = VolumeView(viewer, self.own, self.outlines)

    # --- study ----------------------------------------------------------------------------------

    def add_ct(self, volume: Volume, *, more: dict[str, Any] | None = None) -> Image:
        """Add the layer of a scan and return it; ``more`` joins its metadata."""
        image: Image = self.own.add(ct_layer(volume, more=more))
        return image

    def set_study(self, study: Study | None, ct: Image | None) -> None:
        """Draw another study, whose scan is the layer ``ct``; the last one's layers go."""
        self.own.clear()
        self.ct = ct
        if study is None or ct is None:
            self.frame = None
            self.outlines.set_frame(None)
            self.heatmaps.set_frame(None)
            self.volume_view.set_scan(None, None)
            self.texts.hide()
            self.study_changed.emit()
            return
        step_quickly(ct)
        self.frame = Frame(study.volume.geometry)
        self.outlines.set_frame(self.frame)
        self.heatmaps.set_frame(self.frame)
        if own_metadata(ct).get("role") == "ct":
            ct.contrast_limits_range = CT_RANGE_HU
        for layer in self.viewer.layers:
            if own_metadata(layer).get("role") == "ct":
                layer.visible = layer is ct
        self.texts.show()
        self.texts.set_reading("")
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

    # --- what goes with the scan ----------------------------------------------------------------

    def put(self, key: str, data: LayerData) -> Any:
        """Draw a further layer, in place of that of the key, hidden if that was; return it."""
        old, (values, properties, kind) = self.own.get(key), data
        if old is not None:
            properties = properties | {"visible": old.visible, "opacity": old.opacity}
            self.own.remove(key)
        return self.own.add((values, properties, kind), key)

    def layer(self, key: str) -> Any:
        """Return a layer that was put; None if it is gone."""
        return self.own.get(key)

    def take_off(self, key: str) -> None:
        """Take a layer that was put off, if it is there."""
        self.own.remove(key)

    # --- positions --------------------------------------------------------------------------------

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
        layer = self.own.get("probe") or self.own.add(probe_layer(self.frame), "probe")
        layer.data = [index]
        layer.selected_data = set()

    def index_at(self, position: Any) -> tuple[int, int, int] | None:
        """Return the scan's voxel at a place in the viewer's world; None outside."""
        return None if self.frame is None else self.frame.display_to_index(position)

    # --- inside ---------------------------------------------------------------------------------

    def _describe_window(self, *_: Any) -> None:
        if self.window is not None:
            self.texts.set_window(self.window)
            self.window_changed.emit()

    def _show_whole_scan(self) -> None:
        assert self.frame is not None
        middle = [n // 2 for n in self.frame.geometry.shape]
        self.viewer.dims.set_point(range(3), self.frame.index_to_display(middle).tolist())
        self.viewer.fit_to_view(layers=[self.ct])
