"""Canvas: what is written over the picture: orientation letters, window, probe, heat legend."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_ctclip.core.anatomy import anatomy_label
from napari_ctclip.core.volume import Window
from napari_ctclip.plugin._compat import place_text, remove_text, scale_bar
from napari_ctclip.scoring.probe import Probe

if TYPE_CHECKING:
    from napari.viewer import Viewer

__all__ = ["CanvasTexts"]

_TOWARDS = ("I", "P", "L")  # where each layer axis of ours points to
_OPPOSITE = {"I": "S", "S": "I", "P": "A", "A": "P", "L": "R", "R": "L"}
_LETTER_COLOUR = "#ffd166"
_TEXT_COLOUR = "#f2f2f2"
_LEGEND = "similarity, relative to\nthis scan; not a\nprobability of disease"


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
        self._probe: Probe | None = None
        self._heat = ""
        self._shown = False
        viewer.dims.events.order.connect(self.show_letters)
        viewer.dims.events.ndisplay.connect(self.show_letters)

    def show(self) -> None:
        """Start writing: a scan is open."""
        self._shown = True
        self._viewer.canvas.background_color_override = "black"  # as radiologists' viewers
        bar = scale_bar(self._viewer)
        bar.visible = True
        bar.colored = False
        self.show_letters()
        self._show_lines()

    def hide(self) -> None:
        """Take everything off: no scan is open."""
        self._shown, self._probe, self._heat = False, None, ""
        self._viewer.canvas.background_color_override = None
        remove_text(self._viewer)

    def set_window(self, window: Window) -> None:
        """Write the display window."""
        self._window = window
        self._show_lines()

    def set_probe(self, probe: Probe | None) -> None:
        """Write what lies at the probed spot."""
        self._probe = probe
        self._show_lines()

    def set_heat(self, prompt: str) -> None:
        """Write what the heat on screen means; empty if none is shown."""
        if prompt != self._heat:
            self._heat = prompt
            self._show_lines()

    def show_letters(self) -> None:
        """Write A, P, R, L, S, I at the edges they lie towards; none in 3D."""
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
                color=_LETTER_COLOUR,
                visible=self._shown and flat,
            )

    def _show_lines(self) -> None:
        lines = []
        if self._window is not None:
            lines.append(f"W {self._window.width:.0f}  L {self._window.level:.0f}")
        if self._probe is not None:
            where = anatomy_label(self._probe.anatomy) if self._probe.anatomy else "no organ mask"
            lines.append(f"{self._probe.hounsfield} HU, {where}")
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
            text=f"Heat: {self._heat}\n{_LEGEND}",
            position="bottom_left",
            font_size=8,
            color=_TEXT_COLOUR,
            visible=self._shown and bool(self._heat),
        )
