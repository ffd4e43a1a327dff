"""Token ghost: the outline of the one token under the mouse, the resolution of a heatmap."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from psygnal import Signal

from napari_ctclip.core.geometry import INTERNAL_AXES, Geometry
from napari_ctclip.plugin.canvas._compat import draw_lines
from napari_ctclip.plugin.canvas.scene import Scene
from napari_ctclip.plugin.canvas.views import Views

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = ["TokenGhost"]

_COLOUR = "#ffffffd0"
_NAME = "token"


class TokenGhost:
    """A box as large as a token, where the mouse is, in every plane that cuts it.

    Parameters
    ----------
    scene : Scene
        Whose scan it lies on.
    views : Views
        The canvases it is drawn in.
    """

    shown_changed = Signal(bool)
    """Whether it is drawn."""

    def __init__(self, scene: Scene, views: Views) -> None:
        self._scene, self._views = scene, views
        self._grid: Geometry | None = None  # of tokens, in the order of the display
        self.is_shown = False
        self.corners: npt.NDArray[np.float64] | None = None
        """World places (2, 3) of two opposite corners of the token; None where there is none."""
        self._at: tuple[int, int, int] | None = None
        scene.study_changed.connect(self._follow)
        views.followed.connect(self._follow)

    @property
    def token_mm(self) -> tuple[float, float, float] | None:
        """Sides (z, y, x) of a token as it is drawn; None before a scan is encoded."""
        return None if self._grid is None else self._grid.spacing_mm

    def set_grid(self, grid: Geometry | None) -> None:
        """Take the token grid of another encoding; None while no scan is encoded."""
        self._grid = None if grid is None else grid.reoriented(grid.transform_to(INTERNAL_AXES))
        self._follow()

    def set_shown(self, shown: bool) -> None:
        """Draw it or not."""
        if shown != self.is_shown:
            self.is_shown = shown
            self._redraw()
            self.shown_changed.emit(shown)

    def move_to(self, index: tuple[int, int, int]) -> None:
        """Put it at the token that holds a voxel of the scan."""
        if index != self._at:
            self._at = index
            if self.is_shown:
                self._redraw()

    def _follow(self, *_: object) -> None:
        if self.is_shown:
            self._redraw()

    def _redraw(self) -> None:
        self.corners = self._corners() if self.is_shown else None
        for canvas, dims in self._views.canvases():
            draw_lines(canvas, _outline(self.corners, dims), _COLOUR, name=_NAME)

    def _corners(self) -> npt.NDArray[np.float64] | None:
        grid, frame = self._grid, self._scene.frame
        if grid is None or frame is None or self._at is None:
            return None
        token = np.rint(grid.world_to_index(frame.geometry.index_to_world(self._at)))
        if not grid.contains_index(token):
            return None
        placing = frame.placing(grid)
        edges = token + np.array([[-0.5], [0.5]])
        return np.asarray(edges * np.asarray(placing["scale"]) + np.asarray(placing["translate"]))


def _outline(corners: npt.NDArray[np.float64] | None, dims: Any) -> npt.NDArray[np.float64] | None:
    """Return the ends (8, 2), as (x, y), of a box's sides in a plane; None if it misses the box."""
    if corners is None or dims.ndisplay != 2 or dims.ndim != 3:
        return None
    across, down, right = dims.order
    low, high = corners
    if not low[across] <= dims.point[across] <= high[across]:
        return None
    (top, left), (bottom, end) = low[[down, right]], high[[down, right]]
    ring = [(left, top), (end, top), (end, bottom), (left, bottom)]
    return np.array(
        [place for side in zip(ring, [*ring[1:], ring[0]], strict=True) for place in side]
    )
