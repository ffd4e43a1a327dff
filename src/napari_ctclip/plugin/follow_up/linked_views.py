"""Linked views: two pictures that follow each other: place, plane, zoom and display window."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from psygnal import Signal

from napari_ctclip.explanation.probe import Probe
from napari_ctclip.plugin.canvas._compat import camera_of
from napari_ctclip.plugin.canvas.scene import Scene
from napari_ctclip.plugin.prompts.probe import ProbeFlow
from napari_ctclip.plugin.window.window import Window
from napari_ctclip.session.follow_up import FollowUp

__all__ = ["LinkedViews"]

Index = tuple[int, int, int]
_CLICK_PIXELS = 3.0


class LinkedViews:
    """The current scan's picture and the prior's, each following the other.

    Parameters
    ----------
    window : Window
        Of the current scan.
    prior : Scene
        The prior's picture.
    pair : FollowUp
        Knows which place is which.
    probe : ProbeFlow
        The probe of the current scan.
    """

    beyond = Signal(bool)
    """Whether the place shown lies beyond the prior scan."""

    def __init__(self, window: Window, prior: Scene, *, pair: FollowUp, probe: ProbeFlow) -> None:
        self.enabled = True
        self._window, self._probe, self._pair = window, probe, pair
        self._current, self._prior = window.scene, prior
        self._is_moving = False
        here, there = self._current.viewer, prior.viewer
        self._wired: list[tuple[Any, Callable[..., Any]]] = [
            (here.dims.events.point, self.follow_current),
            (there.dims.events.point, self._follow_prior),
            (here.dims.events.order, self._share_plane),
            (here.dims.events.ndisplay, self._share_plane),
            (camera_of(here).events.zoom, self._share_zoom),
            (camera_of(there).events.zoom, self._share_zoom),
            (probe.probed, self._on_probed),
        ]
        for signal, slot in self._wired:
            signal.connect(slot)
        there.mouse_drag_callbacks.append(self._on_mouse)

    def close(self) -> None:
        """Follow no longer."""
        for signal, slot in self._wired:
            signal.disconnect(slot)
        self._wired.clear()

    def watch_window(self) -> None:
        """Share the display window of the scans that are open now."""
        for scene in (self._current, self._prior):
            if scene.ct is not None:
                scene.ct.events.contrast_limits.connect(self._share_window)
        if self._current.ct is not None and self._prior.ct is not None:
            self._prior.ct.contrast_limits = self._current.ct.contrast_limits

    def follow_current(self, *_: object) -> None:
        """Turn the prior to the place that the current scan shows."""
        with self._moving() as is_mine:
            index = _shown(self._current) if is_mine else None
            if index is not None and self._pair.is_linked:
                place = self._pair.in_prior(index)
                _turn(self._prior, place)
                self.beyond.emit(place is None)

    # --- inside ---------------------------------------------------------------------------------

    @contextmanager
    def _moving(self) -> Iterator[bool]:
        """Give whether a change is the user's, not the echo of one of ours."""
        if self._is_moving or not self.enabled:
            yield False
            return
        self._is_moving = True
        try:
            yield True
        finally:
            self._is_moving = False

    def _follow_prior(self, *_: object) -> None:
        with self._moving() as is_mine:
            index = _shown(self._prior) if is_mine else None
            if index is not None:
                _turn(self._current, self._pair.in_current(index))

    def _on_probed(self, probe: Probe, is_ranking: bool) -> None:
        with self._moving() as is_mine:
            place = self._pair.in_prior(probe.index) if is_mine else None
            if place is not None:
                self._prior.go_to(place)

    def _on_mouse(self, viewer: Any, event: Any) -> Any:
        """Probe the current scan where the prior is clicked."""
        if event.button != 1 or viewer.dims.ndisplay != 2:
            return
        start = event.pos
        yield
        while event.type == "mouse_move":
            yield
        moved = abs(event.pos[0] - start[0]) + abs(event.pos[1] - start[1])
        index = self._prior.index_at(event.position[-3:])
        if moved <= _CLICK_PIXELS and index is not None:
            self._window.guarded(lambda: self.look_at_prior(index))

    def look_at_prior(self, index: Index) -> None:
        """Mark a voxel of the prior and probe the current scan at the same place."""
        with self._moving() as is_mine:
            self._prior.go_to(index)
            place = self._pair.in_current(index) if is_mine else None
            if place is not None:
                self._current.go_to(place)
                self._probe.at(place)

    def _share_plane(self, *_: object) -> None:
        here, there = self._current.viewer.dims, self._prior.viewer.dims
        with self._moving() as is_mine:
            if is_mine and here.ndim == there.ndim == 3:
                there.ndisplay = here.ndisplay
                there.order = here.order
        self.follow_current()

    def _share_zoom(self, event: Any) -> None:
        with self._moving() as is_mine:
            if is_mine:
                cameras = [camera_of(s.viewer) for s in (self._current, self._prior)]
                for camera in cameras:
                    if camera is not event.source:
                        camera.zoom = event.source.zoom

    def _share_window(self, event: Any) -> None:
        with self._moving() as is_mine:
            if is_mine:
                for scene in (self._current, self._prior):
                    if scene.ct is not None and scene.ct is not event.source:
                        scene.ct.contrast_limits = event.source.contrast_limits


def _shown(scene: Scene) -> Index | None:
    """Return the voxel that a picture's sliders stand at."""
    point = scene.viewer.dims.point
    return scene.index_at(point) if len(point) == 3 else None  # two while layers come and go


def _turn(scene: Scene, index: Index | None) -> None:
    if index is not None and scene.frame is not None:
        place = scene.frame.index_to_display(index)
        scene.viewer.dims.set_point(range(3), place.tolist())
