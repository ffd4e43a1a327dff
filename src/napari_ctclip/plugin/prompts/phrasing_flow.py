"""Wording flow: the templates that all prompts of a window are put in."""

from __future__ import annotations

from dataclasses import replace

from psygnal import Signal

from napari_ctclip.core.template_set import AS_TYPED, TemplateSet
from napari_ctclip.io.template_files import known_templates
from napari_ctclip.plugin.prompts.prompt_flow import PromptFlow
from napari_ctclip.plugin.window.messages import Messages
from napari_ctclip.plugin.window.settings import keep_setting, setting
from napari_ctclip.session.session import Session

__all__ = ["PhrasingFlow"]

_KEPT = "wording"


class PhrasingFlow:
    """One wording for all prompts: their rows are read against each other.

    Parameters
    ----------
    session : Session
        Whose templates they are.
    prompts : PromptFlow
        Whose prompts are put in them, and which it follows through undo and session files.
    messages : Messages
        Where the user reads what happens.
    """

    changed = Signal()
    """Other templates are used, or can be chosen."""

    def __init__(self, session: Session, *, prompts: PromptFlow, messages: Messages) -> None:
        self._session, self._prompts, self._messages = session, prompts, messages
        self._known, _ = known_templates()  # what is wrong is told when the list is opened
        self._told: set[str] = set()
        kept = setting(_KEPT, default=AS_TYPED.name)
        session.set_templates(next((t for t in self._known if t.name == kept), AS_TYPED))
        session.templates_changed.connect(self._tell_changed)
        prompts.table.dataChanged.connect(self._follow)
        prompts.table.rowsInserted.connect(self._follow)

    @property
    def current(self) -> TemplateSet:
        """What the next prompt is put in."""
        return self._session.templates

    @property
    def choices(self) -> tuple[TemplateSet, ...]:
        """What can be chosen; the current set is there even if only a session file knows it."""
        known = self._known
        return known if self.current in known else (*known, self.current)

    def reload(self) -> None:
        """Read a person's own templates again; what is wrong with them is told once."""
        known, notices = known_templates()
        for notice in notices:
            if notice.message not in self._told:
                self._messages.warning(notice.message)
                self._told.add(notice.message)
        if known != self._known:
            self._known = known
            self.changed.emit()

    def choose(self, templates: TemplateSet) -> None:
        """Put every prompt in other templates, and ask it again; the next window begins so, too."""
        keep_setting(_KEPT, templates.name)
        self._session.set_templates(templates)
        table, is_open = self._prompts.table, self._session.study is not None
        for prompt in [row.prompt for row in table.rows]:
            if prompt.templates != templates:
                worded = replace(prompt, templates=templates)
                table.change(prompt.positive, prompt=worded, waiting=is_open)
        self._warn_of_calibration()
        self._prompts.advance()

    def _warn_of_calibration(self) -> None:
        model = self._session.model
        if model is not None:
            from napari_ctclip.scoring.readout import templates_notices  # torch, as the model has

            for notice in templates_notices(model, self.current):
                self._messages.info(notice.message)

    def _follow(self, *_: object) -> None:
        """Take up what all prompts agree on: an undo or a session file brought it."""
        found = {row.prompt.templates for row in self._prompts.table.rows}
        if len(found) == 1:
            self._session.set_templates(found.pop())

    def _tell_changed(self, *_: object) -> None:
        self.changed.emit()
