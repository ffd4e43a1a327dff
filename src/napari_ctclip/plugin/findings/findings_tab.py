"""Findings tab: the findings, what becomes of them, and their export."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from psygnal import Signal
from qtpy.QtCore import QEvent, QModelIndex, QObject, Qt
from qtpy.QtGui import QKeyEvent, QKeySequence
from qtpy.QtWidgets import (
    QFileDialog,
    QGridLayout,
    QLabel,
    QMenu,
    QWidget,
)

from napari_ctclip.core.errors import CtClipError
from napari_ctclip.core.finding import Finding
from napari_ctclip.core.region import Region
from napari_ctclip.plugin.findings.export_dialog import ExportDialog
from napari_ctclip.plugin.findings.exporting import ExportFlow, copy_text
from napari_ctclip.plugin.findings.findings_flow import FindingsFlow
from napari_ctclip.plugin.findings.findings_table import COLUMNS, FindingsTable, cells_of
from napari_ctclip.plugin.widgets.panel_parts import push_button, tab_layout
from napari_ctclip.plugin.widgets.row_table import row_view
from napari_ctclip.plugin.window.window import Window

if TYPE_CHECKING:
    from napari_ctclip.plugin.prompts.prompt_state import PromptRow

__all__ = ["FindingsTab", "ScriptMenu"]

_WIDTHS = (150, 84, 84, 44, 44, 44, 84, 140, 120)
_HINT = (
    "Query a prompt and add its region, or click a point and add it. Names and notes are "
    "edited by a double-click, regions with napari's brush."
)


class FindingsTab(QWidget):
    """The tab.

    Parameters
    ----------
    window : Window
        Where the user reads what happens.
    flow : FindingsFlow
        The findings.
    exports : ExportFlow
        Writes findings, answers and reproduction scripts.
    selected_prompt : callable
        Returns the row selected in the Explore tab, or None.
    probed : callable
        Returns the voxel (z, y, x) that was probed last, or None.
    """

    chosen = Signal(tuple)
    """A finding was chosen, to be looked at: its voxel (z, y, x)."""

    def __init__(
        self,
        window: Window,
        flow: FindingsFlow,
        *,
        exports: ExportFlow,
        selected_prompt: Callable[[], PromptRow | None],
        probed: Callable[[], tuple[int, int, int] | None],
    ) -> None:
        super().__init__()
        self._window, self._flow, self._exports = window, flow, exports
        self._selected_prompt, self._probed = selected_prompt, probed
        self.model = FindingsTable(flow.kept, guarded=window.guarded, parent=self)
        self.table = row_view(self.model, "Findings", widths=_WIDTHS, wide="last")
        self.table.setMinimumHeight(120)
        self.table.setContextMenuPolicy(Qt.ContextMenuPolicy.ActionsContextMenu)
        self.hint = QLabel(_HINT)
        self.hint.setWordWrap(True)
        button = push_button
        self.region = button("Add region", "The selected prompt's heatmap above half its peak")
        self.point = button("Add point", "The point that was clicked last")
        self.paint = button("Paint", "Draw a new finding, or change one, with napari's brush")
        self.accept = button("Accept", "Mark the selected findings as accepted")
        self.reject = button("Reject", "Mark as rejected: stays in the table, left out of reports")
        self.delete = button(
            "Delete", "Delete the selected findings (Delete); Undo brings them back"
        )
        self.undo = button("Undo", "Take the last step back (Ctrl+Z in the table)")
        self.redo = button("Redo", "Take it again (Ctrl+Shift+Z in the table)")
        self.copy = button("Copy as text", "Copy the table, one finding a line")
        self.reproduce = button("Reproduce", "A command and a script that make the numbers again")
        self.scripts = ScriptMenu(window, exports, selected=self._first_selected, parent=self)
        self.reproduce.setMenu(self.scripts)
        self.export = button("Export…", "Tables, heatmaps, DICOM objects, reports")
        self._lay_out()
        self._connect()
        self._show_state()

    # --- layout ---------------------------------------------------------------------------------

    def _lay_out(self) -> None:
        grid = QGridLayout()
        rows = (
            (self.region, self.point, self.paint),
            (self.accept, self.reject, self.delete),
            (self.undo, self.redo, self.copy),
            (self.reproduce, self.export),
        )
        for row, buttons in enumerate(rows):
            for column, button in enumerate(buttons):
                span = 6 // len(buttons)
                grid.addWidget(button, row, column * span, 1, span)
        layout = tab_layout(self)
        layout.addWidget(self.table, 1)
        layout.addWidget(self.hint)
        layout.addLayout(grid)

    def _connect(self) -> None:
        window, kept = self._window, self._flow.kept
        for button, action in (
            (self.region, self._add_region),
            (self.point, self._add_point),
            (self.paint, self._flow.paint),
            (self.accept, lambda: self._each(kept.accept)),
            (self.reject, lambda: self._each(kept.reject)),
            (self.delete, self._delete),
            (self.undo, kept.undo),
            (self.redo, kept.redo),
            (self.copy, self._copy),
            (self.export, self._show_export),
        ):
            button.clicked.connect(lambda *_, act=action: window.guarded(act))
        self.table.installEventFilter(self)
        self.table.addActions(self.scripts.actions())
        self.table.clicked.connect(self._go_to)
        self.table.activated.connect(self._go_to)
        kept.changed.connect(self._show_state)

    # --- the user -------------------------------------------------------------------------------

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        """Let Delete, Ctrl+Z and Ctrl+Shift+Z work in the table."""
        if (
            isinstance(event, QKeyEvent)
            and watched is self.table
            and event.type() == QEvent.Type.KeyPress
        ):
            if event.key() in (Qt.Key.Key_Delete, Qt.Key.Key_Backspace):
                self.delete.click()
                return True
            if event.matches(QKeySequence.StandardKey.Undo):
                self.undo.click()
                return True
            if event.matches(QKeySequence.StandardKey.Redo):
                self.redo.click()
                return True
        return bool(super().eventFilter(watched, event))

    def selected(self) -> list[Finding]:
        """Return the selected findings."""
        selection = self.table.selectionModel()
        rows = [] if selection is None else selection.selectedRows()
        return [self.model.rows[index.row()] for index in rows]

    def selected_region(self) -> Region | None:
        """Return the region of the first selected finding that has one."""
        finding = self.selected_with_region()
        return None if finding is None else finding.region

    def selected_with_region(self) -> Finding | None:
        """Return the first selected finding that has a region."""
        return next((f for f in self.selected() if f.region is not None), None)

    def _add_region(self) -> None:
        row = self._selected_prompt()
        if row is None:
            raise CtClipError("no prompt is selected: query one in the Explore tab first")
        self._flow.add_heatmap(row.prompt.positive)

    def _add_point(self) -> None:
        index = self._probed()
        if index is None:
            raise CtClipError("no point was clicked: click one in the picture first")
        row = self._selected_prompt()
        positive = "" if row is None or row.answer is None else row.prompt.positive
        self._flow.add_point(index, positive=positive)

    def _first_selected(self) -> tuple[int, str]:
        """Return the number and the key of the first selected finding."""
        chosen = self.selected()
        if not chosen:
            raise CtClipError("no finding is selected: click one in the table first")
        return self._flow.kept.findings.index(chosen[0]) + 1, chosen[0].key

    def _show_export(self) -> None:
        ExportDialog(self._window, self._exports, parent=self.window()).show()

    def _each(self, action: Callable[[str], None]) -> None:
        chosen = self.selected()
        if not chosen:
            raise CtClipError("no finding is selected: click one in the table first")
        for finding in chosen:
            action(finding.key)

    def _delete(self) -> None:
        self._each(self._flow.kept.remove)

    def _go_to(self, index: QModelIndex) -> None:
        finding = self.model.rows[index.row()]
        self.chosen.emit(finding.index)

    def _copy(self) -> None:
        findings = self._flow.kept.findings
        lines = [cells_of(number, finding) for number, finding in enumerate(findings, start=1)]
        copy_text("\n".join("\t".join(line) for line in (COLUMNS, *lines)))
        self._window.messages.info(f"Copied as text; findings: {len(findings)}.")

    # --- what changes elsewhere -----------------------------------------------------------------

    def _show_state(self, *_: Any) -> None:
        kept, some = self._flow.kept, bool(self._flow.kept.findings)
        self.undo.setEnabled(kept.can_undo)
        self.redo.setEnabled(kept.can_redo)
        for button in (self.accept, self.reject, self.delete, self.copy):
            button.setEnabled(some)


class ScriptMenu(QMenu):
    """What *Reproduce* offers: scripts that make the numbers of one finding, or of all, again.

    Parameters
    ----------
    window : Window
        Where the user reads what goes wrong.
    exports : ExportFlow
        Writes the scripts.
    selected : callable
        Returns the number (counted from 1) and the key of the first selected finding.
    parent : QWidget
        The tab.
    """

    def __init__(
        self,
        window: Window,
        exports: ExportFlow,
        *,
        selected: Callable[[], tuple[int, str]],
        parent: QWidget,
    ) -> None:
        super().__init__(parent)
        self._window, self._exports, self._selected = window, exports, selected
        self.setToolTipsVisible(True)
        self.copy_one = self._add(
            "Copy script of this finding",
            "A command and a Python script that give its similarity, volume and mean HU again",
            self._copy_one,
        )
        self.save_one = self._add(
            "Save script of this finding…",
            "The same as a file, with the region beside it if it was drawn",
            self._save_one,
        )
        self.addSeparator()
        self.copy_all = self._add(
            "Copy script of all numbers",
            "A Python script that queries all prompts and makes all findings again",
            exports.copy_script,
        )

    def _add(self, text: str, tooltip: str, act: Callable[[], Any]) -> Any:
        action = self.addAction(text)
        assert action is not None, "a menu makes its own actions"
        action.setToolTip(tooltip)
        action.triggered.connect(lambda *_: self._window.guarded(act))
        return action

    def _copy_one(self) -> None:
        self._exports.script_of(self._selected()[1])

    def _save_one(self) -> None:
        from napari_ctclip.exporting.reproduction_script import finding_script_name

        number, key = self._selected()
        path, _ = QFileDialog.getSaveFileName(
            self, "Save script", finding_script_name(number), "Python (*.py)"
        )
        if path:
            self._exports.script_of(key, Path(path).with_suffix(".py"))
