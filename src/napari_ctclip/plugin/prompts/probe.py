"""Probe: what lies at the clicked voxel: read out, marked in the picture, written in the panel."""

from __future__ import annotations

from html import escape

from psygnal import Signal
from qtpy.QtWidgets import QCheckBox, QVBoxLayout, QWidget

from napari_ctclip.core.anatomy import anatomy_label
from napari_ctclip.explanation.probe import Probe, probe_at
from napari_ctclip.plugin.study.organs import OrganNamingFlow
from napari_ctclip.plugin.widgets.panel_parts import sentence
from napari_ctclip.plugin.window.jobs import Job
from napari_ctclip.plugin.window.window import Window
from napari_ctclip.session.organ_readout import naming_words

__all__ = ["ProbeBox", "ProbeFlow"]

Index = tuple[int, int, int]

_MOST_FINDINGS = 5
_NOT_ENCODED = "Encode the scan to rank findings for this point."
_HINT = "Click a voxel: HU, organ and the findings that fit the point best."


class ProbeFlow:
    """The probe of a window, which clicks move while it is armed.

    Parameters
    ----------
    window : Window
        Whose scan is probed.
    """

    probed = Signal(Probe, bool)
    """What lies at the probed voxel, and whether its findings are still being ranked."""
    armed_changed = Signal(bool)
    """Whether clicks probe."""

    def __init__(self, window: Window) -> None:
        self._window = window
        self.is_armed = True
        self.index: Index | None = None
        """The voxel (z, y, x) of the open scan that was probed last."""

    def set_armed(self, armed: bool) -> None:
        """Let clicks probe, or not."""
        if armed != self.is_armed:
            self.is_armed = armed
            self.armed_changed.emit(armed)

    def at(self, index: Index) -> None:
        """Show what lies at a voxel of the scan; findings follow, ranked in the background.

        Raises
        ------
        DataError
            If the voxel lies outside the scan.
        """
        session = self._window.session
        study = session.study
        if study is None:
            return
        self.index = index
        found = probe_at(study, index, token_index=None, prompts=())
        self._show(found, session.is_ready)
        if session.is_ready:
            self._window.jobs.submit(
                Job(
                    "Ranking findings for this point",
                    lambda progress, should_stop: session.probe(index),
                    self._show,
                    still_wanted=lambda: session.is_ready and self.index == index,
                )
            )

    def look_at(self, index: Index) -> None:
        """Turn every plane to a voxel of the scan, and probe there."""
        self._window.scene.go_to(index)
        self.at(index)

    def on_click(self, index: Index) -> None:
        """Turn every plane to the voxel that was clicked, and probe there while armed."""
        self._window.scene.turn_to(index)
        if self.is_armed:
            self._window.guarded(lambda: self.at(index))

    def forget(self) -> None:
        """Forget the voxel: another scan is open."""
        self.index = None

    def _show(self, found: Probe, is_ranking: bool = False) -> None:
        where = anatomy_label(found.anatomy) if found.anatomy else "no organ mask"
        self._window.scene.mark(found.index)
        self._window.scene.texts.set_reading(f"{found.hounsfield} HU, {where}")
        self.probed.emit(found, is_ranking)


class ProbeBox(QWidget):
    """The read-out of the last click.

    Parameters
    ----------
    window : Window
        Whose scan is probed.
    flow : ProbeFlow
        The probe that it shows.
    organ_names : OrganNamingFlow
        What the model calls each organ.
    parent : QWidget or None
        The panel.
    """

    def __init__(
        self,
        window: Window,
        flow: ProbeFlow,
        *,
        organ_names: OrganNamingFlow,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._window, self._organ_names = window, organ_names
        self.armed = QCheckBox("Click probes (Q)")
        self.armed.setToolTip("A click on the picture shows what lies there")
        self.armed.setChecked(flow.is_armed)
        self.armed.toggled.connect(flow.set_armed)
        self.text = sentence(_HINT, "Probe", selectable=True)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        layout.addWidget(self.armed)
        layout.addWidget(self.text)
        flow.probed.connect(self.show_probe)
        flow.armed_changed.connect(self._show_armed)

    def show_probe(self, probe: Probe, is_ranking: bool = False) -> None:
        """Write a probe; its findings follow if they are still being ranked."""
        z, y, x = probe.index
        where = anatomy_label(probe.anatomy) if probe.anatomy else "no organ mask here"
        lines = [
            f"<b>{escape(where)}</b> at slice {z}, row {y}, column {x}",
            f"{probe.hounsfield} HU; within 5 mm {probe.mean_hounsfield:.0f} "
            f"± {probe.sd_hounsfield:.0f} HU",
        ]
        naming = self._organ_names.namings.get(probe.anatomy)
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
        ready = self._window.session.is_ready
        return "Outside the body: no findings." if ready else _NOT_ENCODED

    def _show_armed(self, armed: bool) -> None:
        self.armed.setChecked(armed)

    def clear(self) -> None:
        """Forget the last probe."""
        self.text.setText(_HINT)
