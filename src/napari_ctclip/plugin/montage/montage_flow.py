"""Montage flow: from prompts to a montage: patches encoded once, then ranked."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from napari_ctclip.core.errors import CtClipError
from napari_ctclip.core.volume import Window as DisplayWindow
from napari_ctclip.plugin.window.jobs import Job, Progress, StopRequested
from napari_ctclip.plugin.window.window import Window
from napari_ctclip.regions.ranking import MontageLayout
from napari_ctclip.session.montage_session import (
    MontageSession,
    PreparedPatches,
    RankedPatches,
)

if TYPE_CHECKING:
    from napari_ctclip.regions.patches import PatchPlan
    from napari_ctclip.scoring.patch_scores import PatchPrompts

__all__ = ["MontageFlow"]


class MontageFlow:
    """What the Montage tab asks for, done in the background.

    Parameters
    ----------
    window : Window
        Whose study it is.
    """

    def __init__(self, window: Window) -> None:
        self.montages = MontageSession(window.session)
        self._session, self._jobs, self._messages = window.session, window.jobs, window.messages
        self._wanted: tuple[PatchPlan, PatchPrompts] | None = None

    def find(self, plan: PatchPlan, prompts: PatchPrompts) -> None:
        """Show the patches that look like the prompts; those encoded already are only ranked.

        Raises
        ------
        CtClipError
            If no study is open.
        """
        self._session.open_study()
        self._wanted = plan, prompts
        prepared = self._usable(plan)
        if prepared is None:
            self._jobs.submit(self._encoding_job(plan, prompts))
        else:
            self._jobs.submit(self._ranking_job(prepared, prompts))

    def set_layout(self, layout: MontageLayout) -> None:
        """Show the same ranking in another number or grid, at once."""
        self.montages.set_layout(layout)

    def classify(self, task: str) -> None:
        """Classify the shown montage by a task set, a shipped one or a file's.

        Raises
        ------
        CtClipError
            If there is no montage, or no such task set.
        """
        from napari_ctclip.evaluation.task_files import read_tasks

        montages, montage, tasks = self.montages, self.montages.montage, read_tasks(task)
        if montage is None:
            raise CtClipError("Nothing to classify yet: find patches first.")
        self._jobs.submit(
            Job(
                "Classifying the montage",
                lambda progress, should_stop: montages.compute_classes(tasks),
                montages.set_classes,
                still_wanted=lambda: montages.montage is montage,
            )
        )

    def export(self, folder: Path, *, window: DisplayWindow) -> None:
        """Write the montage, its table and what it depends on.

        Raises
        ------
        CtClipError
            If there is no montage.
        """
        if self.montages.montage is None:
            raise CtClipError("Nothing to export yet: find patches first.")

        def work(progress: Progress, should_stop: StopRequested) -> int:
            from napari_ctclip.session.patch_files import write_patches

            return len(write_patches(self.montages, folder, window=window))

        def done(count: int) -> None:
            self._messages.info(f"{count} files are written to {folder}.")

        self._jobs.submit(Job(f"Writing to {folder.name}", work, done))

    def _usable(self, plan: PatchPlan) -> PreparedPatches | None:
        """Return the encoded patches if they are those of this plan and model."""
        prepared = self.montages.prepared
        if prepared is None or prepared.patches.grid.plan != plan:
            return None
        return prepared if prepared.model is self.montages.loaded_model else None

    def _encoding_job(self, plan: PatchPlan, prompts: PatchPrompts) -> Job:
        montages, study = self.montages, self._session.study

        def work(
            progress: Progress, should_stop: StopRequested
        ) -> tuple[PreparedPatches, RankedPatches]:
            prepared = montages.compute_patches(plan, montages.session.work(progress, should_stop))
            return prepared, montages.compute_ranking(prompts, of=prepared)

        def done(found: tuple[PreparedPatches, RankedPatches]) -> None:
            prepared, ranked = found
            montages.set_patches(prepared)
            for notice in prepared.patches.notices:
                self._messages.warning(notice.message)
            self._show(ranked)

        return Job(
            "Encoding patches",
            work,
            done,
            still_wanted=lambda: self._session.study is study and self._wanted == (plan, prompts),
        )

    def _ranking_job(self, prepared: PreparedPatches, prompts: PatchPrompts) -> Job:
        montages = self.montages
        return Job(
            "Ranking patches",
            lambda progress, should_stop: montages.compute_ranking(prompts, of=prepared),
            self._show,
            still_wanted=lambda: (
                montages.prepared is prepared
                and self._wanted is not None
                and self._wanted[1] == prompts
            ),
        )

    def _show(self, ranked: RankedPatches) -> None:
        self.montages.set_ranking(ranked)
        assert self.montages.montage is not None, "a ranking gives a montage"
        shown, candidates = len(self.montages.montage.patches), len(ranked.scores)
        self._messages.info(
            f"{shown} of {candidates} patches are shown by {ranked.prepared.model.name}; a score "
            "is relative to this scan."
        )
