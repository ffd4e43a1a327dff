"""Wording box: the templates that prompts are put in, as a list to choose from."""

from __future__ import annotations

from qtpy.QtCore import Qt, QUrl
from qtpy.QtGui import QDesktopServices
from qtpy.QtWidgets import QComboBox, QWidget

from napari_ctclip.core.template_set import AS_TYPED, TemplateSet
from napari_ctclip.io.template_files import make_own_file
from napari_ctclip.plugin.shell.workbench import Workbench

__all__ = ["PhrasingBox"]

_EDIT = "Edit own templates…"
_MEANING = (
    "Wording: the sentence that the words of every prompt are put in before the model hears them. "
    "All prompts of the table are asked again, so that their numbers can be compared; places, the "
    "probe and reports follow."
)


class PhrasingBox(QComboBox):
    """The list; its last line opens the file of a person's own templates.

    Parameters
    ----------
    workbench : Workbench
        Whose wording it is.
    parent : QWidget or None
        The tab.
    """

    def __init__(self, workbench: Workbench, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._bench, self._flow = workbench, workbench.wording
        self._choices: tuple[TemplateSet, ...] = ()
        self.setAccessibleName("Wording of prompts")
        self.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.setMinimumContentsLength(8)
        self.activated.connect(self._on_activated)
        self._flow.changed.connect(self.refresh)
        self.destroyed.connect(lambda: self._flow.changed.disconnect(self.refresh))
        self.refresh()

    def showPopup(self) -> None:
        """Offer what the file of own templates holds now."""
        self._bench.guarded(self._flow.reload)
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
            self.setItemData(number, _told(templates), Qt.ItemDataRole.ToolTipRole)
        self.insertSeparator(self.count())
        self.addItem(_EDIT)
        current = self._flow.current
        self.setCurrentIndex(self._choices.index(current))
        self.setToolTip(f"{_MEANING}\n\nNow: {_told(current)}")

    def _on_activated(self, number: int) -> None:
        if number < len(self._choices):
            templates = self._choices[number]
            self._bench.guarded(lambda: self._flow.choose(templates))
        else:
            self.setCurrentIndex(self._choices.index(self._flow.current))
            self._bench.guarded(self._edit)

    def _edit(self) -> None:
        file = make_own_file()
        QDesktopServices.openUrl(QUrl.fromLocalFile(str(file)))
        self._bench.messages.info(f"Own templates: {file}. The list has them when it is opened.")


def _title(templates: TemplateSet) -> str:
    if templates == AS_TYPED:
        return templates.name
    if templates.is_ensemble:
        return f"{templates.name} of {len(templates.positive)}"
    return f"{templates.name}: {_shown(templates.positive[0])}"


def _told(templates: TemplateSet) -> str:
    """Return all sentences of a set, and where they come from."""
    if templates == AS_TYPED:
        return "as typed: nothing is added to the words"
    lines = [f"{templates.name}: {' · '.join(map(_shown, templates.positive))}"]
    if templates.negative:
        lines.append(f"Held against: {' · '.join(map(_shown, templates.negative))}")
    return "\n".join([*lines, templates.source]).strip()


def _shown(template: str) -> str:
    return template.replace("{organ}", "(organ)").replace("{}.", "…").replace("{}", "…")
