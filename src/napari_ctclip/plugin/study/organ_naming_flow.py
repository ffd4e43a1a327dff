"""Organ naming flow: which organ the model calls each organ of the masks, in the background."""

from __future__ import annotations

from collections.abc import Mapping

from psygnal import Signal

from napari_ctclip.core.organ_naming import OrganNaming
from napari_ctclip.plugin.canvas.organ_outlines import OrganOutlines
from napari_ctclip.plugin.window.jobs import Job, JobQueue
from napari_ctclip.session.organ_readout import naming_words, read_organ_names
from napari_ctclip.session.session import Session

__all__ = ["OrganNamingFlow"]


class OrganNamingFlow:
    """The names, kept until scan, masks or model change.

    A model that was trained with organ names is asked by itself; any other one on request, since it
    was never taught what it is asked.

    Parameters
    ----------
    session : Session
        Whose model is asked.
    jobs : JobQueue
        Where the work runs.
    outlines : OrganOutlines
        Whose layer tells the names under the cursor.
    """

    changed = Signal()
    """Other names, or none."""

    def __init__(self, session: Session, *, jobs: JobQueue, outlines: OrganOutlines) -> None:
        self.namings: Mapping[str, OrganNaming] = {}
        self._session, self._jobs, self._outlines = session, jobs, outlines
        session.encoding_changed.connect(self._start_again)
        session.masks_changed.connect(self._start_again)  # after the outlines, which come first

    @property
    def can_ask(self) -> bool:
        """Whether there is a scan with organs for a model to name."""
        study, encoding = self._session.study, self._session.encoding
        return encoding is not None and study is not None and study.organ_masks is not None

    def ask(self) -> None:
        """Let the model name the organs of the masks, in the background."""
        session = self._session
        encoding, study = session.encoding, session.study

        def take(found: tuple[OrganNaming, ...]) -> None:
            self._set({naming.region: naming for naming in found})

        self._jobs.submit(
            Job(
                "Naming the organs",
                lambda progress, should_stop: read_organ_names(session, should_stop=should_stop),
                take,
                still_wanted=lambda: session.encoding is encoding and session.study is study,
            )
        )

    def _start_again(self, *_: object) -> None:
        self._set({})
        # imported here: torch must not be loaded when the window opens
        if self.can_ask:
            from napari_ctclip.scoring.organ_naming import trained_names

            if trained_names(self._session.model):
                self.ask()

    def _set(self, namings: Mapping[str, OrganNaming]) -> None:
        if namings or self.namings:
            self.namings = namings
            told = {name: naming_words(naming) for name, naming in namings.items()}
            self._outlines.tell_names(told)
        self.changed.emit()
