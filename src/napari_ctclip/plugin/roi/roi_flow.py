"""ROI flow: one region of interest of the open scan, from its drawing to its description."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from psygnal import Signal

from napari_ctclip.core.errors import CtClipError
from napari_ctclip.core.prompt import Prompt
from napari_ctclip.core.region import Region
from napari_ctclip.core.roi import Roi, RoiKind
from napari_ctclip.core.study import Study
from napari_ctclip.core.volume import Volume
from napari_ctclip.explanation.roi_reading import RoiReading, read_roi
from napari_ctclip.plugin.roi.roi_layer import Outline, RoiLayer, outline_of
from napari_ctclip.plugin.window.jobs import Job, Progress, StopRequested
from napari_ctclip.plugin.window.window import Window
from napari_ctclip.regions.drawn_region import roi_region

__all__ = ["RoiFlow"]

_RADIUS_MM = 10.0
_SIDES_MM = (20.0, 20.0, 20.0)
_MOST_STEPS = 50

_Read = tuple[Region, Outline | None, RoiReading]


class RoiFlow:
    """The region of interest (ROI) of a window, those before it, and how it is described.

    Parameters
    ----------
    window : Window
        Whose scan holds the ROI, and whose model is queried about it.
    prompts : callable
        Returns the user's own prompts, to be ranked among those of the dictionary.
    """

    changed = Signal()
    """Another ROI, another description of it, or none."""

    def __init__(self, window: Window, *, prompts: Callable[[], Sequence[Prompt]]) -> None:
        self.roi: Roi | None = None
        self.region: Region | None = None
        self.reading: RoiReading | None = None
        self.is_reading = False
        self.radius_mm, self.sides_mm = _RADIUS_MM, _SIDES_MM  # of the next one
        self._session, self._jobs = window.session, window.jobs
        self._scene, self._messages = window.scene, window.messages
        self._prompts = prompts
        self._layer = RoiLayer(window.scene)
        self._earlier: list[Roi] = []
        self._latest: object = None
        self._volume: Volume | None = None  # the scan that the ROI lies in
        self._read_with: tuple[Prompt, ...] = ()  # the user's prompts that were ranked
        session = window.session
        session.study_changed.connect(self._forget)
        session.masks_changed.connect(self._read_again)
        session.encoding_changed.connect(self._read_again)
        session.templates_changed.connect(self._read_again)

    @property
    def can_undo(self) -> bool:
        """Whether there was an ROI before."""
        return bool(self._earlier)

    # --- the user's side ------------------------------------------------------------------------

    def take(self, roi: Roi) -> None:
        """Make a region the ROI, and describe it in the background.

        Raises
        ------
        CtClipError
            If no study is open.
        DataError
            If it lies outside the scan.
        """
        before = self.roi
        self._turn_to(roi)
        if before is not None:
            self._earlier = [*self._earlier, before][-_MOST_STEPS:]
            self.changed.emit()

    def undo(self) -> None:
        """Return to the ROI before.

        Raises
        ------
        CtClipError
            If there is none.
        """
        if not self._earlier:
            raise CtClipError("there is no region of interest before this one")
        self._turn_to(self._earlier.pop())

    def preview(self, roi: Roi) -> None:
        """Draw an ROI that is still being dragged; it is not described yet."""
        self._layer.show_region(roi_region(roi, self._study()))

    def similar_voxels(self) -> tuple[tuple[int, int, int], ...]:
        """Return the voxels (z, y, x) of the similar regions, the most similar first."""
        local = None if self.reading is None else self.reading.local
        frame = self._scene.frame
        if local is None or frame is None:
            return ()
        return tuple(frame.world_to_index(similar.world_mm) for similar in local.similar)

    def save(self, folder: Path) -> None:
        """Write the description of the ROI to a folder, in the background.

        Raises
        ------
        CtClipError
            If no finding was ranked yet.
        """
        roi, reading, study = self.roi, self.reading, self._study()
        if roi is None or reading is None or reading.local is None:
            raise CtClipError("there is nothing to save yet; draw an ROI on an encoded scan first")
        session, drawn = self._session, roi.facts(study.volume.geometry)

        def work(progress: Progress, should_stop: StopRequested) -> int:
            from napari_ctclip.exporting.explanation_files import write_roi

            return len(write_roi(reading, folder, drawn=drawn, provenance=session.provenance()))

        self._jobs.submit(
            Job(
                "Saving the ROI",
                work,
                lambda count: self._messages.info(f"{count} files in {folder}."),
                still_wanted=lambda: self._is_open(study),
            )
        )

    def rank_prompts(self) -> None:
        """Rank the user's prompts as they are now; the description stays until then."""
        roi, study = self.roi, self._session.study
        if roi is None or study is None or self._session.encoding is None:
            return
        if tuple(self._prompts()) != self._read_with:
            self._read(roi, study)

    # --- inside ---------------------------------------------------------------------------------

    def _study(self) -> Study:
        return self._session.open_study()

    def _is_open(self, study: Study) -> bool:
        now = self._session.study
        return now is not None and now.volume is study.volume

    def _turn_to(self, roi: Roi) -> None:
        study = self._study()
        # an organ takes a while: its voxels are found with its reading
        region = None if roi.kind is RoiKind.ORGAN else roi_region(roi, study)
        self.roi, self.region, self.reading = roi, region, None
        self._volume = study.volume
        if roi.kind is RoiKind.SPHERE:
            self.radius_mm = roi.radius_mm
        elif roi.kind is RoiKind.BOX:
            self.sides_mm = roi.sides_mm
        self._layer.show_similar(())
        if region is not None:
            self._layer.show_region(region)
        self._read(roi, study)

    def _read(self, roi: Roi, study: Study) -> None:
        latest = self._latest = object()
        session, known, prompts = self._session, self.region, tuple(self._prompts())
        self._read_with = prompts
        model, encoding = session.model, session.encoding
        encoded = None if model is None or encoding is None else (model, encoding)
        templates = session.templates

        def wanted() -> bool:
            return self._latest is latest

        def work(progress: Progress, should_stop: StopRequested) -> _Read:
            region = roi_region(roi, study) if known is None else known
            outline = outline_of(region, study.volume.geometry) if known is None else None
            reading = read_roi(study, region, encoded=encoded, asked=prompts, templates=templates)
            return region, outline, reading

        def done(found: _Read) -> None:
            self.region, outline, self.reading = found
            if outline is not None:
                self._layer.show_outline(outline)
            self._layer.show_similar(self.similar_voxels())

        def ended() -> None:
            if wanted():
                self.is_reading = False
                self.changed.emit()

        self.is_reading = True
        self._jobs.reconsider()  # the ROI before need not be described to the end
        self._jobs.submit(Job("Describing the ROI", work, done, still_wanted=wanted, on_end=ended))
        self.changed.emit()

    def _read_again(self, *_: object) -> None:
        """Describe the ROI once more: by another model, or with other organs."""
        roi, study = self.roi, self._session.study
        if roi is None or study is None or study.volume is not self._volume:
            return  # of another scan: it is forgotten at once
        if roi.kind is RoiKind.ORGAN:
            self.region = None
        self.reading = None
        self._layer.show_similar(())
        self._read(roi, study)

    def _forget(self, *_: object) -> None:
        """Another scan is open, or none."""
        self._latest = self._volume = self.roi = self.region = self.reading = None
        self._earlier, self.is_reading = [], False
        self._layer.clear()
        self.changed.emit()
