"""Organs: those that have masks as a table, and what the model calls each of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from psygnal import Signal
from qtpy.QtCore import QObject, Qt
from qtpy.QtGui import QColor

from napari_ctclip.core.anatomy import anatomy_label, colour_of
from napari_ctclip.core.organ_naming import OrganNaming
from napari_ctclip.plugin.widgets.row_table import Index, Role, RowTable
from napari_ctclip.plugin.window.jobs import Job
from napari_ctclip.plugin.window.window import Window
from napari_ctclip.session.organ_readout import naming_mark, naming_words, read_organ_names

__all__ = ["NAMED_COLUMN", "OrganNamingFlow", "OrganTable"]

NAMED_COLUMN = 2


class OrganTable(RowTable[str]):
    """Organs with a tick each.

    Parameters
    ----------
    parent : QObject or None
        What it dies with.
    """

    titles = ("Organ", "ml", "Model calls it")
    tooltips = (
        "Tick to draw its outline",
        "Volume in millilitres",
        "The organ whose name fits the region best, and how well; ≠: another than the mask's",
    )
    numbers = (1,)

    shown_changed = Signal(str, bool)
    """The user ticked or unticked an organ's outline."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._volumes_ml: dict[str, float] = {}
        self._hidden: set[str] = set()
        self._namings: Mapping[str, OrganNaming] = {}

    def set_organs(self, volumes_ml: dict[str, float], hidden: frozenset[str]) -> None:
        """List other organs."""
        self._volumes_ml, self._hidden = volumes_ml, set(hidden)
        self.set_rows(volumes_ml)

    def set_namings(self, namings: Mapping[str, OrganNaming]) -> None:
        """Show what a model calls the organs."""
        self._namings = namings
        if self.rows:
            last = self.index(len(self.rows) - 1, NAMED_COLUMN)
            self.dataChanged.emit(self.index(0, NAMED_COLUMN), last)

    def flags(self, index: Index) -> Qt.ItemFlag:
        """Return what the user can do with a cell."""
        flags = Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsSelectable
        return flags | Qt.ItemFlag.ItemIsUserCheckable if index.column() == 0 else flags

    def cell(self, row: int, column: int, role: int) -> Any:
        """Return what a cell shows."""
        name = self.rows[row]
        if column == NAMED_COLUMN:
            return _naming_data(self._namings.get(name), role)
        if role == Role.DisplayRole:
            return anatomy_label(name) if column == 0 else f"{self._volumes_ml[name]:,.0f}"
        if column != 0:
            return None
        if role == Role.CheckStateRole:
            return Qt.CheckState.Unchecked if name in self._hidden else Qt.CheckState.Checked
        if role == Role.DecorationRole:
            return QColor(*colour_of(name))
        return name if role == Role.ToolTipRole else None

    def setData(self, index: Index, value: Any, role: int = Role.EditRole) -> bool:
        """Take the user's tick."""
        if role != Role.CheckStateRole or index.column() != 0:
            return False
        name = self.rows[index.row()]
        shown = Qt.CheckState(value) == Qt.CheckState.Checked
        (self._hidden.discard if shown else self._hidden.add)(name)
        self.dataChanged.emit(index, index)
        self.shown_changed.emit(name, shown)
        return True


def _naming_data(naming: OrganNaming | None, role: int) -> Any:
    """Return what the cell about a naming shows."""
    if naming is None:
        return None
    if role == Role.DisplayRole:
        return f"{naming_mark(naming)} {naming.ranked[0][1]:.2f}"
    if role != Role.ToolTipRole:
        return None
    mask = anatomy_label(naming.region)
    judged = {
        True: f"The model calls the {mask} as its mask does",
        False: f"≠ The model takes the {mask} for another organ than its mask",
        None: f"The {mask} has no name among those the model was queried for; it can only be wrong",
    }[naming.agrees]
    return f"{judged}. Similarity of the names: {naming_words(naming)}"


class OrganNamingFlow:
    """The names, kept until scan, masks or model change.

    A model that was trained with organ names is queried at once; any other one on request, since it
    was never taught what it is queried for.

    Parameters
    ----------
    window : Window
        Whose model is asked, and whose organ layer tells the names under the cursor.
    """

    changed = Signal()
    """Other names, or none."""

    def __init__(self, window: Window) -> None:
        self.namings: Mapping[str, OrganNaming] = {}
        self._session, self._jobs = window.session, window.jobs
        self._outlines = window.scene.outlines
        window.session.encoding_changed.connect(self._start_again)
        window.session.masks_changed.connect(
            self._start_again
        )  # after the outlines, which come first

    @property
    def can_query(self) -> bool:
        """Whether there is a scan with organs for a model to name."""
        study, encoding = self._session.study, self._session.encoding
        return encoding is not None and study is not None and study.organ_masks is not None

    def query(self) -> None:
        """Let the model name the organs of the masks, in the background."""
        session = self._session
        encoding, study = session.encoding, session.study

        def take(found: tuple[OrganNaming, ...]) -> None:
            self._set({naming.region: naming for naming in found})

        self._jobs.submit(
            Job(
                "Naming the organs",
                lambda progress, should_stop: read_organ_names(
                    session, session.work(progress, should_stop)
                ),
                take,
                still_wanted=lambda: session.encoding is encoding and session.study is study,
            )
        )

    def _start_again(self, *_: object) -> None:
        self._set({})
        # imported here: torch must not be loaded when the window opens
        if self.can_query:
            from napari_ctclip.scoring.organ_naming import trained_names

            if trained_names(self._session.model):
                self.query()

    def _set(self, namings: Mapping[str, OrganNaming]) -> None:
        if namings or self.namings:
            self.namings = namings
            said = {name: naming_words(naming) for name, naming in namings.items()}
            self._outlines.tell_names(said)
        self.changed.emit()
