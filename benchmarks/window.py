"""The window: the longest time that the event loop stands still while a scan is encoded."""

from __future__ import annotations

import tempfile
import time
from itertools import pairwise
from pathlib import Path

from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QApplication

from napari_ctclip.core.study import Study
from napari_ctclip.plugin.launch import open_window
from napari_ctclip.plugin.study_widget import StudyWidget
from napari_ctclip.scoring.feature_cache import FeatureCache

_TICK_MS = 5


def run(study: Study) -> dict[str, str]:
    """Return the benchmark's lines."""
    viewer, widget = open_window(study, show=True, quick_masks=False)
    bench = widget.workbench
    with tempfile.TemporaryDirectory() as folder:
        bench.session.cache = FeatureCache(Path(folder))
        _until_idle(widget)
        bench.session.load_model("starter")
        ticks: list[float] = []
        timer = QTimer()
        timer.timeout.connect(lambda: ticks.append(time.perf_counter()))
        timer.start(_TICK_MS)
        bench.prompts.encode()
        _until_idle(widget)
        timer.stop()
    gaps = [1000 * (b - a) for a, b in pairwise(ticks)]
    bench.studies.let_go()
    viewer.close()
    return {
        "longest block of the window while encoding (aim <= 100)": f"{max(gaps):.0f} ms",
        "  events served meanwhile": f"{len(ticks)} in {sum(gaps) / 1000:.1f} s",
    }


def _until_idle(widget: StudyWidget) -> None:
    for _ in range(5):
        QApplication.processEvents()
    while not widget.workbench.jobs.is_idle:
        QApplication.processEvents()
        time.sleep(0.001)
