"""Recipe menu: how the numbers of the selected finding, or all of them, are made again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from qtpy.QtWidgets import QFileDialog, QMenu, QWidget

from napari_ctclip.core.errors import CtClipError
from napari_ctclip.core.finding import Finding
from napari_ctclip.plugin.shell.workbench import Workbench

__all__ = ["RecipeMenu"]


class RecipeMenu(QMenu):
    """What *Reproduce* offers.

    Parameters
    ----------
    workbench : Workbench
        Whose findings they are.
    selected : callable
        Returns the findings that are selected.
    parent : QWidget
        The tab.
    """

    def __init__(
        self, workbench: Workbench, *, selected: Callable[[], list[Finding]], parent: QWidget
    ) -> None:
        super().__init__(parent)
        self._bench, self._selected = workbench, selected
        self.setToolTipsVisible(True)
        self.copy_one = self._add(
            "Copy recipe of this finding",
            "A command and a Python script that give its similarity, volume and mean HU again",
            self._copy_one,
        )
        self.save_one = self._add(
            "Save recipe of this finding…",
            "The same as a file, with the region beside it if it was drawn",
            self._save_one,
        )
        self.addSeparator()
        self.copy_all = self._add(
            "Copy recipe of all numbers",
            "A Python script that asks all prompts and makes all findings again",
            workbench.copy_recipe,
        )

    def _add(self, text: str, tooltip: str, act: Callable[[], Any]) -> Any:
        action = self.addAction(text)
        assert action is not None, "a menu makes its own actions"
        action.setToolTip(tooltip)
        action.triggered.connect(lambda *_: self._bench.guarded(act))
        return action

    def _finding(self) -> Finding:
        chosen = self._selected()
        if not chosen:
            raise CtClipError("no finding is selected: click one in the table first")
        return chosen[0]

    def _copy_one(self) -> None:
        self._bench.finding_recipe(self._finding().key)

    def _save_one(self) -> None:
        from napari_ctclip.exporting.finding_script import recipe_name

        finding = self._finding()
        kept = self._bench.findings.kept.findings
        start = recipe_name(kept.index(finding) + 1)
        path, _ = QFileDialog.getSaveFileName(self, "Save recipe", start, "Python (*.py)")
        if path:
            self._bench.finding_recipe(finding.key, Path(path).with_suffix(".py"))
