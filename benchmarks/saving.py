"""Exports and session files: how long the window stands still while they are written."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QApplication

from napari_ctclip.core.study import Study
from napari_ctclip.encoding.feature_cache import FeatureCache
from napari_ctclip.exporting.content import ExportKind
from napari_ctclip.plugin.shell.launch import open_window
from napari_ctclip.plugin.shell.study_widget import StudyWidget

_TICK_MS = 5
_PROMPT = "lung nodule"
_WITHOUT_DICOM = tuple(
    kind for kind in ExportKind if kind not in (ExportKind.SEG, ExportKind.PARAMETRIC_MAP)
)


def run(study: Study) -> dict[str, str]:
    """Return the benchmark's lines."""
    viewer, widget = open_window(study, show=True, quick_masks=False)
    bench = widget.workbench
    with tempfile.TemporaryDirectory() as folder:
        bench.session.cache = FeatureCache(Path(folder) / "cache")
        bench.prompts.add(_PROMPT)
        _until_idle(widget)
        peak = bench.prompts.state.rows[0].peak or (0, 0, 0)
        bench.findings.add_point(peak, positive=_PROMPT)
        _until_idle(widget)
        out = Path(folder) / "out"
        export = _longest_block(widget, lambda: bench.exports.write(out, kinds=_WITHOUT_DICOM))
        kept = _longest_block(widget, bench.autosave.keep)
        session = Path(folder) / "case.ctclip.zip"
        save = _longest_block(widget, lambda: bench.sessions.save(session))
    bench.studies.let_go()
    viewer.close()
    return {
        "longest block of the window during an export (aim <= 100)": _told(export),
        "  while a session is saved (aim <= 100)": _told(save),
        "  during an autosave (aim <= 100)": _told(kept),
    }


def _longest_block(widget: StudyWidget, act: Callable[[], None]) -> tuple[float, float]:
    """Return the longest time without an event and the whole time, seconds."""
    ticks = [time.perf_counter()]
    timer = QTimer()
    timer.timeout.connect(lambda: ticks.append(time.perf_counter()))
    timer.start(_TICK_MS)
    act()
    _until_idle(widget)
    timer.stop()
    ticks.append(time.perf_counter())  # what becomes of the last result blocks too
    return max(b - a for a, b in pairwise(ticks)), ticks[-1] - ticks[0]


def _told(block: tuple[float, float]) -> str:
    longest, whole = block
    return f"{1000 * longest:.0f} ms in {whole:.1f} s"


def _until_idle(widget: StudyWidget) -> None:
    bench = widget.workbench
    for _ in range(5):
        QApplication.processEvents()
    while not (bench.jobs.is_idle and bench.autosave.jobs.is_idle):
        QApplication.processEvents()
        time.sleep(0.001)
