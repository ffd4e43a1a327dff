"""Report flow: a pasted report from its text to what the scan says to it.

The text goes into session files and their autosave where the user ticked that, and nowhere else.
"""

from __future__ import annotations

from collections.abc import Callable

from psygnal import Signal

from napari_ctclip.core.errors import DataError
from napari_ctclip.plugin.window.jobs import Job, Progress, StopRequested
from napari_ctclip.plugin.window.window import Window
from napari_ctclip.session.files.saved_session import SavedReport
from napari_ctclip.session.report_reading import ReadReport, ReportLine, read_report

__all__ = ["ReportFlow"]


class ReportFlow:
    """What happens to a report: it waits until the scan is encoded, then it is read.

    Parameters
    ----------
    window : Window
        Whose scan it is compared with, and whose voxels peaks are given in.
    encode : callable
        Has the scan encoded, the model loaded before.
    scan_key : callable
        Returns what tells the open scan from others; empty if none is open.
    """

    changed = Signal()
    """Another report was read, or the last one no longer holds."""
    text_changed = Signal()
    """Another text is there, or another choice to keep it, not by the user's hand."""
    kept_changed = Signal()
    """What a session file would hold of it changed."""

    def __init__(
        self,
        window: Window,
        *,
        encode: Callable[[], None],
        scan_key: Callable[[], str],
    ) -> None:
        self.read: ReadReport | None = None
        self.text = ""  # as it stands in the tab
        self.is_kept = False  # in session files
        self._session, self._jobs = window.session, window.jobs
        self._scene, self._messages = window.scene, window.messages
        self._encode, self._key_of_scan = encode, scan_key
        self._key = scan_key()  # whose report it is
        self._kept: dict[str, SavedReport] = {}  # of scans that were open before
        self._asked = ""  # the text that was given to be read
        self._waiting = False
        session = window.session
        session.encoding_changed.connect(self._on_encoding_changed)
        session.masks_changed.connect(self._read_again)
        session.templates_changed.connect(self._read_again)
        session.study_changed.connect(self._on_study_changed)

    # --- the text -------------------------------------------------------------------------------

    @property
    def saved(self) -> SavedReport | None:
        """What a session file holds of it: nothing unless the user chose to keep it."""
        mine = bool(self._key) and self._key_of_scan() == self._key
        if not mine or not self.is_kept or not self.text.strip():
            return None
        return SavedReport(self.text, was_read=self._asked == self.text)

    def set_text(self, text: str) -> None:
        """Take the text as it was typed or pasted."""
        self.text = text
        self._tell_kept()

    def set_kept(self, kept: bool) -> None:
        """Keep the report in session files and their autosave, or no longer."""
        self.is_kept = kept
        self.kept_changed.emit()

    def restore(self, saved: SavedReport | None) -> None:
        """Put back what was kept; what was read is read again once the scan is encoded."""
        self.text = "" if saved is None else saved.text
        self.is_kept = saved is not None
        self._waiting = saved is not None and saved.was_read
        self._asked = self.text if self._waiting else ""
        self._take(None)
        self.text_changed.emit()
        self.kept_changed.emit()

    # --- what the scan says ---------------------------------------------------------------------

    def read_text(self, text: str) -> None:
        """Read a report, once the scan is encoded.

        Raises
        ------
        DataError
            If the text is empty.
        NothingOpen
            If no CT is open.
        """
        if not text.strip():
            raise DataError("paste a report first: at least one sentence in English")
        self._session.open_study()
        self.text = self._asked = text
        self._tell_kept()
        if self._session.is_ready:
            self._submit()
        else:
            self._waiting = True
            self._encode()

    def forget(self) -> None:
        """Drop the report and what was read of it."""
        self.text, self._asked, self._waiting = "", "", False
        self._take(None)
        self.text_changed.emit()
        self._tell_kept()

    def voxel_of(self, line: ReportLine) -> tuple[int, int, int] | None:
        """Return the voxel where the finding of a line is highest; None if nothing was queried."""
        if line.score is None or self._scene.frame is None:
            return None
        return self._scene.frame.world_to_index(line.score.peak.world_mm)

    def _submit(self) -> None:
        session, text, encoding = self._session, self._asked, self._session.encoding
        templates = session.templates
        self._waiting = False

        def work(progress: Progress, should_stop: StopRequested) -> ReadReport:
            return read_report(session, text, session.work(progress, should_stop))

        def done(read: ReadReport) -> None:
            self._take(read)
            for notice in read.notices:
                self._messages.warning(notice.message)
            count = len(read.conflicts)
            self._messages.info(f"The report is read; lines that disagree with the scan: {count}.")

        def wanted() -> bool:
            same = session.encoding is encoding and session.templates == templates
            return self._asked == text and same

        self._jobs.submit(Job("Reading the report", work, done, still_wanted=wanted))

    def _take(self, read: ReadReport | None) -> None:
        self.read = read
        self.changed.emit()

    def _tell_kept(self) -> None:
        if self.is_kept:
            self.kept_changed.emit()

    def _on_study_changed(self, *_: object) -> None:
        """Put the report of the scan before away, and take that of this one, if one was kept."""
        before, self._key = self._key, self._key_of_scan()
        if not before:  # typed before any scan was open
            self._tell_kept()
            return
        if self.is_kept and self.text.strip():
            self._kept[before] = SavedReport(self.text, was_read=self._asked == self.text)
        else:
            self._kept.pop(before, None)
        self.restore(self._kept.get(self._key))

    def _on_encoding_changed(self, encoding: object) -> None:
        if encoding is not None and self._waiting:
            self._submit()
        elif encoding is None and self.read is not None:
            self._take(None)  # another model's numbers would mislead

    def _read_again(self, *_: object) -> None:
        if self._asked and self._session.is_ready:
            self._submit()
