"""Follow-up flow: a prior scan beside the open one, queried alike, and moving with it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from psygnal import Signal

from napari_ctclip.core.errors import CtClipError
from napari_ctclip.core.notice import Notice
from napari_ctclip.plugin.canvas.scene import Scene
from napari_ctclip.plugin.follow_up.linked_views import LinkedViews
from napari_ctclip.plugin.prompts.probe import ProbeFlow
from napari_ctclip.plugin.prompts.prompt_flow import PromptFlow
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
    window : Window
        Of the current scan; the prior takes its jobs, messages and model.
    viewer : ViewerModel
        Where the prior is drawn.
    prompts, studies, probe : PromptFlow, StudyFlow, ProbeFlow
        Of the current scan: its prompts, how it was opened, and its probe.
    """

    changed = Signal()
    """Answers of the prior came, or went."""
    linked = Signal()
    """The scans were linked, or no longer are."""

    def __init__(
        self,
        window: Window,
        viewer: ViewerModel,
        *,
        prompts: PromptFlow,
        studies: StudyFlow,
        probe: ProbeFlow,
    ) -> None:
        self._current, self._current_prompts = window, prompts
        current = window.session
        self.session = Session(cache=current.cache, device=current.device)
        self.scene = Scene(viewer)
        self.window = Window(self.session, window.jobs, self.scene, window.messages)
        self.prompts = PromptFlow(self.window)
        self.studies = StudyFlow(self.window)
        self.studies.makes_masks_at_once = studies.makes_masks_at_once
        self.pair = FollowUp(current, self.session)
        self.views = LinkedViews(window, self.scene, pair=self.pair, probe=probe)
        self._wired: list[tuple[Any, Callable[..., Any]]] = []
        for signal, slot in (
            (self.session.masks_changed, self._link),
            (current.masks_changed, self._link),
            (current.model_changed, self._query_all),
            (prompts.answered, self._query),
            (current.answer_removed, self._forget),
            (self.session.answer_removed, self._emit_changed),
            (self.prompts.answered, self._emit_changed),
            (self.studies.study_opened, self._on_prior_opened),
            (prompts.state.changed, self._share_heatmaps),
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
        self._current.jobs.reconsider()

    def _on_prior_opened(self) -> None:
        self.views.watch_window()
        self._share_heatmaps()
        self._query_all()

    # --- prompts --------------------------------------------------------------------------------

    def _query_all(self, *_: object) -> None:
        for row in self._current_prompts.state.rows:
            if row.answer is not None:
                self._query(row.prompt.positive)

    def _query(self, positive: str) -> None:
        """Query the prior for what the current scan has answered, by the same model."""
        row, model = self._current_prompts.state.find(positive), self._current.session.model
        if row is None or row.answer is None or model is None or self.session.study is None:
            return
        if self.session.model is not model:
            self.session.device = self._current.session.device
            self.session.set_model(model)
            self._current.jobs.reconsider()
        known = self.prompts.state.find(positive)
        if known is None or known.prompt != row.prompt or known.answer is None:
            self.prompts.state.add(row.prompt, colour=row.colour, shown=row.shown)
            self.prompts.advance(wanted=True)
        self._emit_changed()

    def _forget(self, positive: str) -> None:
        self.prompts.remove(positive)
        self._emit_changed()

    def _emit_changed(self, *_: object) -> None:
        self.changed.emit()

    def _share_heatmaps(self) -> None:
        """Show the same heatmaps in the same range as the current scan does."""
        state, now = self.prompts.state, self._current_prompts.state.resolved
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

        self._current.jobs.submit(
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
