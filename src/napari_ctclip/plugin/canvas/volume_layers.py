"""Volume layers: a scan and its organs thinned for a 3D view, with colours by CT number."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from napari.utils.colormaps import Colormap

from napari_ctclip.core.geometry import Geometry
from napari_ctclip.core.organ_masks import OrganMasks
from napari_ctclip.core.volume import Volume
from napari_ctclip.plugin.canvas.layers import NAMESPACE, Frame, LayerData, organ_colormap

__all__ = ["organ_volume_layer", "scan_volume_layer"]

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
