"""Threshold region: a heatmap above a threshold, computed off the GUI thread as a slider moves."""

from __future__ import annotations

from typing import Any

import numpy as np
from napari.utils.colormaps import DirectLabelColormap
from psygnal import Signal

from napari_ctclip.core.errors import CtClipError
from napari_ctclip.explanation.found_regions import CutRegion, CutRule, cut_region
from napari_ctclip.plugin.canvas.layers import NAMESPACE, Frame, LayerData
from napari_ctclip.plugin.window.jobs import Job
from napari_ctclip.plugin.window.window import Window
from napari_ctclip.session.findings_session import voxel_of_peak

__all__ = ["ThresholdRegion", "region_layer"]

_KEY = "cut"
_COLOUR = "#ffffff"  # over heatmaps of any colour


class ThresholdRegion:
    """The region where one prompt's heatmap lies above a threshold, outlined in the picture.

    Parameters
    ----------
    window : Window
        Whose answer the region is of.
    positive : str
        The prompt.
    """

    changed = Signal(object, str)
    """The region as it is now; None, with the reason, where nothing is left."""

    def __init__(self, window: Window, positive: str) -> None:
        self._window, self.positive = window, positive
        self._wanted: CutRule | None = None
        self.current: CutRegion | None = None

    def apply(self, rule: CutRule) -> None:
        """Apply another rule; of several in a row only the last one counts."""
        session = self._window.session
        study, answer = session.study, session.answer_to(self.positive)
        if study is None or answer is None:
            return
        self._wanted, self.current = rule, None

        def done(found: CutRegion) -> None:
            self.current = found
            self._draw(found)
            self.changed.emit(found, "")

        def failed(error: Exception) -> bool:
            if not isinstance(error, CtClipError):
                return False
            self._window.scene.take_off(_KEY)
            self.changed.emit(None, str(error))
            return True

        def work(progress: object, should_stop: object) -> CutRegion:
            return cut_region(study, answer, rule, seed=voxel_of_peak(study, answer))

        self._window.jobs.submit(
            Job(
                f"Outlining “{self.positive}”",
                work,
                done,
                still_wanted=lambda: (
                    self._wanted is rule and session.answer_to(self.positive) is answer
                ),
                on_error=failed,
            )
        )

    def require(self) -> CutRegion:
        """Return the region as it is now.

        Raises
        ------
        CtClipError
            If there is none yet.
        """
        if self.current is None:
            raise CtClipError("there is no region yet; move the slider until one is outlined")
        return self.current

    def close(self) -> None:
        """Take the outline off; whatever is still being computed is dropped."""
        self._wanted = self.current = None
        self._window.scene.take_off(_KEY)

    def _draw(self, found: CutRegion) -> None:
        scene = self._window.scene
        if scene.frame is None:
            return
        data, properties, kind = region_layer(found, scene.frame)
        layer: Any = scene.layer(_KEY)
        if layer is None:
            layer = scene.put(_KEY, (data, properties, kind))
            layer.contour = 2
            layer.visible = scene.viewer.dims.ndisplay == 2  # as the scan itself
            return
        layer.data = data  # a new layer for every step of a slider would cost napari too much
        layer.translate = properties["translate"]


def region_layer(found: CutRegion, frame: Frame) -> LayerData:
    """Return the labels layer of a region: its box with a voxel around, where the scan has one."""
    box = found.region.box
    low = [max(side.start - 1, 0) for side in box]
    ends = zip(box, frame.geometry.shape, strict=True)
    high = [min(side.stop + 1, size) for side, size in ends]
    labels = np.zeros([b - a for a, b in zip(low, high, strict=True)], dtype=np.uint8)
    inside = tuple(slice(s.start - a, s.stop - a) for s, a in zip(box, low, strict=True))
    labels[inside][found.region.mask] = 1
    properties = frame.placing(frame.geometry.cropped(low, high)) | {
        "name": "Region above the threshold",
        "opacity": 0.9,
        "colormap": DirectLabelColormap(color_dict={None: "transparent", 1: _COLOUR}),
        "metadata": {NAMESPACE: {"schema": 1, "role": "findings"}},
    }
    return labels, properties, "labels"
