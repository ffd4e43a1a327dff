"""Difference layer: where two prompts, or phrasings of one, disagree; clear where they agree."""

from __future__ import annotations

from typing import Any

from napari.utils.colormaps import Colormap

from napari_ctclip.core.similarity_map import SimilarityMap
from napari_ctclip.plugin.canvas.layers import Frame, heatmap_layer
from napari_ctclip.plugin.canvas.own_layers import OwnLayers
from napari_ctclip.scoring.answer import symmetric_limit

__all__ = ["FIRST_COLOUR", "SD_COLOUR", "SECOND_COLOUR", "DifferenceLayer"]

_KEY = "difference"
FIRST_COLOUR, SECOND_COLOUR = "#e69f00", "#56b4e9"
"""Orange and sky blue of Okabe and Ito, told apart by all."""
SD_COLOUR = "#cc79a7"
"""Their reddish purple."""


class DifferenceLayer:
    """Where one prompt answers more (orange) and where another does (blue), or an SD.

    One of them at a time: they explain the same heatmap.

    Parameters
    ----------
    own : OwnLayers
        Where it is kept; it goes with the study.
    """

    def __init__(self, own: OwnLayers) -> None:
        self._own = own

    @property
    def is_there(self) -> bool:
        """Whether it is drawn."""
        return _KEY in self._own

    def show(self, difference: SimilarityMap, frame: Frame) -> None:
        """Draw a difference in place of the last one, on a scale that is symmetric about 0."""
        self.remove()
        limit = symmetric_limit(difference)
        data, properties, kind = heatmap_layer(
            difference.with_zeros(), frame, colour=FIRST_COLOUR, limits=(-limit, limit)
        )
        first, second = difference.prompt.positive, difference.prompt.negative
        properties |= {
            "name": f"More: {first[:24]} (orange) | {second[:24]} (blue)",
            "colormap": _diverging(),
            "opacity": 0.8,
        }
        layer: Any = self._own.add((data, properties, kind), _KEY)
        layer.metadata["ctclip"] |= {"role": "difference", "second": second}
        layer.colorbar.visible = True

    def show_sd(self, sd: SimilarityMap, frame: Frame) -> float:
        """Draw the SD across phrasings in place of the last map; return its highest value."""
        self.remove()
        limit = symmetric_limit(sd)
        data, properties, kind = heatmap_layer(
            sd.with_zeros(), frame, colour=SD_COLOUR, limits=(0.0, limit)
        )
        properties |= {"name": f"SD across phrasings: {sd.prompt.positive[:40]}", "opacity": 0.8}
        layer: Any = self._own.add((data, properties, kind), _KEY)
        own = {"role": "difference", "score_kind": "standard deviation across phrasings"}
        layer.metadata["ctclip"] |= own
        layer.colorbar.visible = True
        return limit

    def remove(self) -> None:
        """Take it off."""
        self._own.remove(_KEY)


def _diverging() -> Colormap:
    first, second = (_rgb(colour) for colour in (FIRST_COLOUR, SECOND_COLOUR))
    colours = [(*second, 0.95), (*second, 0.4), (0.5, 0.5, 0.5, 0.0), (*first, 0.4), (*first, 0.95)]
    return Colormap(colours, name="ctclip difference", controls=(0, 0.3, 0.5, 0.7, 1.0))


def _rgb(colour: str) -> tuple[float, ...]:
    return tuple(int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
