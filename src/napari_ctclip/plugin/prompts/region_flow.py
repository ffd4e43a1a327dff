"""Region flow: layers of the regions that a model selects, and of those a prompt's words found."""

from __future__ import annotations

from typing import TYPE_CHECKING

from psygnal import Signal

from napari_ctclip.core.similarity_map import SimilarityMap
from napari_ctclip.plugin.canvas.layers import NAMESPACE, LayerData, heatmap_layer
from napari_ctclip.plugin.window.jobs import Job
from napari_ctclip.plugin.window.window import Window
from napari_ctclip.scoring.answer import Answer

if TYPE_CHECKING:
    from napari_ctclip.scoring.encoded_study import EncodedStudy

__all__ = ["SELECTED_REGIONS", "RegionFlow"]

SELECTED_REGIONS = "Selected regions"
"""Key and name of the layer of all regions that a model selects."""

_INTERACTION = "Words: "
_COLOUR = "#4cc9f0"
_OPACITY = 0.4  # Ours: the scan stays readable below


class RegionFlow:
    """One layer of the selected regions when a scan is encoded, one of each prompt's words.

    A prompt's layer begins hidden: its heatmap is shown already.

    Parameters
    ----------
    window : Window
        Whose model and answers they are of.
    """

    drawn = Signal(str)
    """A layer with this name is there, or has new numbers."""

    def __init__(self, window: Window) -> None:
        session = window.session
        self._session, self._jobs, self._scene = session, window.jobs, window.scene
        session.encoding_changed.connect(self._on_encoding)
        session.answered.connect(self._on_answered)
        session.answer_removed.connect(self._on_answer_removed)

    def _on_encoding(self, encoding: EncodedStudy | None) -> None:
        if encoding is None:
            self._scene.take_off(SELECTED_REGIONS)
            return
        # imported here: torch must not be loaded when the window opens
        from napari_ctclip.scoring.significant_regions import selecting_model, selection_map

        model = selecting_model(self._session.model)
        if model is not None:
            self._jobs.submit(
                Job(
                    "Reading the selected regions",
                    lambda progress, should_stop: selection_map(model, encoding.scan),
                    lambda found: self._draw(SELECTED_REGIONS, found, visible=True),
                    still_wanted=lambda: self._session.encoding is encoding,
                )
            )

    def _on_answered(self, answer: Answer) -> None:
        from napari_ctclip.scoring.significant_regions import interaction_map, selecting_model

        model, encoding = selecting_model(self._session.model), self._session.encoding
        if model is None or encoding is None:
            return
        prompt, name = answer.prompt, _INTERACTION + answer.prompt.positive
        self._jobs.submit(
            Job(
                f"Reading the regions of “{prompt.positive}”",
                lambda progress, should_stop: interaction_map(model, encoding.scan, prompt),
                lambda found: self._draw(name, found, visible=False),
                still_wanted=lambda: self._session.answer_to(prompt.positive) is answer,
            )
        )

    def _on_answer_removed(self, positive: str) -> None:
        self._scene.take_off(_INTERACTION + positive)

    def _draw(self, name: str, found: SimilarityMap, *, visible: bool) -> None:
        if self._scene.frame is None:
            return
        highest = max(float(found.values.max()), 1e-6)
        values, properties, kind = heatmap_layer(
            found, self._scene.frame, colour=_COLOUR, limits=(0.0, highest), smooth=False
        )  # a region is a token: its edges are true
        properties |= {
            "name": name,
            "opacity": _OPACITY,
            "visible": visible,
            "metadata": {NAMESPACE: {"schema": 1, "role": "regions"}},
        }
        layer: LayerData = (values, properties, kind)
        self._scene.put(name, layer)
        self.drawn.emit(name)
