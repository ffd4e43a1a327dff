"""Probe box: what lies at the clicked voxel, in numbers and in ranked findings."""

from __future__ import annotations

from html import escape

from qtpy.QtWidgets import QCheckBox, QVBoxLayout, QWidget

from napari_ctclip.core.anatomy import anatomy_label
from napari_ctclip.explanation.probe import Probe
from napari_ctclip.plugin.shell.workbench import Workbench
from napari_ctclip.plugin.widgets.panel_parts import sentence
from napari_ctclip.session.organ_readout import naming_words

__all__ = ["ProbeBox"]

_MOST_FINDINGS = 5
_NOT_ENCODED = "Encode the scan to rank findings for this spot."
_HINT = "Click a voxel: HU, organ and the findings that fit the spot best."


class ProbeBox(QWidget):
    """The read-out of the last click.

    Parameters
    ----------
    workbench : Workbench
        Whose probes it shows.
    parent : QWidget or None
        The panel.
    """

    def __init__(self, workbench: Workbench, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._bench = workbench
        self.armed = QCheckBox("Click probes (Q)")
        self.armed.setToolTip("A click on the picture shows what lies there")
        self.armed.setChecked(workbench.is_probing)
        self.armed.toggled.connect(workbench.set_probing)
        self.text = sentence(_HINT, "Probe", selectable=True)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        layout.addWidget(self.armed)
        layout.addWidget(self.text)
        workbench.probed.connect(self.show_probe)
        workbench.probing_changed.connect(self._show_armed)

    def show_probe(self, probe: Probe, is_ranking: bool = False) -> None:
        """Write a probe; its findings follow if they are still being ranked."""
        z, y, x = probe.index
        where = anatomy_label(probe.anatomy) if probe.anatomy else "no organ mask here"
        lines = [
            f"<b>{escape(where)}</b> at slice {z}, row {y}, column {x}",
            f"{probe.hounsfield} HU; within 5 mm {probe.mean_hounsfield:.0f} "
            f"± {probe.sd_hounsfield:.0f} HU",
        ]
        naming = self._bench.organ_names.namings.get(probe.anatomy)
        if naming is not None:
            lines.append(f"The model calls this organ: {escape(naming_words(naming))}")
        ranked = [
            f"{n}. {escape(f.text)} {f.similarity:+.2f}"
            for n, f in enumerate(probe.findings[:_MOST_FINDINGS], start=1)
        ]
        lines.append(" &nbsp; ".join(ranked) or self._without_findings(is_ranking))
        self.text.setText("<br>".join(lines))

    def _without_findings(self, is_ranking: bool) -> str:
        if is_ranking:
            return "Ranking findings …"
        ready = self._bench.session.is_ready
        return "Outside the body: no findings." if ready else _NOT_ENCODED

    def _show_armed(self, armed: bool) -> None:
        self.armed.setChecked(armed)

    def clear(self) -> None:
        """Forget the last probe."""
        self.text.setText(_HINT)
