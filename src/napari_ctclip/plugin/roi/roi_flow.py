"""Place flow: one place of the open scan, from what was drawn to what is told of it."""

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
from napari_ctclip.plugin.canvas.scene import Scene
from napari_ctclip.plugin.roi.roi_layer import Outline, RoiLayer, outline_of
from napari_ctclip.plugin.window.jobs import Job, JobQueue, Progress, StopRequested
from napari_ctclip.plugin.window.messages import Messages
from napari_ctclip.regions.drawn_region import roi_region
from napari_ctclip.session.session import Session

__all__ = ["RoiFlow"]

_RADIUS_MM = 10.0
_SIDES_MM = (20.0, 20.0, 20.0)
_MOST_STEPS = 50

_Read = tuple[Region, Outline | None, RoiReading]


class RoiFlow:
    """The place that is asked, what came before it, and what is told of it.

    Parameters
    ----------
    session : Session
        Whose study and model are asked.
    jobs : JobQueue
        Where the work runs.
    scene : Scene
        Where the place is drawn.
    messages : Messages
        Where the user reads what happens.
    asked : callable
        Returns the user's own prompts, to be ranked among the dictionary's.
    """

    changed = Signal()
    """Another place, another reading of it, or none."""

    def __init__(
        self,
        session: Session,
        *,
        jobs: JobQueue,
        scene: Scene,
        messages: Messages,
        asked: Callable[[], Sequence[Prompt]],
    ) -> None:
        self.place: Roi | None = None
        self.region: Region | None = None
        self.reading: RoiReading | None = None
        self.is_reading = False
        self.radius_mm, self.sides_mm = _RADIUS_MM, _SIDES_MM  # of the next one
        self._session, self._jobs, self._scene, self._messages = session, jobs, scene, messages
        self._asked = asked
        self._layer = RoiLayer(scene)
        self._earlier: list[Roi] = []
        self._latest: object = None
        self._volume: Volume | None = None  # what the place lies in
        self._read_with: tuple[Prompt, ...] = ()  # the user's prompts that were ranked
        session.study_changed.connect(self._forget)
        session.masks_changed.connect(self._ask_again)
        session.encoding_changed.connect(self._ask_again)
        session.templates_changed.connect(self._ask_again)
        session.answered.connect(self._on_prompts_changed)
        session.answer_removed.connect(self._on_prompts_changed)

    @property
    def can_undo(self) -> bool:
        """Whether there was a place before."""
        return bool(self._earlier)

    # --- the user's side ------------------------------------------------------------------------

    def take(self, place: Roi) -> None:
        """Ask a place, in the background.

        Raises
        ------
        CtClipError
            If no study is open.
        DataError
            If it lies outside the scan.
        """
        before = self.place
        self._turn_to(place)
        if before is not None:
            self._earlier = [*self._earlier, before][-_MOST_STEPS:]
            self.changed.emit()

    def undo(self) -> None:
        """Ask the place before.

        Raises
        ------
        CtClipError
            If there is none.
        """
        if not self._earlier:
            raise CtClipError("there is no place before this one")
        self._turn_to(self._earlier.pop())

    def preview(self, place: Roi) -> None:
        """Draw a place that is still being dragged; it is not asked yet."""
        self._layer.show_region(roi_region(place, self._study()))

    def similar_voxels(self) -> tuple[tuple[int, int, int], ...]:
        """Return the voxels (z, y, x) of the similar places, most alike first."""
        local = None if self.reading is None else self.reading.local
        frame = self._scene.frame
        if local is None or frame is None:
            return ()
        return tuple(frame.world_to_index(similar.world_mm) for similar in local.similar)

    def save(self, folder: Path) -> None:
        """Write what is told of the place to a folder, in the background.

        Raises
        ------
        CtClipError
            If no finding was ranked yet.
        """
        place, reading, study = self.place, self.reading, self._study()
        if place is None or reading is None or reading.local is None:
            raise CtClipError("there is nothing to save yet; draw a place on an encoded scan first")
        session, drawn = self._session, place.facts(study.volume.geometry)

        def work(progress: Progress, should_stop: StopRequested) -> int:
            from napari_ctclip.exporting.explanation_files import write_roi

            return len(write_roi(reading, folder, drawn=drawn, provenance=session.provenance()))

        self._jobs.submit(
            Job(
                "Saving the place",
                work,
                lambda count: self._messages.info(f"{count} files in {folder}."),
                still_wanted=lambda: self._is_open(study),
            )
        )

    # --- inside ---------------------------------------------------------------------------------

    def _study(self) -> Study:
        return self._session.open_study()

    def _is_open(self, study: Study) -> bool:
        now = self._session.study
        return now is not None and now.volume is study.volume

    def _turn_to(self, place: Roi) -> None:
        study = self._study()
        # an organ takes a while: its voxels are found with its reading
        region = None if place.kind is RoiKind.ORGAN else roi_region(place, study)
        self.place, self.region, self.reading = place, region, None
        self._volume = study.volume
        if place.kind is RoiKind.SPHERE:
            self.radius_mm = place.radius_mm
        elif place.kind is RoiKind.BOX:
            self.sides_mm = place.sides_mm
        self._layer.show_similar(())
        if region is not None:
            self._layer.show_region(region)
        self._read(place, study)

    def _read(self, place: Roi, study: Study) -> None:
        latest = self._latest = object()
        session, known, asked = self._session, self.region, tuple(self._asked())
        self._read_with = asked
        model, encoding = session.model, session.encoding
        encoded = None if model is None or encoding is None else (model, encoding)
        templates = session.templates

        def wanted() -> bool:
            return self._latest is latest

        def work(progress: Progress, should_stop: StopRequested) -> _Read:
            region = roi_region(place, study) if known is None else known
            outline = outline_of(region, study.volume.geometry) if known is None else None
            reading = read_roi(study, region, encoded=encoded, asked=asked, templates=templates)
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
        self._jobs.reconsider()  # the place before need not be read to its end
        self._jobs.submit(Job("Reading the place", work, done, still_wanted=wanted, on_end=ended))
        self.changed.emit()

    def _ask_again(self, *_: object) -> None:
        """Read the place once more: by another model, or with other organs."""
        place, study = self.place, self._session.study
        if place is None or study is None or study.volume is not self._volume:
            return  # of another scan: it is forgotten at once
        if place.kind is RoiKind.ORGAN:
            self.region = None
        self.reading = None
        self._layer.show_similar(())
        self._read(place, study)

    def _on_prompts_changed(self, *_: object) -> None:
        """Rank the user's prompts as they are now; what was told stays until then."""
        place, study = self.place, self._session.study
        if place is None or study is None or self._session.encoding is None:
            return
        if tuple(self._asked()) != self._read_with:
            self._read(place, study)

    def _forget(self, *_: object) -> None:
        """Another scan is open, or none."""
        self._latest = self._volume = self.place = self.region = self.reading = None
        self._earlier, self.is_reading = [], False
        self._layer.clear()
        self.changed.emit()
