"""Texts over the picture: window, reading and heatmap legend, and the letters of orientation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari_ctclip.core.volume import Window
from napari_ctclip.plugin.canvas._compat import (
    floating_axes,
    place_text,
    remove_text,
    scale_bar,
)
from napari_ctclip.plugin.canvas.canvas_fit import CanvasFit

if TYPE_CHECKING:
    from napari.viewer import Viewer

__all__ = ["LETTER_COLOUR", "CanvasTexts", "OrientationLetters"]

_TEXT_COLOUR = "#f2f2f2"
_LEGEND = "similarity, relative to\nthis scan; not a\nprobability of disease"
LETTER_COLOUR = "#ffd166"
_TOWARDS = ("I", "P", "L")  # where each layer axis of ours points to
_OPPOSITE = {"I": "S", "P": "A", "L": "R"}


class CanvasTexts:
    """The plugin's own lines on a viewer's canvas.

    Parameters
    ----------
    viewer : Viewer
        Whose canvas it writes on.
    """

    def __init__(self, viewer: Viewer) -> None:
        self._viewer = viewer
        self._window: Window | None = None
        self._reading = ""
        self._heatmaps: tuple[str, ...] = ()
        self._shown = False
        self._letters = OrientationLetters(viewer)
        self._fit = CanvasFit(viewer)

    def show(self) -> None:
        """Start writing: a scan is open."""
        self._shown = True
        self._viewer.canvas.background_color_override = "black"  # as radiologists' viewers
        bar = scale_bar(self._viewer)
        bar.visible = True
        bar.colored = False
        self._letters.set_shown(True)
        self._show_lines()

    def hide(self) -> None:
        """Take everything off: no scan is open."""
        self._shown, self._reading, self._heatmaps = False, "", ()
        self._viewer.canvas.background_color_override = None
        self._letters.set_shown(False)
        remove_text(self._viewer)

    def set_window(self, window: Window) -> None:
        """Write the display window."""
        self._window = window
        self._show_lines()

    def set_reading(self, text: str) -> None:
        """Write what lies at a point, in a line; nothing if empty."""
        self._reading = text
        self._show_lines()

    def set_heatmaps(self, names: tuple[str, ...]) -> None:
        """Write what the heatmaps on screen mean; nothing if there is none."""
        if names != self._heatmaps:
            self._heatmaps = names
            self._show_lines()

    def _show_lines(self) -> None:
        lines = []
        if self._window is not None:
            lines.append(f"W {self._window.width:.0f}  L {self._window.level:.0f}")
        if self._reading:
            lines.append(self._reading)
        place_text(
            self._viewer,
            "reading",
            text="\n".join(lines),
            position="top_left",
            font_size=11,
            color=_TEXT_COLOUR,
            visible=self._shown and bool(lines),
        )
        place_text(
            self._viewer,
            "legend",
            text=f"Heatmap: {', '.join(self._heatmaps)}\n{_LEGEND}",
            position="bottom_left",
            font_size=8,
            color=_TEXT_COLOUR,
            visible=self._shown and bool(self._heatmaps),
        )


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
