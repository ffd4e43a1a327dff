"""Prompt tools: compare two prompts, check a prompt's wording, cut its heat to a region."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from qtpy.QtWidgets import QMenu, QPushButton, QWidget

from napari_ctclip.core.errors import CtClipError
from napari_ctclip.core.prompt import Prompt
from napari_ctclip.plugin.canvas.colour_legend import ColourLegend, WordLegend
from napari_ctclip.plugin.canvas.difference_layer import (
    FIRST_COLOUR,
    SECOND_COLOUR,
    SPREAD_COLOUR,
)
from napari_ctclip.plugin.prompts.cut_dialog import CutDialog
from napari_ctclip.plugin.prompts.prompt_table import PromptRow
from napari_ctclip.plugin.prompts.word_dialog import WordDialog
from napari_ctclip.plugin.shell.workbench import Workbench
from napari_ctclip.plugin.window.jobs import Job, Progress, StopRequested
from napari_ctclip.scoring.answer import Answer
from napari_ctclip.scoring.prompt_comparison import difference_map
from napari_ctclip.session.phrasing import PhrasingCheck, check_phrasing

__all__ = ["PromptTools"]


class PromptTools(QPushButton):
    """A button whose menu works on the selected prompts.

    Parameters
    ----------
    workbench : Workbench
        What it works on.
    selected : callable
        Returns the selected rows of the table, top first.
    parent : QWidget or None
        The panel.
    """

    def __init__(
        self,
        workbench: Workbench,
        selected: Callable[[], Sequence[PromptRow]],
        parent: QWidget | None = None,
    ) -> None:
        super().__init__("Tools", parent)
        self._bench, self._selected = workbench, selected
        self._pair: tuple[str, ...] = ()  # whose map is drawn
        self._drawing = False
        # both stand below the table
        self.legend = ColourLegend("Colours of the comparison", self)
        self.word_legend = WordLegend(workbench.words, self)
        self.setToolTip(
            "Compare two selected prompts; check the wording of one, cut its heat, map its words"
        )
        menu = QMenu(self)
        for title, action in (
            ("Compare the two selected prompts", self.compare),
            ("Check the wording of the selected prompt", self.check),
            ("Draw where its wordings disagree", self.draw_spread),
            ("Cut the selected prompt's heat to a region…", self.cut),
            ("Show where the selected prompt's words are…", self.words),
        ):
            menu.addAction(title, lambda *_, action=action: self._bench.guarded(action))
        menu.addSeparator()
        history = workbench.prompt_history
        self._undo = menu.addAction("Undo the last change of prompts", history.undo)
        self._redo = menu.addAction("Redo it", history.redo)
        menu.aboutToShow.connect(self._enable)
        self.setMenu(menu)
        workbench.session.answer_removed.connect(self._on_answer_removed)
        workbench.session.answered.connect(self._on_answered)
        workbench.viewer.layers.events.removed.connect(self._on_layer_removed)

    def compare(self) -> None:
        """Draw where one of two selected prompts answers more than the other.

        Raises
        ------
        CtClipError
            If not two answered prompts are selected.
        """
        rows = self._selected()
        if len(rows) != 2 or any(row.answer is None for row in rows):
            raise CtClipError(
                f"{len(rows)} prompts are selected; select two that are answered (Ctrl+click)"
            )
        self._pair = (rows[0].prompt.positive, rows[1].prompt.positive)
        self._draw()
        first, second = self._pair
        self._bench.messages.info(f"Orange: more “{first}”; blue: more “{second}”.")

    def check(self) -> None:
        """Tell how far synonyms disagree, and whether the negation gives another map.

        Raises
        ------
        CtClipError
            If not one prompt is selected, or the scan is not encoded.
        """
        self._submit_check(self._one().prompt, self._tell_check)

    def draw_spread(self) -> None:
        """Draw how far the wordings of the selected prompt disagree, place by place.

        Raises
        ------
        CtClipError
            If not one prompt is selected, or the scan is not encoded.
        """
        prompt = self._one().prompt
        self._submit_check(prompt, lambda found: self._draw_spread(prompt, found))

    def _submit_check(self, prompt: Prompt, then: Callable[[PhrasingCheck], None]) -> None:
        session = self._bench.session
        encoding = session.ready().encoding

        def work(progress: Progress, should_stop: StopRequested) -> PhrasingCheck:
            return check_phrasing(session, prompt)

        self._bench.jobs.submit(
            Job(
                f"Checking “{prompt.positive}”",
                work,
                then,
                still_wanted=lambda: session.encoding is encoding,
            )
        )

    def _tell_check(self, found: PhrasingCheck) -> None:
        self._bench.messages.info(found.in_words)

    def _draw_spread(self, prompt: Prompt, found: PhrasingCheck) -> None:
        scene = self._bench.scene
        if found.sd_map is None:
            self._bench.messages.warning(
                f"“{prompt.positive}” has one wording: the dictionary knows no synonym; choose an "
                "ensemble as wording"
            )
        elif scene.frame is not None:
            self._pair = (prompt.positive,)
            self._drawing = True  # the last one goes first
            try:
                limit = scene.difference.show_spread(found.sd_map, scene.frame)
            finally:
                self._drawing = False
            spread = (
                f"{found.phrasings} phrasings of “{prompt.positive}”: standard deviation of the "
                f"similarity, 0 (clear) to {limit:.2f} (full)"
            )
            self.legend.explain(
                ((SPREAD_COLOUR, "spread", spread),),
                "It says where wordings disagree, not where the finding is.",
            )
            self._tell_check(found)

    def cut(self) -> None:
        """Ask where to cut the heat of the selected prompt.

        Raises
        ------
        CtClipError
            If not one prompt with heat above nothing is selected.
        """
        window = self.window()
        for open_already in [] if window is None else window.findChildren(CutDialog):
            open_already.reject()  # two would draw in one layer
        CutDialog(self._bench, self._one().prompt.positive, window).show()

    def words(self) -> None:
        """Ask which words of the selected prompt to map.

        Raises
        ------
        CtClipError
            If not one answered prompt is selected.
        """
        window = self.window()
        for open_already in [] if window is None else window.findChildren(WordDialog):
            open_already.reject()
        WordDialog(self._bench, self._one().prompt, window).show()

    def _enable(self) -> None:
        history = self._bench.prompt_history
        if self._undo is not None and self._redo is not None:
            self._undo.setEnabled(history.can_undo)
            self._redo.setEnabled(history.can_redo)

    def _one(self) -> PromptRow:
        rows = self._selected()
        if len(rows) != 1:
            raise CtClipError(f"{len(rows)} prompts are selected; select one")
        return rows[0]

    def _draw(self) -> None:
        first, second = (self._bench.session.answer_to(positive) for positive in self._pair)
        scene = self._bench.scene
        if first is None or second is None or scene.frame is None:
            return
        self._drawing = True  # the last one goes first
        try:
            scene.difference.show(difference_map(first, second), scene.frame)
        finally:
            self._drawing = False
        orange, blue = (f"more “{positive}”" for positive in self._pair)
        self.legend.explain(((FIRST_COLOUR, "orange", orange), (SECOND_COLOUR, "blue", blue)))

    def _on_answered(self, answer: Answer) -> None:
        if answer.prompt.positive not in self._pair:
            return
        if len(self._pair) == 2:
            self._draw()
        else:  # a spread is of other wordings now
            self._end_comparison()

    def _on_answer_removed(self, positive: str) -> None:
        if positive in self._pair:
            self._end_comparison()

    def _on_layer_removed(self, *_: object) -> None:
        if not self._drawing and not self._bench.scene.difference.is_there:
            self._end_comparison()  # also after the user took the layer off

    def _end_comparison(self) -> None:
        self._pair = ()
        self.legend.hide()
        self._bench.scene.difference.remove()
