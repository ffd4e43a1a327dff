"""Unsaved scans: which scans of a window have findings, or a report, that no session file holds."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_ctclip.core.finding import Finding
from napari_ctclip.session.findings_session import FindingsSession
from napari_ctclip.session.session import Session

if TYPE_CHECKING:
    from napari_ctclip.plugin.report.report_flow import ReportFlow
    from napari_ctclip.session.files.saved_session import SavedReport

    Work = tuple[tuple[Finding, ...], SavedReport | None]

__all__ = ["UnsavedScan", "UnsavedScans"]

_NAMELESS = "session"


@dataclass(frozen=True)
class UnsavedScan:
    """A scan with findings, or a report to be kept, that no session file holds.

    Attributes
    ----------
    place : str
        What tells it from others (``FindingsSession.scan_key``).
    name : str
        Of its file or folder, without ending.
    count : int
        How many findings it has.
    has_report : bool
        Whether a report is to be kept with it.
    """

    place: str
    name: str
    count: int
    has_report: bool = False


class UnsavedScans:
    """What session files hold of the findings and the report of each scan of a window.

    Parameters
    ----------
    session : Session
        Whose scan is open.
    kept : FindingsSession
        Its findings.
    report : ReportFlow
        Its report.
    """

    def __init__(self, session: Session, kept: FindingsSession, report: ReportFlow) -> None:
        self._session, self._kept, self._report = session, kept, report
        self._work: dict[str, Work] = {}
        self._saved: dict[str, Work] = {}
        self._names: dict[str, str] = {}
        kept.changed.connect(self._note)
        report.kept_changed.connect(self._note)
        self._note()

    @property
    def scans(self) -> tuple[UnsavedScan, ...]:
        """All of them, in the order they were opened."""
        return tuple(
            UnsavedScan(place, self.name_of(place), len(findings), report is not None)
            for place, (findings, report) in self._work.items()
            if (findings or report) and (findings, report) != self._saved.get(place)
        )

    def name_of(self, place: str) -> str:
        """Return what a scan is called."""
        return self._names.get(place, _NAMELESS)

    def work_of(self, place: str) -> Work:
        """Return what would be lost of a scan without a file."""
        return self._work.get(place, ((), None))

    def note_saved(self, place: str, work: Work | None = None) -> None:
        """Note that a session file holds what was there of a scan; what is there now if None."""
        self._saved[place] = self.work_of(place) if work is None else work

    def note_unsaved(self, place: str) -> None:
        """Note that no file the user chose holds anything of a scan."""
        self._saved.pop(place, None)

    def _note(self, *_: Any) -> None:
        place, study = self._kept.scan_key, self._session.study
        if not place or study is None:
            return
        self._work[place] = self._kept.findings, self._report.saved
        if study.volume.source_path:
            self._names[place] = Path(study.volume.source_path).name.split(".")[0]
