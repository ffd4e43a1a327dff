"""Cut dialog: a slider that cuts a prompt's heat to a region, with its size and CT number."""

from __future__ import annotations

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
from napari_ctclip.explanation.cut_region import CutRegion, CutRule, organ_of_focus
from napari_ctclip.explanation.found_regions import DEFAULT_SHARE, heat_at
from napari_ctclip.plugin.prompts.heat_cut import HeatCut
from napari_ctclip.plugin.shell.workbench import Workbench
from napari_ctclip.scoring.answer import Answer
from napari_ctclip.session.findings_session import voxel_of_peak

__all__ = ["CutDialog"]

_LOWEST, _HIGHEST = 5, 98  # percent of the peak; at 100 no voxel but the peak itself is left
_MOST_MM = 50.0


class CutDialog(QDialog):
    """Where to cut the heat of one prompt; the outline in the picture follows the slider.

    Parameters
    ----------
    workbench : Workbench
        What it works on.
    positive : str
        The prompt.
    parent : QWidget or None
        The window it stands over.

    Raises
    ------
    CtClipError
        If the prompt has no answer, or its heat rises above nothing.
    """

    def __init__(self, workbench: Workbench, positive: str, parent: QWidget | None = None) -> None:
        answer = workbench.session.answer_to(positive)
        study = workbench.session.study
        if answer is None or study is None:
            raise CtClipError(f"“{positive}” has no heatmap yet; wait until it is answered")
        peak = _heat_at_peak(study, answer)
        if not peak > 0:  # nor where it is unknown
            raise CtClipError(
                f"“{positive}” is nowhere warmer than its negative: there is no region to cut"
            )
        super().__init__(parent)
        self._bench, self._peak = workbench, peak
        self.heat = HeatCut(workbench, positive)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle("Cut the heat to a region")
        organ = organ_of_focus(study, answer)
        self.slider = QSlider(Qt.Orientation.Horizontal)
        self.slider.setRange(_LOWEST, _HIGHEST)
        self.slider.setValue(round(100 * DEFAULT_SHARE))
        self.slider.setAccessibleName("Cut at, percent of the peak")
        self.slider.setToolTip("Similarity from which a voxel belongs to the region")
        self.cut_at = QLabel()
        self.cut_at.setMinimumWidth(self.fontMetrics().horizontalAdvance("+0.000 (100 %)") + 8)
        name = anatomy_label(organ) if organ else ""
        self.in_organ = QCheckBox(f"Only inside: {name}" if name else "Only inside its organ")
        self.in_organ.setEnabled(bool(name))
        self.in_organ.setToolTip(
            "Leave out what lies outside the organ that the prompt speaks of"
            if name
            else "The prompt speaks of no organ that has a mask"
        )
        self.least = QDoubleSpinBox()
        self.least.setRange(0.0, _MOST_MM)
        self.least.setDecimals(0)
        self.least.setSuffix(" mm")
        self.least.setAccessibleName("Smallest island")
        self.least.setToolTip(
            "Islands that the organ's edge cuts off go if a ball of their volume is thinner"
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
        self._cut()

    def _lay_out(self, positive: str) -> None:
        where = QLabel(f"“{positive}” about its peak, {self._peak:+.3f}")
        where.setTextFormat(Qt.TextFormat.PlainText)
        where.setWordWrap(True)
        at = QHBoxLayout()
        at.addWidget(self.slider, 1)
        at.addWidget(self.cut_at)
        form = QFormLayout()
        form.addRow("Cut at", at)
        form.addRow("", self.in_organ)
        form.addRow("Drop islands under", self.least)
        layout = QVBoxLayout(self)
        layout.addWidget(where)
        layout.addLayout(form)
        layout.addWidget(self.numbers)
        layout.addWidget(self.buttons)
        self.setMinimumWidth(440)

    def _connect(self) -> None:
        session = self._bench.session
        self.slider.valueChanged.connect(self._cut)
        self.in_organ.toggled.connect(self.least.setEnabled)
        self.in_organ.toggled.connect(self._cut)
        self.least.valueChanged.connect(self._cut)
        self.buttons.rejected.connect(self.reject)
        self.make.clicked.connect(lambda: self._bench.guarded(self.heat.keep))
        self.heat.changed.connect(self._show)
        session.answered.connect(self._on_answered)
        session.answer_removed.connect(self._on_answer_removed)
        self.finished.connect(self._on_finished)

    @property
    def rule(self) -> CutRule:
        """What is chosen."""
        inside = self.in_organ.isChecked()
        share = self.slider.value() / 100
        return CutRule(share * self._peak, inside, self.least.value() if inside else 0.0)

    def _cut(self, *_: object) -> None:
        self.cut_at.setText(f"{self.rule.threshold:+.3f} ({self.slider.value()} %)")
        self.make.setEnabled(False)
        self.heat.cut(self.rule)

    def _show(self, found: CutRegion | None, reason: str) -> None:
        self.make.setEnabled(found is not None)
        self.numbers.setText(
            reason
            if found is None
            else f"{found.volume_ml:.2f} ml, mean {found.mean_hounsfield:.0f} HU"
        )

    def _on_answered(self, answer: Answer) -> None:
        study = self._bench.session.study
        if answer.prompt.positive == self.heat.positive and study is not None:
            self._peak = _heat_at_peak(study, answer)
            if self._peak > 0:
                self._cut()
            else:
                self.reject()

    def _on_answer_removed(self, positive: str) -> None:
        if positive == self.heat.positive:
            self.reject()

    def _on_finished(self, *_: object) -> None:
        session = self._bench.session
        session.answered.disconnect(self._on_answered)
        session.answer_removed.disconnect(self._on_answer_removed)
        self.heat.close()


def _heat_at_peak(study: Study, answer: Answer) -> float:
    """Return the heat at the voxel nearest to the peak: a token's centre may lie between voxels."""
    return heat_at(answer.similarity_map, study.volume, voxel_of_peak(study, answer))
