"""Montage tab: prompts and controls, the patches that answer them, and where those lie."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from qtpy.QtWidgets import (
    QComboBox,
    QDoubleSpinBox,
    QFileDialog,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QSpinBox,
    QWidget,
)

from napari_ctclip.core.anatomy import anatomy_label
from napari_ctclip.core.volume import Window as DisplayWindow
from napari_ctclip.plugin.canvas._compat import main_window
from napari_ctclip.plugin.montage.gallery import Gallery
from napari_ctclip.plugin.montage.montage_classes import MontageClasses
from napari_ctclip.plugin.montage.montage_flow import MontageFlow
from napari_ctclip.plugin.montage.patch_boxes import PatchBoxes
from napari_ctclip.plugin.widgets.panel_parts import tab_layout
from napari_ctclip.plugin.window.window import Window
from napari_ctclip.regions.ranking import MontageLayout
from napari_ctclip.session.montage_session import READER

__all__ = ["MontageTab"]

_TARGETS = "lung nodule"
_CONTROLS = "normal lung; motion artefact; air outside the body"
_WHOLE = "whole scan"
_GROUPS = ("lung", "heart", "bone", "kidney")


class MontageTab(QWidget):
    """The tab.

    Parameters
    ----------
    window : Window
        Whose scan it is about.
    flow : MontageFlow
        Finds and classifies patches.
    model_name : callable
        Returns the name of the model that would be loaded; it is offered while none is.
    """

    def __init__(self, window: Window, flow: MontageFlow, *, model_name: Callable[[], str]) -> None:
        super().__init__()
        self._window, self._flow, self._model_name = window, flow, model_name
        self.targets = _line(
            _TARGETS, "Target prompts", "What is looked for; phrasings separated by ;"
        )
        self.controls = _line(
            _CONTROLS, "Control prompts", "What patches are contrasted with, separated by ;"
        )
        self.mode = QComboBox()
        self.mode.addItems(["contrast", "cosine", "softmax"])
        self.mode.setToolTip("Targets less controls, targets alone, or their probability")
        self.mode.setAccessibleName("Score")
        self.organ = QComboBox()
        self.organ.setToolTip("Patches are laid where this organ fills them")
        self.organ.setAccessibleName("Organ")
        self.finder = QComboBox()
        self.finder.setToolTip(
            "A model of volumes ranks a patch by its best token, one of pictures as a picture"
        )
        self.finder.setAccessibleName("Model that finds patches")
        self.side = _millimetres(64.0, "Patch size", "Side of a patch", least=8.0)
        self.stride = _millimetres(32.0, "Stride", "From one patch to the next", least=2.0)
        self.count = _number(16, "Patches shown", "How many patches at most (k)", most=100)
        self.columns = _number(4, "Columns", "Tiles in a row of the montage", most=10)
        self.order = QComboBox()
        self.order.addItems(["score", "z"])
        self.order.setToolTip("Best first, or from the head down")
        self.order.setAccessibleName("Order of tiles")
        self.search = QPushButton("Find patches")
        self.search.setToolTip("Encode the patches once, then rank them; Enter in a prompt does it")
        self.export = QPushButton("Export…")
        self.export.setToolTip("montage.png, patches.csv, provenance.json")
        self.gallery = Gallery()
        self.classes = MontageClasses(window, flow)
        self.boxes = PatchBoxes(window.scene)
        self._narrow()
        self._lay_out()
        self._connect()
        self._refresh_organs()
        self._refresh_finders()
        self._show_in_window()
        if flow.montages.montage is not None:  # found by an earlier panel
            self._on_montage(flow.montages.montage)

    def _narrow(self) -> None:
        """Let the fields shrink to a panel of 400 pixels."""
        for box in (self.mode, self.organ, self.order, self.finder):
            box.setSizeAdjustPolicy(
                QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
            )
            box.setMinimumContentsLength(4)
        for field in (self.side, self.stride, self.count, self.columns):
            field.setMinimumWidth(60)

    def _lay_out(self) -> None:
        form = QFormLayout()
        form.addRow("Target prompts", self.targets)
        form.addRow("Control prompts", self.controls)
        form.addRow("Organ", _row(self.organ, "Model", self.finder))
        form.addRow("Score", _row(self.mode, "Order", self.order))
        form.addRow("Size", _row(self.side, "Stride", self.stride))
        form.addRow("Show", _row(self.count, "Columns", self.columns))
        buttons = QHBoxLayout()
        buttons.addWidget(self.search, 2)
        buttons.addWidget(self.export, 1)
        layout = tab_layout(self)
        layout.addLayout(form)
        layout.addLayout(buttons)
        layout.addWidget(self.gallery, 1)
        layout.addWidget(self.classes)

    def _connect(self) -> None:
        session, montages = self._window.session, self._flow.montages
        self.search.clicked.connect(self._on_find)
        for line in (self.targets, self.controls):
            line.returnPressed.connect(self._on_find)
        self.mode.currentTextChanged.connect(self._on_mode)
        self.export.clicked.connect(self._ask_export_folder)
        for spin in (self.count, self.columns):
            spin.valueChanged.connect(self._on_layout)
        self.order.currentTextChanged.connect(self._on_layout)
        self.gallery.tile_chosen.connect(self._on_tile)
        montages.montage_changed.connect(self._on_montage)
        self.finder.activated.connect(self._on_finder)
        session.masks_changed.connect(self._refresh_organs)
        session.model_changed.connect(self._refresh_finders)
        self._window.scene.window_changed.connect(self._show_in_window)
        main = main_window(self._window.viewer)
        if main is not None:
            main.destroyed.connect(self._on_closed)

    # --- the user -------------------------------------------------------------------------------

    def _on_find(self) -> None:
        from napari_ctclip.regions.patches import PatchPlan
        from napari_ctclip.scoring.patch_scores import PatchPrompts

        def find() -> None:
            organ = self.organ.currentData() or ""
            plan = PatchPlan(self.side.value(), self.stride.value(), organ)
            prompts = PatchPrompts(
                tuple(self.targets.text().split(";")),
                tuple(self.controls.text().split(";")),
                self.mode.currentText(),  # type: ignore[arg-type]
            )
            self._flow.find(plan, prompts)

        self._window.guarded(find)

    def _on_mode(self, *_: Any) -> None:
        if self.gallery.montage is not None:
            self._on_find()

    def _on_finder(self, *_: Any) -> None:
        self._flow.montages.model_name = self.finder.currentText()
        if self.gallery.montage is not None:
            self._on_find()

    def _on_layout(self, *_: Any) -> None:
        layout = MontageLayout(
            self.count.value(),
            self.columns.value(),
            order=self.order.currentText(),  # type: ignore[arg-type]
        )
        self._window.guarded(lambda: self._flow.set_layout(layout))

    def _on_tile(self, number: int) -> None:
        montage = self.gallery.montage
        if montage is not None:
            index = montage.patches[number].voxel(montage.geometry)
            self._window.guarded(lambda: self._window.scene.go_to(index))
            self.boxes.choose(number)

    def _ask_export_folder(self) -> None:
        folder = QFileDialog.getExistingDirectory(self, "Export the montage to")
        if folder:
            window = self._window.scene.window or DisplayWindow(-600, 1500)
            self._window.guarded(lambda: self._flow.export(Path(folder), window=window))

    # --- what changes elsewhere -----------------------------------------------------------------

    def _on_montage(self, montage: Any) -> None:
        self.gallery.show_montage(montage)
        self.boxes.show(montage)

    def _on_closed(self, *_: Any) -> None:
        self._flow.montages.montage_changed.disconnect(self._on_montage)

    def _refresh_organs(self, *_: Any) -> None:
        chosen = self.organ.currentData()
        study = self._window.session.study
        masks = None if study is None else study.organ_masks
        self.organ.clear()
        names = [] if masks is None else sorted(masks.legend)
        groups = [g for g in _GROUPS if masks is None or masks.labels_of(g)]
        for name in dict.fromkeys([*groups, *names] if masks is not None else ["lung"]):
            self.organ.addItem(anatomy_label(name), name)
        self.organ.addItem(_WHOLE, "")
        self.organ.setCurrentIndex(max(self.organ.findData(chosen or "lung"), 0))

    def _refresh_finders(self, *_: Any) -> None:
        """Offer the open model, which finds patches until another is chosen, and the bundled."""
        own = self._window.session.model
        first = self._model_name() if own is None else own.name
        chosen = self.finder.currentText()
        self.finder.clear()
        self.finder.addItems(list(dict.fromkeys([first, READER])))
        self.finder.setCurrentIndex(1 if chosen == READER else 0)
        self._flow.montages.model_name = self.finder.currentText()

    def _show_in_window(self, *_: Any) -> None:
        """Show tiles in the window that the scan is shown in."""
        window = self._window.scene.window
        if window is not None:
            self.gallery.set_window(window)


def _line(text: str, name: str, tip: str) -> QLineEdit:
    line = QLineEdit(text)
    line.setAccessibleName(name)
    line.setToolTip(tip)
    return line


def _millimetres(value: float, name: str, tip: str, *, least: float) -> QDoubleSpinBox:
    spin = QDoubleSpinBox()
    spin.setRange(least, 300.0)
    spin.setDecimals(0)
    spin.setSingleStep(4.0)
    spin.setSuffix(" mm")
    spin.setValue(value)
    spin.setAccessibleName(name)
    spin.setToolTip(tip)
    return spin


def _number(value: int, name: str, tip: str, *, most: int) -> QSpinBox:
    spin = QSpinBox()
    spin.setRange(1, most)
    spin.setValue(value)
    spin.setKeyboardTracking(False)
    spin.setAccessibleName(name)
    spin.setToolTip(tip)
    return spin


def _row(first: QWidget, *more: str | QWidget) -> QHBoxLayout:
    row = QHBoxLayout()
    row.addWidget(first, 1)
    for part in more:
        is_label = isinstance(part, str)
        row.addWidget(QLabel(part) if isinstance(part, str) else part, 0 if is_label else 1)
    return row
