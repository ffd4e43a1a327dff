"""Similar places: where else a scan looks, to the model, like a drawn region."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_ctclip.core.organ_masks import OrganMasks
from napari_ctclip.scoring.heatmap import TokenIndex

__all__ = ["SimilarRegion", "similar_regions"]

_APART_MM = 15.0  # Ours: two places nearer than that are one lesion more often than two


@dataclass(frozen=True)
class SimilarRegion:
    """A place that looks like another.

    Attributes
    ----------
    world_mm : tuple of float
        RAS place of the token, mm.
    cosine : float
        Of its embedding with the region's; 1 is the same direction.
    organ : str
        That holds its middle; empty if unknown.
    """

    world_mm: tuple[float, float, float]
    cosine: float
    organ: str = ""


def similar_regions(
    index: TokenIndex,
    tokens: npt.NDArray[np.intp],
    *,
    masks: OrganMasks | None = None,
    count: int = 5,
    apart_mm: float = _APART_MM,
) -> tuple[SimilarRegion, ...]:
    """Return the tokens nearest to a region in embedding space, most similar first.

    Non-maximum suppressed: no two lie within ``apart_mm`` of each other or of the region.

    Parameters
    ----------
    index : TokenIndex
        The encoded scan.
    tokens : ndarray, shape (K,)
        Flat indices of the region's tokens.
    masks : OrganMasks or None
        Name the organ of each.
    count : int
        At most so many.
    apart_mm : float
        Least distance.
    """
    vector = index.embedding_of(tokens)
    if vector is None:
        return ()
    grid = index.scan.token_geometry
    values = index.cosines_to(vector).ravel()
    order = np.flatnonzero(np.isfinite(values))
    order = order[np.argsort(-values[order], kind="stable")]
    places = grid.index_to_world(np.stack(np.unravel_index(order, grid.shape), axis=1))
    own = grid.index_to_world(np.stack(np.unravel_index(tokens, grid.shape), axis=1))
    free = np.ones(len(order), dtype=bool)
    # the region's box is enough, and a fraction of all pairs of distances
    low, high = own.min(axis=0) - apart_mm, own.max(axis=0) + apart_mm
    free &= ((places < low) | (places > high)).any(axis=1)
    found: list[SimilarRegion] = []
    for _ in range(count):
        if not free.any():
            break
        best = int(np.argmax(free))
        right, anterior, superior = places[best].tolist()
        world = (right, anterior, superior)
        found.append(SimilarRegion(world, float(values[order[best]]), _organ_at(masks, world)))
        free &= ((places - places[best]) ** 2).sum(axis=1) > apart_mm**2
    return tuple(found)


def _organ_at(masks: OrganMasks | None, world_mm: tuple[float, float, float]) -> str:
    if masks is None:
        return ""
    index = np.rint(masks.geometry.world_to_index(world_mm)).astype(int)
    if not masks.geometry.contains_index(index):  # a token reaches past the scan
        return ""
    z, y, x = index.tolist()
    return masks.name_at((z, y, x))
