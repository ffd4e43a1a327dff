"""Phrasing: the templates that all prompts of a window are put in, and the line that shows them."""

from __future__ import annotations

from psygnal import Signal
from qtpy.QtCore import Qt, QUrl
from qtpy.QtGui import QDesktopServices
from qtpy.QtWidgets import QComboBox, QHBoxLayout, QLabel, QLineEdit, QWidget

from napari_ctclip.core.template_set import AS_TYPED, TemplateSet
from napari_ctclip.io.template_files import known_templates, make_own_file
from napari_ctclip.plugin.prompts.prompt_flow import PromptFlow
from napari_ctclip.plugin.prompts.prompt_state import PromptRow
from napari_ctclip.plugin.window.settings import keep_setting, setting
from napari_ctclip.plugin.window.window import Window

__all__ = ["PhrasingBox", "PhrasingFlow", "PromptDetails"]

_KEPT = "wording"  # the key of the setting, as users have it stored
_EDIT = "Edit own templates…"
_MEANING = (
    "Phrasing: the sentence that every prompt is put in before the model encodes it. All prompts "
    "of the table are queried again, so that their numbers can be compared; the ROI, the probe and "
    "reports follow."
)


class PhrasingFlow:
    """One phrasing for all prompts: their rows are compared with each other.

    Parameters
    ----------
    window : Window
        Whose session holds the templates.
    prompts : PromptFlow
        The prompts that are put in them; an undo or a session file may bring others.
    """

    changed = Signal()
    """Other templates are used, or can be chosen."""

    def __init__(self, window: Window, prompts: PromptFlow) -> None:
        session = window.session
        self._session, self._prompts, self._messages = session, prompts, window.messages
        self._known, _ = known_templates()  # errors in them are shown when the list is opened
        self._warned_of: set[str] = set()
        kept = setting(_KEPT, default=AS_TYPED.name)
        session.set_templates(next((t for t in self._known if t.name == kept), AS_TYPED))
        session.templates_changed.connect(self._on_templates_changed)
        prompts.state.changed.connect(self._follow)

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
        """Read the user's own templates again; each error in them is shown once."""
        known, notices = known_templates()
        for notice in notices:
            if notice.message not in self._warned_of:
                self._messages.warning(notice.message)
                self._warned_of.add(notice.message)
        if known != self._known:
            self._known = known
            self.changed.emit()

    def choose(self, templates: TemplateSet) -> None:
        """Put all prompts in other templates and query them again; the next window starts so."""
        keep_setting(_KEPT, templates.name)
        self._session.set_templates(templates)
        self._prompts.state.set_templates(templates, waiting=self._session.study is not None)
        self._warn_of_calibration()
        self._prompts.advance()

    def _warn_of_calibration(self) -> None:
        model = self._session.model
        if model is not None:
            from napari_ctclip.scoring.readout import templates_notices  # torch, as the model has

            for notice in templates_notices(model, self.current):
                self._messages.info(notice.message)

    def _follow(self) -> None:
        """Take up what all prompts agree on: an undo or a session file brought it."""
        found = {row.prompt.templates for row in self._prompts.state.rows}
        if len(found) == 1:
            self._session.set_templates(found.pop())

    def _on_templates_changed(self, *_: object) -> None:
        self.changed.emit()


