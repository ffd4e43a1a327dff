"""Training start: the form that starts, stops and resumes a training as a process of its own."""

from __future__ import annotations

from pathlib import Path

from psygnal import Signal
from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QComboBox,
    QFileDialog,
    QFormLayout,
    QHBoxLayout,
    QLineEdit,
    QPlainTextEdit,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from napari_ctclip.core.errors import CtClipError, DataError
from napari_ctclip.pretraining.runs.run_process import (
    TrainingCommand,
    method_of,
    start_training,
    stop_training,
)
from napari_ctclip.pretraining.runs.shipped_recipes import (
    METHOD_SUMMARIES,
    STARTER_SUMMARIES,
    recipe_file,
)

__all__ = ["TrainingStart"]


class TrainingStart(QWidget):
    """What ``napari-ctclip-train`` takes, as a form.

    Parameters
    ----------
    parent : QWidget or None
        The monitor.
    """

    started = Signal(Path)
    """A training was started or resumed in this folder."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.recipe = QComboBox()
        self.recipe.setAccessibleName("Recipe")
        self.recipe.setSizeAdjustPolicy(
            QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
        )
        for title, about, file in _shipped():
            self.recipe.addItem(title, file)
            self.recipe.setItemData(self.recipe.count() - 1, about, Qt.ItemDataRole.ToolTipRole)
        self.recipe.currentIndexChanged.connect(self._describe)
        self._describe()
        self.other = QPushButton("File…")
        self.other.setToolTip("A recipe file of your own (TOML with method = ...)")
        self.data = QLineEdit()
        self.data.setPlaceholderText("none: simulated studies")
        self.find_data = QPushButton("Browse…")
        self.find_data.setToolTip("Manifest of a prepared training set")
        self.out = QLineEdit()
        self.out.setPlaceholderText("a new folder")
        self.find_out = QPushButton("Browse…")
        self.overrides = QPlainTextEdit()
        self.overrides.setPlaceholderText("optimizer.steps=500\nloop.snapshot_every=50")
        self.overrides.setToolTip("One table.key=value a line, as --set takes it")
        self.overrides.setMaximumHeight(58)
        self.overrides.setTabChangesFocus(True)
        for field, name in ((self.data, "Data"), (self.out, "Folder"), (self.overrides, "Set")):
            field.setAccessibleName(name)
        self.start = QPushButton("Start")
        self.start.setToolTip("Starts a process of its own; it continues when this window closes")
        self.stop = QPushButton("Stop")
        self.stop.setToolTip("The training saves its state after the step it is at, and ends")
        self.resume = QPushButton("Resume")
        self.resume.setToolTip("Resume the shown run from its last checkpoint")
        self._lay_out()
        self.find_data.clicked.connect(self._ask_data)
        self.find_out.clicked.connect(self._ask_out)

    def _lay_out(self) -> None:
        form = QFormLayout()
        form.setContentsMargins(0, 0, 0, 0)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.ExpandingFieldsGrow)
        form.addRow("Recipe", _row(self.recipe, self.other))
        form.addRow("Data", _row(self.data, self.find_data))
        form.addRow("Folder", _row(self.out, self.find_out))
        form.addRow("Set", self.overrides)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(form)
        layout.addWidget(_row(self.start, self.stop, self.resume))

    def _describe(self, *_: object) -> None:
        chosen = self.recipe.currentIndex()
        self.recipe.setToolTip(str(self.recipe.itemData(chosen, Qt.ItemDataRole.ToolTipRole) or ""))

    def add_recipe(self, file: Path) -> None:
        """Offer a recipe file and choose it.

        Raises
        ------
        DataError
            If it names no method.
        """
        self.recipe.addItem(f"{method_of(file)}: {file.name}", (method_of(file), file))
        self.recipe.setCurrentIndex(self.recipe.count() - 1)

    def command(self, *, out: Path | None = None, resume: bool = False) -> TrainingCommand:
        """Return what the form says; ``out`` is a run to resume.

        Raises
        ------
        DataError
            If the folder is missing or a line of *Set* is no ``table.key=value``.
        """
        typed = self.out.text().strip()
        if out is None and not typed:
            raise DataError("Give the folder of the run: Browse…, or type a new one.")
        lines = [line.strip() for line in self.overrides.toPlainText().splitlines()]
        overrides = tuple(line for line in lines if line)
        for line in overrides:
            key, equals, value = line.partition("=")
            if not (equals and "." in key and value.strip()):
                raise DataError(f"Set: expected table.key=value, got {line!r}")
        method, recipe = self.recipe.currentData()
        data = self.data.text().strip()
        return TrainingCommand(
            method,
            Path(typed).expanduser() if out is None else out,
            recipe=recipe,
            data=Path(data).expanduser() if data else None,
            overrides=overrides,
            resume=resume,
        )

    def begin(self) -> None:
        """Start what the form says.

        Raises
        ------
        DataError
            If it cannot be started.
        """
        command = self.command()
        start_training(command)
        self.started.emit(command.out)

    def resume_run(self, run: Path) -> None:
        """Resume a run with its own recipe; *Set* may give it more steps.

        Raises
        ------
        DataError
            If it cannot be resumed.
        """
        kept = run / "recipe.toml"
        command = self.command(out=run, resume=True)
        if kept.is_file():
            command = TrainingCommand(
                method_of(kept), run, kept, command.data, command.overrides, resume=True
            )
        start_training(command)
        self.started.emit(run)

    def end(self, run: Path) -> None:
        """Tell the training of a run to save and stop.

        Raises
        ------
        DataError
            If none works on it on this computer.
        """
        stop_training(run)

    def ask_recipe(self) -> None:
        """Let the user choose a recipe file.

        Raises
        ------
        DataError
            If it names no method.
        """
        file, _ = QFileDialog.getOpenFileName(self, "Recipe", "", "Recipes (*.toml)")
        if file:
            self.add_recipe(Path(file))

    def _ask_data(self) -> None:
        kinds = "Manifests (*.toml *.csv *.json *.jsonl);;All files (*)"
        file, _ = QFileDialog.getOpenFileName(self, "Training set", "", kinds)
        if file:
            self.data.setText(file)

    def _ask_out(self) -> None:
        folder = QFileDialog.getExistingDirectory(self, "Folder of the run")
        if folder:
            self.out.setText(folder)


def _shipped() -> list[tuple[str, str, tuple[str, Path | None]]]:
    """Return title, description and (method, recipe file) of every recipe that is installed."""
    found: list[tuple[str, str, tuple[str, Path | None]]] = []
    for method, about in {**METHOD_SUMMARIES, **STARTER_SUMMARIES}.items():
        found.append((method, about, (method, None)))
        if method in METHOD_SUMMARIES:
            try:
                smoke = recipe_file(method, smoke=True)
            except CtClipError:
                continue
            trial = "A trial of seconds on simulated scans"
            found.append((f"{method} (trial)", f"{trial}: {about}", (method, smoke)))
    return found


def _row(*widgets: QWidget) -> QWidget:
    row = QWidget()
    layout = QHBoxLayout(row)
    layout.setContentsMargins(0, 0, 0, 0)
    for number, widget in enumerate(widgets):
        stretch = 1 if number == 0 or (isinstance(widget, QPushButton) and len(widgets) > 2) else 0
        layout.addWidget(widget, stretch)
    return row
