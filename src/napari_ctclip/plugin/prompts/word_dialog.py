"""Word dialog: the words of a prompt to tick; their map follows."""

from __future__ import annotations

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QCheckBox, QDialog, QDialogButtonBox, QLabel, QVBoxLayout, QWidget
from superqt import QFlowLayout

from napari_ctclip.core.errors import CtClipError
from napari_ctclip.core.prompt import Prompt
from napari_ctclip.plugin.prompts.prompt_state import PromptState
from napari_ctclip.plugin.prompts.word_flow import WordFlow, WordLegend
from napari_ctclip.plugin.window.window import Window
from napari_ctclip.session.word_reading import word_map_kind

__all__ = ["WordDialog"]


class WordDialog(QDialog):
    """Which words of one prompt are mapped; it goes with the prompt and with the encoded scan.

    Parameters
    ----------
    window : Window
        Whose scan is encoded.
    prompt : Prompt
        The prompt.
    state : PromptState
        Where its negative may be edited meanwhile.
    words : WordFlow
        Draws the map.
    parent : QWidget or None
        The window it stands over.

    Raises
    ------
    CtClipError
        If the prompt has no answer.
    """

    def __init__(
        self,
        window: Window,
        prompt: Prompt,
        *,
        state: PromptState,
        words: WordFlow,
        parent: QWidget | None = None,
    ) -> None:
        if window.session.answer_to(prompt.positive) is None:
            raise CtClipError(f"“{prompt.positive}” has no heatmap yet; wait until it is answered")
        super().__init__(parent)
        self._window, self._prompt = window, prompt
        self._state, self._flow = state, words
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle("Where its words are")
        self.kind = QLabel(word_map_kind(window.session.model).explanation)
        self.kind.setWordWrap(True)
        self.words = [self._tick(word) for word in prompt.positive.split()]
        self.legend = WordLegend(words, self)
        self.buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        peak = self.buttons.addButton("Go to peak", QDialogButtonBox.ButtonRole.ActionRole)
        assert peak is not None
        self.peak = peak
        self.peak.setToolTip("Turn every plane to where the words are found most")
        self.peak.setEnabled(False)
        self._lay_out()
        self._connect()

    def _tick(self, word: str) -> QCheckBox:
        tick = QCheckBox(word.replace("&", "&&"))
        tick.setToolTip("Tick the words to map; several are mapped together")
        tick.toggled.connect(self._draw)
        return tick

    def _lay_out(self) -> None:
        words = QWidget()
        flow = QFlowLayout(words)
        flow.setContentsMargins(0, 0, 0, 0)
        for tick in self.words:
            flow.addWidget(tick)
        layout = QVBoxLayout(self)
        layout.addWidget(QLabel("Tick one word or several:"))
        layout.addWidget(words)
        layout.addWidget(self.kind)
        layout.addWidget(self.legend)
        layout.addStretch(1)
        layout.addWidget(self.buttons)
        self.setMinimumWidth(440)

    def _connect(self) -> None:
        self.buttons.rejected.connect(self.reject)
        self.peak.clicked.connect(lambda: self._window.guarded(self._flow.go_to_peak))
        self._flow.changed.connect(self._on_changed)
        self._window.session.answer_removed.connect(self._on_answer_removed)
        self.finished.connect(self._on_finished)

    def _draw(self, *_: object) -> None:
        chosen = [place for place, tick in enumerate(self.words) if tick.isChecked()]
        row = self._state.find(self._prompt.positive)
        prompt = self._prompt if row is None else row.prompt  # its negative may have been edited
        self._window.guarded(lambda: self._flow.show(prompt, chosen))

    def _on_changed(self) -> None:
        self.peak.setEnabled(self._flow.shown is not None)

    def _on_answer_removed(self, positive: str) -> None:
        if positive == self._prompt.positive:
            self.reject()

    def _on_finished(self, *_: object) -> None:
        self._flow.changed.disconnect(self._on_changed)
        self._flow.changed.disconnect(self.legend.refresh)
        self._window.session.answer_removed.disconnect(self._on_answer_removed)
