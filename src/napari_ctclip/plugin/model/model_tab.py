"""Model tab: which model answers, where it computes, what it is; and the feature cache."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from qtpy.QtCore import Qt
from qtpy.QtGui import QTextBlock, QTextCursor, QTextLength, QTextOption, QTextTable
from qtpy.QtWidgets import (
    QComboBox,
    QFileDialog,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QTextBrowser,
    QWidget,
)

from napari_ctclip.models.hub.registry import (
    KNOWN_MODELS,
    KnownModel,
    ModelState,
    how_to_get,
    known_model,
)
from napari_ctclip.plugin.model.check_box import CheckBox
from napari_ctclip.plugin.widgets.panel_parts import sentence, tab_layout
from napari_ctclip.plugin.window.window import Window

__all__ = ["ModelCard", "ModelTab"]

_DEVICES = ("auto", "cpu", "cuda", "mps")
_MEGABYTE = 1e6


class ModelTab(QWidget):
    """The tab.

    Parameters
    ----------
    window : Window
        Whose session holds the model.
    load_model : callable
        Loads a model by its name or folder onto a device (``device=``), in the background.
    """

    def __init__(self, window: Window, load_model: Callable[..., None]) -> None:
        super().__init__()
        self._window, self._load_model = window, load_model
        self.models = QComboBox()
        self.models.setAccessibleName("Model")
        self.models.setToolTip("The model that answers prompts")
        self.models.setMinimumContentsLength(10)
        self.models.setSizeAdjustPolicy(
            QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
        )
        for model in KNOWN_MODELS:
            self.models.addItem(_title(model), model.name)
            tip = f"{model.licence}; {model.expected_input}"
            self.models.setItemData(self.models.count() - 1, tip, Qt.ItemDataRole.ToolTipRole)
        self.browse = QPushButton("Browse…")
        self.browse.setToolTip("A model folder: trained here, imported, or copied")
        self.device = QComboBox()
        self.device.addItems(_DEVICES)
        self.device.setCurrentText(window.session.device)
        self.device.setAccessibleName("Device")
        self.device.setToolTip("Where the model computes")
        self.load = QPushButton("Load")
        self.load.setToolTip("Loads by itself when the first prompt is queried")
        self.state = sentence("No model is loaded yet.")
        self.card = ModelCard()
        self.check = CheckBox(window, self._load)
        self.cache = QLabel()
        self.clear = QPushButton("Clear")
        self.clear.setToolTip("Delete the cached features; scans are encoded anew")
        self._lay_out()
        self._connect()
        self._show_card()
        self._show_state()

    def _lay_out(self) -> None:
        choosing = QHBoxLayout()
        choosing.addWidget(self.models, 1)
        choosing.addWidget(self.browse)
        computing = QHBoxLayout()
        computing.addWidget(self.device, 1)
        computing.addWidget(self.load)
        keeping = QHBoxLayout()
        keeping.addWidget(self.cache, 1)
        keeping.addWidget(self.clear)
        form = QFormLayout()
        form.addRow("Model", choosing)
        form.addRow("Device", computing)
        form.addRow("State", self.state)
        form.addRow("Feature cache", keeping)
        layout = tab_layout(self)
        layout.addLayout(form)
        layout.addWidget(self.check)
        layout.addWidget(self.card, 1)

    def _connect(self) -> None:
        self.models.currentIndexChanged.connect(self._show_card)
        self.browse.clicked.connect(self._ask_folder)
        self.load.clicked.connect(self._load)
        self.clear.clicked.connect(self._clear_cache)
        self._window.session.model_changed.connect(self._show_state)
        self._window.session.encoding_changed.connect(self._show_state)

    def add_folder(self, folder: Path) -> None:
        """Offer a checkpoint folder and choose it."""
        self.models.addItem(folder.name, str(folder))
        self.models.setCurrentIndex(self.models.count() - 1)

    def _ask_folder(self) -> None:
        folder = QFileDialog.getExistingDirectory(self, "Model folder")
        if folder:
            self.add_folder(Path(folder))

    def _load(self) -> None:
        name, device = str(self.models.currentData()), self.device.currentText()
        self._window.guarded(lambda: self._load_model(name, device=device))

    def _clear_cache(self) -> None:
        self._window.guarded(self._window.session.cache.clear)
        self._show_state()

    def _show_card(self, *_: object) -> None:
        name = str(self.models.currentData())
        known = known_model(name)
        self.load.setEnabled(known is None or _is_here(known))
        if known is not None and not _is_here(known):
            self.card.show_markdown(_about(known))
            return
        card = (Path(name) if known is None else known.folder) / "MODEL_CARD.md"
        if card.is_file():
            self.card.show_markdown(card.read_text(encoding="utf-8"))
            return
        about = "" if known is None else f"{_about(known)}\n\n"
        self.card.show_markdown(
            f"{about}*No MODEL_CARD.md here: ask its maker what it was trained on.*"
        )

    def _show_state(self, *_: object) -> None:
        session = self._window.session
        if session.model is not None:
            spacing = " x ".join(f"{s:g}" for s in session.model.preprocessing.spacing_mm)
            self.state.setText(
                f"“{session.model.name}” is loaded; scans are resampled to {spacing} mm for it."
            )
        self.show_cache()

    def show_cache(self) -> None:
        """Show where features are cached and how large the cache is."""
        session = self._window.session
        size = session.cache.size_bytes() / _MEGABYTE
        self.cache.setText(f"{size:,.0f} MB on disk")
        self.cache.setToolTip(f"Cached in {session.cache.folder}")


def _is_here(model: KnownModel) -> bool:
    return model.state in (ModelState.BUNDLED, ModelState.HERE)


def _title(model: KnownModel) -> str:
    size = f", {model.size}" if model.size_mb else ""
    return f"{model.name}  ({model.state}{size})"


def _about(model: KnownModel) -> str:
    """Return what is known of a model, as Markdown."""
    facts = {
        "state": str(model.state),
        "licence": model.licence,
        "source": model.source,
        "size": model.size,
        "intended use": model.intended_use,
        "expected input": str(model.expected_input),
        "how": how_to_get(model),
    }
    listed = "\n".join(f"- **{name}**: {value}" for name, value in facts.items())
    return f"### {model.name}\n\n{model.description}\n\n{listed}"


class ModelCard(QTextBrowser):
    """Markdown that never scrolls sideways.

    Parameters
    ----------
    parent : QWidget or None
        Where it stands.
    """

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setOpenExternalLinks(True)
        self.setAccessibleName("Model card")
        self.setToolTip(
            "What the model is, what it was trained on, and what it must not be used for"
        )
        self.setWordWrapMode(QTextOption.WrapMode.WrapAtWordBoundaryOrAnywhere)

    def show_markdown(self, text: str) -> None:
        """Show a card from its beginning."""
        self.setMarkdown(text)
        document = self.document()
        root = None if document is None else document.rootFrame()
        if document is None or root is None:
            return
        for frame in root.childFrames():
            if isinstance(frame, QTextTable):
                _narrow(frame)
        block = document.begin()
        while block.isValid():
            _break_lines(block)
            block = block.next()


def _break_lines(block: QTextBlock) -> None:
    """Let a block of code continue on the next line."""
    layout = block.blockFormat()
    if layout.nonBreakableLines():
        layout.setNonBreakableLines(False)
        QTextCursor(block).setBlockFormat(layout)


def _narrow(table: QTextTable) -> None:
    """Make a table as wide as the page, without the empty head that Markdown asks for."""
    first = (table.cellAt(0, column) for column in range(table.columns()))
    if all(not cell.firstCursorPosition().block().text() for cell in first):
        table.removeRows(0, 1)
    layout = table.format()
    layout.setWidth(QTextLength(QTextLength.Type.PercentageLength, 100))
    layout.setCellPadding(3)
    layout.setColumnWidthConstraints([])
    table.setFormat(layout)
