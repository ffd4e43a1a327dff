"""Volume view: what stands in for the scan's planes while the viewer shows three dimensions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari_ctclip.core.volume import Volume
from napari_ctclip.plugin.canvas._compat import before_slicing
from napari_ctclip.plugin.canvas._compat_layers import step_along_rays
from napari_ctclip.plugin.canvas.layers import Frame
from napari_ctclip.plugin.canvas.organ_outlines import OrganOutlines
from napari_ctclip.plugin.canvas.own_layers import OwnLayers
from napari_ctclip.plugin.canvas.volume_layers import organ_volume_layer, scan_volume_layer

if TYPE_CHECKING:
    from napari.layers import Image, Layer
    from napari.viewer import Viewer

__all__ = ["VolumeView"]

_SCAN, _ORGANS = "ct 3d", "organs 3d"
_RAY_STEP = 1.6
"""Ours: voxels between two looks of a ray; napari's 0.8 takes twice as long without a GPU."""

_MARGIN = 0.1  # of the canvas, about the scan
_FROM_THE_FRONT = (0.0, 1.0, 0.0)  # looking from anterior to posterior ...
_HEAD_UP = (-1.0, 0.0, 0.0)  # ... with the head up: axes point Inferior, Posterior, Left


class VolumeView:
    """Thinned layers, made when the viewer turns to 3D and gone when it turns back.

    napari would draw the whole scan as its brightest voxels, and organs solid over everything.
    Organs are hidden at first: even thin they veil heatmaps and bones.

    Parameters
    ----------
    viewer : Viewer
        Whose 3D view it is.
    own : OwnLayers
        Where its layers are kept.
    outlines : OrganOutlines
        Which organs are shown.
    """

    def __init__(self, viewer: Viewer, own: OwnLayers, outlines: OrganOutlines) -> None:
        self._viewer, self._own, self._outlines = viewer, own, outlines
        self._volume: Volume | None = None
        self._ct: Image | None = None
        self._put_away: list[Layer] = []
        self._turned = False
        self._wants_organs = False
        # the planes' layers are sliced for planes only: whole, they would go to the graphics card
        before_slicing(viewer, self._leave_planes)
        viewer.dims.events.ndisplay.connect(self._enter_planes)
        viewer.dims.events.ndisplay.connect(self._face_the_patient, position="last")
        viewer.layers.events.inserted.connect(self._look_less_often)
        outlines.changed.connect(self._draw_organs)

    @property
    def is_shown(self) -> bool:
        """Whether the viewer shows three dimensions."""
        return bool(self._viewer.dims.ndisplay == 3)

    def set_scan(self, volume: Volume | None, ct: Image | None) -> None:
        """Take another scan and its layer; None leaves nothing to show."""
        self._put_away = []
        self._volume, self._ct, self._turned = volume, ct, False
        self._enter_planes()
        self._leave_planes()
        self._face_the_patient()

    def fit(self) -> None:
        """Show the whole scan."""
        layer = self._own.get(_SCAN)
        if layer is not None:
            self._viewer.fit_to_view(layers=[layer], margin=_MARGIN)

    def toggle_organs(self) -> None:
        """Show or hide the organs."""
        layer = self._own.get(_ORGANS)
        if layer is not None:
            self._wants_organs = layer.visible = not layer.visible

    def _enter_planes(self, *_: Any) -> None:
        if self.is_shown or self._volume is None:
            return
        self._own.remove(_SCAN)
        self._own.remove(_ORGANS)
        for layer in self._put_away:
            layer.visible = True
        self._put_away = []

    def _leave_planes(self, *_: Any) -> None:
        if not self.is_shown or self._volume is None or self._ct is None:
            return
        self._put_away = [la for la in (self._ct, *self._own.planar()) if la.visible]
        for layer in self._put_away:
            layer.visible = False
        self._own.add(scan_volume_layer(self._volume, Frame(self._volume.geometry)), _SCAN)
        self._draw_organs()

    def _draw_organs(self) -> None:
        masks, outlines = self._outlines.masks, self._outlines.layer
        if not self.is_shown or self._volume is None:
            return
        self._own.remove(_ORGANS)
        if masks is None or outlines is None:
            return
        if outlines.visible:  # made while in 3D
            outlines.visible = False
            self._put_away.append(outlines)
        frame = Frame(self._volume.geometry)
        layer = self._own.add(organ_volume_layer(masks, frame, self._outlines.hidden), _ORGANS)
        layer.visible = self._wants_organs
        layer.editable = False

    def _face_the_patient(self, *_: Any) -> None:
        """Look at the patient from the front the first time; later views are the user's."""
        self._look_less_often()
        if self.is_shown and self._volume is not None and not self._turned:
            self._turned = True
            self._viewer.scene.camera.set_view_direction(_FROM_THE_FRONT, _HEAD_UP)
            self.fit()

    def _look_less_often(self, *_: Any) -> None:
        if self.is_shown:
            step_along_rays(self._viewer, _RAY_STEP)
