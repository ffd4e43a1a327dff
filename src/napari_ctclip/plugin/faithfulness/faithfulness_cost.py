"""Truth cost: about how long the tests of a map take: estimated, then measured by the first one."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from psygnal import Signal

from napari_ctclip.core.errors import CtClipError
from napari_ctclip.core.region import Region
from napari_ctclip.models.runtime.device import resolved_device
from napari_ctclip.plugin.window.jobs import Job, JobQueue, Progress, StopRequested
from napari_ctclip.session.session import Session

if TYPE_CHECKING:
    from napari_ctclip.core.study import Study
    from napari_ctclip.models.interface import VisionLanguageModel
    from napari_ctclip.scoring.encoded_study import EncodedStudy

__all__ = ["FaithfulnessCost", "TestedScan", "tested_scan"]


class TestedScan(NamedTuple):
    """What a test of a map works on."""

    study: Study
    model: VisionLanguageModel
    encoding: EncodedStudy
    device: str


def tested_scan(session: Session) -> TestedScan:
    """Return what the tests of a session's maps work on.

    Raises
    ------
    CtClipError
        If the scan is not encoded.
    """
    if session.study is None or session.model is None or session.encoding is None:
        raise CtClipError("the scan is not encoded yet; ask a prompt first")
    device = resolved_device(session.device)
    return TestedScan(session.study, session.model, session.encoding, device)


class FaithfulnessCost:
    """What encoding the scan takes, and so the tests, which encode parts of it again.

    Parameters
    ----------
    session : Session
        Whose scan and model are tested.
    jobs : JobQueue
        Where the estimate is made.
    """

    known = Signal()
    """How long an encoding takes is known, or no longer."""

    def __init__(self, session: Session, *, jobs: JobQueue) -> None:
        self._session, self._jobs = session, jobs
        self._seconds: float | None = None  # of encoding the whole scan

    def estimate(self) -> None:
        """Find out, in the background, how long encoding the scan takes; silent if it fails."""
        if self._seconds is not None or not self._session.is_ready:
            return
        scan = tested_scan(self._session)

        def work(progress: Progress, should_stop: StopRequested) -> float:
            from napari_ctclip.audit.cost import estimate_cost
            from napari_ctclip.audit.preprocessing_audit import audit

            checked = audit(scan.study, scan.model)
            return estimate_cost(scan.model, checked, device=scan.device).seconds

        self._jobs.submit(
            Job(
                "Estimating what a test takes",
                work,
                self.take,
                still_wanted=lambda: self._session.encoding is scan.encoding,
                on_error=lambda error: True,
            )
        )

    def take(self, seconds: float | None) -> None:
        """Take how many seconds encoding the whole scan takes; None is not known."""
        self._seconds = seconds
        self.known.emit()

    def of_occlusion(self, region: Region, controls: int) -> float | None:
        """Return about how many seconds erasing a region takes; None if not known."""
        if self._seconds is None or self._session.encoding is None:
            return None
        from napari_ctclip.explanation.reencoding import affected_share

        study, model, encoding, _ = tested_scan(self._session)
        share = affected_share(model, encoding.scan, region, study.volume.geometry)
        return self._seconds * share * (1 + controls)

    def of_curves(self) -> float | None:
        """Return about how many seconds the curves take; None if not known."""
        if self._seconds is None:
            return None
        from napari_ctclip.explanation.map_test import ENCODINGS

        return self._seconds * ENCODINGS
