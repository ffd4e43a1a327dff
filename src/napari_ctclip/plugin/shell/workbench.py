"""Workbench: one session with its flows for each viewer, so that panels may close and reopen."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject

from napari_ctclip.explanation.probe import Probe
from napari_ctclip.plugin.canvas._compat import main_window, plain_viewer
from napari_ctclip.plugin.canvas.pointer import Pointer
from napari_ctclip.plugin.canvas.scene import Scene
from napari_ctclip.plugin.canvas.token_ghost import TokenGhost
from napari_ctclip.plugin.canvas.views import Views
from napari_ctclip.plugin.faithfulness.faithfulness_flow import FaithfulnessFlow
from napari_ctclip.plugin.findings.exporting import ExportFlow
from napari_ctclip.plugin.findings.findings_flow import FindingsFlow
from napari_ctclip.plugin.montage.montage_flow import MontageFlow
from napari_ctclip.plugin.prompts.phrasing import PhrasingFlow
from napari_ctclip.plugin.prompts.probe import ProbeFlow
from napari_ctclip.plugin.prompts.prompt_flow import PromptFlow
from napari_ctclip.plugin.prompts.region_flow import RegionFlow
from napari_ctclip.plugin.prompts.slice_navigator import SliceNavigator
from napari_ctclip.plugin.prompts.word_flow import WordFlow
from napari_ctclip.plugin.report.report_flow import ReportFlow
from napari_ctclip.plugin.roi.roi_flow import RoiFlow
from napari_ctclip.plugin.roi.roi_pointer import RoiPointer
from napari_ctclip.plugin.session.autosave_flow import AutosaveFlow
from napari_ctclip.plugin.session.closing import ClosingGuard
from napari_ctclip.plugin.session.session_flow import SessionFlow
from napari_ctclip.plugin.shell.preferences import preferences, preferred_session
from napari_ctclip.plugin.study.organs import OrganNamingFlow
from napari_ctclip.plugin.study.study_flow import StudyFlow
from napari_ctclip.plugin.window.jobs import JobQueue
from napari_ctclip.plugin.window.messages import Messages
from napari_ctclip.plugin.window.window import Window
from napari_ctclip.session.session import Session

if TYPE_CHECKING:
    from napari.viewer import Viewer

    from napari_ctclip.scoring.encoded_study import EncodedStudy

__all__ = ["Workbench", "workbench_of"]

_NAME = "ctclip workbench"


class Workbench(QObject):
    """Everything behind the panel.

    Parameters
    ----------
    viewer : Viewer
        The viewer it works in; it dies with its window.
    session : Session or None
        A new one if None.
    """

    def __init__(self, viewer: Viewer, session: Session | None = None) -> None:
        window = main_window(viewer)
        super().__init__(window)
        self.setObjectName(_NAME)
        self.viewer = viewer
        self.session = session or preferred_session()
        self.messages = Messages()
        self.jobs = JobQueue(self.messages, self)
        self.scene = Scene(viewer)
        self.window = Window(self.session, self.jobs, self.scene, self.messages)
        self.prompts = PromptFlow(self.window)
        self.prompts.model_name = preferences().model
        self.phrasing = PhrasingFlow(self.window, self.prompts)
        self.regions = RegionFlow(self.window)
        self.probe = ProbeFlow(self.window)
        self.words = WordFlow(self.window, look_at=self.probe.look_at)
        self.studies = StudyFlow(self.window)
        self.organ_names = OrganNamingFlow(self.window)
        self.montages = MontageFlow(self.window)
        self.findings = FindingsFlow(self.window)
        self.exports = ExportFlow(
            self.window,
            findings=self.findings.kept,
            model_name=lambda: self.prompts.model_name,
        )
        self.pointer = Pointer(self.scene, self.probe.on_click)
        self.pointer.attach(viewer)
        self.views = Views(self.scene, pointer=self.pointer, parent=self)
        self.report = ReportFlow(
            self.window,
            encode=self.prompts.encode,
            scan_key=lambda: self.findings.kept.scan_key,
        )
        self.sessions = SessionFlow(
            self.window,
            views=self.views,
            studies=self.studies,
            prompts=self.prompts,
            findings=self.findings,
            report=self.report,
        )
        self.autosave = AutosaveFlow(self.sessions, messages=self.messages, parent=self)
        self.faithfulness = FaithfulnessFlow(self.window)
        self.roi = RoiFlow(
            self.window, prompts=lambda: [row.prompt for row in self.prompts.state.rows]
        )
        self.prompts.state.changed.connect(self.roi.rank_prompts)
        self.studies.study_opened.connect(self.prompts.study_changed)
        self.studies.study_opened.connect(self.probe.forget)
        self.slices = SliceNavigator(
            self.window, state=self.prompts.state, go_to=self.probe.look_at, parent=self
        )
        self.drawing = RoiPointer(self.window, self.roi)
        self.pointer.tools.append(self.drawing.drag)
        self.ghost = TokenGhost(self.scene, self.views)
        self.pointer.hovered.connect(self.ghost.move_to)
        self.probe.probed.connect(self._move_ghost)
        self.session.encoding_changed.connect(self._give_tokens)
        if window is not None:
            self.closing = ClosingGuard(
                viewer,
                window,
                sessions=self.sessions,
                autosave=self.autosave,
                messages=self.messages,
            )
            window.destroyed.connect(self.jobs.close)
            window.destroyed.connect(self.autosave.close)

    def guarded(self, action: Callable[[], Any]) -> None:
        """Run a GUI action; what it raises is shown as one line."""
        self.window.guarded(action)

    def _move_ghost(self, probe: Probe, is_ranking: bool) -> None:
        self.ghost.move_to(probe.index)

    def _give_tokens(self, encoding: EncodedStudy | None) -> None:
        self.ghost.set_grid(None if encoding is None else encoding.scan.token_geometry)


def workbench_of(viewer: Viewer, session: Session | None = None) -> Workbench:
    """Return the viewer's workbench, made on first use."""
    viewer = plain_viewer(viewer)
    window = main_window(viewer)
    found = None if window is None else window.findChild(Workbench, _NAME)
    if found is None:
        found = Workbench(viewer, session)
        found.studies.adopt_existing()
    return found
