"""Jobs: slow work off the GUI thread, one job at a time, with progress and cancel."""

from __future__ import annotations

import atexit
import sys
import traceback
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from napari.qt.threading import FunctionWorker
from qtpy.QtCore import QObject, Qt
from qtpy.QtCore import Signal as QtSignal  # type: ignore[attr-defined]

from napari_ctclip.core.errors import Cancelled
from napari_ctclip.plugin.window.messages import Messages

__all__ = ["Job", "JobQueue", "Progress", "StopRequested", "keep_triton_out"]

_PATIENCE_MS = 30_000
_MAPS = Path("/proc/self/maps")
_MESA = ("libLLVM", "libgallium", "swrast_dri")

Progress = Callable[[int, int], None]
StopRequested = Callable[[], bool]


def _always() -> bool:
    return True


@dataclass(frozen=True, eq=False)
class Job:
    """Slow work, and what becomes of its result.

    Attributes
    ----------
    title : str
        What the user reads while it runs, e.g. ``"Encoding the scan"``.
    work : callable
        ``work(progress, should_stop)`` runs on a worker thread and touches no GUI object.
    on_done : callable
        Takes the result, on the GUI thread.
    still_wanted : callable
        Called on the GUI thread before the start and before the result is used: False drops it,
        e.g. once another study is open.
    on_error : callable
        May take an error, on the GUI thread; True means it was dealt with and is not shown.
    on_end : callable
        Called last in every case: done, failed, cancelled or dropped.
    """

    title: str
    work: Callable[[Progress, StopRequested], Any]
    on_done: Callable[[Any], None]
    still_wanted: Callable[[], bool] = _always
    on_error: Callable[[Exception], bool] = lambda error: False
    on_end: Callable[[], None] = lambda: None


@dataclass(frozen=True, eq=False)
class _Outcome:
    """Result or error of a job; superqt's workers swallow RuntimeError, torch's favourite."""

    result: Any = None
    error: Exception | None = None
    details: str = ""


class _Stop:
    """A flag set by the GUI thread and read by the worker."""

    def __init__(self) -> None:
        self.requested = False

    def __call__(self) -> bool:
        return self.requested


class JobQueue(QObject):
    """Jobs in the order they were submitted, one at a time.

    Parameters
    ----------
    messages : Messages
        Where errors are shown.
    parent : QObject or None
        The window it dies with.
    """

    running_changed = QtSignal(str)
    """The running job's title; empty when idle."""
    progressed = QtSignal(int, int)
    """(done, total) of the running job; total 0 while unknown."""
    wrote = QtSignal(str)
    """A line from a program that a job runs; may be emitted from any thread."""

    _reported = QtSignal(object, int, int)

    def __init__(self, messages: Messages, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._messages = messages
        self._waiting: deque[Job] = deque()
        self._running: Job | None = None
        self._stop = _Stop()
        self._worker: FunctionWorker[Any] | None = None
        self._closed = False
        self._reported.connect(self._show_progress, Qt.ConnectionType.QueuedConnection)

    @property
    def is_idle(self) -> bool:
        """Whether nothing runs or waits."""
        return self._running is None and not self._waiting

    @property
    def is_closed(self) -> bool:
        """Whether it has stopped for good."""
        return self._closed

    @property
    def title(self) -> str:
        """The running job's title; empty when idle."""
        return "" if self._running is None else self._running.title

    def submit(self, job: Job) -> None:
        """Run a job after those before it."""
        if self._closed:
            return
        self._waiting.append(job)
        if self._running is None:
            self._start_next()

    def cancel(self) -> None:
        """Ask the running job to stop and forget those that wait."""
        waiting, self._waiting = list(self._waiting), deque()
        self._stop.requested = True
        for job in waiting:
            with self._messages.border():
                job.on_error(_cancelled(job))
                job.on_end()

    def reconsider(self) -> None:
        """Ask the running job to stop if its result is no longer wanted; it ends silently."""
        if self._running is not None and not self._running.still_wanted():
            self._stop.requested = True

    def close(self) -> None:
        """Stop for good: whatever still comes back is dropped."""
        self._closed, self._running = True, None
        self._waiting.clear()
        self._stop.requested = True

    def _start_next(self) -> None:
        while self._waiting:
            job = self._waiting.popleft()
            if job.still_wanted():
                self._start(job)
                return
            with self._messages.border():
                job.on_end()
        self.running_changed.emit("")

    def _start(self, job: Job) -> None:
        self._running, self._stop = job, _Stop()
        stop = self._stop
        self.running_changed.emit(job.title)
        self.progressed.emit(0, 0)
        reported = self._reported

        def progress(done: int, total: int) -> None:
            reported.emit(stop, done, total)

        def work() -> _Outcome:
            keep_triton_out()
            try:
                return _Outcome(job.work(progress, stop))
            except Exception as error:  # the thread border; shown by _settle
                details = "" if isinstance(error, Cancelled) else traceback.format_exc()
                return _Outcome(error=error.with_traceback(None), details=details)

        worker: FunctionWorker[Any] = FunctionWorker(work)
        worker.returned.connect(self._settle)
        self._worker = worker
        worker.start()

    def _show_progress(self, stop: _Stop, done: int, total: int) -> None:
        if stop is self._stop and self._running is not None:
            self.progressed.emit(done, total)

    def _settle(self, outcome: _Outcome) -> None:
        job, self._running, self._worker = self._running, None, None
        if job is None or self._closed:
            return
        error = outcome.error or (_cancelled(job) if self._stop.requested else None)
        with self._messages.border():
            wanted = job.still_wanted()
            if error is None and wanted:
                job.on_done(outcome.result)
            elif error is not None and wanted and not job.on_error(error):
                self._messages.error(error, outcome.details)
        with self._messages.border():
            job.on_end()
        if self._running is None:
            self._start_next()


def _cancelled(job: Job) -> Cancelled:
    return Cancelled(f"{job.title}: cancelled; nothing was changed")


def keep_triton_out() -> None:
    """Make Triton look uninstalled where Mesa draws the window, as in software OpenGL.

    PyTorch imports Triton once its compiler is asked for, and torchvision, hence open_clip, asks.
    Its LLVM beside Mesa's ends the process: a segmentation fault while the module is loaded
    (Triton 3, Mesa 22.3). Inference here compiles nothing, so nothing is lost. Where Triton is
    loaded already, or OpenGL comes from elsewhere, nothing is changed.
    """
    if "triton" in sys.modules or not _MAPS.exists():
        return
    if any(library in _MAPS.read_text("utf-8", errors="replace") for library in _MESA):
        sys.modules["triton"] = None  # type: ignore[assignment]


@atexit.register
def _await_work() -> None:
    """Let what runs come to an end: a worker whose objects Python has taken apart would abort."""
    with suppress(RuntimeError):  # too long, or Qt is gone already
        FunctionWorker.await_workers(_PATIENCE_MS)
