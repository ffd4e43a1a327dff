"""The thoracic cavity: lungs, mediastinum and the pleural spaces between them and the ribs."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.spatial import ConvexHull, QhullError

from napari_ctclip.core.geometry import Geometry

__all__ = ["thoracic_cavity_tokens"]

_FEWEST_TOKENS = 50
"""Ours: a hull of less is not a chest."""

_PLEURA_MM = 6.0
"""Ours: the hull reaches this far beyond the aerated lungs, to the inner face of the ribs."""


def thoracic_cavity_tokens(
    lung_tokens: npt.NDArray[np.intp], token_geometry: Geometry
) -> npt.NDArray[np.intp]:
    """Return the flat indices of the tokens (d, h, w) in the convex hull of both lungs.

    Fluid and airless lung are not aerated, so masks made from HU leave them out; they lie inside
    the hull of what is. A lung pressed away on one side is stood in for by the mirrored other one.
    Empty where there are too few tokens to have a hull.
    """
    if len(lung_tokens) < _FEWEST_TOKENS:
        return np.empty(0, dtype=np.intp)
    grid = token_geometry.shape
    index = np.transpose(np.asarray(np.unravel_index(lung_tokens, grid)))
    lungs_mm = token_geometry.index_to_world(index)
    mirrored = lungs_mm.copy()
    # x runs from left to right in the patient; the middle of both lungs' extent is the midline
    mirrored[:, 0] = lungs_mm[:, 0].min() + lungs_mm[:, 0].max() - lungs_mm[:, 0]
    try:
        hull = ConvexHull(np.concatenate([lungs_mm, mirrored]))
    except QhullError:
        return np.empty(0, dtype=np.intp)
    low, high = hull.points.min(axis=0) - _PLEURA_MM, hull.points.max(axis=0) + _PLEURA_MM
    places = token_geometry.index_to_world(np.indices(grid).reshape(3, -1).T)
    near = np.flatnonzero(((places >= low) & (places <= high)).all(axis=1))
    # rows of ``equations`` are outward unit normals and offsets: signed distance in mm
    inside = np.ones(len(near), dtype=bool)
    for facet in hull.equations:
        remaining = np.flatnonzero(inside)
        distance = places[near[remaining]] @ facet[:3] + facet[3]
        inside[remaining] = distance <= _PLEURA_MM
    return np.asarray(near[inside], dtype=np.intp)
