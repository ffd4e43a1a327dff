"""Prompt tools: compare two prompts, check a prompt's phrasing, outline its heatmap, map words."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from qtpy.QtWidgets import QMenu, QPushButton, QWidget

from napari_ctclip.core.errors import CtClipError
from napari_ctclip.core.prompt import Prompt
from napari_ctclip.explanation.found_regions import CutRegion
from napari_ctclip.plugin.canvas.difference_layer import (
    FIRST_COLOUR,
    SD_COLOUR,
    SECOND_COLOUR,
)
from napari_ctclip.plugin.prompts.prompt_flow import PromptFlow
from napari_ctclip.plugin.prompts.prompt_state import PromptRow
from napari_ctclip.plugin.prompts.threshold_dialog import ThresholdDialog
from napari_ctclip.plugin.prompts.word_dialog import WordDialog
from napari_ctclip.plugin.prompts.word_flow import WordFlow, WordLegend
from napari_ctclip.plugin.widgets.colour_legend import ColourLegend
from napari_ctclip.plugin.window.jobs import Job, Progress, StopRequested
from napari_ctclip.plugin.window.window import Window
from napari_ctclip.scoring.answer import Answer, difference_map
from napari_ctclip.session.phrasing import PhrasingCheck, check_phrasing

__all__ = ["PromptTools"]


class PromptTools(QPushButton):
    """A button whose menu works on the selected prompts.

    Parameters
    ----------
    window : Window
        Whose answers it works on.
    prompts : PromptFlow
        The prompts.
    words : WordFlow
        Draws where words are.
    selected : callable
        Returns the selected rows of the table, top first.
    keep : callable
        Makes a finding of a region and a prompt.
    parent : QWidget or None
        The panel.
    """

    def __init__(
        self,
        window: Window,
        *,
        prompts: PromptFlow,
        words: WordFlow,
        selected: Callable[[], Sequence[PromptRow]],
        keep: Callable[[CutRegion, str], None],
        parent: QWidget | None = None,
    ) -> None:
        super().__init__("Tools", parent)
        self._window, self._prompts, self._words = window, prompts, words
        self._selected, self._keep = selected, keep
        self._pair: tuple[str, ...] = ()  # whose map is drawn
        self._drawing = False
        # both stand below the table
        self.legend = ColourLegend("Colours of the comparison", self)
        self.word_legend = WordLegend(words, self)
        self.setToolTip(
            "Compare two selected prompts; check the phrasing of one, outline its map, map words"
        )
        menu = QMenu(self)
        for title, action in (
            ("Compare the two selected prompts", self.compare),
            ("Check the phrasing of the selected prompt", self.check),
            ("Draw the SD across its phrasings", self.draw_sd),
            ("Outline the selected prompt's heatmap above a threshold…", self.outline),
            ("Show where the selected prompt's words are…", self.words),
        ):
            menu.addAction(title, lambda *_, action=action: self._window.guarded(action))
        menu.addSeparator()
        self._undo = menu.addAction("Undo the last change of prompts", prompts.undo)
        self._redo = menu.addAction("Redo it", prompts.redo)
        menu.aboutToShow.connect(self._enable)
        self.setMenu(menu)
        window.session.answer_removed.connect(self._on_answer_removed)
        window.session.answered.connect(self._on_answered)
        window.viewer.layers.events.removed.connect(self._on_layer_removed)

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
        self._window.messages.info(f"Orange: more “{first}”; blue: more “{second}”.")

    def check(self) -> None:
        """Tell how far synonyms disagree, and whether the negation gives another map.

        Raises
        ------
        CtClipError
            If not one prompt is selected, or the scan is not encoded.
        """
        self._submit_check(self._one().prompt, self._tell_check)

    def draw_sd(self) -> None:
        """Draw the standard deviation of the similarity across the selected prompt's phrasings.

        Raises
        ------
        CtClipError
            If not one prompt is selected, or the scan is not encoded.
        """
        prompt = self._one().prompt
        self._submit_check(prompt, lambda found: self._draw_sd(prompt, found))

    def _submit_check(self, prompt: Prompt, then: Callable[[PhrasingCheck], None]) -> None:
        session = self._window.session
        encoding = session.ready().encoding

        def work(progress: Progress, should_stop: StopRequested) -> PhrasingCheck:
            return check_phrasing(session, prompt)

        self._window.jobs.submit(
            Job(
                f"Checking “{prompt.positive}”",
                work,
                then,
                still_wanted=lambda: session.encoding is encoding,
            )
        )

    def _tell_check(self, found: PhrasingCheck) -> None:
        self._window.messages.info(found.in_words)

    def _draw_sd(self, prompt: Prompt, found: PhrasingCheck) -> None:
        scene = self._window.scene
        if found.sd_map is None:
            self._window.messages.warning(
                f"“{prompt.positive}” has one phrasing: the dictionary knows no synonym; choose an "
                "ensemble as phrasing"
            )
        elif scene.frame is not None:
            self._pair = (prompt.positive,)
            self._drawing = True  # the last one goes first
            try:
                limit = scene.difference.show_sd(found.sd_map, scene.frame)
            finally:
                self._drawing = False
            meaning = (
                f"standard deviation of the similarity across {found.phrasings} phrasings of "
                f"“{prompt.positive}”, 0 (clear) to {limit:.2f} (full)"
            )
            self.legend.explain(
                ((SD_COLOUR, "SD across phrasings", meaning),),
                "It says where phrasings disagree, not where the finding is.",
            )
            self._tell_check(found)

    def outline(self) -> None:
        """Ask for the threshold above which the selected prompt's heatmap is a region.

        Raises
        ------
        CtClipError
            If not one prompt with a similarity above 0 is selected.
        """
        window = self.window()
        for open_already in [] if window is None else window.findChildren(ThresholdDialog):
            open_already.reject()  # two would draw in one layer
        positive = self._one().prompt.positive
        ThresholdDialog(self._window, positive, keep=self._keep, parent=window).show()

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
        dialog = WordDialog(
            self._window,
            self._one().prompt,
            state=self._prompts.state,
            words=self._words,
            parent=window,
        )
        dialog.show()

    def _enable(self) -> None:
        if self._undo is not None and self._redo is not None:
            self._undo.setEnabled(self._prompts.state.can_undo)
            self._redo.setEnabled(self._prompts.state.can_redo)

    def _one(self) -> PromptRow:
        rows = self._selected()
        if len(rows) != 1:
            raise CtClipError(f"{len(rows)} prompts are selected; select one")
        return rows[0]

    def _draw(self) -> None:
        first, second = (self._window.session.answer_to(positive) for positive in self._pair)
        scene = self._window.scene
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
        else:  # an SD is across other phrasings now
            self._end_comparison()

    def _on_answer_removed(self, positive: str) -> None:
        if positive in self._pair:
            self._end_comparison()

    def _on_layer_removed(self, *_: object) -> None:
        if not self._drawing and not self._window.scene.difference.is_there:
            self._end_comparison()  # also after the user took the layer off

    def _end_comparison(self) -> None:
        self._pair = ()
        self.legend.hide()
        self._window.scene.difference.remove()
