"""Montage classes: which class of a task set the whole montage looks most like."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QAbstractItemView,
    QComboBox,
    QFileDialog,
    QFormLayout,
    QHeaderView,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from napari_ctclip.plugin.canvas._compat import main_window
from napari_ctclip.plugin.montage.montage_flow import MontageFlow
from napari_ctclip.plugin.window.window import Window

if TYPE_CHECKING:
    from napari_ctclip.evaluation.montage_task import ClassifiedMontage

__all__ = ["MontageClasses"]

_NONE, _FILE = "none", "task file…"
_ROWS_SHOWN = 4


class MontageClasses(QWidget):
    """A choice of task sets, and the classes of the montage, the likeliest first.

    Parameters
    ----------
    window : Window
        Where the user reads what goes wrong.
    flow : MontageFlow
        Classifies the montage.
    """

    def __init__(self, window: Window, flow: MontageFlow) -> None:
        super().__init__()
        from napari_ctclip.evaluation.task_files import shipped_tasks

        self._window, self._flow = window, flow
        self.tasks = QComboBox()
        self.tasks.addItems([_NONE, *shipped_tasks(), _FILE])
        self.tasks.setToolTip("Which class does the whole montage show, as one picture?")
        self.tasks.setAccessibleName("Task of the montage")
        self.tasks.setSizeAdjustPolicy(
            QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
        )
        self.tasks.setMinimumContentsLength(4)
        self.table = _table()
        form = QFormLayout()
        form.addRow("Classify", self.tasks)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(form)
        layout.addWidget(self.table)
        self.tasks.activated.connect(self._on_task)
        montages = flow.montages
        montages.montage_changed.connect(self._classify)
        montages.classes_changed.connect(self._show)
        main = main_window(window.viewer)
        if main is not None:
            main.destroyed.connect(self._on_closed)
        self._show(montages.classified)

    def _on_task(self, *_: Any) -> None:
        if self.tasks.currentText() == _FILE:
            name, _filter = QFileDialog.getOpenFileName(self, "Task file", filter="TOML (*.toml)")
            if name:
                self.tasks.insertItem(self.tasks.count() - 1, name)
            self.tasks.setCurrentText(name or _NONE)
        self._classify(self._flow.montages.montage)

    def _classify(self, montage: Any) -> None:
        chosen = self.tasks.currentText()
        if chosen == _NONE:
            self._show(None)
        elif montage is not None:
            self._window.guarded(lambda: self._flow.classify(chosen))

    def _show(self, classified: ClassifiedMontage | None) -> None:
        classes = () if classified is None else classified.classes
        best_first = sorted(classes, key=lambda one: -one.probability)
        self.table.setRowCount(len(best_first))
        for row, one in enumerate(best_first):
            score = QTableWidgetItem(f"{one.probability:.2f}")
            score.setTextAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
            self.table.setItem(row, 0, score)
            self.table.setItem(row, 1, QTableWidgetItem(one.label))
        self.table.setVisible(bool(classes))

    def _on_closed(self, *_: Any) -> None:
        montages = self._flow.montages
        montages.montage_changed.disconnect(self._classify)
        montages.classes_changed.disconnect(self._show)


def _table() -> QTableWidget:
    table = QTableWidget(0, 2)
    table.setHorizontalHeaderLabels(["score", "class"])
    table.setAccessibleName("Classes of the montage")
    table.setToolTip("Softmax of the classes; not calibrated, no probability of disease")
    table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
    header, rows = table.horizontalHeader(), table.verticalHeader()
    assert header is not None, "a table has headers"
    assert rows is not None, "a table has headers"
    rows.hide()
    header.setSectionResizeMode(0, QHeaderView.ResizeMode.ResizeToContents)
    header.setSectionResizeMode(1, QHeaderView.ResizeMode.Stretch)
    height = rows.defaultSectionSize() * _ROWS_SHOWN + header.sizeHint().height()
    table.setMaximumHeight(height + 4)
    return table
