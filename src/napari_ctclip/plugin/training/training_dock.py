"""Training dock: watches the folder of a training, shows its models on the CT, starts others."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from napari.qt.threading import FunctionWorker
from psygnal import Signal
from qtpy.QtCore import QEvent, QObject, QSize, QTimer
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QFileDialog,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from napari_ctclip.core.errors import CtClipError
from napari_ctclip.plugin.prompts.prompt_flow import PromptFlow
from napari_ctclip.plugin.training.training_curves import TrainingCurves
from napari_ctclip.plugin.training.training_start import TrainingStart
from napari_ctclip.plugin.widgets.docking import dock_beside_panel
from napari_ctclip.plugin.widgets.fold import Fold
from napari_ctclip.plugin.widgets.panel_parts import scrolled, sentence
from napari_ctclip.plugin.window.status_strip import StatusStrip
from napari_ctclip.plugin.window.window import Window
from napari_ctclip.pretraining.runs.run_record import RunReader, RunRecord, Snapshot
from napari_ctclip.pretraining.runs.run_status import RunState

__all__ = ["RunWatch", "TrainingDock", "state_text"]

_MARKS = {
    RunState.RUNNING: "▶ Running",
    RunState.STOPPED: "■ Stopped",
    RunState.FINISHED: "✔ Finished",
    RunState.FAILED: "✖ Failed",
    RunState.LOST: "✖ Ended without a word",
    RunState.UNKNOWN: "? Not known whether it runs",
}
_POLL_MS = 1000


class TrainingDock(QWidget):
    """The dock "CT-CLIP training".

    Parameters
    ----------
    window : Window
        On whose open CT a run's models are shown.
    prompts : PromptFlow
        Loads the models, and queries them.
    """

    def __init__(self, window: Window, prompts: PromptFlow) -> None:
        super().__init__()
        self.setObjectName("ctclip training")
        self._window, self._prompts = window, prompts
        self.record: RunRecord | None = None
        self.reading = RunWatch(self)
        self.folder = QLineEdit()
        self.folder.setPlaceholderText("folder of a run")
        self.folder.setAccessibleName("Folder of the run")
        self.browse = QPushButton("Open run…")
        self.state = sentence("No run is open.", "State of the run")
        self.curves = TrainingCurves()
        self.curves.set_theme(self._window.viewer.theme)
        self.log = QCheckBox("Logarithmic loss")
        self.snapshots = QComboBox()
        self.snapshots.setAccessibleName("Model of the run")
        self.show_snapshot = QPushButton("Show on the open CT")
        self.show_snapshot.setToolTip("Loads this model and queries the prompts of the panel")
        self.shown = QLabel()
        self.shown.setWordWrap(True)
        self.start = TrainingStart()
        self.status = StatusStrip(self._window.jobs, messages=self._window.messages)
        self._lay_out()
        self._connect()
        self._show(None)
        self.setMinimumWidth(400)

    def _lay_out(self) -> None:
        opening = QHBoxLayout()
        opening.addWidget(self.folder, 1)
        opening.addWidget(self.browse)
        showing = QHBoxLayout()
        showing.addWidget(self.snapshots, 1)
        showing.addWidget(self.show_snapshot)
        folded = Fold("Start a training", self.start)
        inside = QWidget()
        rows = QVBoxLayout(inside)
        rows.setContentsMargins(0, 0, 0, 0)
        rows.addLayout(opening)
        rows.addWidget(self.state)
        rows.addWidget(self.curves, 1)
        rows.addWidget(self.log)
        rows.addLayout(showing)
        rows.addWidget(self.shown)
        rows.addWidget(folded)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(4, 4, 4, 4)
        layout.addWidget(scrolled(inside), 1)
        layout.addWidget(self.status)

    def _connect(self) -> None:
        window = self._window
        self.browse.clicked.connect(self._ask_folder)
        self.folder.returnPressed.connect(self._watch_typed)
        self.log.toggled.connect(self.curves.set_log)
        self.show_snapshot.clicked.connect(lambda: window.guarded(self.open_snapshot))
        self.start.start.clicked.connect(lambda: window.guarded(self.start.begin))
        self.start.stop.clicked.connect(lambda: window.guarded(self._stop))
        self.start.resume.clicked.connect(lambda: window.guarded(self._resume))
        self.start.other.clicked.connect(lambda: window.guarded(self.start.ask_recipe))
        self.start.started.connect(self.watch)
        self.reading.found.connect(self._show)
        self.reading.failed.connect(window.messages.error)
        window.session.model_changed.connect(self._show_origin)
        window.viewer.events.theme.connect(self._on_theme)

    def sizeHint(self) -> QSize:
        """Return the panel's size."""
        return QSize(460, 860)

    def event(self, event: QEvent | None) -> bool:
        """Open beside the panel; stop reading when napari takes the dock away."""
        if event is not None and event.type() == QEvent.Type.ParentChange:
            if self.parent() is None:
                self.reading.stop()
            else:
                dock_beside_panel(self)
        return bool(super().event(event))

    # --- the user -------------------------------------------------------------------------------

    def watch(self, folder: Path) -> None:
        """Show a run, and follow it while it grows.

        Raises
        ------
        DataError
            If there is no such folder, or no run in it.
        """
        self.folder.setText(str(folder))
        self.reading.start(folder)
        self.record = None

    def open_snapshot(self) -> None:
        """Load the chosen model and query it with the panel's prompts, or the run's first one.

        Raises
        ------
        CtClipError
            If there is no CT or no model to show.
        """
        snapshot, prompts = self.snapshots.currentData(), self._prompts
        if snapshot is None:
            raise CtClipError("This run has written no model yet; wait for its first checkpoint.")
        self._window.session.open_study()
        prompts.load_model(str(snapshot.folder), device=self._window.session.device)
        if not prompts.state.rows and self.record is not None and self.record.prompts:
            prompts.add(self.record.prompts[0])

    def _ask_folder(self) -> None:
        folder = QFileDialog.getExistingDirectory(self, "Folder of a run")
        if folder:
            self._window.guarded(lambda: self.watch(Path(folder)))

    def _watch_typed(self) -> None:
        typed = self.folder.text().strip()
        self._window.guarded(lambda: self.watch(Path(typed).expanduser()))

    def _stop(self) -> None:
        if self.record is not None:
            self.start.end(self.record.folder)
            self._window.messages.info("The training will save its state and stop after this step.")

    def _resume(self) -> None:
        if self.record is not None:
            self.start.resume_run(self.record.folder)

    # --- reading --------------------------------------------------------------------------------

    def _show(self, record: RunRecord | None) -> None:
        before, self.record = self.record, record
        self.state.setText("No run is open." if record is None else state_text(record))
        state = None if record is None else record.status.state
        has_checkpoint = record is not None and (record.folder / "state.pt").is_file()
        self.start.stop.setEnabled(state == RunState.RUNNING)
        self.start.resume.setEnabled(has_checkpoint and state != RunState.RUNNING)
        if record is None or before is None or before.done != record.done:
            self.curves.show_record(record)
        snapshots = () if record is None else record.snapshots
        if snapshots != tuple(self.snapshots.itemData(i) for i in range(self.snapshots.count())):
            self._list(snapshots)
        self.show_snapshot.setEnabled(bool(snapshots))

    def _list(self, snapshots: tuple[Snapshot, ...]) -> None:
        """List the models of the run; what was chosen stays chosen, else the newest is."""
        chosen = self.snapshots.currentData()
        self.snapshots.clear()
        for snapshot in snapshots:
            self.snapshots.addItem(_title(snapshot), snapshot)
        kept = snapshots.index(chosen) if chosen in snapshots else len(snapshots) - 1
        self.snapshots.setCurrentIndex(kept)

    def _show_origin(self, *_: object) -> None:
        name = self._prompts.model_name
        snapshots = () if self.record is None else self.record.snapshots
        shown = [_title(s) for s in snapshots if str(s.folder) == name]
        self.shown.setText(f"On the CT: {shown[0]}." if shown else "")

    def _on_theme(self, event: Any) -> None:
        self.curves.set_theme(event.value)


