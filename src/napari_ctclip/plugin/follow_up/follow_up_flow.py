"""Follow-up flow: a prior scan beside the open one, asked the same, and moving with it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from psygnal import Signal

from napari_ctclip.core.errors import CtClipError
from napari_ctclip.core.notice import Notice
from napari_ctclip.plugin.canvas.scene import Scene
from napari_ctclip.plugin.follow_up.linked_views import LinkedViews
from napari_ctclip.plugin.prompts.prompt_flow import PromptFlow
from napari_ctclip.plugin.shell.workbench import Workbench
from napari_ctclip.plugin.study.study_flow import StudyFlow
from napari_ctclip.plugin.window.jobs import Job
from napari_ctclip.plugin.window.window import Window
from napari_ctclip.regions.correspondence import Correspondence
from napari_ctclip.session.follow_up import FollowUp
from napari_ctclip.session.session import Session

if TYPE_CHECKING:
    from napari.components import ViewerModel

__all__ = ["FollowUpFlow"]


class FollowUpFlow:
    """What happens to the prior scan.

    Parameters
    ----------
    workbench : Workbench
        Of the current scan; the prior takes its jobs, messages, model and prompts.
    viewer : ViewerModel
        Where the prior is drawn.
    """

    changed = Signal()
    """Answers of the prior came, or went."""
    linked = Signal()
    """The scans were linked, or no longer are."""

    def __init__(self, workbench: Workbench, viewer: ViewerModel) -> None:
        self._bench = bench = workbench
        self.session = Session(cache=bench.session.cache, device=bench.session.device)
        self.scene = Scene(viewer)
        parts: dict[str, Any] = {
            "jobs": bench.jobs,
            "scene": self.scene,
            "messages": bench.messages,
        }
        self.window = Window(self.session, bench.jobs, self.scene, bench.messages)
        self.prompts = PromptFlow(self.window)
        self.studies = StudyFlow(self.session, **parts)
        self.studies.makes_masks_at_once = bench.studies.makes_masks_at_once
        self.pair = FollowUp(bench.session, self.session)
        self.views = LinkedViews(bench.window, self.scene, pair=self.pair, probe=bench.probe)
        self._wired: list[tuple[Any, Callable[..., Any]]] = []
        for signal, slot in (
            (self.session.masks_changed, self._link),
            (bench.session.masks_changed, self._link),
            (bench.session.model_changed, self._ask_all),
            (bench.prompts.answered, self._ask),
            (bench.session.answer_removed, self._forget),
            (self.session.answer_removed, self._tell_changed),
            (self.prompts.answered, self._tell_changed),
            (self.studies.study_opened, self._on_prior_opened),
            (bench.prompts.state.changed, self._share_heatmaps),
        ):
            signal.connect(slot)
            self._wired.append((signal, slot))

    @property
    def notices(self) -> tuple[Notice, ...]:
        """What the user should know about the link."""
        return self.pair.notices

    def close(self) -> None:
        """Let go of the current scan's window."""
        for signal, slot in self._wired:
            signal.disconnect(slot)
        self._wired.clear()
        self.views.close()
        self.studies.let_go()
        self.session.set_study(None)
        self._bench.jobs.reconsider()

    def _on_prior_opened(self) -> None:
        self.views.watch_window()
        self._share_heatmaps()
        self._ask_all()

    # --- prompts --------------------------------------------------------------------------------

    def _ask_all(self, *_: object) -> None:
        for row in self._bench.prompts.state.rows:
            if row.answer is not None:
                self._ask(row.prompt.positive)

    def _ask(self, positive: str) -> None:
        """Ask the prior what the current scan has answered, by the same model."""
        row, model = self._bench.prompts.state.find(positive), self._bench.session.model
        if row is None or row.answer is None or model is None or self.session.study is None:
            return
        if self.session.model is not model:
            self.session.device = self._bench.session.device
            self.session.set_model(model)
            self._bench.jobs.reconsider()
        known = self.prompts.state.find(positive)
        if known is None or known.prompt != row.prompt or known.answer is None:
            self.prompts.state.add(row.prompt, colour=row.colour, shown=row.shown)
            self.prompts.advance(wanted=True)
        self._tell_changed()

    def _forget(self, positive: str) -> None:
        self.prompts.remove(positive)
        self._tell_changed()

    def _tell_changed(self, *_: object) -> None:
        self.changed.emit()

    def _share_heatmaps(self) -> None:
        """Show the same heatmaps in the same range as the current scan does."""
        state, now = self.prompts.state, self._bench.prompts.state.resolved
        with state.at_once():
            state.choose_range(*now.heatmap_range)
            for row in now.rows:
                state.set_shown(row.prompt.positive, row.shown)

    # --- the link -------------------------------------------------------------------------------

    def _link(self, *_: object) -> None:
        """Link the scans anew: organ masks of one of them changed."""
        self.pair.set_link(None)
        self.linked.emit()
        pair = self.pair
        studies = (pair.current.study, pair.prior.study)
        if any(study is None or study.organ_masks is None for study in studies):
            return

        def work(progress: Any, should_stop: Any) -> Correspondence:
            return pair.compute_link()

        def done(link: Correspondence) -> None:
            pair.set_link(link)
            self.linked.emit()
            self.views.follow_current()
            self.changed.emit()

        def wanted() -> bool:
            return bool(self._wired) and studies == (pair.current.study, pair.prior.study)

        self._bench.jobs.submit(
            Job("Linking the scans by their organs", work, done, still_wanted=wanted)
        )

    def require_prior(self) -> None:
        """Pass once there is a prior scan.

        Raises
        ------
        CtClipError
            If there is none.
        """
        if self.session.study is None:
            raise CtClipError("No prior scan is open: open one here first.")
