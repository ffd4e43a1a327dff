"""Regions and findings of a heatmap: its connected component about a point, measured."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from uuid import uuid4

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from napari_ctclip.core.anatomy import anatomy_label
from napari_ctclip.core.errors import DataError
from napari_ctclip.core.finding import Finding, FindingOrigin, FindingState
from napari_ctclip.core.prompt import Prompt
from napari_ctclip.core.region import Region
from napari_ctclip.core.similarity_map import SimilarityMap
from napari_ctclip.core.study import Study
from napari_ctclip.core.volume import Volume
from napari_ctclip.explanation.probe import probe_at
from napari_ctclip.io.export.exports import heat_slices
from napari_ctclip.regions.region_statistics import organ_shares, region_organ
from napari_ctclip.regions.token_grid import TokenRegions, nearest_tokens, region_tokens
from napari_ctclip.scoring.answer import Answer
from napari_ctclip.scoring.region_scores import WHOLE_SCAN, RegionScore, region_scores

if TYPE_CHECKING:
    from napari_ctclip.models.interface import VisionLanguageModel

__all__ = [
    "DEFAULT_SHARE",
    "CutRegion",
    "CutRule",
    "component_finding",
    "cut_region",
    "heat_at",
    "heat_region",
    "organ_of_focus",
    "origin_of",
    "point_finding",
    "reshaped",
]

DEFAULT_SHARE = 0.5
"""Ours: a heatmap is cut at half its peak unless asked otherwise, as an isocontour of PET is."""

_CORNERS = np.ones((3, 3, 3), dtype=bool)  # voxels that touch at a corner are one region

Index = tuple[int, int, int]


@dataclass(frozen=True)
class CutRule:
    """How a heatmap becomes a region.

    Attributes
    ----------
    threshold : float
        The similarity from which a voxel belongs to it.
    in_organ : bool
        Whether only the organ that the prompt speaks of counts.
    least_mm : float
        The minimum size of a component that the organ's edge cuts off: the diameter of a sphere of
        its volume.
    """

    threshold: float
    in_organ: bool = False
    least_mm: float = 0.0


@dataclass(frozen=True, eq=False)
class CutRegion:
    """A region with its numbers.

    Attributes
    ----------
    rule : CutRule
        How it was cut.
    region : Region
        The region, on the scan's grid.
    volume_ml : float
        The volume in millilitres.
    mean_hounsfield : float
        The mean CT number, HU.
    """

    rule: CutRule
    region: Region
    volume_ml: float
    mean_hounsfield: float


def heat_at(similarity_map: SimilarityMap, volume: Volume, index: Index) -> float:
    """Return the heatmap at a voxel (z, y, x), as fine as the scan; NaN where it is unknown."""
    one = volume.geometry.cropped(index, [i + 1 for i in index])
    return float(next(heat_slices(similarity_map, one))[0, 0])


def heat_region(
    similarity_map: SimilarityMap, volume: Volume, *, seed: Index, threshold: float
) -> Region:
    """Return the connected voxels about ``seed`` whose similarity reaches ``threshold``.

    The map is made as fine as the scan first (trilinear), as it is in an exported heatmap.

    Raises
    ------
    DataError
        If the heatmap at the seed lies below the threshold.
    """
    low, high = _reach(similarity_map, volume, seed=seed, threshold=threshold)
    target = volume.geometry.cropped(low, high)
    with np.errstate(invalid="ignore"):
        above = np.stack([s >= threshold for s in heat_slices(similarity_map, target)], axis=-1)
    labels, _ = ndimage.label(above, structure=_CORNERS)
    at = tuple(i - a for i, a in zip(seed, low, strict=True))
    wanted = int(labels[at])
    if wanted == 0:
        raise _below_threshold(similarity_map, volume, seed=seed, threshold=threshold)
    return Region.of(labels == wanted, start=(low[0], low[1], low[2]))


def component_finding(
    study: Study,
    answer: Answer,
    model: VisionLanguageModel,
    *,
    seed: Index,
    threshold: float,
) -> Finding:
    """Return the finding of the heatmap's component about a point, at a threshold.

    Raises
    ------
    DataError
        If the heatmap at the point lies below the threshold.
    """
    region = heat_region(answer.similarity_map, study.volume, seed=seed, threshold=threshold)
    finding = point_finding(study, seed, answer=answer, model=model)
    return _measured(replace(finding, threshold=threshold), study, region, (answer, model))


def point_finding(
    study: Study,
    index: Index,
    *,
    answer: Answer | None = None,
    model: VisionLanguageModel | None = None,
) -> Finding:
    """Return the finding of one voxel, with what a prompt says there if one was asked.

    Raises
    ------
    DataError
        If the voxel lies outside the scan.
    """
    probe = probe_at(study, index, token_index=None, prompts=())
    finding = Finding(
        key=uuid4().hex,
        name="Finding" if answer is None else answer.prompt.positive,
        index=index,
        world_mm=probe.world_mm,
        mean_hounsfield=probe.mean_hounsfield,
        anatomy=probe.anatomy,
    )
    if answer is None or model is None:
        return finding
    score = _score(answer, model, _token_at(answer.similarity_map, probe.world_mm))
    return _scored(
        replace(finding, prompt=answer.prompt, origin=origin_of(model, answer.prompt)), score
    )


def reshaped(
    finding: Finding,
    study: Study,
    region: Region,
    *,
    answer: Answer | None = None,
    model: VisionLanguageModel | None = None,
) -> Finding:
    """Return a finding with the region a person drew, measured anew and marked as edited.

    Its score is read out anew where its prompt's answer and the model are at hand, and taken off
    where they are not: a number for another region would mislead.
    """
    asked = None if answer is None or model is None else (answer, model)
    if finding.region is not None and not region.contains(finding.index):
        at = tuple((np.argwhere(region.mask)[0] + region.start).tolist())
        right, anterior, superior = study.volume.geometry.index_to_world(at).tolist()
        finding = replace(finding, index=at, world_mm=(right, anterior, superior))
    edited = replace(finding, state=FindingState.EDITED, similarity=None, probability=None)
    return _measured(edited, study, region, asked)


def origin_of(model: VisionLanguageModel, prompt: Prompt) -> FindingOrigin:
    """Return what a model's numbers about a prompt depend on."""
    weights, preprocessing = model.weights_hash(), model.preprocessing.hash()
    return FindingOrigin(model.name, weights, preprocessing, prompt.templates.name)


