"""What napari does on the GUI thread, made cheap: outlines, thumbnails, rays, label maps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from weakref import ref

import numpy as np
import numpy.typing as npt
from napari.layers import Labels
from napari.utils.colormaps import DirectLabelColormap
from qtpy.QtCore import QObject, QTimer
from qtpy.QtWidgets import QApplication

from napari_ctclip.plugin.canvas._compat import main_window, own_canvas

if TYPE_CHECKING:
    from napari.layers import Layer
    from napari.viewer import Viewer

__all__ = ["inner_outlines", "prepare_labels", "step_along_rays", "step_quickly"]

_THUMBNAIL_MS = 1000  # after the last step


def step_quickly(layer: Layer) -> None:
    """Draw a layer's outlines faster, and its thumbnail once the user stops stepping.

    For each slice napari paints every visible layer's row of the list anew for its thumbnail, and
    filters outlines twice with scipy: together half as long as the slice itself takes.
    """
    if getattr(layer, "_ctclip_quick", False):
        return
    object.__setattr__(layer, "_ctclip_quick", True)
    _thumbnail_later(layer)
    if isinstance(layer, Labels):
        _outline_quickly(layer)


def prepare_labels(dtype: npt.DTypeLike) -> None:
    """Load and compile what the first label map of a type needs: slow, for a worker thread.

    numba compiles how labels are coloured, and the table of their names imports pandas: otherwise
    the first organ masks of a process hold the window for more than two seconds.
    """
    colours = DirectLabelColormap(color_dict={None: "transparent", 0: "transparent", 1: "white"})
    Labels(np.zeros((1, 1), dtype=dtype), colormap=colours, features={"index": [0]})


def step_along_rays(viewer: Viewer, voxels: float) -> None:
    """Let the rays of a 3D view look at every so many voxels."""
    if main_window(viewer) is None:
        return
    for drawn in own_canvas(viewer).canvas.layer_to_visual.values():
        if hasattr(drawn.node, "relative_step_size"):
            drawn.node.relative_step_size = voxels


def inner_outlines(
    labels: npt.NDArray[Any], *, thickness: int, background: int
) -> npt.NDArray[Any]:
    """Return a label image (h, w) without pixels that lie deeper than ``thickness`` in a label.

    The same as ``napari.layers.labels._labels_utils.get_contours``, which filters with scipy.
    """
    lowest = labels
    for _ in range(thickness):
        lowest = _of_neighbours(lowest, np.minimum)
    is_edge = _of_neighbours(labels, np.maximum) != lowest
    return np.where(is_edge, labels, labels.dtype.type(background))


def _of_neighbours(labels: npt.NDArray[Any], pick: np.ufunc) -> npt.NDArray[Any]:
    """Return the least or the greatest of each pixel and its four neighbours."""
    found = labels.copy()
    for inner, outer in ((np.s_[1:], np.s_[:-1]), (np.s_[:, 1:], np.s_[:, :-1])):
        pick(found[inner], labels[outer], out=found[inner])
        pick(found[outer], labels[inner], out=found[outer])
    return found


def _outline_quickly(layer: Labels) -> None:
    reference, original = ref(layer), type(layer)._calculate_contour

    def contour(labels: Any, data_slice: tuple[slice, ...]) -> Any:
        layer = reference()
        if layer is None:
            return None
        whole = all(
            (s.start, s.stop) == (0, n) for s, n in zip(data_slice, labels.shape, strict=True)
        )
        if layer.contour < 1 or labels.ndim != 2 or not whole:
            return original(layer, labels, data_slice)
        return inner_outlines(
            np.asarray(labels),
            thickness=int(layer.contour),
            background=layer.colormap.background_value,
        )

    object.__setattr__(layer, "_calculate_contour", contour)


def _thumbnail_later(layer: Layer) -> None:
    reference, thumbnails = ref(layer), _thumbnails()

    def later() -> None:
        thumbnails.draw_soon(reference)

    object.__setattr__(layer, "_update_thumbnail", later)


class _Thumbnails(QTimer):
    """Draws what layers wait for, once the user stops stepping.

    The application owns it, none of the layers: those are collected as garbage, on whichever thread
    that starts, and a timer must end on its own.
    """

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self._waiting: set[ref[Layer]] = set()
        self.setSingleShot(True)
        self.setInterval(_THUMBNAIL_MS)
        self.timeout.connect(self._draw)

    def draw_soon(self, layer: ref[Layer]) -> None:
        self._waiting.add(layer)
        self.start()

    def _draw(self) -> None:
        waiting, self._waiting = self._waiting, set()
        for reference in waiting:
            layer = reference()
            if layer is not None:
                type(layer)._update_thumbnail(layer)


def _thumbnails() -> _Thumbnails:
    application = QApplication.instance()
    assert application is not None
    return application.findChild(_Thumbnails) or _Thumbnails(application)
