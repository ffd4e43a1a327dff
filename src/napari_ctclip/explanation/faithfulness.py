"""Faithfulness: whether the answer depends on the tokens that the heatmap points to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from napari_ctclip.core.similarity_map import SimilarityMap

if TYPE_CHECKING:
    from napari_ctclip.preprocessing.specification import ModelInput

__all__ = ["SHARES", "FaithfulnessCurves", "area", "faithfulness_curves"]

SHARES = (0.0, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0)
"""Ours: shares of the body's tokens that are taken away or put back, in even steps of their
logarithm. A lesion fills a thousandth of a chest; on an even scale it would pass between two steps.
"""

_BLUR_MM = 15.0  # Ours: wipes out lesions up to 3 cm and leaves organs where they are

Ask = Callable[["ModelInput"], float]
"""From a prepared image to the answer: a probability or a similarity."""


@dataclass(frozen=True)
class FaithfulnessCurves:
    """The answer to a prompt as tokens go, and as they come back.

    Attributes
    ----------
    deletion : tuple of float
        The answer with the highest tokens blurred, for each of ``SHARES``: a heatmap that shows
        what decides lets it fall early.
    insertion : tuple of float
        The answer with all but the highest tokens blurred: it lets it rise early.
    """

    deletion: tuple[float, ...]
    insertion: tuple[float, ...]


def faithfulness_curves(
    model_input: ModelInput,
    similarity_map: SimilarityMap,
    ask: Ask,
    *,
    patch_size: tuple[int, int, int],
) -> FaithfulnessCurves:
    """Return the deletion and the insertion curve of a heatmap: two encodings for each share.

    Parameters
    ----------
    model_input : ModelInput
        The scan as the model sees it.
    similarity_map : SimilarityMap
        The map that ranks the tokens; the map of another prompt gives the reference.
    ask : callable
        A function that encodes a prepared image and answers.
    patch_size : tuple of int
        The voxels (z, y, x) behind one token.

    References
    ----------
    Petsiuk et al. 2018 (arXiv 1806.07421), section 4.3. Ours: the steps, and blur in place of grey.
    """
    values = similarity_map.values
    body = np.flatnonzero(np.isfinite(values.ravel()))
    ranked = body[np.argsort(-values.ravel()[body], kind="stable")]
    blurred = _blurred(model_input)
    deletion, insertion = [], []
    for share in SHARES:
        chosen = np.zeros(values.size, dtype=bool)
        chosen[ranked[: round(share * len(ranked))]] = True
        region = chosen.reshape(values.shape)
        for axis, size in enumerate(patch_size):
            region = region.repeat(size, axis=axis)
        region = region[tuple(slice(0, n) for n in model_input.image.shape[1:])]
        deletion.append(ask(_with_image(model_input, np.where(region, blurred, model_input.image))))
        insertion.append(
            ask(_with_image(model_input, np.where(region, model_input.image, blurred)))
        )
    return FaithfulnessCurves(tuple(deletion), tuple(insertion))


def area(curve: tuple[float, ...]) -> float:
    """Return the mean height of a curve by trapezia over the steps of ``SHARES``."""
    heights = np.asarray(curve)
    return float(((heights[1:] + heights[:-1]) / 2).mean())


def _blurred(model_input: ModelInput) -> npt.NDArray[np.float32]:
    sigma = [_BLUR_MM / spacing for spacing in model_input.geometry.spacing_mm]
    return np.stack([ndimage.gaussian_filter(channel, sigma) for channel in model_input.image])


def _with_image(model_input: ModelInput, image: npt.NDArray[np.float32]) -> ModelInput:
    return replace(model_input, image=np.ascontiguousarray(image, dtype=np.float32))
