"""A viewer with the panel, a small scan and a model that records what it does."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from napari_ctclip.core.study import Study
from napari_ctclip.core.volume import Window
from napari_ctclip.encoding.feature_cache import FeatureCache
from napari_ctclip.session.session import Session
from napari_ctclip.testing import TinyModel
from tests.phantom import ball_study

if sys.platform.startswith("linux") and not os.environ.get("DISPLAY"):
    collect_ignore_glob = ["*/test_*.py"]  # no display: run under xvfb-run
else:
    from qtpy.QtCore import Qt
    from qtpy.QtTest import QTest
    from qtpy.QtWidgets import QWidget

    from napari_ctclip.plugin.canvas.views import View
    from napari_ctclip.plugin.findings import export_dialog
    from napari_ctclip.plugin.prompts import phrasing, prompt_line
    from napari_ctclip.plugin.session import autosave_flow
    from napari_ctclip.plugin.shell.study_widget import StudyWidget
    from napari_ctclip.plugin.shell.workbench import Workbench

WAIT_MS = 20_000


class WatchedModel(TinyModel):
    """A tiny model with a hook on the encoding thread."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.before_window: Callable[[], None] = lambda: None

    def encode_image(self, image: Any) -> Any:
        self.before_window()
        return super().encode_image(image)


class Desk:
    """What a GUI test works with."""

    def __init__(self, viewer: Any, widget: StudyWidget, model: WatchedModel, qtbot: Any) -> None:
        self.viewer, self.widget, self.model, self.qtbot = viewer, widget, model, qtbot
        self.bench: Workbench = widget.workbench

    def show_planes(self) -> None:
        """Show the three planes beside each other."""
        self.bench.views.show(View.PLANES)
        self.qtbot.wait(100)

    def wait(self) -> None:
        """Serve events until no job runs or waits."""
        idle = (self.bench.jobs, self.bench.autosave.jobs)
        self.qtbot.waitUntil(lambda: all(jobs.is_idle for jobs in idle), timeout=WAIT_MS)

    def open(self, study: Study | None = None) -> None:
        """Open a study and wait until it is settled."""
        self.bench.studies.open_study(study or ball_study())
        self.wait()

    def ask(self, text: str) -> None:
        """Type a prompt, press Enter and wait for the answer."""
        line = self.widget.explore.line.edit
        line.setText(text)
        line.returnPressed.emit()
        self.wait()

    def ask_and_hold(self, text: str) -> threading.Event:
        """Ask a prompt and hold its encoding in the first window; the event lets it go on."""
        reached, release = threading.Event(), threading.Event()

        def window() -> None:
            reached.set()
            release.wait(60.0)  # a loaded machine may take long to come back

        self.model.before_window = window
        self.bench.prompts.add(text)
        self.qtbot.waitUntil(reached.is_set, timeout=WAIT_MS)
        return release

    def heat(self, prompt: str) -> Any:
        """Return the heat layer of a prompt."""
        return self.viewer.layers[f"Heatmap: {prompt}"]

    @property
    def status(self) -> str:
        """What the status strip says."""
        return self.widget.status.text.text()


@pytest.fixture(autouse=True)
def no_key_held(qapp: Any) -> Iterator[None]:
    """Let go of Shift and Ctrl: Qt keeps those of a test's last key until the next mouse event."""
    yield
    if qapp.keyboardModifiers() != Qt.KeyboardModifier.NoModifier:
        QTest.keyClick(QWidget(), Qt.Key.Key_Escape)


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> WatchedModel:
    """The model that loading any name gives."""
    model = WatchedModel()
    monkeypatch.setattr(Session, "compute_model", lambda self, name="starter": model)
    return model


@pytest.fixture
def make_desk(
    make_napari_viewer: Any,
    model: WatchedModel,
    tmp_path: Path,
    qtbot: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Callable[..., Desk]]:
    """Give a function that opens a viewer with the panel."""
    monkeypatch.setattr(autosave_flow, "autosave_folder", lambda: tmp_path / "state")
    monkeypatch.setattr(export_dialog, "keep_setting", lambda name, value: None)
    monkeypatch.setattr(prompt_line, "keep_setting", lambda name, value: None)
    monkeypatch.setattr(phrasing, "keep_setting", lambda name, value: None)
    desks: list[Desk] = []

    def make(*, show: bool = False) -> Desk:
        viewer = make_napari_viewer(show=show)
        session = Session(cache=FeatureCache(tmp_path / "cache"), device="cpu")
        widget = StudyWidget(viewer, session)
        viewer.window.add_dock_widget(widget, name="CT-CLIP", area="right")
        widget.workbench.studies.makes_masks_at_once = False
        desks.append(Desk(viewer, widget, model, qtbot))
        return desks[-1]

    yield make
    for desk in desks:
        desk.bench.jobs.cancel()
        desk.wait()
    assert threading.main_thread() is threading.current_thread()


@pytest.fixture
def desk(make_desk: Callable[..., Desk]) -> Desk:
    """A viewer with the panel, hidden."""
    return make_desk()


@pytest.fixture
def open_desk(desk: Desk) -> Desk:
    """The same with the ball scan open."""
    desk.open()
    return desk


@pytest.fixture
def shown(make_desk: Callable[..., Desk]) -> Desk:
    """A viewer with the panel on the screen, nothing open."""
    desk = make_desk(show=True)
    desk.viewer.window.resize(1280, 720)
    desk.qtbot.wait(100)
    return desk


@pytest.fixture
def worked(open_desk: Desk) -> Desk:
    """A desk with a prompt, a finding, a window and a place."""
    open_desk.ask("bright spot")
    open_desk.widget.findings.region.click()
    open_desk.wait()
    open_desk.bench.scene.set_window(Window(100.0, 900.0))
    open_desk.bench.scene.turn_to((3, 4, 5))
    return open_desk
