"""Prompt history: undo and redo of prompts that were added, removed or got another negative."""

from __future__ import annotations

from qtpy.QtCore import QObject, QTimer

from napari_ctclip.core.history import History
from napari_ctclip.core.prompt import Prompt
from napari_ctclip.plugin.prompts.prompt_flow import PromptFlow

__all__ = ["PromptHistory"]


class PromptHistory(QObject):
    """Steps back and on; what the user changes at once is one step.

    Parameters
    ----------
    prompts : PromptFlow
        Whose table it follows.
    parent : QObject or None
        What it dies with.
    """

    def __init__(self, prompts: PromptFlow, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._prompts = prompts
        self._history: History[tuple[Prompt, ...]] = History(self._asked())
        self._later = QTimer(self)  # "a; b" adds two rows, and is one step
        self._later.setSingleShot(True)
        self._later.timeout.connect(self._note)
        for changed in (
            prompts.table.rowsInserted,
            prompts.table.rowsRemoved,
            prompts.table.dataChanged,
        ):
            changed.connect(self._wait)

    @property
    def can_undo(self) -> bool:
        """Whether there is a step to take back."""
        self._note()
        return bool(self._history.past)

    @property
    def can_redo(self) -> bool:
        """Whether a step was taken back."""
        self._note()
        return bool(self._history.future)

    def undo(self) -> None:
        """Take the last step back, if there is one."""
        self._note()
        self._take(self._history.undone())

    def redo(self) -> None:
        """Take a step that was taken back again, if there is one."""
        self._note()
        self._take(self._history.redone())

    def _asked(self) -> tuple[Prompt, ...]:
        return tuple(row.prompt for row in self._prompts.table.rows)

    def _wait(self, *_: object) -> None:
        self._later.start(0)

    def _note(self) -> None:
        now = self._asked()
        # a prompt that came back stands last: its place in the table is no step
        if set(now) != set(self._history.present):
            self._history = self._history.then(now)

    def _take(self, history: History[tuple[Prompt, ...]]) -> None:
        before, self._history = self._asked(), history
        wanted = {prompt.positive for prompt in history.present}
        for prompt in before:
            if prompt.positive not in wanted:
                self._prompts.remove(prompt.positive)
        for prompt in history.present:
            if prompt not in before:
                self._prompts.table.add(prompt)
        self._prompts.advance()
