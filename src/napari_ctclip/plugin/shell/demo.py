"""Demo: a chest CT opened, findings typed, heatmaps shown: what a user does in the first minute."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtWidgets import QApplication

from napari_ctclip.core.errors import CtClipError
from napari_ctclip.core.study import Study
from napari_ctclip.plugin.shell.launch import open_window
from napari_ctclip.plugin.study.sample_data import SAMPLE_FINDINGS, simulated_chest_volume
from napari_ctclip.plugin.window.messages import Message

if TYPE_CHECKING:
    from napari.viewer import Viewer

    from napari_ctclip.plugin.shell.study_widget import StudyWidget
    from napari_ctclip.session.session import Session

__all__ = ["DEMO_PROMPTS", "run_demo"]

DEMO_PROMPTS = (*SAMPLE_FINDINGS, "emphysema", "consolidation", "pneumothorax")
_TIME_LIMIT_S = 1800.0
_LONG_SIDE = 1600, 1000


def run_demo(ct: Path | None, out: Path, interactive: bool) -> Session:
    """Open a CT, query ``DEMO_PROMPTS``, go to the peak of the first; return the session.

    Parameters
    ----------
    ct : Path or None
        The user's CT; a simulated one if None.
    out : Path
        Folder for the pictures of the window.
    interactive : bool
        Whether the window stays open for the caller to run.

    Raises
    ------
    CtClipError
        If the CT cannot be read, or the model does not answer.
    """
    source = ct if ct is not None else Study(simulated_chest_volume(), study_id="simulated")
    viewer, widget = open_window(source, model="starter")
    failures: list[str] = []

    def note(message: Message) -> None:
        if message.severity == "error":
            failures.append(message.text)

    bench = widget.workbench
    bench.messages.told.connect(note)
    _wait(lambda: bench.jobs.is_idle)
    for prompt in DEMO_PROMPTS:
        bench.prompts.add(prompt)
    _wait(lambda: bench.jobs.is_idle)
    unanswered = [p for p in DEMO_PROMPTS if bench.session.answer_to(p) is None]
    if unanswered:
        raise CtClipError(failures[-1] if failures else f"no answer to {unanswered}")
    _save_pictures(viewer, widget, out)
    if not interactive:
        bench.studies.let_go()
        viewer.close()
    return bench.session


def _save_pictures(viewer: Viewer, widget: StudyWidget, out: Path) -> None:
    """Go to the peak of every finding and save the window; the first one last, so it stays."""
    out.mkdir(parents=True, exist_ok=True)
    viewer.window.resize(*_LONG_SIDE)
    for number in range(len(SAMPLE_FINDINGS) - 1, -1, -1):
        widget.explore.show_row(number)
        _wait(lambda: widget.workbench.jobs.is_idle)
        name = "window" if number == 0 else f"window_{SAMPLE_FINDINGS[number].replace(' ', '_')}"
        viewer.screenshot(str(out / f"{name}.png"), canvas_only=False, flash=False)


def _settle() -> None:
    for _ in range(10):
        QApplication.processEvents()
        time.sleep(0.02)


def _wait(is_done: Callable[[], bool]) -> None:
    started = time.monotonic()
    while not is_done():
        QApplication.processEvents()
        time.sleep(0.01)
        if time.monotonic() - started > _TIME_LIMIT_S:
            raise CtClipError(f"the demo is not done after {_TIME_LIMIT_S / 60:.0f} minutes")
    _settle()
