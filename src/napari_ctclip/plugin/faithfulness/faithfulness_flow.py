"""Faithfulness flow: occluding a region and testing a map, from the query to what is drawn."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

import numpy as np
from napari.utils.colormaps import Colormap
from psygnal import Signal

from napari_ctclip.core.errors import CtClipError
from napari_ctclip.core.prompt import Prompt
from napari_ctclip.core.region import Region
from napari_ctclip.core.volume import Volume
from napari_ctclip.encoding.work import Work
from napari_ctclip.plugin.canvas.heatmap_grid import heatmap_on_scan
from napari_ctclip.plugin.canvas.layers import NAMESPACE, Frame, LayerData
from napari_ctclip.plugin.faithfulness.faithfulness_cost import FaithfulnessCost
from napari_ctclip.plugin.window.jobs import Job, Progress, StopRequested
from napari_ctclip.plugin.window.window import Window

if TYPE_CHECKING:
    from napari_ctclip.core.similarity_map import SimilarityMap
    from napari_ctclip.explanation.map_test import MapTest
    from napari_ctclip.explanation.occlusion import OccludedRegion
    from napari_ctclip.regions.normal_tissue import NormalFill
    from napari_ctclip.scoring.encoded_study import Ready

__all__ = ["CHANGE", "FILLED", "FaithfulnessFlow", "change_layer", "filled_layer"]

CHANGE, FILLED = "change", "occluded region"
"""Keys of the layers that an occlusion draws."""
_FALLS, _RISES = (0.25, 0.62, 1.0), (1.0, 0.45, 0.25)  # told apart by colour-blind readers
_OPAQUE = 0.9
_LEAST_CHANGE = 0.02
_NAME_LENGTH = 40
_MARGIN_MM = 5.0


class FaithfulnessFlow:
    """The tests of a heatmap's faithfulness, and their last results.

    Parameters
    ----------
    window : Window
        Whose study, model and prompts are tested.
    """

    changed = Signal()
    """Another result is there, or none."""

    def __init__(self, window: Window) -> None:
        self.occluded: OccludedRegion | None = None
        self.tested: MapTest | None = None
        self._session, self._jobs = window.session, window.jobs
        self._scene, self._messages = window.scene, window.messages
        self.cost = FaithfulnessCost(window)
        window.session.encoding_changed.connect(self._on_encoding_changed)
        window.scene.window_changed.connect(self._follow_window)

    # --- the tests ------------------------------------------------------------------------------

    def heatmap_region(self, positive: str, index: tuple[int, int, int]) -> Region:
        """Return the heatmap's region about a voxel, above half the peak; not for the GUI thread.

        Raises
        ------
        CtClipError
            If the prompt has no answer.
        DataError
            If the heatmap is lower there.
        """
        from napari_ctclip.explanation.found_regions import DEFAULT_SHARE, heat_region

        answer, study = self._session.answer_to(positive), self._session.study
        if answer is None or study is None:
            raise CtClipError(f"“{positive}” has no answer yet; query it first")
        threshold = DEFAULT_SHARE * answer.whole.peak.value
        return heat_region(answer.similarity_map, study.volume, seed=index, threshold=threshold)

    def occlude(self, prompt: Prompt, roi: Callable[[], Region], *, controls: int) -> None:
        """Occlude a region and query the prompt again, in the background.

        Parameters
        ----------
        prompt : Prompt
            What is queried again.
        roi : callable
            Returns the region; called off the GUI thread.
        controls : int
            In how many matched control regions the same is done.

        Raises
        ------
        CtClipError
            If the scan is not encoded.
        """

        def occlude(ready: Ready, work: Work) -> tuple[OccludedRegion, float]:
            from napari_ctclip.explanation.occlusion import occlude_region
            from napari_ctclip.explanation.reencoding import affected_share

            region, start = roi(), perf_counter()
            occluded = occlude_region(ready, prompt, region, controls=controls, work=work)
            passes = (1 + len(occluded.controls)) * affected_share(ready, region)
            return occluded, (perf_counter() - start) / passes

        def done(result: tuple[OccludedRegion, float]) -> None:
            self.occluded, seconds = result
            self.cost.take(seconds)  # measured: better than any estimate
            self._draw(self.occluded)
            first = self.occluded.effects[0]
            self._messages.info(f"“{prompt.positive}”, {first.where}: {first.reading}.")
            for notice in self.occluded.notices:
                self._messages.warning(notice.message)
            self.changed.emit()

        self._submit(f"Occluding for “{prompt.positive}”", occlude, done)

    def test_map(self, prompt: Prompt) -> None:
        """Find a prompt's deletion and insertion curves, in the background.

        Raises
        ------
        CtClipError
            If the scan is not encoded.
        """

        def test(ready: Ready, work: Work) -> MapTest:
            from napari_ctclip.explanation.map_test import map_test

            return map_test(ready, prompt, work=work)

        def done(tested: MapTest) -> None:
            self.tested = tested
            self._messages.info(tested.reading)
            self.changed.emit()

        self._submit(f"Testing the map of “{prompt.positive}”", test, done)

    def save(self, folder: Path) -> None:
        """Write the last results to a folder, in the background.

        Raises
        ------
        CtClipError
            If there are none.
        """
        occluded, tested, study = self.occluded, self.tested, self._session.study
        if study is None or (occluded is None and tested is None):
            raise CtClipError("nothing to save yet; occlude a region or test the map first")
        volume = study.volume

        def work(progress: Progress, should_stop: StopRequested) -> int:
            from napari_ctclip.exporting.explanation_files import write_map_test, write_occlusion

            facts = self._session.provenance()
            files: list[Path] = []
            if occluded is not None:
                files += write_occlusion(occluded, volume, folder, provenance=facts)
            if tested is not None:
                files += write_map_test(tested, folder, provenance=facts)
            return len(files)

        self._jobs.submit(
            Job(
                "Saving the tests",
                work,
                lambda count: self._messages.info(f"{count} files in {folder}."),
            )
        )

    def set_layer_shown(self, key: str, shown: bool) -> None:
        """Show or hide one of the layers of the last occlusion; one that was removed comes back."""
        if shown and self.occluded is not None and self._scene.layer(key) is None:
            self._draw(self.occluded, (key,))
        layer = self._scene.layer(key)
        if layer is not None:
            layer.visible = shown

    # --- inside ---------------------------------------------------------------------------------

    def _submit(
        self,
        title: str,
        test: Callable[[Ready, Work], object],
        done: Callable[..., None],
    ) -> None:
        """Let a test work on the scan as it is now; the result of another scan is dropped."""
        ready = self._session.ready()

        def wanted() -> bool:
            now = self._session.encoding
            return now is not None and now.scan is ready.encoding.scan

        def run(progress: Progress, should_stop: StopRequested) -> object:
            return test(ready, self._session.work(progress, should_stop))

        self._jobs.submit(Job(title, run, done, still_wanted=wanted))

    def _draw(self, occluded: OccludedRegion, keys: tuple[str, ...] = (FILLED, CHANGE)) -> None:
        study, frame, window = self._session.study, self._scene.frame, self._scene.window
        if study is None or frame is None or window is None:
            return
        if FILLED in keys:
            self._scene.put(
                FILLED, filled_layer(occluded.fill, study.volume, frame, limits=window.limits)
            ).visible = False
        if CHANGE in keys:
            layer = self._scene.put(CHANGE, change_layer(occluded.difference, frame))
            layer.visible = True

    def _follow_window(self) -> None:
        layer, window = self._scene.layer(FILLED), self._scene.window
        if layer is not None and window is not None:
            layer.contrast_limits = window.limits

    def _on_encoding_changed(self, encoding: object) -> None:
        """Forget what was found in another scan, or by another model."""
        del encoding
        self.occluded = self.tested = None
        for key in (CHANGE, FILLED):
            self._scene.take_off(key)
        self.cost.take(None)
        self.changed.emit()


def change_layer(change: SimilarityMap, frame: Frame) -> LayerData:
    """Return the image layer of a map less the one before: blue fell, orange rose, clear stayed."""
    values, grid = heatmap_on_scan(change.with_zeros(), frame.geometry)
    most = max(float(np.abs(values).max()), _LEAST_CHANGE)
    metadata = {"schema": 1, "role": "change", "prompt": change.prompt.positive}
    properties = frame.placing(grid) | {
        "name": f"Change: {change.prompt.positive[:_NAME_LENGTH]}",
        "colormap": _diverging(),
        "contrast_limits": (-most, most),
        "blending": "translucent_no_depth",
        "interpolation2d": "linear",
        "interpolation3d": "linear",
        "metadata": {NAMESPACE: metadata | {"score_kind": "change of similarity"}},
    }
    return values, properties, "image"


def filled_layer(
    fill: NormalFill, volume: Volume, frame: Frame, *, limits: tuple[float, float]
) -> LayerData:
    """Return the image layer of an occluded region as the model saw it, over the scan around it."""
    geometry = volume.geometry
    margin = np.ceil(_MARGIN_MM / np.asarray(geometry.spacing_mm)).astype(int)
    low = np.maximum(np.asarray(fill.region.start) - margin, 0)
    high = np.minimum([s.stop for s in fill.region.box] + margin, geometry.shape)
    box = tuple(slice(a, b) for a, b in zip(low.tolist(), high.tolist(), strict=True))
    voxels = volume.voxels[box].copy()
    at = tuple(
        slice(s.start - a, s.stop - a) for s, a in zip(fill.region.box, low.tolist(), strict=True)
    )
    voxels[at][fill.region.mask] = fill.hounsfield
    properties = frame.placing(geometry.cropped(low.tolist(), high.tolist())) | {
        "name": "Occluded region",
        "colormap": "gray",
        "contrast_limits": limits,
        "metadata": {NAMESPACE: {"schema": 1, "role": "occluded"}},
    }
    return voxels, properties, "image"


def _diverging() -> Colormap:
    colours = [(*_FALLS, _OPAQUE), (*_FALLS, 0.0), (*_RISES, 0.0), (*_RISES, _OPAQUE)]
    return Colormap(colours, name="ctclip change", controls=(0.0, 0.45, 0.55, 1.0))
