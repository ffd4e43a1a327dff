"""Prompt line: type a finding; completion over earlier prompts, presets and all findings."""

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

from napari_ctclip.core.anatomy import anatomy_label
from napari_ctclip.plugin.window.settings import keep_setting, setting

__all__ = [
    "FALLBACK_PRESETS",
    "PromptLine",
    "by_region",
    "fill_findings_menu",
    "remember_prompt",
    "remembered_prompts",
]

_KEPT, _KEEPS = "typed_prompts", "keep_typed_prompts"
_BETWEEN = "; "  # as one types them
_MOST = 60
_LONGEST = 80  # Ours: a longer text was pasted, may come from a report, and must not be kept

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

Findings = Mapping[str, Sequence[str]]

_REGIONS: Mapping[str, tuple[str, ...]] = {
    "Chest": (
        "lung", "trachea", "heart", "aorta", "pulmonary_artery", "mediastinum", "lymph_nodes",
        "esophagus", "diaphragm", "breast", "chest_wall",
    ),
    "Abdomen and pelvis": (
        "liver", "gallbladder", "spleen", "pancreas", "adrenal_gland", "kidney", "stomach",
        "duodenum", "small_bowel", "colon", "urinary_bladder", "prostate", "uterus", "peritoneum",
        "abdominal_wall", "portal_and_splenic_vein", "inferior_vena_cava", "iliac_artery",
        "iliac_vein",
    ),
    "Bones and muscles": (
        "bone", "rib", "sternum", "vertebrae_cervical", "vertebrae_thoracic", "vertebrae_lumbar",
        "sacrum", "femur", "spinal_canal", "erector_spinae", "iliopsoas",
    ),
    "Head and neck": ("brain", "face", "thyroid"),
}  # fmt: skip
_OTHER = "Other"


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
    """The user queries this; never empty."""

    def __init__(
        self,
        parent: QWidget | None = None,
        *,
        findings: Callable[[], Findings] | None = None,
    ) -> None:
        super().__init__(parent)
        self._load_findings = findings
        self._findings: Mapping[str, Sequence[str]] = {}
        self._history = remembered_prompts()
        self._presets: tuple[str, ...] = FALLBACK_PRESETS
        self.edit = QLineEdit()
        self.edit.setPlaceholderText("Describe a finding, e.g. lung nodule")
        self.edit.setToolTip("One finding, or several separated by semicolons; Enter queries")
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
        self.add.setToolTip("Query what is typed (Enter)")
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

    def _add_action(self, title: str, query: str) -> None:
        action = self.menu.addAction(title)
        if action is not None:
            action.triggered.connect(lambda *_: self.entered.emit(query))

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


def by_region(findings: Findings) -> dict[str, dict[str, tuple[str, ...]]]:
    """Return region -> organ -> findings; organs of no region come last, under "Other"."""
    regions = {
        region: {organ: tuple(findings[organ]) for organ in organs if findings.get(organ)}
        for region, organs in _REGIONS.items()
    }
    placed = {organ for organs in regions.values() for organ in organs}
    regions[_OTHER] = {o: tuple(names) for o, names in findings.items() if o not in placed}
    return {region: organs for region, organs in regions.items() if organs}


def fill_findings_menu(menu: QMenu, findings: Findings, enter: Callable[[str], None]) -> None:
    """Add a menu a region, in it one an organ, in it its findings and all of them together."""
    for region, organs in by_region(findings).items():
        region_menu = _submenu(menu, region)
        for organ, names in organs.items():
            label = anatomy_label(organ)
            organ_menu = _submenu(region_menu, label[:1].upper() + label[1:])
            for name in names:
                _action(organ_menu, name, name, enter)
            if len(names) > 1:
                organ_menu.addSeparator()
                _action(organ_menu, f"All {len(names)}", "; ".join(names), enter)


def _submenu(menu: QMenu, title: str) -> QMenu:
    submenu = QMenu(title, menu)
    menu.addMenu(submenu)
    return submenu


def _action(menu: QMenu, title: str, query: str, enter: Callable[[str], None]) -> None:
    action = menu.addAction(title)
    if action is not None:
        action.triggered.connect(lambda *_: enter(query))


def remembered_prompts() -> list[str]:
    """Return the prompts of earlier windows, oldest first; none if the user wants none kept."""
    if not setting(_KEEPS, default=True):
        return []
    parts = str(setting(_KEPT, default="")).split(_BETWEEN.strip())
    return [part.strip() for part in parts if part.strip()]


def remember_prompt(typed: str) -> None:
    """Keep what was typed, one prompt or several, unless the user wants none kept."""
    if not setting(_KEEPS, default=True):
        return
    known = remembered_prompts()
    now = _joined([*known, *(part for part in typed.split(";") if len(part) <= _LONGEST)])
    if now != _joined(known):
        keep_setting(_KEPT, now)


def _joined(prompts: Sequence[str]) -> str:
    """Return the last prompts, each once, in one text."""
    plain = [" ".join(prompt.split()) for prompt in prompts]
    last_first = dict.fromkeys(prompt for prompt in reversed(plain) if prompt)
    return _BETWEEN.join(reversed(list(last_first)[:_MOST]))
