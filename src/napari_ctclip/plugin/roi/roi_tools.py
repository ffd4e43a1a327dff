"""ROI tools: what a region of interest is drawn with, and how large it is."""

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
from napari_ctclip.plugin.roi.roi_flow import RoiFlow
from napari_ctclip.plugin.roi.roi_pointer import LARGEST_MM, RoiPointer
from napari_ctclip.plugin.window.window import Window

__all__ = ["RoiTools"]

_NO_ORGAN = "Organ …"
_LONGEST_MM = 300.0
_SIDES = (  # of the spin boxes, with the axis (z, y, x) that each is
    ("R-L", 2, "Side of a box from right to left"),
    ("A-P", 1, "Side of a box from front to back"),
    ("S-I", 0, "Side of a box from head to foot"),
)


class RoiTools(QWidget):
    """Buttons and sizes above the description of the ROI.

    Parameters
    ----------
    window : Window
        Whose organs are offered.
    flow : RoiFlow
        Whose ROI it is.
    pointer : RoiPointer
        What draws it with the mouse.
    parent : QWidget or None
        The tab.
    """

    def __init__(
        self,
        window: Window,
        flow: RoiFlow,
        *,
        pointer: RoiPointer,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._window, self._flow, self._pointer = window, flow, pointer
        self.sphere = self._tool(
            "Sphere", "drag from the centre outwards; a click takes the radius"
        )
        self.box = self._tool("Box", "drag from corner to corner; the third side is as set")
        self.undo = QPushButton("Undo")
        self.undo.setToolTip("Return to the ROI before")
        self.follow = QCheckBox("Clicks")
        self.follow.setChecked(True)
        self.follow.setToolTip("While this tab is shown, a click puts a sphere there as the ROI")
        self.follow.setAccessibleName("Clicks set the ROI")
        self.organ = QComboBox()
        self.organ.setToolTip("Take a whole organ as the ROI")
        self.organ.setAccessibleName("Organ as the ROI")
        self.finding = QPushButton("Selected finding")
        self.finding.setToolTip("Take the region of the finding selected in the Findings tab")
        self.radius = self._size("Radius of a sphere", LARGEST_MM)
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
        box.setToolTip(f"{tooltip}, mm: of the ROI, and of the next one")
        box.setAccessibleName(f"{tooltip}, mm")
        return box

    def _lay_out(self) -> None:
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setSpacing(4)
        for column, widget in enumerate((self.sphere, self.box, self.undo, self.follow)):
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
        narrow: tuple[QWidget, ...] = (self.sphere, self.box, self.undo, self.follow)
        for control in (*narrow, self.organ, self.finding):
            # the panel is narrow: no text may widen it
            control.setMinimumWidth(40)
            control.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)

    def _connect(self) -> None:
        pointer, flow, window = self._pointer, self._flow, self._window
        self.sphere.clicked.connect(lambda: pointer.toggle(RoiKind.SPHERE))
        self.box.clicked.connect(lambda: pointer.toggle(RoiKind.BOX))
        self.undo.clicked.connect(lambda: window.guarded(flow.undo))
        self.organ.activated.connect(self._on_organ)
        self.radius.valueChanged.connect(self._on_radius)
        for axis, box in self.sides.items():
            box.valueChanged.connect(partial(self._on_side, axis))
        pointer.tool_changed.connect(self._show_tool)
        flow.changed.connect(self.show_roi)
        window.session.masks_changed.connect(self.list_organs)

    # --- the user -------------------------------------------------------------------------------

    def _on_organ(self, row: int) -> None:
        name = self.organ.itemData(row)
        if name:
            self._window.guarded(lambda: self._flow.take(Roi.organ(name)))

    def _on_radius(self, radius: float) -> None:
        flow = self._flow
        flow.radius_mm, now = radius, flow.roi
        if now is not None and now.kind is RoiKind.SPHERE:
            self._window.guarded(lambda: flow.take(replace(now, radius_mm=radius)))

    def _on_side(self, axis: int, side: float) -> None:
        flow = self._flow
        sides = list(flow.sides_mm)
        sides[axis] = side
        up, front, right = sides
        flow.sides_mm, now = (up, front, right), flow.roi
        if now is not None and now.kind is RoiKind.BOX:
            self._window.guarded(lambda: flow.take(replace(now, sides_mm=(up, front, right))))

    # --- what changes elsewhere -----------------------------------------------------------------

    def list_organs(self, *_: object) -> None:
        """List the organs there are masks of."""
        study = self._window.session.study
        masks = None if study is None else study.organ_masks
        names = [] if masks is None else sorted(masks.legend, key=anatomy_label)
        self.organ.clear()
        self.organ.addItem(_NO_ORGAN if names else "No organ masks", "")
        for name in names:
            self.organ.addItem(anatomy_label(name), name)
        self.organ.setEnabled(bool(names))
        self.show_roi()

    def show_roi(self) -> None:
        """Show the ROI of now, without describing it again."""
        flow = self._flow
        self.undo.setEnabled(flow.can_undo)
        values = {self.radius: flow.radius_mm}
        values |= {box: flow.sides_mm[axis] for axis, box in self.sides.items()}
        for box, value in values.items():
            box.blockSignals(True)
            box.setValue(value)
            box.blockSignals(False)
        roi = flow.roi
        is_organ = roi is not None and roi.kind is RoiKind.ORGAN
        row = self.organ.findData(roi.name) if roi is not None and is_organ else 0
        self.organ.setCurrentIndex(max(row, 0))
        self._show_sizes()

    def _show_sizes(self) -> None:
        """Show the sizes of what is drawn: of the tool, else of the ROI."""
        roi, kind = self._flow.roi, self._pointer.tool
        if kind is None and roi is not None:
            kind = roi.kind
        self.sizes.setCurrentIndex(1 if kind is RoiKind.BOX else 0)

    def _show_tool(self) -> None:
        self._show_sizes()
        self.sphere.setChecked(self._pointer.tool is RoiKind.SPHERE)
        self.box.setChecked(self._pointer.tool is RoiKind.BOX)
