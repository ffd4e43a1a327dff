"""ROI reading: the CT numbers and organs of a region, and the findings that fit it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from napari_ctclip.core.organ_naming import OrganNaming
from napari_ctclip.core.prompt import Prompt
from napari_ctclip.core.region import Region
from napari_ctclip.core.study import Study
from napari_ctclip.core.template_set import AS_TYPED, TemplateSet
from napari_ctclip.explanation.vocabulary import finding_prompts
from napari_ctclip.regions.region_statistics import (
    HounsfieldHistogram,
    RegionStatistics,
    hounsfield_histogram,
    region_organ,
    region_statistics,
)

if TYPE_CHECKING:
    # torch comes in with these; a region of a scan that is not encoded needs none
    from napari_ctclip.explanation.local_findings import LocalFindings
    from napari_ctclip.models.interface import VisionLanguageModel
    from napari_ctclip.scoring.encoded_study import EncodedStudy

__all__ = ["RoiReading", "read_roi"]


@dataclass(frozen=True, eq=False)
class RoiReading:
    """A region as it is described in the window and on the command line.

    Attributes
    ----------
    statistics : RegionStatistics
        Its CT numbers, size and organs.
    histogram : HounsfieldHistogram
        Its CT numbers, counted.
    local : LocalFindings or None
        The ranked findings and the similar regions; None until the scan is encoded.
    naming : OrganNaming or None
        What the model calls the region; None if it was not trained with organ names.
    templates : TemplateSet
        What the findings were put in.
    """

    statistics: RegionStatistics
    histogram: HounsfieldHistogram
    local: LocalFindings | None
    naming: OrganNaming | None = None
    templates: TemplateSet = AS_TYPED


def read_roi(
    study: Study,
    region: Region,
    *,
    encoded: tuple[VisionLanguageModel, EncodedStudy] | None = None,
    asked: Sequence[Prompt] = (),
    templates: TemplateSet = AS_TYPED,
) -> RoiReading:
    """Return what a region of a scan is, and which findings of its organ fit it.

    Parameters
    ----------
    study : Study
        The scan.
    region : Region
        The region.
    encoded : tuple of VisionLanguageModel and EncodedStudy, optional
        The same scan as a model sees it; without it no finding is ranked.
    asked : sequence of Prompt
        The user's own prompts, ranked among the dictionary's.
    templates : TemplateSet
        What all of them are put in: a rank among other phrasings would rank phrasings.
    """
    statistics = region_statistics(study, region)
    histogram = hounsfield_histogram(study, region)
    if encoded is None:
        return RoiReading(statistics, histogram, None)
    from napari_ctclip.explanation.local_findings import local_findings
    from napari_ctclip.regions.region_tokens import region_tokens
    from napari_ctclip.scoring.organ_naming import name_tokens, trained_names

    model, scan = encoded
    organ = region_organ(statistics.organs)
    own, others = finding_prompts(organ, suggested=model.suggested_prompts)
    said = {prompt.positive.lower() for prompt in asked}
    prompts = [*asked, *(p for p in own if p.positive.lower() not in said)]
    reference = [p for p in others if p.positive.lower() not in said]
    local = local_findings(
        study,
        scan,
        region,
        prompts=[replace(prompt, templates=templates) for prompt in prompts],
        others=[replace(prompt, templates=templates) for prompt in reference],
        known=model.suggested_prompts,
    )
    names = trained_names(model)
    naming = None
    if names:
        tokens = region_tokens(region, study.volume.geometry, scan.scan.token_geometry)
        naming = name_tokens(model, scan.scan, tokens, names=names, region=organ)
    return RoiReading(statistics, histogram, local, naming, templates)
