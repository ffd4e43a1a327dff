"""Prompt state: the prompts of a window; the table and the heatmaps are drawn from it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from psygnal import Signal

from napari_ctclip.core.history import History
from napari_ctclip.core.prompt import Prompt
from napari_ctclip.core.template_set import TemplateSet
from napari_ctclip.plugin.canvas.layers import PROMPT_COLOURS, Frame, default_heatmap_range
from napari_ctclip.scoring.answer import Answer
from napari_ctclip.session.session import Session

__all__ = ["PromptRow", "PromptState", "ResolvedPrompts"]

_RANGE, _OPACITY = (0.0, 0.3), 0.75
_LEAST_WIDTH = 1e-4  # of the heatmap range


@dataclass(frozen=True)
class _Entry:
    """What the user decided about one prompt, and whether an answer is due."""

    prompt: Prompt
    colour: str
    shown: bool = False
    waiting: bool = True


@dataclass(frozen=True)
class PromptRow:
    """One prompt with everything that is drawn of it.

    Attributes
    ----------
    prompt : Prompt
        The query.
    colour : str
        The colour of its heatmap, ``"#rrggbb"``.
    answer : Answer or None
        The session's answer; None until there is one.
    shown : bool
        Whether its heatmap is (to be) shown.
    peak : tuple of int or None
        The voxel of the scan where the similarity is highest.
    waiting : bool
        Whether an answer is being computed.
    """

    prompt: Prompt
    colour: str
    answer: Answer | None = None
    shown: bool = False
    peak: tuple[int, int, int] | None = None
    waiting: bool = True


@dataclass(frozen=True)
class ResolvedPrompts:
    """Everything that is drawn of the prompts: what views compare with what they drew last.

    Attributes
    ----------
    rows : tuple of PromptRow
        In the order of the table.
    heatmap_range : tuple of float
        The similarities where heatmaps begin and are strongest, the same for every prompt.
    heatmap_opacity : float
        How strongly heatmaps cover the scan.
    """

    rows: tuple[PromptRow, ...] = ()
    heatmap_range: tuple[float, float] = _RANGE
    heatmap_opacity: float = _OPACITY

    def find(self, positive: str) -> PromptRow | None:
        """Return the row of a prompt; None if it is not there."""
        return next((row for row in self.rows if row.prompt.positive == positive), None)


class PromptState:
    """The prompts of a window, changed by methods, with undo.

    Answers stay in the session, decisions of the user are here; ``resolved`` joins them, and views
    draw the difference between two of its values. Nothing else keeps a copy.

    Parameters
    ----------
    session : Session
        Whose answers the prompts get.
    """

    changed = Signal()
    """``resolved`` is another."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._entries: tuple[_Entry, ...] = ()
        self._coloured = 0
        self._chosen_range: tuple[float, float] | None = None
        self._opacity = _OPACITY
        self._history: History[tuple[Prompt, ...]] = History(())
        self._depth = 0
        self.resolved = ResolvedPrompts()
        session.answered.connect(self._on_answered)
        session.answer_removed.connect(self._on_answer_removed)
        session.model_changed.connect(self._on_session_changed)
        session.encoding_changed.connect(self._on_session_changed)

    @property
    def rows(self) -> tuple[PromptRow, ...]:
        """The prompts, in the order of the table."""
        return self.resolved.rows

    def find(self, positive: str) -> PromptRow | None:
        """Return the row of a prompt; None if it is not there."""
        return self.resolved.find(positive)

    # --- changes --------------------------------------------------------------------------------

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """Join the changes made inside: they are drawn together and are one step of undo."""
        self._depth += 1
        try:
            yield
        finally:
            self._depth -= 1
            if not self._depth:
                self._note_step()
                self._resolve()

    def add(self, prompt: Prompt, *, colour: str = "", shown: bool | None = None) -> None:
        """Add a prompt, or query one that is there again, maybe with another negative.

        Parameters
        ----------
        prompt : Prompt
            Its positive text tells it from others.
        colour : str
            Of its heatmap; the next of the palette, or the one it has, if empty.
        shown : bool or None
            Whether its heatmap is shown; as it was, or not yet, if None.
        """
        with self.at_once():
            if self._entry(prompt.positive) is None:
                if not colour:
                    colour = PROMPT_COLOURS[self._coloured % len(PROMPT_COLOURS)]
                    self._coloured += 1
                self._entries = (*self._entries, _Entry(prompt, colour, bool(shown)))
                return
            self._edit(
                prompt.positive,
                lambda entry: replace(
                    entry,
                    prompt=prompt,
                    colour=colour or entry.colour,
                    shown=entry.shown if shown is None else shown,
                    waiting=True,
                ),
            )

    def remove(self, *positives: str) -> None:
        """Forget prompts and their answers."""
        with self.at_once():
            self._entries = tuple(e for e in self._entries if e.prompt.positive not in positives)
            for positive in positives:
                self._session.remove(positive)

    def set_negative(self, positive: str, negative: str) -> bool:
        """Contrast a prompt with another negative; return whether it now waits for an answer."""
        entry = self._entry(positive)
        if entry is None:
            return False
        prompt = replace(entry.prompt, negative=negative)
        if prompt == entry.prompt:
            return False
        self.add(prompt)
        return True

    def set_templates(self, templates: TemplateSet, *, waiting: bool) -> None:
        """Put every prompt in other templates.

        Parameters
        ----------
        templates : TemplateSet
            The sentences.
        waiting : bool
            Whether the prompts that change wait for new answers.
        """
        with self.at_once():
            self._entries = tuple(
                entry
                if entry.prompt.templates == templates
                else replace(
                    entry, prompt=replace(entry.prompt, templates=templates), waiting=waiting
                )
                for entry in self._entries
            )

    def set_shown(self, positive: str, shown: bool) -> None:
        """Show or hide the heatmap of one prompt."""
        with self.at_once():
            self._edit(positive, lambda entry: replace(entry, shown=shown))

    def show_only(self, positive: str) -> None:
        """Show the heatmap of one prompt and hide the others."""
        with self.at_once():
            self._entries = tuple(
                replace(entry, shown=entry.prompt.positive == positive) for entry in self._entries
            )

    def set_waiting(self, waiting: bool) -> None:
        """Let every prompt wait for an answer, or none."""
        with self.at_once():
            self._entries = tuple(replace(entry, waiting=waiting) for entry in self._entries)

    @property
    def chosen_range(self) -> tuple[float, float] | None:
        """The heatmap range that was chosen; None while it follows model and answers."""
        return self._chosen_range

    def choose_range(self, low: float, high: float) -> None:
        """Show heatmaps from ``low`` (transparent) to ``high`` (strongest) from now on."""
        with self.at_once():
            self._chosen_range = (low, max(high, low + _LEAST_WIDTH))

    def set_opacity(self, opacity: float) -> None:
        """Set how strongly heatmaps cover the scan."""
        with self.at_once():
            self._opacity = opacity

    # --- undo -----------------------------------------------------------------------------------

    @property
    def can_undo(self) -> bool:
        """Whether there is a step to take back."""
        return bool(self._history.past)

    @property
    def can_redo(self) -> bool:
        """Whether a step was taken back."""
        return bool(self._history.future)

    def undo(self) -> None:
        """Take the last change of prompts back, if there is one."""
        self._restore(self._history.undone())

    def redo(self) -> None:
        """Make a change that was taken back again, if there is one."""
        self._restore(self._history.redone())

    def _restore(self, history: History[tuple[Prompt, ...]]) -> None:
        before, self._history = self._prompts(), history
        wanted = {prompt.positive for prompt in history.present}
        with self.at_once():
            self.remove(*(p.positive for p in before if p.positive not in wanted))
            for prompt in history.present:
                if prompt not in before:
                    self.add(prompt)

    def _note_step(self) -> None:
        now = self._prompts()
        # a prompt that came back stands last: its place in the table is no step
        if set(now) != set(self._history.present):
            self._history = self._history.then(now)

    # --- inside ---------------------------------------------------------------------------------

    def _prompts(self) -> tuple[Prompt, ...]:
        return tuple(entry.prompt for entry in self._entries)

    def _entry(self, positive: str) -> _Entry | None:
        return next((e for e in self._entries if e.prompt.positive == positive), None)

    def _edit(self, positive: str, change: Callable[[_Entry], _Entry]) -> None:
        self._entries = tuple(
            change(entry) if entry.prompt.positive == positive else entry for entry in self._entries
        )

    def _on_answered(self, answer: Answer) -> None:
        positive = answer.prompt.positive
        with self.at_once():
            if self._entry(positive) is None:  # queried by a script
                self.add(answer.prompt)
            self._edit(positive, lambda e: replace(e, waiting=e.prompt != answer.prompt))

    def _on_answer_removed(self, positive: str) -> None:
        with self.at_once():
            self._edit(positive, lambda entry: replace(entry, waiting=False))

    def _on_session_changed(self, *_: object) -> None:
        with self.at_once():
            pass

    def _resolve(self) -> None:
        now = ResolvedPrompts(tuple(map(self._row, self._entries)), self._range(), self._opacity)
        if now != self.resolved:
            self.resolved = now
            self.changed.emit()

    def _row(self, entry: _Entry) -> PromptRow:
        # while a scan is left, its answers go one by one: without an encoding none counts
        positive = entry.prompt.positive
        answer = self._session.answer_to(positive) if self._session.is_ready else None
        last = self.resolved.find(positive)
        is_known = last is not None and last.answer is answer
        peak = last.peak if last is not None and is_known else self._peak(answer)
        return PromptRow(entry.prompt, entry.colour, answer, entry.shown, peak, entry.waiting)

    def _peak(self, answer: Answer | None) -> tuple[int, int, int] | None:
        study = self._session.study
        if answer is None or study is None:
            return None
        return Frame(study.volume.geometry).world_to_index(answer.focus.peak.world_mm)

    def _range(self) -> tuple[float, float]:
        if self._chosen_range is not None:
            return self._chosen_range
        model = self._session.model
        if model is None:
            return _RANGE
        answers = self._session.answers if self._session.is_ready else ()
        highest = max((answer.whole.peak.value for answer in answers), default=0.0)
        return default_heatmap_range(model.calibration, highest)
