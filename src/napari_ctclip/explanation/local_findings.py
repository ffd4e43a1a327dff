"""Local findings: the findings that fit a region, each number beside its references."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_ctclip.core.anatomy import anatomy_label, members
from napari_ctclip.core.errors import CtClipError, DataError
from napari_ctclip.core.organ_masks import OrganMasks
from napari_ctclip.core.prompt import Prompt
from napari_ctclip.core.region import Region
from napari_ctclip.core.study import Study
from napari_ctclip.explanation.reference_distribution import (
    FEWEST_CONTROLS,
    percentile_among,
    placements,
    readout_of,
    share_as_high,
)
from napari_ctclip.regions.mirror import counterpart, midline_plane
from napari_ctclip.regions.region_statistics import (
    RegionStatistics,
    region_organ,
    region_statistics,
)
from napari_ctclip.regions.token_grid import nearest_tokens, region_tokens
from napari_ctclip.scoring.encoded_study import EncodedStudy
from napari_ctclip.scoring.heatmap import TokenIndex

__all__ = ["LocalFinding", "LocalFindings", "SimilarRegion", "local_findings", "similar_regions"]

_APART_MM = 15.0  # Ours: two points nearer than that are one lesion more often than two


@dataclass(frozen=True)
class SimilarRegion:
    """A region that looks like another.

    Attributes
    ----------
    world_mm : tuple of float
        The middle of its token in the RAS world of the file, mm.
    cosine : float
        The cosine of its embedding and the region's; 1 is the same direction.
    organ : str
        The organ that holds its middle; empty if unknown.
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
        The flat indices of the region's tokens.
    masks : OrganMasks or None
        The masks that name the organ of each.
    count : int
        The largest number of regions.
    apart_mm : float
        The least distance, mm.
    """
    vector = index.embedding_of(tokens)
    if vector is None:
        return ()
    grid = index.scan.token_geometry
    values = index.cosines_to(vector).ravel()
    order = np.flatnonzero(np.isfinite(values))
    order = order[np.argsort(-values[order], kind="stable")]
    points = grid.index_to_world(np.stack(np.unravel_index(order, grid.shape), axis=1))
    own = grid.index_to_world(np.stack(np.unravel_index(tokens, grid.shape), axis=1))
    free = np.ones(len(order), dtype=bool)
    # the region's box is enough, and a fraction of all pairs of distances
    low, high = own.min(axis=0) - apart_mm, own.max(axis=0) + apart_mm
    free &= ((points < low) | (points > high)).any(axis=1)
    found: list[SimilarRegion] = []
    for _ in range(count):
        if not free.any():
            break
        best = int(np.argmax(free))
        right, anterior, superior = points[best].tolist()
        world = (right, anterior, superior)
        found.append(SimilarRegion(world, float(values[order[best]]), _organ_at(masks, world)))
        free &= ((points - points[best]) ** 2).sum(axis=1) > apart_mm**2
    return tuple(found)


def _organ_at(masks: OrganMasks | None, world_mm: tuple[float, float, float]) -> str:
    if masks is None:
        return ""
    index = np.rint(masks.geometry.world_to_index(world_mm)).astype(int)
    if not masks.geometry.contains_index(index):  # a token reaches past the scan
        return ""
    z, y, x = index.tolist()
    return masks.name_at((z, y, x))


_SEED = 0  # the same region always gets the same matched control regions
_MOSTLY = 0.5

Tokens = npt.NDArray[np.intp]


@dataclass(frozen=True)
class LocalFinding:
    """One finding in one region.

    Attributes
    ----------
    text : str
        The prompt.
    known : bool
        Whether the model says it was trained to know it.
    similarity : float
        The mean of the highest tokens of the region, as an organ is read out.
    organ_percentile : float or None
        The percent of matched control regions (same shape, same organ) that score lower; None if
        there are too few.
    mirrored : float or None
        The same read-out on the other side of the body; None where that cannot be said.
    prompt_percentile : float or None
        The percent of all prompts of the dictionary that score lower in this region.
    prompt_p : float or None
        The share of them that score at least as high, this one counted on both sides: a rank among
        prompts, not a test of disease.
    """

    text: str
    known: bool
    similarity: float
    organ_percentile: float | None
    mirrored: float | None
    prompt_percentile: float | None
    prompt_p: float | None


@dataclass(frozen=True, eq=False)
class LocalFindings:
    """A region in numbers and in words.

    Attributes
    ----------
    region : Region
        The region.
    statistics : RegionStatistics
        Its CT numbers and organs.
    organ : str
        The organ that its control regions are drawn from; ``"body"`` without organ masks.
    findings : tuple of LocalFinding
        The findings, most similar first; empty outside the body.
    controls, prompts : int
        The number of control regions and of prompts that the percentiles are among.
    mirror : str
        What the other side is, or why there is none, in words.
    similar : tuple of SimilarRegion
        Where else the scan looks like it; empty for a whole organ.
    whole_organ : bool
        Whether the region holds most of its organ: its mean is then that of no single part.
    """

    region: Region
    statistics: RegionStatistics
    organ: str
    findings: tuple[LocalFinding, ...]
    controls: int
    prompts: int
    mirror: str
    similar: tuple[SimilarRegion, ...]
    whole_organ: bool = False


def local_findings(
    study: Study,
    encoded: EncodedStudy,
    region: Region,
    *,
    prompts: Sequence[Prompt],
    others: Sequence[Prompt] = (),
    known: Collection[str] = (),
) -> LocalFindings:
    """Return the findings of a region, ranked, each with its references.

    Parameters
    ----------
    study, encoded : Study, EncodedStudy
        The scan, and the same encoded.
    region : Region
        The region.
    prompts : sequence of Prompt
        What is asked of it: the findings of its organ.
    others : sequence of Prompt
        Further prompts that only serve as reference.
    known : collection of str
        The texts that the model was trained with.

    Raises
    ------
    CtClipError
        If there is no prompt to ask.
    """
    if not prompts:
        raise CtClipError("there is no finding to query in this region")
    statistics = region_statistics(study, region)
    grid, geometry = encoded.scan.token_geometry, study.volume.geometry
    tokens = region_tokens(region, geometry, grid)
    organ = region_organ(statistics.organs) or "body"
    empty = LocalFindings(region, statistics, organ, (), 0, 0, "outside the body", ())
    here = _readout(encoded, tokens, prompts)
    if not len(tokens) or not np.isfinite(here).any():
        return empty
    of_organ = _organ_tokens(encoded, organ)
    whole = len(np.intersect1d(tokens, of_organ)) > _MOSTLY * len(of_organ)
    moved = placements(tokens, of_organ, grid, rng=np.random.default_rng(_SEED))
    there = encoded.index.similarities_at(moved.tokens, prompts)
    reference = readout_of(there, grid, moved.members)
    beyond, mirror = _mirrored(study, encoded, tokens, organ)
    mirrored = None if beyond is None else _readout(encoded, beyond, prompts)
    pool = np.concatenate([here, _readout(encoded, tokens, others)])
    trained = {text.lower() for text in known}
    found = [
        LocalFinding(
            text=prompt.positive,
            known=prompt.positive.lower() in trained,
            similarity=float(here[row]),
            organ_percentile=percentile_among(float(here[row]), reference[row]),
            mirrored=None if mirrored is None else float(mirrored[row]),
            prompt_percentile=percentile_among(float(here[row]), np.delete(pool, row)),
            prompt_p=share_as_high(float(here[row]), np.delete(pool, row)),
        )
        for row, prompt in enumerate(prompts)
    ]
    return LocalFindings(
        region,
        statistics,
        organ,
        tuple(sorted(found, key=lambda f: f.similarity, reverse=True)),
        len(moved) if len(moved) >= FEWEST_CONTROLS else 0,
        len(pool) - 1,
        mirror,
        () if whole else similar_regions(encoded.index, tokens, masks=study.organ_masks),
        whole,
    )


def _readout(
    encoded: EncodedStudy, tokens: Tokens, prompts: Sequence[Prompt]
) -> npt.NDArray[np.float32]:
    values = encoded.index.similarities_at(tokens, prompts)
    return readout_of(values, encoded.scan.token_geometry)[:, 0]


def _organ_tokens(encoded: EncodedStudy, organ: str) -> Tokens:
    """Return the tokens of an organ that can answer; those of the body if it has none."""
    inside = np.flatnonzero(encoded.scan.inside)
    if encoded.regions is None or organ not in encoded.regions.tokens:
        return inside
    return np.intersect1d(encoded.regions.tokens[organ], inside, assume_unique=True)


def _mirrored(
    study: Study, encoded: EncodedStudy, tokens: Tokens, organ: str
) -> tuple[Tokens | None, str]:
    """Return the tokens on the other side, and what they are or why there are none."""
    grid = encoded.scan.token_geometry
    try:
        plane = midline_plane(study.organ_masks)
    except DataError as error:
        return None, f"no mirrored side: {error}"
    other = counterpart(organ)
    if other == organ and organ not in ("body", "bone", "ribs"):
        return None, f"no mirrored side: the {anatomy_label(organ)} is not a paired organ"
    own = grid.index_to_world(np.stack(np.unravel_index(tokens, grid.shape), axis=1))
    there = nearest_tokens(plane.mirrored(own), grid)
    there = np.unique(there[there >= 0])
    if len(np.intersect1d(there, tokens)) > _MOSTLY * len(tokens):
        return None, "no mirrored side: the region lies on the midline"
    assert encoded.regions is not None, "the plane came from organ masks"
    names = members(other, encoded.regions.tokens)
    known = [encoded.regions.tokens[name] for name in names]
    in_other = np.isin(there, np.concatenate(known)) if known else np.zeros(len(there), dtype=bool)
    if not len(there) or in_other.mean() < _MOSTLY:
        return None, f"no mirrored side: across the midline is no {anatomy_label(other)}"
    return there[in_other], f"mirrored side: {anatomy_label(other)}"
