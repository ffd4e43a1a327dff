"""Orientation letters: R, L, A, P, S and I at the edges of a canvas that lie towards them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari_ctclip.plugin.canvas._compat import floating_axes, place_text

if TYPE_CHECKING:
    from napari.viewer import Viewer

__all__ = ["LETTER_COLOUR", "OrientationLetters"]

LETTER_COLOUR = "#ffd166"
_TOWARDS = ("I", "P", "L")  # where each layer axis of ours points to
_OPPOSITE = {"I": "S", "P": "A", "L": "R"}


class OrientationLetters:
    """The letters of a viewer: at four edges of a plane, on the three axes of a 3D view.

    Parameters
    ----------
    viewer : Viewer or ViewerModel
        Whose canvas it writes on; it follows the plane that is shown.
    """

    def __init__(self, viewer: Viewer | Any) -> None:
        self._viewer = viewer
        self._shown = False
        viewer.dims.events.order.connect(self._write)
        viewer.dims.events.ndisplay.connect(self._write)

    def set_shown(self, shown: bool) -> None:
        """Write the letters, or take them off."""
        self._shown = shown
        self._write()

    def _write(self, *_: Any) -> None:
        flat = self._viewer.dims.ndisplay == 2 and self._viewer.dims.ndim == 3
        down, right = (_TOWARDS[axis % 3] for axis in self._viewer.dims.order[-2:])
        edges = {
            "top_center": _OPPOSITE[down],
            "bottom_center": down,
            "middle_left": _OPPOSITE[right],
            "middle_right": right,
        }
        for position, letter in edges.items():
            place_text(
                self._viewer,
                f"letter_{position}",
                text=letter,
                position=position,
                font_size=14,
                color=LETTER_COLOUR,
                visible=self._shown and flat,
            )
        axes = floating_axes(self._viewer)
        axes.position = "bottom_center"  # the scale bar and the legend have the corners
        axes.visible = self._shown and self._viewer.dims.ndisplay == 3
