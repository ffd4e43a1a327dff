"""Prompt flow: from a typed prompt to its answer: model, encoding and answers, in that order."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from psygnal import Signal

from napari_ctclip.core.anatomy import anatomy_label
from napari_ctclip.core.notice import Notice
from napari_ctclip.core.prompt import Prompt
from napari_ctclip.plugin.canvas.heatmap_layers import Heatmap
from napari_ctclip.plugin.prompts.prompt_state import PromptState
from napari_ctclip.plugin.prompts.prompt_table import PromptTable
from napari_ctclip.plugin.window.jobs import Job, Progress, StopRequested
from napari_ctclip.plugin.window.window import Window
from napari_ctclip.scoring.answer import Answer
from napari_ctclip.session.session import Session

if TYPE_CHECKING:
    from napari_ctclip.models.interface import VisionLanguageModel
    from napari_ctclip.scoring.encoded_study import EncodedStudy

__all__ = ["PromptFlow"]


class PromptFlow:
    """What happens to prompts: they wait until a scan is encoded, then they are answered.

    Parameters
    ----------
    window : Window
        Whose session answers them.
    """

    answered = Signal(str)
    """A prompt (its positive text) has a new answer."""

    def __init__(self, window: Window) -> None:
        session = window.session
        self.state = PromptState(session)
        self.table = PromptTable(self.state, window.jobs)
        self.model_name = "starter"
        self._session, self._jobs = session, window.jobs
        self._scene, self._messages = window.scene, window.messages
        self._stepping = False
        self._wanted = False
        self._warned_of: set[Notice] = set()  # in this scan
        session.answered.connect(self._on_answered)
        self.state.changed.connect(self._draw)
        self.table.negative_edited.connect(self.set_negative)
        self._scene.heatmaps.visible_changed.connect(self.state.set_shown)

    # --- the user's side ------------------------------------------------------------------------

    def add(self, text: str) -> None:
        """Query one prompt, or several separated by semicolons.

        Raises
        ------
        DataError
            If the text is empty.
        """
        templates = self._session.templates
        parts = [part for part in text.split(";") if part.strip()] or [text]
        prompts = [Prompt(part, templates=templates) for part in parts]
        with self.state.at_once():
            for prompt in prompts:
                row = self.state.find(prompt.positive)
                again = prompt if row is None else replace(row.prompt, templates=templates)
                self.state.add(again)
            self.state.show_only(prompts[0].positive)
        self.advance(wanted=True)

    def remove(self, *positives: str) -> None:
        """Forget prompts."""
        self.state.remove(*positives)

    def show_only(self, positive: str) -> None:
        """Show the heatmap of one prompt and hide the others."""
        self.state.show_only(positive)

    def set_shown(self, positive: str, shown: bool) -> None:
        """Show or hide the heatmap of one prompt, leaving the others as they are."""
        self.state.set_shown(positive, shown)

    def set_negative(self, positive: str, negative: str) -> None:
        """Contrast a prompt with another negative, and query it again."""
        if self.state.set_negative(positive, negative):
            self.advance(wanted=True)

    def undo(self) -> None:
        """Take the last change of prompts back; those that come back are queried again."""
        self.state.undo()
        self.advance()

    def redo(self) -> None:
        """Make a change of prompts that was taken back again."""
        self.state.redo()
        self.advance()

    def encode(self) -> None:
        """Encode the open scan now, loading the model first if there is none."""
        if self._session.is_ready:
            self._messages.info("The scan is encoded already; type a finding.")
        self.advance(wanted=True)

    def load_model(self, name_or_folder: str, *, device: str = "auto") -> None:
        """Load another model; prompts are queried again."""
        self._session.device = device
        self._submit(self._model_job(name_or_folder))

    def study_changed(self) -> None:
        """Query the prompts of the study that is open now."""
        if self._session.study is None:
            self._give_up()
        elif self.state.rows:
            self.state.set_waiting(True)
            self.advance(wanted=True)

    # --- one step at a time ---------------------------------------------------------------------

    def advance(self, *, wanted: bool = False) -> None:
        """Start the next step that waiting prompts need, if none is under way."""
        self._wanted |= wanted
        waiting = [row.prompt for row in self.state.rows if row.waiting]
        if self._stepping or not (self._wanted or waiting):
            return
        if self._session.study is None:
            self._give_up()
            self._messages.warning("No CT is open: open one in the Data tab, then query again.")
        elif self._session.model is None:
            self._submit(self._model_job(self.model_name))
        elif not self._session.is_ready:
            self._submit(self._encoding_job())
        elif waiting:
            self._submit(self._answer_job(waiting[0]))
        else:
            self._wanted = False

    def _submit(self, job: Job) -> None:
        self._stepping = True
        self._jobs.submit(job)

    def _step_ended(self) -> None:
        """Go on after a step that worked or was dropped; stop after one that failed."""
        self._stepping = False
        self.advance()

    def _failed(self, error: Exception) -> bool:
        del error
        self._give_up()
        return False

    def _give_up(self) -> None:
        self._wanted = False
        self.state.set_waiting(False)

    def _model_job(self, name: str) -> Job:
        session = self._session

        def work(progress: Progress, should_stop: StopRequested) -> VisionLanguageModel:
            return session.compute_model(name)

        def done(model: VisionLanguageModel) -> None:
            self.model_name = name
            session.set_model(model)
            self._jobs.reconsider()
            self._messages.info(f"Model “{model.name}” is loaded.")
            self.study_changed()

        return Job(
            f"Loading model {name}",
            work,
            done,
            on_error=self._failed,
            on_end=self._step_ended,
        )

    def _encoding_job(self) -> Job:
        session = self._session
        study, model = session.study, session.model

        def work(progress: Progress, should_stop: StopRequested) -> EncodedStudy:
            return session.compute_encoding(session.work(progress, should_stop))

        def done(encoding: EncodedStudy) -> None:
            session.set_encoding(encoding)
            self._warned_of.clear()
            for notice in encoding.notices:
                self._messages.warning(notice.message)
            how = "restored from the cache" if encoding.from_cache else "encoded"
            self._messages.info(f"The scan is {how}. Type a finding, or click a voxel.")

        return Job(
            "Encoding the scan",
            work,
            done,
            still_wanted=lambda: _same_scan(session, study) and session.model is model,
            on_error=self._failed,
            on_end=self._step_ended,
        )

    def _answer_job(self, prompt: Prompt) -> Job:
        session, encoding = self._session, self._session.encoding

        def work(progress: Progress, should_stop: StopRequested) -> Answer:
            return session.compute_answer(prompt)

        def wanted() -> bool:
            row = self.state.find(prompt.positive)
            current = row is not None and row.prompt == prompt
            same = encoding is not None and session.encoding is not None
            return current and same and _same_tokens(session, encoding)

        def done(answer: Answer) -> None:
            session.set_answer(answer)
            focus, whole = answer.focus, answer.whole.anatomy
            where = "" if focus.anatomy == whole else f" in the {anatomy_label(focus.anatomy)}"
            summary = f"“{prompt.positive}”{where}: similarity {focus.similarity:+.2f}"
            new = [notice for notice in answer.notices if notice not in self._warned_of]
            if new:  # once a scan; later answers have it in their tooltip
                self._warned_of.update(new)
                remarks = "; ".join(notice.message for notice in new)
                self._messages.warning(f"{summary}; {remarks}.")
            else:
                self._messages.info(f"{summary}.")

        return Job(
            f"Querying “{prompt.positive}”",
            work,
            done,
            still_wanted=wanted,
            on_error=self._failed,
            on_end=self._step_ended,
        )

    # --- what the session says ------------------------------------------------------------------

    def _on_answered(self, answer: Answer) -> None:
        self.answered.emit(answer.prompt.positive)  # the state, which came first, has it by now

    def _draw(self) -> None:
        now = self.state.resolved
        heatmaps = [
            Heatmap(row.answer.similarity_map, row.colour, row.shown)
            for row in now.rows
            if row.answer is not None
        ]
        self._scene.heatmaps.draw(heatmaps, limits=now.heatmap_range, opacity=now.heatmap_opacity)


def _same_scan(session: Session, study: object) -> bool:
    """Return whether the scan is still the one; masks may have come meanwhile."""
    was, now = getattr(study, "volume", None), getattr(session.study, "volume", None)
    return was is now and now is not None


def _same_tokens(session: Session, encoding: EncodedStudy | None) -> bool:
    return (
        encoding is not None
        and session.encoding is not None
        and session.encoding.scan is encoding.scan
    )
