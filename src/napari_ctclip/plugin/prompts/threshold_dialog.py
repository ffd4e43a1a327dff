"""Threshold dialog: a slider turns a prompt's heatmap into a region, with size and CT number."""

from __future__ import annotations

from collections.abc import Callable

from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QCheckBox,
    QDialog,
    QDialogButtonBox,
    QDoubleSpinBox,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QSlider,
    QVBoxLayout,
    QWidget,
)

from napari_ctclip.core.anatomy import anatomy_label
from napari_ctclip.core.errors import CtClipError
from napari_ctclip.core.study import Study
from napari_ctclip.explanation.found_regions import (
    DEFAULT_SHARE,
    CutRegion,
    CutRule,
    heat_at,
    organ_of_focus,
)
from napari_ctclip.plugin.prompts.threshold_region import ThresholdRegion
from napari_ctclip.plugin.window.window import Window
from napari_ctclip.scoring.answer import Answer
from napari_ctclip.session.findings_session import voxel_of_peak

__all__ = ["ThresholdDialog"]

_LOWEST, _HIGHEST = 5, 98  # percent of the peak; at 100 no voxel but the peak itself is left
_MOST_MM = 50.0


class ThresholdDialog(QDialog):
    """The threshold of one prompt's heatmap; the outline in the picture follows the slider.

    Parameters
    ----------
    window : Window
        Whose answer it works on.
    positive : str
        The prompt.
    keep : callable
        Makes a finding of a region and a prompt.
    parent : QWidget or None
        The window it stands over.

    Raises
    ------
    CtClipError
        If the prompt has no answer, or its similarity is nowhere above 0.
    """

    def __init__(
        self,
        window: Window,
        positive: str,
        *,
        keep: Callable[[CutRegion, str], None],
        parent: QWidget | None = None,
    ) -> None:
        session = window.session
        answer, study = session.answer_to(positive), session.study
        if answer is None or study is None:
            raise CtClipError(f"“{positive}” has no heatmap yet; wait until it is answered")
        peak = _similarity_at_peak(study, answer)
        if not peak > 0:  # nor where it is unknown
            raise CtClipError(
                f"“{positive}” is nowhere more similar than its negative: no region to outline"
            )
        super().__init__(parent)
        self._window, self._peak, self._keep = window, peak, keep
        self.outlined = ThresholdRegion(window, positive)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle("Region above a threshold")
        organ = organ_of_focus(study, answer)
        self.slider = QSlider(Qt.Orientation.Horizontal)
        self.slider.setRange(_LOWEST, _HIGHEST)
        self.slider.setValue(round(100 * DEFAULT_SHARE))
        self.slider.setAccessibleName("Threshold, percent of the peak")
        self.slider.setToolTip("Similarity from which a voxel belongs to the region")
        self.threshold = QLabel()
        self.threshold.setMinimumWidth(self.fontMetrics().horizontalAdvance("+0.000 (100 %)") + 8)
        name = anatomy_label(organ) if organ else ""
        self.in_organ = QCheckBox(f"Only inside: {name}" if name else "Only inside its organ")
        self.in_organ.setEnabled(bool(name))
        self.in_organ.setToolTip(
            "Leave out what lies outside the organ that the prompt names"
            if name
            else "The prompt names no organ that has a mask"
        )
        self.least = QDoubleSpinBox()
        self.least.setRange(0.0, _MOST_MM)
        self.least.setDecimals(0)
        self.least.setPrefix("sphere, ")
        self.least.setSuffix(" mm")
        self.least.setAccessibleName("Minimum component volume, as the diameter of a sphere")
        self.least.setToolTip(
            "Drop components, separated at the organ's edge, with less volume than this sphere"
        )
        self.least.setEnabled(False)
        self.numbers = QLabel()
        self.numbers.setWordWrap(True)
        self.numbers.setAccessibleName("Region")
        self.buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        made = self.buttons.addButton("Make finding", QDialogButtonBox.ButtonRole.ActionRole)
        assert made is not None
        self.make = made
        self.make.setToolTip("Keep the region in the Findings tab")
        self._lay_out(positive)
        self._connect()
        self._apply()

    def _lay_out(self, positive: str) -> None:
        where = QLabel(f"“{positive}” about its peak, {self._peak:+.3f}")
        where.setTextFormat(Qt.TextFormat.PlainText)
        where.setWordWrap(True)
        at = QHBoxLayout()
        at.addWidget(self.slider, 1)
        at.addWidget(self.threshold)
        form = QFormLayout()
        form.addRow("Threshold", at)
        form.addRow("", self.in_organ)
        form.addRow("Minimum component volume", self.least)
        layout = QVBoxLayout(self)
        layout.addWidget(where)
        layout.addLayout(form)
        layout.addWidget(self.numbers)
        layout.addWidget(self.buttons)
        self.setMinimumWidth(440)

    def _connect(self) -> None:
        session = self._window.session
        self.slider.valueChanged.connect(self._apply)
        self.in_organ.toggled.connect(self.least.setEnabled)
        self.in_organ.toggled.connect(self._apply)
        self.least.valueChanged.connect(self._apply)
        self.buttons.rejected.connect(self.reject)
        self.make.clicked.connect(lambda: self._window.guarded(self._make_finding))
        self.outlined.changed.connect(self._show)
        session.answered.connect(self._on_answered)
        session.answer_removed.connect(self._on_answer_removed)
        self.finished.connect(self._on_finished)

    @property
    def rule(self) -> CutRule:
        """What is chosen."""
        inside = self.in_organ.isChecked()
        share = self.slider.value() / 100
        return CutRule(share * self._peak, inside, self.least.value() if inside else 0.0)

    def _apply(self, *_: object) -> None:
        self.threshold.setText(f"{self.rule.threshold:+.3f} ({self.slider.value()} %)")
        self.make.setEnabled(False)
        self.outlined.apply(self.rule)

    def _make_finding(self) -> None:
        self._keep(self.outlined.require(), self.outlined.positive)

    def _show(self, found: CutRegion | None, reason: str) -> None:
        self.make.setEnabled(found is not None)
        self.numbers.setText(
            reason
            if found is None
            else f"{found.volume_ml:.2f} ml, mean {found.mean_hounsfield:.0f} HU"
        )

    def _on_answered(self, answer: Answer) -> None:
        study = self._window.session.study
        if answer.prompt.positive == self.outlined.positive and study is not None:
            self._peak = _similarity_at_peak(study, answer)
            if self._peak > 0:
                self._apply()
            else:
                self.reject()

    def _on_answer_removed(self, positive: str) -> None:
        if positive == self.outlined.positive:
            self.reject()

    def _on_finished(self, *_: object) -> None:
        session = self._window.session
        session.answered.disconnect(self._on_answered)
        session.answer_removed.disconnect(self._on_answer_removed)
        self.outlined.close()


def _similarity_at_peak(study: Study, answer: Answer) -> float:
    """Return the similarity at the voxel nearest to the peak, which may lie between voxels."""
    return heat_at(answer.similarity_map, study.volume, voxel_of_peak(study, answer))
