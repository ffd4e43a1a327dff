"""The strip beside the picture: how high each prompt is in every slice."""

from __future__ import annotations

import numpy as np
import pytest
from qtpy.QtCore import QPoint, Qt

from tests.plugin.conftest import Desk

pytestmark = pytest.mark.gui


def test_strip_shows_every_visible_prompt_and_turns_the_slices(shown: Desk) -> None:
    shown.open()
    strip = shown.bench.slices.strip
    assert not strip.isVisible()
    shown.ask("bright spot")
    shown.ask("dark hole")
    shown.bench.prompts.set_shown("bright spot", True)
    assert [track.name for track in strip.tracks] == ["bright spot", "dark hole"]
    rows = shown.bench.prompts.state.rows
    assert [track.colour for track in strip.tracks] == [row.colour for row in rows]
    shown.qtbot.mouseClick(
        strip, Qt.MouseButton.LeftButton, pos=QPoint(20, round(strip.place_of(33)))
    )
    assert shown.viewer.dims.current_step[0] == 33
    shown.qtbot.keyClick(strip, Qt.Key.Key_Up)
    assert shown.viewer.dims.current_step[0] == 32
    assert "slice 32 of 40" in strip.accessibleDescription()
    shown.bench.prompts.set_shown("dark hole", False)
    shown.bench.prompts.set_shown("bright spot", False)
    assert strip.tracks == ()
    assert strip.isVisible()  # the canvas keeps its size
    shown.viewer.layers.clear()
    assert not strip.isVisible()


def test_strip_is_coloured_where_the_prompt_is_high_and_keys_go_to_its_peak(shown: Desk) -> None:
    shown.open()
    shown.ask("bright spot")
    strip = shown.bench.slices.strip
    (track,) = strip.tracks
    highest = np.where(np.isfinite(track.profile.highest), track.profile.highest, -np.inf)
    best = int(np.argmax(highest))
    picture = strip.grab().toImage()
    ratio = picture.devicePixelRatio()
    tone = [int(track.colour[i : i + 2], 16) for i in (1, 3, 5)]

    def reach(number: int) -> int:
        y = round(strip.place_of(number) * ratio)
        pixels = [picture.pixelColor(x, y).getRgb()[:3] for x in range(picture.width())]
        hue = np.sign(np.subtract(tone, np.mean(tone)))
        return sum(
            bool(np.ptp(p) > 40 and (np.sign(np.subtract(p, np.mean(p))) == hue).all())
            for p in pixels
        )

    low = int(np.nanargmin(track.profile.highest))
    assert reach(best) > reach(low)
    shown.bench.slices.show_slice(0)
    shown.qtbot.keyClick(strip, Qt.Key.Key_Return)
    frame = shown.bench.scene.frame
    places = sorted(frame.world_to_index(peak.world_mm) for peak in track.profile.peaks)
    assert shown.viewer.dims.current_step[0] == next(
        (p[0] for p in places if p[0] > 0), places[0][0]
    )
