"""ROI layers: the outline of the region of interest, and points in the regions similar to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from napari.utils.colormaps import DirectLabelColormap

from napari_ctclip.core.geometry import Geometry
from napari_ctclip.core.region import Region
from napari_ctclip.plugin.canvas.layers import NAMESPACE, Frame, LayerData
from napari_ctclip.plugin.canvas.scene import Scene

__all__ = ["ROI", "SIMILAR", "Outline", "RoiLayer", "outline_of"]

ROI, SIMILAR = "roi", "similar regions"
"""Keys of the layers."""

_COLOUR, _SIMILAR_COLOUR = "#fee440", "#f15bb5"

Index = tuple[int, int, int]


@dataclass(frozen=True, eq=False)
class Outline:
    """A region's voxels as a label map (d, h, w) of its own, and where that lies."""

    labels: npt.NDArray[np.uint8]
    geometry: Geometry


def outline_of(region: Region, scan: Geometry) -> Outline:
    """Return what is drawn of a region of a scan; that of an organ may have 100 million voxels."""
    # one voxel more on each side: else the outline would lie on the layer's edge
    start = np.maximum(np.subtract(region.start, 1), 0)
    stop = np.minimum([s.stop + 1 for s in region.box], scan.shape)
    labels = np.zeros(stop - start, dtype=np.uint8)
    inner = tuple(
        slice(first, first + n)
        for first, n in zip(region.start - start, region.mask.shape, strict=True)
    )
    labels[inner] = region.mask
    return Outline(labels, scan.cropped(start.tolist(), stop.tolist()))


class RoiLayer:
    """The layers "ROI" and "Similar regions".

    Parameters
    ----------
    scene : Scene
        Where they are drawn.
    """

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._put_away = False
        # before and after napari's own: it would draw the outline as a block
        turned = scene.viewer.dims.events.ndisplay
        turned.connect(self._put_away_in_3d, position="first")
        turned.connect(self._bring_back, position="last")

    def clear(self) -> None:
        """Take both off."""
        self._scene.take_off(ROI)
        self._scene.take_off(SIMILAR)

    def show_region(self, region: Region) -> None:
        """Draw the outline of a region, on the part of the scan that holds it."""
        if self._scene.frame is not None:
            self.show_outline(outline_of(region, self._scene.frame.geometry))

    def show_outline(self, outline: Outline) -> None:
        """Draw an outline that was prepared."""
        frame = self._scene.frame
        if frame is None:
            return
        grid = frame.placing(outline.geometry)
        layer = self._scene.layer(ROI)
        if layer is None:
            self._add(outline.labels, grid)
            return
        layer.data = outline.labels
        layer.translate = grid["translate"]

    def show_similar(self, voxels: Sequence[Index]) -> None:
        """Mark voxels (z, y, x), or none."""
        layer, frame = self._scene.layer(SIMILAR), self._scene.frame
        if frame is None or (layer is None and not voxels):
            return
        if layer is None:
            layer = self._scene.put(SIMILAR, _similar_layer(frame))
        # an empty layer stays: adding and removing one costs napari much more
        layer.data = np.reshape(np.asarray(voxels, dtype=float), (-1, 3))
        layer.selected_data = set()

    def _add(self, labels: Any, grid: dict[str, Any]) -> None:
        properties = grid | {
            "name": "ROI",
            "opacity": 1.0,
            "colormap": DirectLabelColormap(
                color_dict={None: "transparent", 0: "transparent", 1: _COLOUR}
            ),
            "metadata": {NAMESPACE: {"schema": 1, "role": "roi"}},
        }
        flat = self._scene.viewer.dims.ndisplay == 2
        properties["visible"] = flat
        layer = self._scene.put(ROI, (labels, properties, "labels"))
        layer.contour = 2
        layer.editable = False
        self._put_away = not flat

    def _put_away_in_3d(self, *_: Any) -> None:
        layer = self._scene.layer(ROI)
        if layer is not None and self._scene.viewer.dims.ndisplay == 3:
            self._put_away |= layer.visible
            layer.visible = False

    def _bring_back(self, *_: Any) -> None:
        layer = self._scene.layer(ROI)
        if layer is not None and self._scene.viewer.dims.ndisplay == 2:
            layer.visible |= self._put_away
            self._put_away = False


def _similar_layer(frame: Frame) -> LayerData:
    """Return the points layer of similar regions; coordinates in the scan's voxels."""
    properties = frame.placing(frame.geometry) | {
        "name": "Similar regions",
        "ndim": 3,
        "symbol": "diamond",
        "face_color": "transparent",
        "border_color": _SIMILAR_COLOUR,
        "size": 12,
        "border_width": 0.14,
        "antialiasing": 1,
        "metadata": {NAMESPACE: {"schema": 1, "role": "similar"}},
    }
    return np.empty((0, 3)), properties, "points"
