"""Follow-up flow: a prior scan beside the open one, asked the same, and moving with it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from psygnal import Signal

from napari_ctclip.core.errors import CtClipError
from napari_ctclip.core.notice import Notice
from napari_ctclip.plugin.canvas.linked_views import LinkedViews
from napari_ctclip.plugin.canvas.scene import Scene
from napari_ctclip.plugin.prompts.prompt_flow import PromptFlow
from napari_ctclip.plugin.shell.workbench import Workbench
from napari_ctclip.plugin.study.study_flow import StudyFlow
from napari_ctclip.plugin.window.jobs import Job
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
        self.prompts = PromptFlow(self.session, **parts)
        self.studies = StudyFlow(self.session, **parts)
        self.studies.makes_masks_at_once = bench.studies.makes_masks_at_once
        self.pair = FollowUp(bench.session, self.session)
        self.views = LinkedViews(bench, self.scene, self.pair)
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
            (bench.scene.heat_shown, self._show_heat),
            (bench.scene.heat_range_changed, self._share_heat_range),
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
        self._ask_all()

    # --- prompts --------------------------------------------------------------------------------

    def _ask_all(self, *_: object) -> None:
        for row in self._bench.prompts.table.rows:
            if row.answer is not None:
                self._ask(row.prompt.positive)

    def _ask(self, positive: str) -> None:
        """Ask the prior what the current scan has answered, by the same model."""
        row, model = self._bench.prompts.table.find(positive), self._bench.session.model
        if row is None or row.answer is None or model is None or self.session.study is None:
            return
        if self.session.model is not model:
            self.session.device = self._bench.session.device
            self.session.set_model(model)
            self._bench.jobs.reconsider()
        known = self.prompts.table.find(positive)
        if known is None or known.prompt != row.prompt or known.answer is None:
            self.prompts.table.add(row.prompt)
            self.prompts.table.change(positive, colour=row.colour, shown=row.shown)
            self.prompts.advance(wanted=True)
        self._tell_changed()

    def _forget(self, positive: str) -> None:
        self.prompts.remove(positive)
        self._tell_changed()

    def _tell_changed(self, *_: object) -> None:
        self.changed.emit()

    def _show_heat(self, positive: str, shown: bool) -> None:
        row = self.prompts.table.find(positive)
        if row is not None and row.shown != shown:
            self.prompts.set_shown(positive, shown)

    def _share_heat_range(self) -> None:
        self.scene.heat_range_is_chosen = True
        self.scene.set_heat_range(*self._bench.scene.heat_range)

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
