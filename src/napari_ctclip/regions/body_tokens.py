"""Tokens inside the patient: a heatmap over table, clothes and air answers no question."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from napari_ctclip.core.geometry import Geometry
from napari_ctclip.core.organ_masks import OrganMasks
from napari_ctclip.core.volume import Volume
from napari_ctclip.regions.token_grid import token_regions
from napari_ctclip.segmentation.body import find_body
from napari_ctclip.segmentation.working_grid import WorkingGrid

__all__ = ["body_tokens"]

_SMALLEST_SHARE = 0.02
"""Ours: less of the image is no body but a search that failed; then every token counts."""


def body_tokens(
    volume: Volume, input_geometry: Geometry, patch_size: tuple[int, int, int]
) -> npt.NDArray[np.bool_]:
    """Return which tokens (d, h, w) lie in the body or next to it.

    Parameters
    ----------
    volume : Volume
        The scan.
    input_geometry : Geometry
        Grid of the prepared image (D, H, W).
    patch_size : tuple of int
        Voxels (z, y, x) of the prepared image behind one token.
    """
    grid = WorkingGrid.of(volume)
    body = find_body(grid).astype(np.uint8)
    tokens = np.zeros(input_geometry.coarsened(patch_size).shape, dtype=bool)
    if body.mean() < _SMALLEST_SHARE:
        return ~tokens
    masks = OrganMasks(body, {"body": 1}, volume.geometry.coarsened(grid.factor))
    tokens.ravel()[token_regions(masks, input_geometry, patch_size).tokens["body"]] = True
    # the skin's own tokens are half air: one token more keeps what lies on the surface
    return np.asarray(ndimage.binary_dilation(tokens))