def state_text(record: RunRecord) -> str:
    """Return the state of a run in a line."""
    step = f"step {record.done}" + (f" of {record.steps}" if record.steps else "")
    parts = [f"{_MARKS[record.status.state]}: {record.method} {step}".replace(":  ", ": ")]
    if math.isfinite(record.recent_seconds):
        parts.append(f"{record.recent_seconds:.2g} s a step")
    if record.status.state == RunState.RUNNING and math.isfinite(record.remaining_s):
        parts.append(f"about {_duration(record.remaining_s)} left")
    line = ", ".join(parts)
    return f"{line}. {record.status.why}" if record.status.why else line


def _title(snapshot: Snapshot) -> str:
    return f"model after step {snapshot.step}" if snapshot.step else "newest model"


def _duration(seconds: float) -> str:
    for unit, length in (("days", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"


class RunWatch(QObject):
    """What a run has come to, told every second while it is watched.

    Parameters
    ----------
    parent : QObject
        What it dies with.
    """

    found = Signal(object)
    """The record of the run, read anew."""
    failed = Signal(Exception)
    """The folder can be read no longer; it is watched no more."""

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self._reader: RunReader | None = None
        self._is_reading = False
        self._timer = QTimer(self)
        self._timer.setInterval(_POLL_MS)
        self._timer.timeout.connect(self._poll)

    @property
    def is_watching(self) -> bool:
        """Whether a run is read."""
        return bool(self._timer.isActive())

    def start(self, folder: Path) -> None:
        """Watch a run instead of the last one.

        Raises
        ------
        DataError
            If there is no such folder, or no run in it.
        """
        self._reader = RunReader(folder)
        self._timer.start()
        self._poll()

    def stop(self) -> None:
        """Read no more."""
        self._timer.stop()

    def _poll(self) -> None:
        """Read on: a long run's first read takes a moment."""
        reader = self._reader
        if reader is None or self._is_reading:
            return
        self._is_reading = True

        def work() -> tuple[RunReader, RunRecord | None, Exception | None]:
            try:
                return reader, reader.read(), None
            except Exception as error:  # the thread border; told by _on_read
                return reader, None, error

        worker: FunctionWorker[Any] = FunctionWorker(work)
        worker.returned.connect(self._on_read)  # a method: forgotten when the dock is destroyed
        worker.start()

    def _on_read(self, read: tuple[RunReader, RunRecord | None, Exception | None]) -> None:
        reader, record, error = read
        self._is_reading = False
        if reader is not self._reader:
            self._poll()
        elif error is not None:
            self._reader = None
            self._timer.stop()
            self.failed.emit(error)
        else:
            self.found.emit(record)