class PhrasingBox(QComboBox):
    """The list; its last line opens the file of a person's own templates.

    Parameters
    ----------
    window : Window
        Where errors are shown.
    flow : PhrasingFlow
        The phrasing it shows and changes.
    parent : QWidget or None
        The tab.
    """

    def __init__(self, window: Window, flow: PhrasingFlow, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._window, self._flow = window, flow
        self._choices: tuple[TemplateSet, ...] = ()
        self.setAccessibleName("Phrasing of prompts")
        self.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.setMinimumContentsLength(8)
        self.activated.connect(self._on_activated)
        self._flow.changed.connect(self.refresh)
        self.destroyed.connect(lambda: self._flow.changed.disconnect(self.refresh))
        self.refresh()

    def showPopup(self) -> None:
        """Offer what the file of own templates holds now."""
        self._window.guarded(self._flow.reload)
        view = self.view()
        if view is not None:
            view.setMinimumWidth(view.sizeHintForColumn(0) + 24)  # a frame and a scroll bar
        super().showPopup()

    def refresh(self) -> None:
        """List the choices; the current one is selected."""
        self._choices = self._flow.choices
        self.clear()
        for number, templates in enumerate(self._choices):
            self.addItem(_title(templates))
            self.setItemData(number, _described(templates), Qt.ItemDataRole.ToolTipRole)
        self.insertSeparator(self.count())
        self.addItem(_EDIT)
        current = self._flow.current
        self.setCurrentIndex(self._choices.index(current))
        self.setToolTip(f"{_MEANING}\n\nNow: {_described(current)}")

    def _on_activated(self, number: int) -> None:
        if number < len(self._choices):
            templates = self._choices[number]
            self._window.guarded(lambda: self._flow.choose(templates))
        else:
            self.setCurrentIndex(self._choices.index(self._flow.current))
            self._window.guarded(self._edit)

    def _edit(self) -> None:
        file = make_own_file()
        QDesktopServices.openUrl(QUrl.fromLocalFile(str(file)))
        self._window.messages.info(f"Own templates: {file}. The list has them when it is opened.")


class PromptDetails(QWidget):
    """The negative of the selected prompt and the phrasing of all, in a line below the table.

    Parameters
    ----------
    window : Window
        Where errors are shown.
    prompts : PromptFlow
        The prompts.
    phrasing : PhrasingFlow
        Their phrasing.
    parent : QWidget or None
        The tab.
    """

    def __init__(
        self,
        window: Window,
        *,
        prompts: PromptFlow,
        phrasing: PhrasingFlow,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._window, self._prompts = window, prompts
        self._positive = ""
        self.negative = QLineEdit()
        self.negative.setToolTip(
            "The negative prompt that the selected prompt is contrasted with; Enter queries again"
        )
        self.negative.setAccessibleName("Negative prompt")
        self.negative.editingFinished.connect(self._on_edited)
        self.phrasing = PhrasingBox(window, phrasing)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        for title, field, share in (("Negative", self.negative, 3), ("Phrasing", self.phrasing, 2)):
            label = QLabel(title)
            label.setBuddy(field)
            layout.addWidget(label)
            layout.addWidget(field, share)

    def show_row(self, row: PromptRow | None) -> None:
        """Show the selected prompt's negative; nothing where none is selected."""
        self._positive = "" if row is None else row.prompt.positive
        self.negative.setEnabled(row is not None)
        self.negative.setText("" if row is None else row.prompt.negative)
        self.negative.setCursorPosition(0)

    def _on_edited(self) -> None:
        text = self.negative.text().strip()
        if text:
            self._window.guarded(lambda: self._prompts.set_negative(self._positive, text))


def _title(templates: TemplateSet) -> str:
    if templates == AS_TYPED:
        return templates.name
    if templates.is_ensemble:
        return f"{templates.name} of {len(templates.positive)}"
    return f"{templates.name}: {_shown(templates.positive[0])}"


def _described(templates: TemplateSet) -> str:
    """Return all sentences of a set, and where they come from."""
    if templates == AS_TYPED:
        return "as typed: nothing is added to the words"
    lines = [f"{templates.name}: {' · '.join(map(_shown, templates.positive))}"]
    if templates.negative:
        lines.append(f"Contrasted with: {' · '.join(map(_shown, templates.negative))}")
    return "\n".join([*lines, templates.source]).strip()


def _shown(template: str) -> str:
    return template.replace("{organ}", "(organ)").replace("{}.", "…").replace("{}", "…")
