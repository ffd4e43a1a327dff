"""Findings flow: what becomes a finding, measured off the GUI thread, saved with undo, drawn."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from napari_ctclip.core.errors import CtClipError
from napari_ctclip.core.finding import Finding
from napari_ctclip.core.region import Region
from napari_ctclip.explanation.found_regions import CutRegion
from napari_ctclip.plugin.findings.finding_layer import FindingLayer
from napari_ctclip.plugin.window.jobs import Job
from napari_ctclip.plugin.window.window import Window
from napari_ctclip.session.findings_session import FindingsSession

__all__ = ["FindingsFlow"]


class FindingsFlow:
    """The findings of the open study, in the window.

    Parameters
    ----------
    window : Window
        Whose study they are of, and where they are drawn.
    """

    def __init__(self, window: Window) -> None:
        self.kept = FindingsSession(window.session)
        self._session, self._jobs = window.session, window.jobs
        self._scene, self._messages = window.scene, window.messages
        self.kept.changed.connect(self._draw)
        self.layer = FindingLayer(window.scene.own)
        self.layer.painted.connect(self._on_painted)
        window.scene.study_changed.connect(self._on_study_changed)

    # --- made -----------------------------------------------------------------------------------

    def add_heatmap(
        self,
        positive: str,
        *,
        threshold: float | None = None,
        seed: tuple[int, int, int] | None = None,
    ) -> None:
        """Make a finding of a prompt's heatmap about its peak, or about a voxel (z, y, x).

        It holds what lies above ``threshold``; above half of the peak if None.

        Raises
        ------
        CtClipError
            If the prompt has no answer, or its heatmap rises above nothing.
        """
        from napari_ctclip.explanation.found_regions import DEFAULT_SHARE

        answer = self._session.answer_to(positive)
        if answer is None:
            raise CtClipError(f"“{positive}” has no heatmap yet; query it, then add a finding")
        peak = answer.focus.peak.value
        if threshold is None and peak <= 0:
            raise CtClipError(
                f"“{positive}” is nowhere above its negative prompt: there is no region to "
                "outline; click a point and add it instead"
            )
        limit = DEFAULT_SHARE * peak if threshold is None else threshold
        self._measure(
            f"Outlining “{positive}”",
            lambda: self.kept.compute_region(positive, threshold=limit, seed=seed),
        )

    def add_point(self, index: tuple[int, int, int], *, positive: str = "") -> None:
        """Make a finding of one voxel (z, y, x), with what a prompt says there."""
        self._measure(
            "Measuring the point", lambda: self.kept.compute_point(index, positive=positive)
        )

    def accept(self, region: Region, *, title: str = "", positive: str = "") -> None:
        """Make an accepted finding of a region a person chose.

        Parameters
        ----------
        region : Region
            On the grid of the open scan.
        title : str
            What it is called; the prompt, or *Finding*, if empty.
        positive : str
            Prompt whose score in the region is noted.
        """
        self._measure(
            "Measuring the region",
            lambda: self.kept.compute_drawn(region, name=title, positive=positive),
        )

    def keep_region(self, found: CutRegion, positive: str) -> None:
        """Make a finding of the region where a prompt's heatmap lies above a threshold."""
        if found.rule.in_organ:
            self.accept(found.region, title=positive, positive=positive)
        else:  # it can be made again from its threshold, which the finding then notes
            self.add_heatmap(positive, threshold=found.rule.threshold)

    def paint(self) -> None:
        """Give the mouse to napari's brush: what it draws becomes a new finding.

        Raises
        ------
        CtClipError
            If no study is open.
        """
        self._session.open_study()
        self.layer.start_painting(self.kept.findings)
        self._messages.info("Paint in a plane; the label with no finding yet makes a new one.")

    # --- inside ---------------------------------------------------------------------------------

    def _measure(self, title: str, make: Callable[[], Finding]) -> None:
        study = self._session.study
        volume = None if study is None else study.volume

        def wanted() -> bool:
            now = self._session.study
            return now is not None and now.volume is volume

        def done(finding: Finding) -> None:
            self.kept.put(finding)
            size = "" if finding.volume_ml is None else f", {finding.volume_ml:.2f} ml"
            self._messages.info(
                f"Finding “{finding.name}”{size}, mean {finding.mean_hounsfield:.0f} HU."
            )

        self._jobs.submit(
            Job(title, lambda progress, should_stop: make(), done, still_wanted=wanted)
        )

    def _on_painted(self, changed: dict[int, Region | None]) -> None:
        findings = self.kept.findings
        for number, region in changed.items():
            if number > len(findings):
                if region is not None:
                    self.accept(region)
                continue
            finding = findings[number - 1]
            if region is None:
                self.kept.remove(finding.key)
                self._messages.info(
                    f"Finding “{finding.name}” was painted away; Undo brings it back."
                )
            else:
                self._measure(
                    f"Measuring “{finding.name}”",
                    partial(self.kept.compute_reshaped, finding.key, region),
                )

    def _on_study_changed(self) -> None:
        self.layer.set_frame(self._scene.frame)
        self._draw()

    def _draw(self, *_: Any) -> None:
        self.layer.show(self.kept.findings)
