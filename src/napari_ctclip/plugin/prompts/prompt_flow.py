"""Prompt flow: from a typed prompt to its answer: model, encoding and answers, in that order."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from psygnal import Signal

from napari_ctclip.core.anatomy import anatomy_label
from napari_ctclip.core.notice import Notice
from napari_ctclip.core.prompt import Prompt
from napari_ctclip.plugin.canvas.layers import default_heat_range
from napari_ctclip.plugin.canvas.scene import Scene
from napari_ctclip.plugin.prompts.prompt_table import PromptTable
from napari_ctclip.plugin.window.jobs import Job, JobQueue, Progress, StopRequested
from napari_ctclip.plugin.window.messages import Messages
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
    session : Session
        Whose prompts they are.
    jobs : JobQueue
        Where slow steps run.
    scene : Scene
        Where heat is drawn.
    messages : Messages
        Where the user reads what happens.
    """

    answered = Signal(str)
    """A prompt (its positive text) has a new answer."""

    def __init__(
        self, session: Session, *, jobs: JobQueue, scene: Scene, messages: Messages
    ) -> None:
        self.table = PromptTable(jobs)
        self.model_name = "starter"
        self._session, self._jobs, self._scene, self._messages = session, jobs, scene, messages
        self._stepping = False
        self._wanted = False
        self._warned_of: set[Notice] = set()  # in this scan
        session.answered.connect(self._on_answered)
        session.answer_removed.connect(self._on_answer_removed)
        self.table.shown_changed.connect(self._on_shown_changed)
        self.table.negative_edited.connect(self._on_negative_edited)
        scene.heat_shown.connect(self._on_heat_shown)

    # --- the user's side ------------------------------------------------------------------------

    def add(self, text: str) -> None:
        """Ask one prompt, or several separated by semicolons.

        Raises
        ------
        DataError
            If the text is empty.
        """
        templates = self._session.templates
        parts = [part for part in text.split(";") if part.strip()] or [text]
        prompts = [Prompt(part, templates=templates) for part in parts]
        for prompt in prompts:
            row = self.table.find(prompt.positive)
            again = prompt if row is None else replace(row.prompt, templates=templates)
            self.table.add(again)
        self.show_only(prompts[0].positive)
        self.advance(wanted=True)

    def remove(self, positive: str) -> None:
        """Forget a prompt."""
        self.table.remove(positive)
        self._scene.remove_heat(positive)
        self._session.remove(positive)

    def show_only(self, positive: str) -> None:
        """Show one prompt's heat and hide the others'."""
        for row in self.table.rows:
            shown = row.prompt.positive == positive
            if row.shown != shown:
                self.table.change(row.prompt.positive, shown=shown)
                self._on_shown_changed(row.prompt.positive, shown)

    def set_shown(self, positive: str, shown: bool) -> None:
        """Show or hide one prompt's heat, leaving the others as they are."""
        self.table.change(positive, shown=shown)
        self._on_shown_changed(positive, shown)

    def encode(self) -> None:
        """Encode the open scan now, loading the model first if there is none."""
        if self._session.is_ready:
            self._messages.info("The scan is encoded already; type a finding.")
        self.advance(wanted=True)

    def load_model(self, name_or_folder: str, *, device: str = "auto") -> None:
        """Load another model; prompts are asked again."""
        self._session.device = device
        self._submit(self._model_job(name_or_folder))

    def study_changed(self) -> None:
        """Ask the prompts in the table of the study that is open now."""
        if self._session.study is None:
            self._give_up()
        elif self.table.rows:
            for row in self.table.rows:
                self.table.change(row.prompt.positive, waiting=True)
            self.advance(wanted=True)

    # --- one step at a time ---------------------------------------------------------------------

    def advance(self, *, wanted: bool = False) -> None:
        """Start the next step that waiting prompts need, if none is under way."""
        self._wanted |= wanted
        waiting = [row.prompt for row in self.table.rows if row.waiting]
        if self._stepping or not (self._wanted or waiting):
            return
        if self._session.study is None:
            self._give_up()
            self._messages.warning("No CT is open: open one in the Data tab, then ask again.")
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
        for row in self.table.rows:
            if row.waiting:
                self.table.change(row.prompt.positive, waiting=False)

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
            self._fit_heat_range()
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
            row = self.table.find(prompt.positive)
            current = row is not None and row.prompt == prompt
            same = encoding is not None and session.encoding is not None
            return current and same and _same_tokens(session, encoding)

        def done(answer: Answer) -> None:
            session.set_answer(answer)
            focus, whole = answer.focus, answer.whole.anatomy
            where = "" if focus.anatomy == whole else f" in the {anatomy_label(focus.anatomy)}"
            told = f"“{prompt.positive}”{where}: similarity {focus.similarity:+.2f}"
            new = [notice for notice in answer.notices if notice not in self._warned_of]
            if new:  # once a scan; later answers have it in their tooltip
                self._warned_of.update(new)
                remarks = "; ".join(notice.message for notice in new)
                self._messages.warning(f"{told}; {remarks}.")
            else:
                self._messages.info(f"{told}.")

        return Job(
            f"Asking “{prompt.positive}”",
            work,
            done,
            still_wanted=wanted,
            on_error=self._failed,
            on_end=self._step_ended,
        )

    # --- what the session and the table say -----------------------------------------------------

    def _on_answered(self, answer: Answer) -> None:
        positive = answer.prompt.positive
        if self.table.find(positive) is None:
            self.table.add(answer.prompt)
        row = self.table.find(positive)
        edited_since = row is not None and row.prompt != answer.prompt
        peak = None
        if self._scene.frame is not None:
            peak = self._scene.frame.world_to_index(answer.focus.peak.world_mm)
        self.table.change(positive, answer=answer, peak=peak, waiting=edited_since)
        self._fit_heat_range()
        if row is not None and (row.shown or self._scene.has_heat(positive)):
            self._scene.show_heat(answer, colour=row.colour, visible=row.shown)
        self.answered.emit(positive)

    def _fit_heat_range(self) -> None:
        """Choose the heat range, until the user does."""
        model, answers = self._session.model, self._session.answers
        if model is not None and not self._scene.heat_range_is_chosen:
            highest = max((answer.whole.peak.value for answer in answers), default=0.0)
            self._scene.set_heat_range(*default_heat_range(model.calibration, highest))

    def _on_answer_removed(self, positive: str) -> None:
        self._scene.remove_heat(positive)
        self.table.change(positive, answer=None, peak=None, waiting=False)

    def _on_shown_changed(self, positive: str, shown: bool) -> None:
        row = self.table.find(positive)
        if row is None or row.answer is None:
            return
        if shown and not self._scene.has_heat(positive):
            self._scene.show_heat(row.answer, colour=row.colour, visible=True)
        self._scene.set_heat_visible(positive, shown)

    def _on_heat_shown(self, positive: str, shown: bool) -> None:
        row = self.table.find(positive)
        if row is not None and row.answer is not None and row.shown != shown:
            self.table.change(positive, shown=shown)

    def _on_negative_edited(self, prompt: Prompt) -> None:
        self.advance(wanted=True)


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
