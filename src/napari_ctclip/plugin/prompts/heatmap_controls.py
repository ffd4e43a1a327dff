"""Heatmap controls: range and opacity of all heatmaps, and the legend of those that are shown."""

from __future__ import annotations

from html import escape

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QCheckBox, QFormLayout, QLabel, QSizePolicy, QVBoxLayout, QWidget
from superqt import QLabeledDoubleRangeSlider, QLabeledDoubleSlider

from napari_ctclip.core.template_set import AS_TYPED
from napari_ctclip.plugin.canvas.token_ghost import TokenGhost
from napari_ctclip.plugin.prompts.prompt_state import PromptRow, PromptState
from napari_ctclip.plugin.widgets.colour_legend import swatch
from napari_ctclip.plugin.widgets.keyboard import SliderKeys
from napari_ctclip.session.session import Session

__all__ = ["HeatmapControls", "HeatmapLegend"]

_LEAST, _MOST = -0.2, 1.0
_NONE = "No heatmap is shown."
_MEANING = (
    "Similarity: cosine to the prompt minus the cosine to its negative and to the model's "
    "sentences for normal anatomy. A heatmap is clear at the low end of the range and full at the "
    "high end."
)


class HeatmapControls(QWidget):
    """Two sliders.

    Parameters
    ----------
    state : PromptState
        Whose heatmaps they set.
    parent : QWidget or None
        The panel.
    """

    def __init__(self, state: PromptState, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._state = state
        self.range = QLabeledDoubleRangeSlider(Qt.Orientation.Horizontal)
        self.range.setDecimals(2)
        self.range.setEdgeLabelMode(self.range.EdgeLabelMode.NoLabel)
        self.range.valueChanged.connect(self._choose_range)
        self.opacity = QLabeledDoubleSlider(Qt.Orientation.Horizontal)
        self.opacity.setDecimals(2)
        self.opacity.setRange(0.0, 1.0)
        self.opacity.valueChanged.connect(state.set_opacity)
        SliderKeys(
            self.range,
            "Heatmap range",
            "Similarity where heatmaps begin and where they are strongest, for every prompt",
        )
        SliderKeys(self.opacity, "Heatmap opacity", "How strongly heatmaps cover the scan")
        layout = QFormLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addRow("Heatmap range", self.range)
        layout.addRow("Opacity", self.opacity)
        state.changed.connect(self.refresh)
        self.refresh()

    def _choose_range(self, value: tuple[float, float]) -> None:
        self._state.choose_range(*value)

    def refresh(self) -> None:
        """Show the range and the opacity of the state, whoever set them."""
        low, high = self._state.resolved.heatmap_range
        for slider, value in (
            (self.range, (low, high)),
            (self.opacity, self._state.resolved.heatmap_opacity),
        ):
            if slider.value() == value:
                continue
            slider.blockSignals(True)
            if slider is self.range:
                slider.setRange(min(_LEAST, low), max(_MOST, high))  # type: ignore[arg-type]
            slider.setValue(value)
            slider.blockSignals(False)


class HeatmapLegend(QWidget):
    """What every heatmap on screen means, and the tick for the outline of a token.

    Parameters
    ----------
    session : Session
        Whose model the heatmaps are of.
    state : PromptState
        Which of them are shown, and in which range.
    ghost : TokenGhost
        The outline of a token.
    parent : QWidget or None
        The panel.
    """

    def __init__(
        self,
        session: Session,
        *,
        state: PromptState,
        ghost: TokenGhost,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._session, self._state, self._ghost = session, state, ghost
        self.text = QLabel()
        self.text.setWordWrap(True)
        self.text.setTextFormat(Qt.TextFormat.RichText)
        self.text.setAccessibleName("Heatmap legend")
        self.text.setToolTip(_MEANING)
        self.text.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Minimum)
        self.ghost = QCheckBox("Outline one token at the mouse (Shift+T)")
        self.ghost.setToolTip(
            "The resolution of the heatmap: it shows nothing smaller than this box"
        )
        self.ghost.setChecked(ghost.is_shown)
        self.ghost.toggled.connect(ghost.set_shown)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        layout.addWidget(self.text)
        layout.addWidget(self.ghost)
        ghost.shown_changed.connect(self._show_ghost)
        state.changed.connect(self.refresh)
        session.encoding_changed.connect(self.refresh)
        self.refresh()

    def _show_ghost(self, shown: bool) -> None:
        self.ghost.setChecked(shown)

    def refresh(self, *_: object) -> None:
        """Write what is shown now."""
        now = self._state.resolved
        lines = [
            _line(row, now.heatmap_range)
            for row in now.rows
            if row.shown and row.answer is not None
        ]
        if lines:
            lines.append(self._resolution())
        self.text.setText("<br>".join(lines) or _NONE)

    def _resolution(self) -> str:
        """Return the model of the heatmaps and the size of one token, in a line."""
        model, sides = self._session.model, self._ghost.token_mm
        if model is None or sides is None:
            return ""
        size = " x ".join(f"{mm:.3g}" for mm in sides)
        return f"Model {model.name} ({model.weights_hash()[:8]}); one token is {size} mm (z, y, x)."


def _line(row: PromptRow, limits: tuple[float, float]) -> str:
    low, high = limits
    phrasing = row.prompt.templates.name if row.answer is None else row.answer.prompt.templates.name
    phrased = "" if phrasing == AS_TYPED.name else f" (phrasing {escape(phrasing)})"
    return (
        f"{swatch(row.colour)} <b>{escape(row.prompt.positive)}</b>{phrased}: "
        f"similarity {low:+.2f} (clear) to {high:+.2f} (full)"
    )
