"""Heat legend: what every shown heat means: its number, range, model and resolution."""

from __future__ import annotations

from html import escape

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QCheckBox, QLabel, QSizePolicy, QVBoxLayout, QWidget

from napari_ctclip.core.template_set import AS_TYPED
from napari_ctclip.plugin.canvas.colour_legend import swatch
from napari_ctclip.plugin.canvas.layers import own_metadata
from napari_ctclip.plugin.shell.workbench import Workbench

__all__ = ["HeatLegend", "heat_resolution"]

_NONE = "No heat is shown."
_MEANING = (
    "Similarity: cosine to the prompt, less that to its negative and to the model's sentences for "
    "normal anatomy. Heat is clear at the low end of the range and full at the high end."
)


class HeatLegend(QWidget):
    """The legend, and the tick for the outline of a token.

    Parameters
    ----------
    workbench : Workbench
        Whose heat it explains.
    parent : QWidget or None
        The panel.
    """

    def __init__(self, workbench: Workbench, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._bench = workbench
        self.text = QLabel()
        self.text.setWordWrap(True)
        self.text.setTextFormat(Qt.TextFormat.RichText)
        self.text.setAccessibleName("Heat legend")
        self.text.setToolTip(_MEANING)
        self.text.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Minimum)
        self.ghost = QCheckBox("Outline one token at the mouse (Shift+T)")
        self.ghost.setToolTip("Nothing smaller than this box can be told apart by the heat")
        self.ghost.setChecked(workbench.ghost.is_shown)
        self.ghost.toggled.connect(workbench.ghost.set_shown)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        layout.addWidget(self.text)
        layout.addWidget(self.ghost)
        workbench.ghost.shown_changed.connect(self._show_ghost)
        workbench.scene.heat_described.connect(self.refresh)
        workbench.scene.heat_range_changed.connect(self.refresh)
        workbench.session.encoding_changed.connect(self.refresh)
        self.refresh()

    def _show_ghost(self, shown: bool) -> None:
        self.ghost.setChecked(shown)

    def refresh(self, *_: object) -> None:
        """Write what is shown now."""
        shown = self._bench.scene.shown_heats()
        low, high = self._bench.scene.heat_range
        lines = []
        for layer in shown:
            colour = "#{:02x}{:02x}{:02x}".format(
                *(round(255 * float(c)) for c in layer.colormap.colors[2][:3])
            )
            own = own_metadata(layer)
            wording = escape(own["wording"])
            worded = "" if wording == AS_TYPED.name else f" (wording {wording})"
            lines.append(
                f"{swatch(colour)} <b>{escape(own['prompt'])}</b>{worded}: "
                f"{own['score_kind']} {low:+.2f} (clear) to {high:+.2f} (full)"
            )
        if lines:
            lines.append(heat_resolution(self._bench))
        self.text.setText("<br>".join(lines) or _NONE)


def heat_resolution(workbench: Workbench) -> str:
    """Return which model the heat is of and how large one token is, in one line."""
    model, sides = workbench.session.model, workbench.ghost.token_mm
    if model is None or sides is None:
        return ""
    size = " x ".join(f"{mm:.3g}" for mm in sides)
    return f"Model {model.name} ({model.weights_hash()[:8]}); one token is {size} mm (z, y, x)."
