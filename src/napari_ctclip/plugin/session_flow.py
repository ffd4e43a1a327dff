"""Session flow: saving what was done with a scan, and opening it again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from psygnal import Signal

from napari_ctclip.core.errors import CtClipError
from napari_ctclip.core.finding import Finding
from napari_ctclip.plugin.background import Job, JobQueue
from napari_ctclip.plugin.findings_flow import FindingsFlow
from napari_ctclip.plugin.messages import Messages
from napari_ctclip.plugin.prompt_flow import PromptFlow
from napari_ctclip.plugin.saved_view import restore_view, saved_view
from napari_ctclip.plugin.scene import Scene
from napari_ctclip.session import Session

if TYPE_CHECKING:
    from napari_ctclip.io.read import ReadVolume
    from napari_ctclip.models.interface import VisionLanguageModel
    from napari_ctclip.session_files.archive import SessionState
    from napari_ctclip.session_files.saved_session import ModelReference, SavedSession

__all__ = ["OpenedSession", "SessionFlow"]


@dataclass(frozen=True, eq=False)
class OpenedSession:
    """A session file with its scan, read off the GUI thread; the scan is None if it moved."""

    path: Path
    saved: SavedSession
    scan: ReadVolume | None


class SessionFlow:
    """Session files of one window.

    Parameters
    ----------
    session : Session
        What is saved.
    jobs : JobQueue
        Where files are read and written.
    scene, prompts, findings : Scene, PromptFlow, FindingsFlow
        What is shown, asked and found.
    messages : Messages
        Where the user reads what happens.
    """

    scan_moved = Signal(OpenedSession)
    """The scan of a session is not where it lay: someone must say where it is."""
    changed = Signal()
    """There is something to save, or no longer."""

    def __init__(
        self,
        session: Session,
        *,
        jobs: JobQueue,
        scene: Scene,
        prompts: PromptFlow,
        findings: FindingsFlow,
        messages: Messages,
    ) -> None:
        self._session, self._jobs, self._scene = session, jobs, scene
        self._prompts, self._findings, self._messages = prompts, findings, messages
        self._saved: dict[str, tuple[Finding, ...]] = {}  # what a file holds, by scan
        self._expected: ModelReference | None = None  # of a session that was opened
        session.model_changed.connect(self._compare_weights)
        findings.kept.changed.connect(self._on_edit)

    # --- files ----------------------------------------------------------------------------------

    @property
    def is_unsaved(self) -> bool:
        """Whether there are findings that no session file holds."""
        kept = self._findings.kept
        return bool(kept.findings) and kept.findings != self._saved.get(kept.place)

    @property
    def place(self) -> str:
        """What tells the open scan from others."""
        return self._findings.kept.place

    def state(self) -> SessionState:
        """Return what a session file would hold now.

        Raises
        ------
        CtClipError
            If no study is open.
        """
        from napari_ctclip.session_files.archive import SessionState
        from napari_ctclip.session_files.saved_session import SavedPrompt

        if self._session.study is None:
            raise CtClipError("no CT is open, so there is no session to save; open one first")
        return SessionState(
            self._session.study,
            self._session.model,
            self._prompts.model_name,
            tuple(SavedPrompt(row.prompt, row.shown) for row in self._prompts.table.rows),
            saved_view(self._scene),
            self._findings.kept.findings,
        )

    def save(self, path: Path) -> None:
        """Write a session file in the background.

        Raises
        ------
        CtClipError
            If no study is open.
        """
        from napari_ctclip.session_files.archive import SUFFIX, write_session

        if not path.name.endswith(SUFFIX):
            path = path.with_name(path.name.removesuffix(".zip") + SUFFIX)
        state, place = self.state(), self.place

        def done(written: Path) -> None:
            self._saved[place] = tuple(state.findings)
            self._messages.info(f"The session is saved to {written}.")
            self.changed.emit()

        self._jobs.submit(
            Job(f"Saving {path.name}", lambda progress, stop: write_session(state, path), done)
        )

    def open(
        self, path: Path, *, scan: Path | None = None, then: Callable[[], None] = lambda: None
    ) -> None:
        """Read a session file and its scan, and take both up.

        Parameters
        ----------
        path : Path
            The file.
        scan : Path or None
            Where the scan lies now; where it lay if None.
        then : callable
            Called once it is taken up.
        """

        def work(progress: Any, should_stop: Any) -> OpenedSession:
            from napari_ctclip.session_files.archive import read_session
            from napari_ctclip.session_files.saved_session import read_scan

            saved = read_session(path)
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
        self._saved.pop(self.place, None)
        self.changed.emit()

    def _take_up(self, opened: OpenedSession) -> None:
        saved, read = opened.saved, opened.scan
        assert read is not None
        for row in self._prompts.table.rows:
            self._prompts.remove(row.prompt.positive)
        more: dict[str, Any] = {"notices": read.notices}
        if saved.masks is not None:
            more["organ_masks"] = saved.masks
        self._scene.add_ct(read.volume, more=more)
        self._findings.kept.restore(saved.findings)
        self._saved[self.place] = self._findings.kept.findings
        if saved.view is not None:
            restore_view(self._scene, saved.view)
        self._restore_prompts(saved)
        count = len(saved.findings)
        self._messages.info(f"{opened.path.name} is open: {count} findings.")
        self.changed.emit()

    # --- inside ---------------------------------------------------------------------------------

    def _restore_prompts(self, saved: SavedSession) -> None:
        """Ask the prompts again, of the model they were asked of."""
        flow, model = self._prompts, saved.model
        for kept in saved.prompts:
            flow.table.add(kept.prompt)
            flow.table.change(kept.prompt.positive, shown=kept.shown)
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
