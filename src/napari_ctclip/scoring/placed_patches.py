"""Placed patches: a scan's patches as a model of volumes sees them, each by its highest token."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from napari_ctclip.core.geometry import Geometry
from napari_ctclip.core.notice import Notice
from napari_ctclip.core.study import Study
from napari_ctclip.models.interface import VisionLanguageModel
from napari_ctclip.regions.patches import PatchGrid, PatchPlan, lay_patches
from napari_ctclip.scoring.encoded_study import EncodedStudy
from napari_ctclip.scoring.heatmap import TokenIndex
from napari_ctclip.scoring.patch_scores import PatchPrompts

__all__ = ["PlacedPatches", "place_patches"]

_TILT = 1e-4
"""Ours: what a token at a patch's edge counts less than in its middle.

Of overlapping patches with the same best token the one that has it in its middle comes first."""


@dataclass(frozen=True, eq=False)
class PlacedPatches:
    """Patches over the tokens of an encoded scan.

    Attributes
    ----------
    grid : PatchGrid
        Where they lie, N of them, on the slices of the prepared image nearest to the tokens'.
    index : TokenIndex
        The scan's tokens.
    members : ndarray, shape (M,), intp
        The flat tokens of every patch, one patch after the other.
    tilt : ndarray, shape (M,), float32
        How much less each of them counts, the further it is from the middle of the patch.
    starts : ndarray, shape (N,), intp
        Where each patch begins in ``members``.
    notices : tuple of Notice
        What the user should know.
    from_cache : bool
        Whether the scan's features were kept from an earlier time.
    """

    grid: PatchGrid
    index: TokenIndex
    members: npt.NDArray[np.intp]
    tilt: npt.NDArray[np.float32]
    starts: npt.NDArray[np.intp]
    notices: tuple[Notice, ...] = ()
    from_cache: bool = False

    scored_by = "highest token"
    """What of a patch is compared with the prompts."""

    def scores(self, model: VisionLanguageModel, prompts: PatchPrompts) -> npt.NDArray[np.float32]:
        """Return what prompts rank the patches by (N,): the score of each patch's best token.

        The mean of a patch's tokens would hide whatever is smaller than the patch. A patch without
        a token that can answer comes last.
        """
        values = self.index.scores(prompts)
        values[np.isnan(values)] = -np.inf
        best = np.maximum.reduceat(values.ravel()[self.members] - self.tilt, self.starts)
        lowest = best[np.isfinite(best)].min(initial=0.0)
        return np.where(np.isfinite(best), best, lowest - 1.0).astype(np.float32)


def place_patches(encoded: EncodedStudy, study: Study, plan: PatchPlan) -> PlacedPatches:
    """Return the patches of a study that a model of volumes has encoded.

    Parameters
    ----------
    encoded : EncodedStudy
        The study's tokens.
    study : Study
        The study, with masks of the plan's organ.
    plan : PatchPlan
        The size, stride and organ of the patches.

    Raises
    ------
    DataError
        If no patches can be laid.
    """
    image, tokens = encoded.scan.input_geometry, encoded.scan.token_geometry
    grid = lay_patches(image, study.organ_masks, plan)
    grid = _on_slices_of(tokens, grid)
    halves = plan.size_mm / 2 / np.asarray(tokens.spacing_mm)
    inside = [
        _tokens_about(centre, halves, tokens.shape)
        for centre in tokens.world_to_index(grid.centres_mm())
    ]
    ends = np.cumsum([len(found) for found, _ in inside])
    return PlacedPatches(
        grid,
        encoded.index,
        np.concatenate([found for found, _ in inside]),
        np.concatenate([tilt for _, tilt in inside]),
        np.concatenate([[0], ends[:-1]]).astype(np.intp),
        encoded.notices,
        encoded.from_cache,
    )


def _on_slices_of(tokens: Geometry, grid: PatchGrid) -> PatchGrid:
    """Return the patches on slices through the middles of tokens: others would be their copies."""
    indices = np.zeros((tokens.shape[0], 3))
    indices[:, 0] = np.arange(tokens.shape[0])
    slices = np.rint(grid.geometry.world_to_index(tokens.index_to_world(indices))[:, 0])
    kept = np.isin(grid.centres[:, 0], slices)
    if not kept.any():  # an organ thinner than a token
        return grid
    return replace(grid, centres=grid.centres[kept], shares=grid.shares[kept])


def _tokens_about(
    centre: npt.NDArray[np.float64],
    halves: npt.NDArray[np.float64],
    shape: tuple[int, int, int],
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.float32]]:
    """Return the tokens whose middles lie in a patch, one at least, and their tilt."""
    last = np.asarray(shape) - 1
    first = np.ceil(centre - halves)
    end = np.floor(centre + halves)
    first[0] = end[0] = centre[0]
    narrow = end < first
    first[narrow] = end[narrow] = centre[narrow]
    low = np.clip(np.rint(first), 0, last).astype(np.intp)
    high = np.clip(np.rint(end), 0, last).astype(np.intp)
    axes = [np.arange(a, b + 1) for a, b in zip(low, high, strict=True)]
    tokens = np.stack([axis.ravel() for axis in np.meshgrid(*axes, indexing="ij")])
    away = ((tokens - centre[:, None])[1:] / halves[1:, None]) ** 2
    return np.ravel_multi_index(tuple(tokens), shape), (_TILT * away.mean(axis=0)).astype(
        np.float32
    )
