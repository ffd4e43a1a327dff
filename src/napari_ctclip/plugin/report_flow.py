"""Report flow: a pasted report from its text to what the scan says to it. Nothing is stored."""

from __future__ import annotations

from collections.abc import Callable

from psygnal import Signal

from napari_ctclip.core.errors import DataError
from napari_ctclip.interpretation.report_reading import ReadReport, ReportLine, read_report
from napari_ctclip.plugin.background import Job, JobQueue, Progress, StopRequested
from napari_ctclip.plugin.messages import Messages
from napari_ctclip.plugin.scene import Scene
from napari_ctclip.session import Session

__all__ = ["ReportFlow"]


class ReportFlow:
    """What happens to a report: it waits until the scan is encoded, then it is read.

    Parameters
    ----------
    session : Session
        Whose scan it is held against.
    jobs : JobQueue
        Where it is read.
    scene : Scene
        Whose voxels peaks are told in.
    messages : Messages
        Where the user reads what happens.
    encode : callable
        Has the scan encoded, the model loaded before.
    """

    changed = Signal()
    """Another report was read, or the last one no longer holds."""
    forgotten = Signal()
    """A report was dropped: it belongs to no open scan any more."""

    def __init__(
        self,
        session: Session,
        *,
        jobs: JobQueue,
        scene: Scene,
        messages: Messages,
        encode: Callable[[], None],
    ) -> None:
        self.read: ReadReport | None = None
        self._session, self._jobs, self._scene, self._messages = session, jobs, scene, messages
        self._encode = encode
        self._text = ""
        self._waiting = False
        session.encoding_changed.connect(self._on_encoding_changed)
        session.masks_changed.connect(self._on_masks_changed)
        session.study_changed.connect(self.forget)

    def read_text(self, text: str) -> None:
        """Read a report, once the scan is encoded.

        Raises
        ------
        DataError
            If the text is empty or no CT is open.
        """
        if not text.strip():
            raise DataError("paste a report first: at least one sentence in English")
        if self._session.study is None:
            raise DataError("no CT is open: open the one the report is about in the Data tab")
        self._text = text
        if self._session.is_ready:
            self._submit()
        else:
            self._waiting = True
            self._encode()

    def forget(self, *_: object) -> None:
        """Drop the report and what was read of it."""
        had_text, self._text, self._waiting = bool(self._text), "", False
        self._take(None)
        if had_text:
            self.forgotten.emit()

    def voxel_of(self, line: ReportLine) -> tuple[int, int, int] | None:
        """Return the voxel where the finding of a line is highest; None if nothing was asked."""
        if line.score is None or self._scene.frame is None:
            return None
        return self._scene.frame.world_to_index(line.score.peak.world_mm)

    def _submit(self) -> None:
        session, text, encoding = self._session, self._text, self._session.encoding
        self._waiting = False

        def work(progress: Progress, should_stop: StopRequested) -> ReadReport:
            return read_report(session, text, should_stop=should_stop)

        def done(read: ReadReport) -> None:
            self._take(read)
            for notice in read.notices:
                self._messages.warning(notice.message)
            count = len(read.conflicts)
            self._messages.info(f"The report is read; lines that disagree with the scan: {count}.")

        def wanted() -> bool:
            return self._text == text and session.encoding is encoding

        self._jobs.submit(Job("Reading the report", work, done, still_wanted=wanted))

    def _take(self, read: ReadReport | None) -> None:
        self.read = read
        self.changed.emit()

    def _on_encoding_changed(self, encoding: object) -> None:
        if encoding is not None and self._waiting:
            self._submit()
        elif encoding is None and self.read is not None:
            self._take(None)  # another model's numbers would mislead

    def _on_masks_changed(self, masks: object) -> None:
        if self._text and self._session.is_ready:
            self._submit()