def _measured(
    finding: Finding,
    study: Study,
    region: Region,
    asked: tuple[Answer, VisionLanguageModel] | None,
) -> Finding:
    volume = study.volume
    finding = replace(
        finding,
        region=region,
        volume_ml=region.volume_ml(volume.geometry),
        mean_hounsfield=float(volume.voxels[region.box][region.mask].mean()),
        anatomy=region_organ(organ_shares(study.organ_masks, region)),
    )
    if asked is None:
        return finding
    answer, model = asked
    # the prompt may have got another negative or other templates since the finding was made
    finding = replace(finding, prompt=answer.prompt, origin=origin_of(model, answer.prompt))
    tokens = region_tokens(region, volume.geometry, answer.similarity_map.geometry)
    return _scored(finding, _score(answer, model, tokens))


def _scored(finding: Finding, score: RegionScore | None) -> Finding:
    if score is None:
        return finding
    return replace(finding, similarity=score.similarity, probability=score.probability)


def _score(
    answer: Answer, model: VisionLanguageModel, tokens: npt.NDArray[np.intp]
) -> RegionScore | None:
    """Return the read-out of some tokens, by the same rule as an organ's."""
    scores = region_scores(
        answer.similarity_map,
        TokenRegions({"finding": tokens}),
        scale=float(model.logit_scale.exp()),
        calibration=model.calibration,
    )
    return next((score for score in scores if score.anatomy == "finding"), None)


def _token_at(
    similarity_map: SimilarityMap, world_mm: tuple[float, float, float]
) -> npt.NDArray[np.intp]:
    found = nearest_tokens(np.array([world_mm]), similarity_map.geometry)
    return found[found >= 0]


