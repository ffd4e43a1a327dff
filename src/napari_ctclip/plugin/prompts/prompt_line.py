"""Prompt line: type a finding; completion over what was asked, the model's and all findings."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from qtpy.QtCore import QStringListModel, Qt
from qtpy.QtCore import Signal as QtSignal  # type: ignore[attr-defined]
from qtpy.QtWidgets import (
    QCompleter,
    QHBoxLayout,
    QLineEdit,
    QMenu,
    QPushButton,
    QWidget,
)

from napari_ctclip.plugin.prompts.findings_menu import fill_findings_menu
from napari_ctclip.plugin.prompts.typed_prompts import remember_prompt, remembered_prompts

__all__ = ["FALLBACK_PRESETS", "PromptLine"]

FALLBACK_PRESETS: tuple[str, ...] = (
    "lung nodule",
    "lung mass",
    "ground-glass opacity",
    "consolidation",
    "pleural effusion",
    "pneumothorax",
    "emphysema",
    "pulmonary fibrosis",
    "atelectasis",
    "coronary calcification",
    "aortic calcification",
    "cardiomegaly",
    "pericardial effusion",
)
"""Offered until a model says what it knows."""


class PromptLine(QWidget):
    """A line edit with Add and Presets.

    Parameters
    ----------
    parent : QWidget or None
        The panel.
    findings : callable, optional
        Gives every known finding by organ; called when the user first types or opens the menu, not
        while the window opens.
    """

    entered = QtSignal(str)
    """The user asks this; never empty."""

    def __init__(
        self,
        parent: QWidget | None = None,
        *,
        findings: Callable[[], Mapping[str, Sequence[str]]] | None = None,
    ) -> None:
        super().__init__(parent)
        self._load_findings = findings
        self._findings: Mapping[str, Sequence[str]] = {}
        self._history = remembered_prompts()
        self._presets: tuple[str, ...] = FALLBACK_PRESETS
        self.edit = QLineEdit()
        self.edit.setPlaceholderText("Describe a finding, e.g. lung nodule")
        self.edit.setToolTip("One finding, or several separated by semicolons; Enter asks")
        self.edit.setAccessibleName("Prompt")
        self.edit.setClearButtonEnabled(True)
        self.edit.returnPressed.connect(self._enter)
        self.edit.textEdited.connect(self._learn_findings)
        self._words = QStringListModel(self)
        completer = QCompleter(self._words, self)
        completer.setCaseSensitivity(Qt.CaseSensitivity.CaseInsensitive)
        completer.setFilterMode(Qt.MatchFlag.MatchContains)
        self.edit.setCompleter(completer)
        self.edit.textEdited.connect(self._dress_completions)
        self.add = QPushButton("Add")
        self.add.setToolTip("Ask what is typed (Enter)")
        self.add.clicked.connect(self._enter)
        self.presets = QPushButton("Presets")
        self.presets.setMinimumWidth(76)
        self.presets.setToolTip("Findings the model was trained to know, and all others by organ")
        self.menu = QMenu(self.presets)
        self.menu.aboutToShow.connect(self._learn_findings)
        self.presets.setMenu(self.menu)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.edit, 1)
        layout.addWidget(self.add)
        layout.addWidget(self.presets)
        self.set_presets(FALLBACK_PRESETS)

    def set_presets(self, presets: Sequence[str]) -> None:
        """Offer these findings."""
        self._presets = tuple(presets) or FALLBACK_PRESETS
        self._refresh_menu()
        self._refresh_words()

    def _dress_completions(self, *_: object) -> None:
        """Give the list of completions, a window of its own to Qt, napari's style."""
        completer, window = self.edit.completer(), self.window()
        popup = None if completer is None else completer.popup()
        if popup is not None and window is not None:
            style = window.styleSheet()
            if popup.styleSheet() != style:  # set again, it would be parsed again
                popup.setStyleSheet(style)

    def _learn_findings(self, *_: object) -> None:
        if self._load_findings is not None:
            self._findings, self._load_findings = self._load_findings(), None
            self._refresh_menu()
            self._refresh_words()

    def _refresh_menu(self) -> None:
        self.menu.clear()
        for text in self._presets:
            self._add_action(text, text)
        self.menu.addSeparator()
        self._add_action("All of these", "; ".join(self._presets))
        if self._findings:
            self.menu.addSeparator()
            title = self.menu.addAction("Any finding (the model may not know it):")
            if title is not None:  # a section's text is not drawn in napari's style
                title.setEnabled(False)
            fill_findings_menu(self.menu, self._findings, self.entered.emit)

    def _add_action(self, title: str, asks: str) -> None:
        action = self.menu.addAction(title)
        if action is not None:
            action.triggered.connect(lambda *_: self.entered.emit(asks))

    def _enter(self) -> None:
        text = self.edit.text().strip(" ;")
        if not text:
            self.edit.setFocus()
            return
        remember_prompt(text)
        if text not in self._history:
            self._history.append(text)
            self._refresh_words()
        self.edit.clear()
        self.entered.emit(text)

    def _refresh_words(self) -> None:
        every = (name for names in self._findings.values() for name in names)
        self._words.setStringList(list(dict.fromkeys([*self._history, *self._presets, *every])))
