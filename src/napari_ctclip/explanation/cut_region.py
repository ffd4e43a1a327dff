"""Cut region: the heatmap's component about a peak at a threshold, within its organ, measured."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from napari_ctclip.core.anatomy import anatomy_label
from napari_ctclip.core.errors import DataError
from napari_ctclip.core.region import Region
from napari_ctclip.core.study import Study
from napari_ctclip.explanation.found_regions import heat_region
from napari_ctclip.scoring.answer import Answer
from napari_ctclip.scoring.region_scores import WHOLE_SCAN

__all__ = ["CutRegion", "CutRule", "cut_region", "organ_of_focus"]

_CORNERS = np.ones((3, 3, 3), dtype=bool)  # voxels that touch at a corner are one component


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
