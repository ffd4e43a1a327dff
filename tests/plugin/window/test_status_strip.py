"""The foot of the panel keeps its height, so that nothing above it is laid out anew."""

from __future__ import annotations

from typing import Any

import pytest

from napari_ctclip.plugin.window.jobs import JobQueue
from napari_ctclip.plugin.window.messages import Messages
from napari_ctclip.plugin.window.status_strip import StatusStrip

pytestmark = pytest.mark.gui

_WIDTH = 440


def test_a_job_that_starts_or_ends_does_not_change_the_height(qtbot: Any) -> None:
    messages = Messages()
    jobs = JobQueue(messages)
    strip = StatusStrip(jobs, messages=messages)
    qtbot.addWidget(strip)

    def height() -> int:
        layout = strip.layout()
        layout.activate()
        return layout.totalHeightForWidth(_WIDTH)

    messages.info("Ready.")
    short = height()
    jobs.running_changed.emit("Writing to exports")
    assert not strip.bar.isHidden()
    running = height()
    jobs.running_changed.emit("")
    messages.info("12 files are written to /home/ada/studies/thorax/results/exports_of_today.")
    written = height()
    messages.info(" ".join(["far longer than two lines"] * 12))
    assert (running, written) == (short, short)
    assert height() > short, "a long message is still shown whole"
