"""Slice navigator: the strip beside the canvas, kept in step with prompts, answers and slices."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject

from napari_ctclip.plugin.canvas._compat import beside_canvas
from napari_ctclip.plugin.canvas.slice_strip import SliceStrip, StripTrack
from napari_ctclip.plugin.prompts.prompt_state import PromptState
from napari_ctclip.plugin.window.window import Window
from napari_ctclip.scoring.answer import Answer
from napari_ctclip.scoring.slice_profile import SliceProfile, slice_profile

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["SliceNavigator"]


class SliceNavigator(QObject):
    """A track for every prompt whose heatmap is shown.

    Parameters
    ----------
    window : Window
        Whose slice it marks and turns.
    state : PromptState
        Which prompts are shown, in which colours.
    go_to : callable
        Takes the voxel (z, y, x) of a peak to look at.
    parent : QObject or None
        What it dies with.
    """

    def __init__(
        self,
        window: Window,
        *,
        state: PromptState,
        go_to: Callable[[tuple[int, int, int]], None],
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._session, self._scene = window.session, window.scene
        self._state, self._go_to = state, go_to
        self._profiles: dict[str, tuple[Answer, object, SliceProfile]] = {}
        self.strip = SliceStrip()
        self.strip.hide()
        layout = beside_canvas(window.viewer)
        if layout is not None:
            layout.insertWidget(0, self.strip)
        self.strip.slice_chosen.connect(self.show_slice)
        self.strip.peak_wanted.connect(self.next_peak)
        window.viewer.dims.events.current_step.connect(self._mark_slice)
        window.scene.study_changed.connect(self.refresh)
        state.changed.connect(self.refresh)

    def show_slice(self, number: int) -> None:
        """Turn to an axial slice."""
        frame = self._scene.frame
        if frame is not None:
            self._scene.viewer.dims.set_point(0, float(frame.index_to_display((number, 0, 0))[0]))

    def next_peak(self, step: int = 1) -> None:
        """Go to the next peak (1) towards the feet of any prompt shown, or the one before (-1)."""
        frame = self._scene.frame
        peaks = [peak for track in self.strip.tracks for peak in track.profile.peaks]
        if frame is None or not peaks:
            return
        places = sorted({frame.world_to_index(peak.world_mm) for peak in peaks})
        now = self._slice()
        if step > 0:
            self._go_to(next((p for p in places if p[0] > now), places[0]))
        else:
            self._go_to(next((p for p in reversed(places) if p[0] < now), places[-1]))

    def refresh(self, *_: Any) -> None:
        """Draw the prompts that are shown now."""
        frame, regions = self._scene.frame, None
        if self._session.encoding is not None:
            regions = self._session.encoding.regions
        tracks = []
        for row in self._state.rows if frame is not None else ():
            answer, name = row.answer, row.prompt.positive
            if not row.shown or answer is None or frame is None:
                continue
            kept = self._profiles.get(name)
            if kept is None or kept[0] is not answer or kept[1] is not regions:
                profile = slice_profile(answer, frame.geometry, regions)
                kept = self._profiles[name] = answer, regions, profile
            tracks.append(StripTrack(name, row.colour, kept[2]))
        if frame is None:
            self._profiles.clear()
        depth = 1 if frame is None else frame.geometry.shape[0]
        if (tuple(tracks), depth) != (self.strip.tracks, self.strip.slice_count):
            self.strip.set_tracks(tracks, depth)
        # not only while a heatmap is shown: the canvas must not change its size with every tick
        answered = any(row.answer is not None for row in self._state.rows)
        self.strip.setVisible(frame is not None and answered)
        self._mark_slice()

    def _slice(self) -> int:
        frame, point = self._scene.frame, self._scene.viewer.dims.point
        if frame is None or len(point) != 3:  # napari has two axes once the last layer is gone
            return 0
        found = frame.display_to_index(point)
        return 0 if found is None else found[0]

    def _mark_slice(self, *_: Any) -> None:
        if self.strip.isVisible():
            self.strip.set_slice(self._slice())
