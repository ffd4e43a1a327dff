"""Heat controls: range and opacity of every heat layer."""

from __future__ import annotations

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QFormLayout, QWidget
from superqt import QLabeledDoubleRangeSlider, QLabeledDoubleSlider

from napari_ctclip.plugin.canvas.scene import Scene
from napari_ctclip.plugin.widgets.slider_keys import SliderKeys

__all__ = ["HeatControls"]

_LEAST, _MOST = -0.2, 1.0


class HeatControls(QWidget):
    """Two sliders.

    Parameters
    ----------
    scene : Scene
        Whose heat layers they set.
    parent : QWidget or None
        The panel.
    """

    def __init__(self, scene: Scene, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._scene = scene
        self.range = QLabeledDoubleRangeSlider(Qt.Orientation.Horizontal)
        self.range.setDecimals(2)
        self.range.setEdgeLabelMode(self.range.EdgeLabelMode.NoLabel)
        self.range.setRange(_LEAST, _MOST)  # type: ignore[arg-type]
        self.range.setValue(scene.heat_range)
        self.range.valueChanged.connect(self._choose_range)
        scene.heat_range_changed.connect(self.show_range)
        self.opacity = QLabeledDoubleSlider(Qt.Orientation.Horizontal)
        self.opacity.setDecimals(2)
        self.opacity.setRange(0.0, 1.0)
        self.opacity.setValue(scene.heat_opacity)
        self.opacity.valueChanged.connect(scene.set_heat_opacity)
        SliderKeys(
            self.range,
            "Heat range",
            "Similarity where heat begins and where it is strongest, the same for every prompt",
        )
        SliderKeys(self.opacity, "Heat opacity", "How strongly heat covers the scan")
        layout = QFormLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addRow("Heat range", self.range)
        layout.addRow("Opacity", self.opacity)

    def _choose_range(self, value: tuple[float, float]) -> None:
        self._scene.heat_range_is_chosen = True
        self._scene.set_heat_range(*value)

    def show_range(self) -> None:
        """Take the range from the scene: the model decides it until the user does."""
        low, high = self._scene.heat_range
        self.range.blockSignals(True)
        self.range.setRange(min(_LEAST, low), max(_MOST, high))  # type: ignore[arg-type]
        self.range.setValue((low, high))
        self.range.blockSignals(False)