def _reach(
    similarity_map: SimilarityMap, volume: Volume, *, seed: Index, threshold: float
) -> tuple[list[int], list[int]]:
    """Return the box of the scan that the region about a seed cannot leave.

    Between tokens a trilinear map is nowhere higher than at the tokens around: one token more than
    the connected tokens above the threshold holds it.
    """
    grid = similarity_map.geometry
    above = np.nan_to_num(similarity_map.values, nan=-np.inf) >= threshold
    labels, _ = ndimage.label(ndimage.binary_dilation(above, _CORNERS), structure=_CORNERS)
    token = np.rint(grid.world_to_index(volume.geometry.index_to_world(seed))).astype(int)
    wanted = int(labels[tuple(token)]) if grid.contains_index(token) else 0
    if wanted == 0:
        raise _below_threshold(similarity_map, volume, seed=seed, threshold=threshold)
    tokens = np.argwhere(labels == wanted)
    corners = np.array(list(np.ndindex(2, 2, 2)))
    first, last = tokens.min(axis=0) - 0.5, tokens.max(axis=0) + 0.5
    at = volume.geometry.world_to_index(grid.index_to_world(first + corners * (last - first)))
    shape = np.asarray(volume.geometry.shape)
    low = np.clip(np.floor(at.min(axis=0)).astype(int), 0, shape - 1)
    high = np.clip(np.ceil(at.max(axis=0)).astype(int) + 1, low + 1, shape)
    low, high = np.minimum(low, seed), np.maximum(high, np.asarray(seed) + 1)
    return low.tolist(), high.tolist()


def _below_threshold(
    similarity_map: SimilarityMap, volume: Volume, *, seed: Index, threshold: float
) -> DataError:
    value = heat_at(similarity_map, volume, seed)
    there = "is unknown" if np.isnan(value) else f"is {value:+.2f}"
    return DataError(
        f"the heatmap of “{similarity_map.prompt.positive}” at this point {there}, below the "
        f"threshold of {threshold:+.2f}: choose a higher point or a lower threshold"
    )


def organ_of_focus(study: Study, answer: Answer) -> str:
    """Return the organ that a prompt speaks of; empty without one or without its mask."""
    organ = answer.focus.anatomy
    if organ == WHOLE_SCAN or study.organ_masks is None:
        return ""
    return organ if study.organ_masks.labels_of(organ) else ""


def cut_region(
    study: Study, answer: Answer, rule: CutRule, *, seed: tuple[int, int, int]
) -> CutRegion:
    """Return the connected component of a heatmap about a voxel (z, y, x), by a rule.

    Raises
    ------
    DataError
        If nothing is left: the heatmap at the voxel lies below the threshold, or no voxel in the
        organ, or only components that are too small.
    """
    volume = study.volume
    region = heat_region(answer.similarity_map, volume, seed=seed, threshold=rule.threshold)
    if rule.in_organ:
        mask = _in_organ(study, answer, region)
        mask = _without_small_components(mask, rule.least_mm, spacing_mm=volume.geometry.spacing_mm)
        region = Region.of(mask, start=region.start)
    voxels = volume.voxels[region.box][region.mask]
    return CutRegion(rule, region, region.volume_ml(volume.geometry), float(voxels.mean()))


def _in_organ(study: Study, answer: Answer, region: Region) -> npt.NDArray[np.bool_]:
    organ = organ_of_focus(study, answer)
    if not organ or study.organ_masks is None:
        raise DataError(
            f"“{answer.prompt.positive}” speaks of no organ with a mask; cut without the organ"
        )
    labels = study.organ_masks.labels[region.box]
    inside = np.asarray(region.mask & np.isin(labels, study.organ_masks.labels_of(organ)))
    if not inside.any():
        raise DataError(
            f"no voxel of it lies in the {anatomy_label(organ)}; choose a lower threshold"
        )
    return inside


def _without_small_components(
    mask: npt.NDArray[np.bool_], least_mm: float, *, spacing_mm: tuple[float, float, float]
) -> npt.NDArray[np.bool_]:
    labels, _ = ndimage.label(mask, structure=_CORNERS)
    volumes = np.bincount(labels.ravel()) * float(np.prod(spacing_mm))
    large = np.cbrt(6 * volumes / np.pi) >= least_mm
    large[0] = False
    if not large.any():
        raise DataError(
            f"every component is smaller than {least_mm:g} mm; choose a lower threshold or size"
        )
    return np.asarray(large[labels])
