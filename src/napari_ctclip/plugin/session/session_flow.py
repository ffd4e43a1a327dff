"""Session flow: saving what was done with a scan, and opening it again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from psygnal import Signal

from napari_ctclip.core.errors import CtClipError
from napari_ctclip.plugin.canvas.views import Views
from napari_ctclip.plugin.findings.findings_flow import FindingsFlow
from napari_ctclip.plugin.prompts.prompt_flow import PromptFlow
from napari_ctclip.plugin.report.report_flow import ReportFlow
from napari_ctclip.plugin.session.saved_view import restore_view, saved_view
from napari_ctclip.plugin.session.unsaved_scans import UnsavedScans
from napari_ctclip.plugin.study.study_flow import StudyFlow
from napari_ctclip.plugin.window.jobs import Job, JobQueue
from napari_ctclip.plugin.window.window import Window

if TYPE_CHECKING:
    from napari_ctclip.core.organ_masks import OrganMasks
    from napari_ctclip.core.volume import Volume
    from napari_ctclip.io.ct.read import ReadVolume
    from napari_ctclip.models.interface import VisionLanguageModel
    from napari_ctclip.session.files.archive import SessionState
    from napari_ctclip.session.files.saved_session import (
        ModelReference,
        SavedSession,
        ScanReference,
    )

__all__ = ["OpenedSession", "SessionFlow", "are_better", "open_volume_of"]


@dataclass(frozen=True, eq=False)
class OpenedSession:
    """A session file with its scan, read off the GUI thread.

    Attributes
    ----------
    path : Path
        The file.
    saved : SavedSession
        What it holds.
    scan : ReadVolume or None
        Its scan; None if that moved.
    is_open : bool
        Whether the scan was in the viewer already.
    """

    path: Path
    saved: SavedSession
    scan: ReadVolume | None
    is_open: bool = False


class SessionFlow:
    """Session files of one window.

    Parameters
    ----------
    window : Window
        What is saved, and where files are read and written.
    views, studies : Views, StudyFlow
        How the scan is shown, and which scans are open.
    prompts, findings, report : PromptFlow, FindingsFlow, ReportFlow
        What is asked, found and reported.
    """

    scan_moved = Signal(OpenedSession)
    """The scan of a session is not where it lay: someone must say where it is."""
    changed = Signal()
    """There is something to save, or no longer."""

    def __init__(
        self,
        window: Window,
        *,
        views: Views,
        studies: StudyFlow,
        prompts: PromptFlow,
        findings: FindingsFlow,
        report: ReportFlow,
    ) -> None:
        self._session, self._jobs = window.session, window.jobs
        self._scene, self._messages = window.scene, window.messages
        self._views, self._studies = views, studies
        self._prompts, self._findings, self._report = prompts, findings, report
        self.unsaved = UnsavedScans(window.session, findings.kept, report)
        self._expected: ModelReference | None = None  # of a session that was opened
        window.session.model_changed.connect(self._compare_weights)
        findings.kept.changed.connect(self._on_edit)
        report.kept_changed.connect(self._on_edit)

    # --- files ----------------------------------------------------------------------------------

    @property
    def is_unsaved(self) -> bool:
        """Whether there are findings, or a report to be kept, that no session file holds."""
        return any(scan.place == self.place for scan in self.unsaved.scans)

    @property
    def name(self) -> str:
        """What the open scan is called after its file, without ending."""
        return self.unsaved.name_of(self.place)

    @property
    def place(self) -> str:
        """What tells the open scan from others."""
        return self._findings.kept.scan_key

    def state(self) -> SessionState:
        """Return what a session file would hold now.

        Raises
        ------
        CtClipError
            If no study is open.
        """
        from napari_ctclip.session.files.archive import SessionState
        from napari_ctclip.session.files.saved_session import SavedPrompt

        return SessionState(
            self._session.open_study(),
            self._session.model,
            self._prompts.model_name,
            tuple(SavedPrompt(row.prompt, row.shown) for row in self._prompts.state.rows),
            saved_view(self._scene, self._views, self._prompts.state),
            self._findings.kept.findings,
            report=self._report.saved,
        )

    def save(self, path: Path) -> None:
        """Write a session file in the background.

        Raises
        ------
        CtClipError
            If no study is open.
        """
        self.save_kept(self.state(), self.place, path)

    def save_kept(
        self,
        what: SessionState | Path,
        place: str,
        path: Path,
        *,
        jobs: JobQueue | None = None,
        then: Callable[[], None] = lambda: None,
    ) -> None:
        """Write the session file of any scan of the window in the background.

        Parameters
        ----------
        what : SessionState or Path
            What is written, or a session file that holds it already.
        place : str
            What tells the scan from others.
        path : Path
            The file.
        jobs : JobQueue or None
            Where it is written; after what runs and waits in the window if None.
        then : callable
            Called once it is written.
        """
        from napari_ctclip.session.files.archive import SUFFIX, write_session
        from napari_ctclip.session.files.copies import copy_session

        if not path.name.endswith(SUFFIX):
            path = path.with_name(path.name.removesuffix(".zip") + SUFFIX)
        work_then = self.unsaved.work_of(place)

        def work(progress: Any, should_stop: Any) -> Path:
            return copy_session(what, path) if isinstance(what, Path) else write_session(what, path)

        def done(written: Path) -> None:
            self.unsaved.note_saved(place, work_then)
            self._messages.info(f"The session is saved to {written}.")
            self.changed.emit()
            then()

        (jobs or self._jobs).submit(Job(f"Saving {path.name}", work, done))

    def open(
        self, path: Path, *, scan: Path | None = None, then: Callable[[], None] = lambda: None
    ) -> None:
        """Read a session file and its scan, and take both up.

        A scan that is in the viewer is not opened twice: what was asked and found there stays, the
        file's findings take the place of the others as a step that Undo takes back.

        Parameters
        ----------
        path : Path
            The file.
        scan : Path or None
            Where the scan lies now; where it lay if None.
        then : callable
            Called once it is taken up.
        """
        volumes = self._studies.open_volumes()

        def work(progress: Any, should_stop: Any) -> OpenedSession:
            from napari_ctclip.io.ct.read import ReadVolume
            from napari_ctclip.session.files.archive import read_session
            from napari_ctclip.session.files.saved_session import read_scan

            saved = read_session(path)
            volume = open_volume_of(saved.scan, volumes)
            if volume is not None:
                return OpenedSession(path, saved, ReadVolume(volume), is_open=True)
            if scan is None and not saved.scan.is_found:
                return OpenedSession(path, saved, None)
            return OpenedSession(path, saved, read_scan(saved.scan, scan))

        def done(opened: OpenedSession) -> None:
            if opened.scan is None:
                self._messages.warning(
                    f"The scan of {path.name} is not at {opened.saved.scan.path} any more; "
                    "say where it lies now."
                )
                self.scan_moved.emit(opened)
                return
            self._take_up(opened)
            then()

        self._jobs.submit(Job(f"Opening {path.name}", work, done))

    def mark_unsaved(self) -> None:
        """Say that what is here is in no file the user chose, e.g. after a recovery."""
        self.unsaved.note_unsaved(self.place)
        self.changed.emit()

    def _take_up(self, opened: OpenedSession) -> None:
        saved, read = opened.saved, opened.scan
        assert read is not None
        had = 0
        if opened.is_open and self._studies.show_volume(read.volume):
            had = len(self._findings.kept.findings)
            self._join(saved)
        else:
            self._prompts.remove(*(row.prompt.positive for row in self._prompts.state.rows))
            more: dict[str, Any] = {"notices": read.notices}
            if saved.masks is not None:
                more["organ_masks"] = saved.masks
            self._scene.add_ct(read.volume, more=more)
        self._findings.kept.restore(saved.findings)
        self._report.restore(saved.report)
        self.unsaved.note_saved(self.place)
        if saved.view is not None:
            restore_view(self._scene, self._views, self._prompts.state, view=saved.view)
        self._restore_prompts(saved)
        if saved.report is not None and saved.report.was_read:
            self._report.read_text(saved.report.text)
        count = len(saved.findings)
        undo = f" Undo brings back the {had} that were there." if had else ""
        self._messages.info(f"{opened.path.name} is open; findings: {count}.{undo}")
        self.changed.emit()

    # --- inside ---------------------------------------------------------------------------------

    def _join(self, saved: SavedSession) -> None:
        """Prepare a scan that is open already: other prompts stay, hidden; so do better masks."""
        self._prompts.state.show_only("")
        study = self._session.study
        now = None if study is None else study.organ_masks
        if saved.masks is not None and are_better(saved.masks, now):
            self._studies.use_masks(saved.masks)

    def _restore_prompts(self, saved: SavedSession) -> None:
        """Ask the prompts again, of the model they were asked of."""
        flow, model = self._prompts, saved.model
        with flow.state.at_once():
            for kept in saved.prompts:
                row = flow.state.find(kept.prompt.positive)
                if row is None or row.prompt != kept.prompt:
                    flow.state.add(kept.prompt)
                flow.state.set_shown(kept.prompt.positive, kept.shown)
        self._expected = model
        loaded = self._session.model
        if model is not None and model.source != flow.model_name:
            if loaded is not None:
                flow.load_model(model.source, device=self._session.device)
                return
            flow.model_name = model.source
        if loaded is not None:
            self._compare_weights(loaded)
        if saved.prompts:
            flow.advance(wanted=True)

    def _compare_weights(self, model: VisionLanguageModel | None) -> None:
        expected, self._expected = self._expected, None
        if model is None or expected is None:
            return
        try:
            expected.refuse_other_weights(model)
        except CtClipError as error:
            self._messages.warning(str(error))

    def _on_edit(self, *_: Any) -> None:
        self.changed.emit()


def open_volume_of(scan: ScanReference, volumes: tuple[Volume, ...]) -> Volume | None:
    """Return the scan of a session among those that are open; slow, it hashes their voxels."""
    for volume in volumes:
        if (
            volume.geometry.coincides_with(scan.geometry)
            and volume.content_hash() == scan.content_sha256
        ):
            return volume
    return None


def are_better(masks: OrganMasks, now: OrganMasks | None) -> bool:
    """Return whether a file's masks should take the place of those of the open scan."""
    # quick masks are made again in seconds; others may have cost minutes, or a person's work
    return now is None or (now.source == "quick" and masks.source != "quick")
