"""Place tools: what a place is drawn with, and how large it is."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDoubleSpinBox,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QSizePolicy,
    QStackedWidget,
    QWidget,
)

from napari_ctclip.core.anatomy import anatomy_label
from napari_ctclip.core.roi import Roi, RoiKind
from napari_ctclip.plugin.roi.roi_pointer import LARGEST_MM
from napari_ctclip.plugin.shell.workbench import Workbench

__all__ = ["RoiTools"]

_NO_ORGAN = "Organ …"
_LONGEST_MM = 300.0
_SIDES = (  # of the spin boxes, with the axis (z, y, x) that each is
    ("R-L", 2, "Side of a box from right to left"),
    ("A-P", 1, "Side of a box from front to back"),
    ("S-I", 0, "Side of a box from head to foot"),
)


class RoiTools(QWidget):
    """Buttons and sizes over the reading of a place.

    Parameters
    ----------
    workbench : Workbench
        Whose place it is.
    parent : QWidget or None
        The tab.
    """

    def __init__(self, workbench: Workbench, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._bench = workbench
        self.ball = self._tool("Ball", "drag from the middle outwards; a click takes the radius")
        self.box = self._tool("Box", "drag from corner to corner; the third side is as set")
        self.undo = QPushButton("Undo")
        self.undo.setToolTip("Back to the place before")
        self.follow = QCheckBox("Clicks")
        self.follow.setChecked(True)
        self.follow.setToolTip("While this tab is shown, a ball about the clicked place is asked")
        self.follow.setAccessibleName("A click asks the place")
        self.organ = QComboBox()
        self.organ.setToolTip("Ask a whole organ")
        self.organ.setAccessibleName("Organ to ask")
        self.finding = QPushButton("Selected finding")
        self.finding.setToolTip("Ask the region of the finding selected in the Findings tab")
        self.radius = self._size("Radius of a ball", LARGEST_MM)
        self.sides = {axis: self._size(tip, _LONGEST_MM) for _, axis, tip in _SIDES}
        self._lay_out()
        self._connect()
        self.list_organs()
        self.show_roi()

    @staticmethod
    def _tool(title: str, tooltip: str) -> QPushButton:
        button = QPushButton(title)
        button.setCheckable(True)
        button.setToolTip(f"Draw a {title.lower()} in any plane: {tooltip}")
        return button

    @staticmethod
    def _size(tooltip: str, most: float) -> QDoubleSpinBox:
        box = QDoubleSpinBox()
        box.setRange(1.0, most)
        box.setDecimals(1)
        box.setMinimumWidth(64)
        box.setKeyboardTracking(False)
        box.setToolTip(f"{tooltip}, mm: of the place, and of the next one")
        box.setAccessibleName(f"{tooltip}, mm")
        return box

    def _lay_out(self) -> None:
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setSpacing(4)
        for column, widget in enumerate((self.ball, self.box, self.undo, self.follow)):
            grid.addWidget(widget, 0, 3 * column, 1, 3)
        grid.addWidget(self.organ, 1, 0, 1, 7)
        grid.addWidget(self.finding, 1, 7, 1, 5)
        self.sizes = QStackedWidget()
        named = [(name, self.sides[axis]) for name, axis, _ in _SIDES]
        for boxes in ([("Radius, mm", self.radius)], named):
            page = QWidget()
            row = QHBoxLayout(page)
            row.setContentsMargins(0, 0, 0, 0)
            for name, box in boxes:
                row.addWidget(QLabel(name))
                row.addWidget(box, 1)
            self.sizes.addWidget(page)
        grid.addWidget(self.sizes, 2, 0, 1, 12)
        narrow: tuple[QWidget, ...] = (self.ball, self.box, self.undo, self.follow)
        for control in (*narrow, self.organ, self.finding):
            # the panel is narrow: no text may widen it
            control.setMinimumWidth(40)
            control.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)

    def _connect(self) -> None:
        bench = self._bench
        self.ball.clicked.connect(lambda: bench.drawing.toggle(RoiKind.SPHERE))
        self.box.clicked.connect(lambda: bench.drawing.toggle(RoiKind.BOX))
        self.undo.clicked.connect(lambda: bench.guarded(bench.place.undo))
        self.organ.activated.connect(self._on_organ)
        self.radius.valueChanged.connect(self._on_radius)
        for axis, box in self.sides.items():
            box.valueChanged.connect(partial(self._on_side, axis))
        bench.drawing.tool_changed.connect(self._show_tool)
        bench.place.changed.connect(self.show_roi)
        bench.session.masks_changed.connect(self.list_organs)

    # --- the user -------------------------------------------------------------------------------

    def _on_organ(self, row: int) -> None:
        name = self.organ.itemData(row)
        if name:
            place = Roi.organ(name)
            self._bench.guarded(lambda: self._bench.place.take(place))

    def _on_radius(self, radius: float) -> None:
        places = self._bench.place
        places.radius_mm, now = radius, places.place
        if now is not None and now.kind is RoiKind.SPHERE:
            self._bench.guarded(lambda: places.take(replace(now, radius_mm=radius)))

    def _on_side(self, axis: int, side: float) -> None:
        places = self._bench.place
        sides = list(places.sides_mm)
        sides[axis] = side
        up, front, right = sides
        places.sides_mm, now = (up, front, right), places.place
        if now is not None and now.kind is RoiKind.BOX:
            self._bench.guarded(lambda: places.take(replace(now, sides_mm=(up, front, right))))

    # --- what changes elsewhere -----------------------------------------------------------------

    def list_organs(self, *_: object) -> None:
        """List the organs there are masks of."""
        study = self._bench.session.study
        masks = None if study is None else study.organ_masks
        names = [] if masks is None else sorted(masks.legend, key=anatomy_label)
        self.organ.clear()
        self.organ.addItem(_NO_ORGAN if names else "No organ masks", "")
        for name in names:
            self.organ.addItem(anatomy_label(name), name)
        self.organ.setEnabled(bool(names))
        self.show_roi()

    def show_roi(self) -> None:
        """Show what is asked now, without asking it again."""
        places = self._bench.place
        self.undo.setEnabled(places.can_undo)
        values = {self.radius: places.radius_mm}
        values |= {box: places.sides_mm[axis] for axis, box in self.sides.items()}
        for box, value in values.items():
            box.blockSignals(True)
            box.setValue(value)
            box.blockSignals(False)
        place = places.place
        is_organ = place is not None and place.kind is RoiKind.ORGAN
        row = self.organ.findData(place.name) if place is not None and is_organ else 0
        self.organ.setCurrentIndex(max(row, 0))
        self._show_sizes()

    def _show_sizes(self) -> None:
        """Show the sizes of what is drawn: of the tool, else of the place."""
        place, kind = self._bench.place.place, self._bench.drawing.tool
        if kind is None and place is not None:
            kind = place.kind
        self.sizes.setCurrentIndex(1 if kind is RoiKind.BOX else 0)

    def _show_tool(self) -> None:
        self._show_sizes()
        self.ball.setChecked(self._bench.drawing.tool is RoiKind.SPHERE)
        self.box.setChecked(self._bench.drawing.tool is RoiKind.BOX)
