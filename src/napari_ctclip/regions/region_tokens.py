"""Tokens of a region: where a drawn place lies on a model's coarse grid."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from napari_ctclip.core.geometry import Geometry
from napari_ctclip.core.region import Region

__all__ = ["nearest_tokens", "region_tokens"]


def region_tokens(region: Region, geometry: Geometry, tokens: Geometry) -> npt.NDArray[np.intp]:
    """Return the flat indices of the tokens whose centre lies in a region.

    A region smaller than a token gets the token that holds its middle; empty if that lies outside
    the token grid.

    Parameters
    ----------
    region : Region
        On the grid of the scan.
    geometry, tokens : Geometry
        Grids of the scan and of the tokens.
    """
    first = np.asarray(region.start, dtype=np.float64) - 0.5
    corners = np.array(list(np.ndindex(2, 2, 2))) * region.mask.shape + first
    box = tokens.world_to_index(geometry.index_to_world(corners))
    low = np.maximum(np.floor(box.min(axis=0)).astype(int), 0)
    high = np.minimum(np.ceil(box.max(axis=0)).astype(int) + 1, tokens.shape)
    if (low < high).all():
        near = np.stack(
            np.meshgrid(*(np.arange(a, b) for a, b in zip(low, high, strict=True)), indexing="ij"),
            axis=-1,
        ).reshape(-1, 3)
        at = np.rint(geometry.world_to_index(tokens.index_to_world(near))).astype(int)
        at -= region.start
        inside = ((at >= 0) & (at < region.mask.shape)).all(axis=1)
        z, y, x = at[inside].T
        member = near[inside][region.mask[z, y, x]]
        if len(member):
            return np.asarray(np.ravel_multi_index(tuple(member.T), tokens.shape), dtype=np.intp)
    places = np.argwhere(region.mask) + region.start
    middle = places[np.argmin(((places - places.mean(axis=0)) ** 2).sum(axis=1))]
    found = nearest_tokens(geometry.index_to_world(middle)[None], tokens)
    return found[found >= 0]


def nearest_tokens(world_mm: npt.NDArray[np.float64], tokens: Geometry) -> npt.NDArray[np.intp]:
    """Return the flat index of the token that holds each RAS place (N, 3); -1 outside the grid."""
    index = np.rint(tokens.world_to_index(world_mm)).astype(int)
    inside = tokens.contains_index(index)
    clipped = np.clip(index, 0, np.asarray(tokens.shape) - 1)
    flat = np.ravel_multi_index(tuple(clipped.T), tokens.shape)
    return np.asarray(np.where(inside, flat, -1), dtype=np.intp)
