"""Finding layer: the findings' regions as labels over the scan, for the brush to change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from napari.utils.colormaps import DirectLabelColormap
from psygnal import Signal

from napari_ctclip.core.finding import Finding
from napari_ctclip.core.region import Region
from napari_ctclip.plugin.canvas._compat import on_labels_painted
from napari_ctclip.plugin.canvas.layers import NAMESPACE, PROMPT_COLOURS, Frame, LayerData
from napari_ctclip.plugin.canvas.own_layers import OwnLayers
from napari_ctclip.regions.painted_labels import Box, draw_regions, repainted

__all__ = ["FindingLayer"]

_KEY = "findings"
_MOST = 255  # labels of a byte: a label map of the whole scan must stay small


class FindingLayer:
    """The layer "Findings": a label is the number of a finding in the table.

    Parameters
    ----------
    own : OwnLayers
        Where it is kept.
    """

    painted = Signal(dict)
    """The brush changed regions: by their number, None where nothing is left."""

    def __init__(self, own: OwnLayers) -> None:
        self._own = own
        self._frame: Frame | None = None
        self._drawn: dict[int, Region] = {}
        self._is_painted = False

    @property
    def layer(self) -> Any:
        """The layer; None without regions, or after the user removed it."""
        return self._own.get(_KEY)

    def set_frame(self, frame: Frame | None) -> None:
        """Take another scan; its findings follow."""
        self._frame, self._drawn = frame, {}
        self._own.remove(_KEY)

    def show(self, findings: Sequence[Finding]) -> None:
        """Draw the regions of the findings that are kept, unless just these are drawn."""
        regions = {
            number: finding.region
            for number, finding in enumerate(findings[:_MOST], start=1)
            if finding.is_kept and finding.region is not None
        }
        if self._frame is None:
            return
        if not regions and self.layer is None:
            self._drawn = {}
            return
        layer = self.layer or self._add()
        layer.selected_label = min(len(findings) + 1, _MOST)
        if self._is_painted or not _are_same(regions, self._drawn):
            self._redraw(layer.data, regions)
            layer.data = layer.data  # every plane draws it anew

    def start_painting(self, findings: Sequence[Finding]) -> None:
        """Give the mouse to napari's brush, with a label that no finding has."""
        if self._frame is None:
            return
        layer = self.layer or self._add()
        self.show(findings)
        layer.visible = True
        layer.selected_label = min(len(findings) + 1, _MOST)
        self._own.viewer.layers.selection.active = layer
        layer.mode = "paint"

    def _add(self) -> Any:
        assert self._frame is not None
        self._drawn = {}
        layer = self._own.add(_empty_layer(self._frame), _KEY, planar=True)
        layer.visible = self._own.viewer.dims.ndisplay == 2  # as the scan itself
        layer.contour = 2
        layer.brush_size = 6
        on_labels_painted(layer, self._on_painted)
        return layer

    def _redraw(self, labels: Any, regions: Mapping[int, Region]) -> None:
        for box in [region.box for region in self._drawn.values()]:
            labels[box] = 0
        self._drawn, self._is_painted = dict(regions), False
        draw_regions(labels, self._drawn)

    def _on_painted(self, box: Box | None) -> None:
        layer = self.layer
        if layer is None:
            return
        changed = repainted(layer.data, self._drawn, box or np.s_[0:, 0:, 0:])
        if changed:
            self._is_painted = True  # what becomes of it or not: the next show draws over it
            self.painted.emit(changed)


def _are_same(some: Mapping[int, Region], others: Mapping[int, Region]) -> bool:
    return some.keys() == others.keys() and all(some[n] is others[n] for n in some)


def _empty_layer(frame: Frame) -> LayerData:
    """Return the labels layer of findings on a scan, with nothing drawn yet; a byte a voxel."""
    colours: dict[int | None, str] = {None: "transparent", 0: "transparent"}
    colours |= {n: PROMPT_COLOURS[(n - 1) % len(PROMPT_COLOURS)] for n in range(1, 256)}
    properties = frame.placing(frame.geometry) | {
        "name": "Findings",
        "opacity": 0.9,
        "colormap": DirectLabelColormap(color_dict=colours),
        "metadata": {NAMESPACE: {"schema": 1, "role": "findings"}},
    }
    return np.zeros(frame.geometry.shape, dtype=np.uint8), properties, "labels"
