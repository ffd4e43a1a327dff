"""Word menu: the words of the selected prompt; one chosen is left out, and the change is drawn."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from qtpy.QtWidgets import QMenu, QWidget

from napari_ctclip.plugin.background import Job, Progress, StopRequested
from napari_ctclip.plugin.prompt_table import PromptRow
from napari_ctclip.plugin.workbench import Workbench
from napari_ctclip.scoring.answer import Answer
from napari_ctclip.scoring.word_maps import without_word, words_of

__all__ = ["WordMenu"]

Drawn = Callable[[Answer, Answer, str], None]


class WordMenu(QMenu):
    """A menu filled each time it opens.

    Parameters
    ----------
    workbench : Workbench
        What it works on.
    selected : callable
        Returns the selected rows of the table.
    draw : callable
        Takes the answer, the one without the word, and the word.
    parent : QWidget or None
        The menu it is part of.
    """

    def __init__(
        self,
        workbench: Workbench,
        selected: Callable[[], Sequence[PromptRow]],
        draw: Drawn,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__("What one word does", parent)
        self._bench, self._selected, self._draw = workbench, selected, draw
        self.aboutToShow.connect(self.fill)

    def fill(self) -> None:
        """List the words of the selected prompt."""
        self.clear()
        rows = self._selected()
        words = words_of(rows[0].prompt) if len(rows) == 1 and rows[0].answer is not None else ()
        if len(words) < 2:
            hint = self.addAction("Select one answered prompt of two words or more")
            if hint is not None:
                hint.setEnabled(False)
            return
        for place, word in enumerate(words):
            ask = partial(self.leave_out, rows[0], place)
            self.addAction(f"“{word}”", lambda *_, ask=ask: self._bench.guarded(ask))

    def leave_out(self, row: PromptRow, place: int) -> None:
        """Draw what the map of a prompt loses without one of its words."""
        session, full = self._bench.session, row.answer
        if full is None:
            return
        shorter, word = without_word(row.prompt, place), words_of(row.prompt)[place]

        def work(progress: Progress, should_stop: StopRequested) -> Answer:
            return session.compute_answer(shorter)

        self._bench.jobs.submit(
            Job(
                f"Leaving out “{word}”",
                work,
                lambda rest: self._draw(full, rest, word),
                still_wanted=lambda: session.answer_to(row.prompt.positive) is full,
            )
        )
