"""Faithfulness cost: about how long the tests of a map take: estimated, then measured once."""

from __future__ import annotations

from psygnal import Signal

from napari_ctclip.core.region import Region
from napari_ctclip.plugin.window.jobs import Job, Progress, StopRequested
from napari_ctclip.plugin.window.window import Window

__all__ = ["FaithfulnessCost"]


class FaithfulnessCost:
    """What encoding the scan takes, and so the tests, which encode parts of it again.

    Parameters
    ----------
    window : Window
        Whose scan and model are tested.
    """

    known = Signal()
    """How long an encoding takes is known, or no longer."""

    def __init__(self, window: Window) -> None:
        self._session, self._jobs = window.session, window.jobs
        self._seconds: float | None = None  # of encoding the whole scan

    def estimate(self) -> None:
        """Find out, in the background, how long encoding the scan takes; silent if it fails."""
        if self._seconds is not None or not self._session.is_ready:
            return
        ready = self._session.ready()

        def work(progress: Progress, should_stop: StopRequested) -> float:
            from napari_ctclip.audit.cost import estimate_cost
            from napari_ctclip.audit.preprocessing_audit import audit

            checked = audit(ready.study, ready.model)
            return estimate_cost(ready.model, checked, device=self._session.work().device).seconds

        self._jobs.submit(
            Job(
                "Estimating what a test takes",
                work,
                self.take,
                still_wanted=lambda: self._session.encoding is ready.encoding,
                on_error=lambda error: True,
            )
        )

    def take(self, seconds: float | None) -> None:
        """Take how many seconds encoding the whole scan takes; None is not known."""
        self._seconds = seconds
        self.known.emit()

    def of_occlusion(self, region: Region, controls: int) -> float | None:
        """Return about how many seconds the occlusion of a region takes; None if not known."""
        if self._seconds is None or self._session.encoding is None:
            return None
        from napari_ctclip.explanation.reencoding import affected_share

        share = affected_share(self._session.ready(), region)
        return self._seconds * share * (1 + controls)

    def of_curves(self) -> float | None:
        """Return about how many seconds the curves take; None if not known."""
        if self._seconds is None:
            return None
        from napari_ctclip.explanation.map_test import ENCODINGS

        return self._seconds * ENCODINGS
