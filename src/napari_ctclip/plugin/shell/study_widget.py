"""Study widget: the dock panel: the tabs over a status strip."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QEvent, QSize, Qt
from qtpy.QtWidgets import QGroupBox, QTabWidget, QVBoxLayout, QWidget

from napari_ctclip.core.region import Region
from napari_ctclip.plugin.faithfulness.faithfulness_tab import FaithfulnessTab
from napari_ctclip.plugin.findings.export_dialog import ExportDialog
from napari_ctclip.plugin.findings.findings_tab import FindingsTab
from napari_ctclip.plugin.model.model_tab import ModelTab
from napari_ctclip.plugin.montage.montage_tab import MontageTab
from napari_ctclip.plugin.prompts.explore_tab import ExploreFlows, ExploreTab
from napari_ctclip.plugin.prompts.heatmap_controls import HeatmapLegend
from napari_ctclip.plugin.report.report_tab import ReportTab
from napari_ctclip.plugin.roi.roi_tab import RoiTab
from napari_ctclip.plugin.session.session_controls import RecoveryBox, SessionButtons
from napari_ctclip.plugin.shell.keys import bind_keys, unbind_keys
from napari_ctclip.plugin.shell.preferences import follow_preferences
from napari_ctclip.plugin.shell.workbench import workbench_of
from napari_ctclip.plugin.study.data_tab import DataTab
from napari_ctclip.plugin.widgets.keyboard import FocusRing
from napari_ctclip.plugin.widgets.panel_parts import scrolled
from napari_ctclip.plugin.window.status_strip import StatusStrip

if TYPE_CHECKING:
    from napari.viewer import Viewer

    from napari_ctclip.session.session import Session

__all__ = ["StudyWidget"]


class StudyWidget(QWidget):
    """The panel "CT-CLIP".

    Parameters
    ----------
    napari_viewer : Viewer
        The viewer it is docked in.
    session : Session or None
        A session to work on; the viewer's own if None.
    """

    def __init__(self, napari_viewer: Viewer, session: Session | None = None) -> None:
        super().__init__()
        self.setObjectName("ctclip panel")
        self.workbench = bench = workbench_of(napari_viewer, session)
        self.tabs = QTabWidget()
        self.explore = ExploreTab(
            bench.window,
            ExploreFlows(
                prompts=bench.prompts,
                phrasing=bench.phrasing,
                words=bench.words,
                probe=bench.probe,
                studies=bench.studies,
                organ_names=bench.organ_names,
                views=bench.views,
            ),
            export=self._show_export,
            keep=bench.findings.keep_region,
        )
        self._make_tabs()
        tabs = (
            ("Explore", self.explore),
            ("ROI", self.roi),
            ("Report", self.report),
            ("Montage", self.montage),
            ("Findings", _stacked(self.recovery, self.findings, self.session_buttons)),
            ("Faithfulness", _stacked(self.heatmap_meaning, self.faithfulness)),
            ("Data", self.data),
            ("Model", self.model),
        )
        for title, tab in tabs:
            area = scrolled(tab)
            area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
            area.setAccessibleName(f"{title}, to be scrolled")
            self.tabs.addTab(area, title)
        self.status = StatusStrip(self.workbench.jobs, messages=self.workbench.messages)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(4, 4, 4, 4)
        layout.addWidget(self.tabs, 1)
        layout.addWidget(self.status)
        self.setMinimumWidth(490)  # all tabs stand whole
        if self.workbench.session.study is None:
            self.tabs.setCurrentIndex([title for title, _ in tabs].index("Data"))
        self.workbench.studies.study_opened.connect(self._show_explore)
        bind_keys(self.workbench, self.explore)
        follow_preferences(self)
        self.ring = FocusRing(self, napari_viewer)

    def sizeHint(self) -> QSize:
        """Return the size the mock has."""
        return QSize(460, 860)

    def event(self, event: QEvent | None) -> bool:
        """Stop slow work when napari takes the panel out of its dock."""
        if (
            event is not None
            and event.type() == QEvent.Type.ParentChange
            and self.parent() is None
            and hasattr(self, "workbench")
        ):
            self.workbench.jobs.cancel()
            unbind_keys(self.workbench)
        return bool(super().event(event))

    def _make_tabs(self) -> None:
        """Make the tabs, each with its own flow, and connect those that need each other."""
        bench, window = self.workbench, self.workbench.window
        selected_prompt = self.explore.selected_prompt
        self.data = DataTab(window, bench.studies, organ_names=bench.organ_names)
        self.model = ModelTab(window, bench.prompts.load_model)
        self.report = ReportTab(window, bench.report, words=bench.words)
        self.montage = MontageTab(
            window, bench.montages, model_name=lambda: bench.prompts.model_name
        )
        self.findings = FindingsTab(
            window,
            bench.findings,
            exports=bench.exports,
            selected_prompt=selected_prompt,
            probed=lambda: bench.probe.index,
        )
        self.recovery = RecoveryBox(bench.autosave, messages=bench.messages)
        self.session_buttons = SessionButtons(bench.sessions, messages=bench.messages)
        self.roi = RoiTab(
            window,
            bench.roi,
            pointer=bench.drawing,
            selected_finding=self.findings.selected_with_region,
        )
        self.heatmap_legend = HeatmapLegend(
            bench.session, state=bench.prompts.state, ghost=bench.ghost
        )
        self.heatmap_meaning = _titled("What the heatmap means", self.heatmap_legend)
        self.faithfulness = FaithfulnessTab(
            window,
            bench.faithfulness,
            selected_prompt=selected_prompt,
            selected_region=self.findings.selected_region,
            probed=lambda: bench.probe.index,
        )
        self.report.queried.connect(self._query)
        self.roi.queried.connect(self._query)
        self.roi.accepted.connect(self._accept)
        self.report.chosen.connect(self._look_at)
        self.findings.chosen.connect(self._look_at)
        bench.probe.probed.connect(self.roi.follow_probe)
        bench.probe.probed.connect(self.faithfulness.refresh_cost)

    def _show_export(self) -> None:
        bench = self.workbench
        ExportDialog(bench.window, bench.exports, parent=self.window()).show()

    def _query(self, text: str) -> None:
        bench = self.workbench
        bench.guarded(lambda: bench.prompts.add(text))

    def _look_at(self, index: tuple[int, int, int]) -> None:
        bench = self.workbench
        bench.guarded(lambda: bench.probe.look_at(index))

    def _accept(self, region: Region, text: str) -> None:
        findings = self.workbench.findings
        self.workbench.guarded(lambda: findings.accept(region, title=text, positive=text))

    def _show_explore(self) -> None:
        if self.workbench.session.study is not None:
            self.tabs.setCurrentIndex(0)


def _stacked(above: QWidget, tab: QWidget, below: QWidget | None = None) -> QWidget:
    """Return a tab with parts of other rooms above and below it."""
    stack = QWidget()
    layout = QVBoxLayout(stack)
    layout.setContentsMargins(0, 0, 0, 0)
    layout.setSpacing(0)
    layout.addWidget(above)
    layout.addWidget(tab, 1)
    if below is not None:
        layout.addWidget(below)
    return stack


def _titled(title: str, part: QWidget) -> QGroupBox:
    """Return a part under a title."""
    box = QGroupBox(title)
    layout = QVBoxLayout(box)
    layout.setContentsMargins(6, 4, 6, 4)
    layout.addWidget(part)
    return box
