"""Truth layers: the change of a map, and what stands in an erased place, as napari layers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from napari.utils.colormaps import Colormap

from napari_ctclip.core.volume import Volume
from napari_ctclip.plugin.canvas.heat_grid import heat_on_scan
from napari_ctclip.plugin.canvas.layers import NAMESPACE, Frame, LayerData

if TYPE_CHECKING:
    from napari_ctclip.core.similarity_map import SimilarityMap
    from napari_ctclip.regions.normal_tissue import NormalFill

__all__ = ["change_layer", "filled_layer"]

_FALLS, _RISES = (0.25, 0.62, 1.0), (1.0, 0.45, 0.25)  # told apart by colour-blind readers
_OPAQUE = 0.9
_LEAST_CHANGE = 0.02
_NAME_LENGTH = 40
_MARGIN_MM = 5.0


def change_layer(change: SimilarityMap, frame: Frame) -> LayerData:
    """Return the image layer of a map less the one before: blue fell, orange rose, clear stayed."""
    values, grid = heat_on_scan(change.with_zeros(), frame.geometry)
    most = max(float(np.abs(values).max()), _LEAST_CHANGE)
    metadata = {"schema": 1, "role": "change", "prompt": change.prompt.positive}
    properties = frame.placing(grid) | {
        "name": f"Change: {change.prompt.positive[:_NAME_LENGTH]}",
        "colormap": _diverging(),
        "contrast_limits": (-most, most),
        "blending": "translucent_no_depth",
        "interpolation2d": "linear",
        "interpolation3d": "linear",
        "metadata": {NAMESPACE: metadata | {"score_kind": "change of similarity"}},
    }
    return values, properties, "image"


def filled_layer(
    fill: NormalFill, volume: Volume, frame: Frame, *, limits: tuple[float, float]
) -> LayerData:
    """Return the image layer of an erased place as the model saw it, over the scan around it."""
    geometry = volume.geometry
    margin = np.ceil(_MARGIN_MM / np.asarray(geometry.spacing_mm)).astype(int)
    low = np.maximum(np.asarray(fill.region.start) - margin, 0)
    high = np.minimum([s.stop for s in fill.region.box] + margin, geometry.shape)
    box = tuple(slice(a, b) for a, b in zip(low.tolist(), high.tolist(), strict=True))
    voxels = volume.voxels[box].copy()
    at = tuple(
        slice(s.start - a, s.stop - a) for s, a in zip(fill.region.box, low.tolist(), strict=True)
    )
    voxels[at][fill.region.mask] = fill.hounsfield
    properties = frame.placing(geometry.cropped(low.tolist(), high.tolist())) | {
        "name": "Erased place",
        "colormap": "gray",
        "contrast_limits": limits,
        "metadata": {NAMESPACE: {"schema": 1, "role": "erased"}},
    }
    return voxels, properties, "image"


def _diverging() -> Colormap:
    colours = [(*_FALLS, _OPAQUE), (*_FALLS, 0.0), (*_RISES, 0.0), (*_RISES, _OPAQUE)]
    return Colormap(colours, name="ctclip change", controls=(0.0, 0.45, 0.55, 1.0))
