"""Run watch: reads the folder of a training again and again, off the GUI thread."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from napari.qt.threading import FunctionWorker
from psygnal import Signal
from qtpy.QtCore import QObject, QTimer

from napari_ctclip.pretraining.runs.run_record import RunReader, RunRecord

__all__ = ["RunWatch"]

_POLL_MS = 1000


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
