"""Volume view: thinned layers in place of the planes while the viewer shows three dimensions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.utils.colormaps import Colormap

from napari_ctclip.core.geometry import Geometry
from napari_ctclip.core.organ_masks import OrganMasks
from napari_ctclip.core.volume import Volume
from napari_ctclip.plugin.canvas._compat import before_slicing
from napari_ctclip.plugin.canvas._compat_layers import step_along_rays
from napari_ctclip.plugin.canvas.layers import NAMESPACE, Frame, LayerData, organ_colormap
from napari_ctclip.plugin.canvas.organ_outlines import OrganOutlines
from napari_ctclip.plugin.canvas.own_layers import OwnLayers

if TYPE_CHECKING:
    from napari.layers import Image, Layer
    from napari.viewer import Viewer

__all__ = ["VolumeView", "organ_volume_layer", "scan_volume_layer"]

_SCAN, _ORGANS = "ct 3d", "organs 3d"
_RAY_STEP = 1.6
"""Ours: voxels between two looks of a ray; napari's 0.8 takes twice as long without a GPU."""

_MARGIN = 0.1  # of the canvas, about the scan
_FROM_THE_FRONT = (0.0, 1.0, 0.0)  # looking from anterior to posterior ...
_HEAD_UP = (-1.0, 0.0, 0.0)  # ... with the head up: axes point Inferior, Posterior, Left

_MOST_VOXELS = 160
"""Ours: along an axis; 512 x 512 x 400 whole takes 8 s and 800 MB to draw without a GPU."""

_ORGAN_OPACITY = 0.2

_BY_HU: Sequence[tuple[float, tuple[float, float, float], float]] = (
    (-700.0, (0.00, 0.00, 0.00), 0.0),
    (-300.0, (0.45, 0.20, 0.15), 0.0),
    (-30.0, (0.75, 0.45, 0.35), 0.006),
    (130.0, (0.95, 0.75, 0.60), 0.018),
    (250.0, (1.00, 0.88, 0.75), 0.15),
    (420.0, (1.00, 0.95, 0.85), 0.5),
    (900.0, (1.00, 1.00, 0.95), 0.8),
)
"""Ours: HU, colour and opacity a step of a ray. Air is clear, bone solid, and soft tissue a breath:
through a whole chest it covers less than half of what lies behind.
"""


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


def scan_volume_layer(volume: Volume, frame: Frame) -> LayerData:
    """Return the image layer of a thinned scan: every n-th voxel, none between them made up."""
    kept, placing = _thinned(volume.geometry, frame)
    properties = placing | {
        "name": "CT (3D)",
        "colormap": _colormap(),
        "contrast_limits": (_BY_HU[0][0], _BY_HU[-1][0]),
        "rendering": "translucent",
        "interpolation3d": "linear",
        "metadata": {NAMESPACE: {"schema": 1, "role": "ct 3d"}},
    }
    return volume.voxels[kept], properties, "image"


def organ_volume_layer(masks: OrganMasks, frame: Frame, hidden: frozenset[str]) -> LayerData:
    """Return the labels layer of thinned organs, see-through, without hidden ones and bones.

    Bones are drawn solid from their CT numbers; a veil of square voxels over them hides more than
    it tells.
    """
    kept, placing = _thinned(masks.geometry, frame)
    labels = masks.labels[kept]
    # a transparent label would still hide what lies behind it: napari draws the first one it meets
    away = [label for name, label in masks.legend.items() if name in hidden]
    away += masks.labels_of("bone")
    properties = placing | {
        "name": "Organs (3D)",
        "opacity": _ORGAN_OPACITY,
        "blending": "translucent_no_depth",
        "colormap": organ_colormap(masks, hidden),
        "metadata": {NAMESPACE: {"schema": 1, "role": "organs 3d"}},
    }
    return np.where(np.isin(labels, away), 0, labels).astype(labels.dtype), properties, "labels"


def _thinned(geometry: Geometry, frame: Frame) -> tuple[tuple[slice, ...], dict[str, Any]]:
    """Return which voxels of a grid are kept, and where the grid of those lies."""
    step = [-(-n // _MOST_VOXELS) for n in geometry.shape]
    placing = frame.placing(geometry)
    placing["scale"] = tuple(s * n for s, n in zip(placing["scale"], step, strict=True))
    return tuple(slice(None, None, n) for n in step), placing


def _colormap() -> Colormap:
    low, high = _BY_HU[0][0], _BY_HU[-1][0]
    return Colormap(
        [(*colour, alpha) for _, colour, alpha in _BY_HU],
        name="ctclip volume",
        controls=[(hu - low) / (high - low) for hu, _, _ in _BY_HU],
    )
