"""Study flow: opening scans, choosing between them, and their organ masks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from psygnal import Signal

from napari_ctclip.core.errors import SeriesChoiceNeeded
from napari_ctclip.core.notice import Notice
from napari_ctclip.core.organ_masks import OrganMasks
from napari_ctclip.core.study import Study
from napari_ctclip.plugin.canvas._compat_layers import prepare_labels
from napari_ctclip.plugin.canvas.foreign_layers import is_volume_layer, volume_of_layer
from napari_ctclip.plugin.canvas.layers import own_metadata
from napari_ctclip.plugin.window.jobs import Job, Progress, StopRequested
from napari_ctclip.plugin.window.settings import setting
from napari_ctclip.plugin.window.window import Window
from napari_ctclip.session.session import PreparedMasks

if TYPE_CHECKING:
    from napari.layers import Image

    from napari_ctclip.core.volume import Volume

__all__ = ["StudyFlow"]

MaskMaker = Callable[[Progress, StopRequested], tuple[OrganMasks, tuple[Notice, ...]]]


class StudyFlow:
    """Which scan is open, and what is known about where its organs lie.

    Parameters
    ----------
    window : Window
        Whose session gets the study, and whose scene draws it.
    """

    study_opened = Signal()
    """Another scan is open, or none; notices are those of the new one."""
    series_choice_needed = Signal(Path, tuple)
    """A folder holds several series: (folder, one line a series)."""

    def __init__(self, window: Window) -> None:
        self.makes_masks_at_once: bool = setting("quick_masks", default=True)
        self.notices: tuple[Notice, ...] = ()
        self._session, self._jobs = window.session, window.jobs
        self._scene, self._messages = window.scene, window.messages
        self._measured: tuple[OrganMasks | None, dict[str, float]] = (None, {})
        self._masks: dict[int, OrganMasks] = {}  # by id of the layer whose scan they belong to
        layers = window.viewer.layers
        layers.events.inserted.connect(self._on_inserted)
        layers.events.removed.connect(self._on_removed)
        window.session.masks_changed.connect(self._on_masks_changed)

    @property
    def layer(self) -> Image | None:
        """The layer of the open scan."""
        return self._scene.ct

    # --- scans ----------------------------------------------------------------------------------

    def open_path(self, path: Path, *, series: int | None = None) -> None:
        """Read a file or a DICOM folder and make it the open scan."""

        def work(progress: Progress, should_stop: StopRequested) -> Any:
            from napari_ctclip.io import read_volume

            return read_volume(path, series=series)

        def done(read: Any) -> None:
            self._scene.add_ct(read.volume, more={"notices": read.notices})

        def on_error(error: Exception) -> bool:
            if not isinstance(error, SeriesChoiceNeeded):
                return False
            self.series_choice_needed.emit(path, error.choices)
            return True

        self._jobs.submit(Job(f"Reading {path.name}", work, done, on_error=on_error))

    def open_study(self, study: Study, notices: tuple[Notice, ...] = ()) -> None:
        """Make a study from memory the open one."""
        more: dict[str, Any] = {"notices": notices}
        if study.organ_masks is not None:
            more["organ_masks"] = study.organ_masks
        self._scene.add_ct(study.volume, more=more)

    def use_layer(self, layer: Image | None) -> None:
        """Make the scan of a layer the open one."""
        if layer is self._scene.ct:
            return
        if layer is None:
            self.notices = ()
            self._scene.set_study(None, None)
            self._session.set_study(None)
            self.study_opened.emit()
            return
        volume, self.notices = volume_of_layer(layer)
        own = own_metadata(layer)
        study = Study(volume)
        self._scene.set_study(study, layer)
        self._session.set_study(study)
        self._jobs.reconsider()
        self._tell_opened(study)
        masks = self._masks.get(id(layer)) or own.get("organ_masks")
        if masks is not None:
            self.use_masks(masks)
        elif self.makes_masks_at_once and "volume" in own:
            self.make_quick_masks()
        self.study_opened.emit()

    def open_volumes(self) -> tuple[Volume, ...]:
        """Return the scans whose layers are in the viewer, the open one first."""
        layers = [layer for layer in self._scene.viewer.layers if _is_own_ct(layer)]
        layers.sort(key=lambda layer: layer is not self._scene.ct)
        volumes = (own_metadata(layer).get("volume") for layer in layers)
        return tuple(volume for volume in volumes if volume is not None)

    def show_volume(self, volume: Volume) -> bool:
        """Make a scan whose layer is in the viewer the open one; False if the layer is gone."""
        for layer in self._scene.viewer.layers:
            if _is_own_ct(layer) and own_metadata(layer).get("volume") is volume:
                self.use_layer(layer)
                return True
        return False

    def adopt_existing(self) -> None:
        """Open the newest scan that is in the viewer already."""
        scans = [layer for layer in self._scene.viewer.layers if _is_own_ct(layer)]
        if self._scene.ct is None and scans:
            self.use_layer(scans[-1])

    def let_go(self) -> None:
        """Stop following the viewer: the session keeps its study when the window closes."""
        layers = self._scene.viewer.layers
        layers.events.inserted.disconnect(self._on_inserted)
        layers.events.removed.disconnect(self._on_removed)

    # --- organ masks ----------------------------------------------------------------------------

    def load_masks(self, path: Path) -> None:
        """Read organ masks for the open scan from a file or folder."""

        def make(progress: Progress, should_stop: StopRequested) -> Any:
            from napari_ctclip.io import read_organ_masks

            read = read_organ_masks(path, volume)
            return read.masks, read.notices

        volume = self._require_volume()
        self._submit_masks(f"Reading organ masks {path.name}", make)

    def use_masks(self, masks: OrganMasks) -> None:
        """Take organ masks of the open scan that were made before."""
        self._submit_masks("Organ masks", lambda progress, should_stop: (masks, ()))

    def make_quick_masks(self) -> None:
        """Make organ masks from CT numbers alone."""

        def make(progress: Progress, should_stop: StopRequested) -> Any:
            from napari_ctclip.segmentation.quick_masks import quick_organ_masks

            return quick_organ_masks(volume, progress=progress, should_stop=should_stop), ()

        volume = self._require_volume()
        self._submit_masks("Quick organ masks", make)

    def run_totalsegmentator(self) -> None:
        """Make organ masks with TotalSegmentator, where it is installed."""

        def make(progress: Progress, should_stop: StopRequested) -> Any:
            from napari_ctclip.segmentation.totalsegmentator import segment_with_totalsegmentator

            masks = segment_with_totalsegmentator(
                volume, progress=self._jobs.wrote.emit, should_stop=should_stop
            )
            return masks, ()

        volume = self._require_volume()
        self._submit_masks("TotalSegmentator", make)

    def volumes_ml(self, masks: OrganMasks) -> dict[str, float]:
        """Return the volume of every organ; those of masks made here were measured off the GUI."""
        measured, volumes = self._measured
        return volumes if measured is masks else masks.volumes_ml()

    def _require_volume(self) -> Any:
        return self._session.open_study().volume

    def _submit_masks(self, title: str, make: MaskMaker) -> None:
        session, layer = self._session, self._scene.ct
        volume = self._require_volume()

        def work(
            progress: Progress, should_stop: StopRequested
        ) -> tuple[PreparedMasks, dict[str, float], tuple[Notice, ...]]:
            masks, notices = make(progress, should_stop)
            prepare_labels(masks.labels.dtype)
            return session.prepare_masks(masks), masks.volumes_ml(), notices

        def done(result: tuple[PreparedMasks, dict[str, float], tuple[Notice, ...]]) -> None:
            prepared, volumes, notices = result
            self._measured = prepared.masks, volumes
            session.set_masks(prepared)
            self._masks[id(layer)] = prepared.masks
            for notice in notices:
                self._messages.warning(notice.message)
            self._messages.info(f"Organ masks: {len(prepared.masks.legend)} organs ({title}).")

        def wanted() -> bool:
            return session.study is not None and session.study.volume is volume

        self._jobs.submit(Job(title, work, done, still_wanted=wanted))

    # --- what the viewer says -------------------------------------------------------------------

    def _on_inserted(self, event: Any) -> None:
        if _is_own_ct(event.value):
            with self._messages.border():
                self.use_layer(event.value)

    def _on_removed(self, event: Any) -> None:
        self._masks.pop(id(event.value), None)
        if event.value is not self._scene.ct:
            return
        others = [layer for layer in self._scene.viewer.layers if _is_own_ct(layer)]
        with self._messages.border():
            self.use_layer(others[-1] if others else None)
        if not others:
            self._messages.info("The CT was removed; open another one.")

    def _on_masks_changed(self, masks: OrganMasks | None) -> None:
        self._scene.outlines.set_masks(masks)

    def _tell_opened(self, study: Study) -> None:
        z, y, x = study.volume.geometry.shape
        worst = [n for n in self.notices if n.severity == "warning"]
        if worst:
            more = f" (and {len(worst) - 1} more in the Data tab)" if len(worst) > 1 else ""
            self._messages.warning(worst[0].message + more)
        else:
            self._messages.info(f"CT of {x} x {y} x {z} voxels is open.")


def _is_own_ct(layer: Any) -> bool:
    return is_volume_layer(layer) and own_metadata(layer).get("role") == "ct"
