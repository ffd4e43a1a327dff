"""ROI reading: the CT numbers, organs and findings of a region, in numbers and in sentences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from napari_ctclip.core.anatomy import anatomy_label
from napari_ctclip.core.organ_naming import OrganNaming
from napari_ctclip.core.prompt import Prompt
from napari_ctclip.core.region import Region
from napari_ctclip.core.study import Study
from napari_ctclip.core.template_set import AS_TYPED, TemplateSet
from napari_ctclip.explanation.vocabulary import finding_prompts
from napari_ctclip.regions.region_statistics import (
    PERCENTS,
    HounsfieldHistogram,
    RegionStatistics,
    hounsfield_histogram,
    region_organ,
    region_statistics,
)

if TYPE_CHECKING:
    from napari_ctclip.explanation.local_findings import LocalFinding, LocalFindings
    from napari_ctclip.models.interface import VisionLanguageModel
    from napari_ctclip.scoring.encoded_study import EncodedStudy

__all__ = [
    "CAUTION",
    "RoiReading",
    "finding_words",
    "no_similar_words",
    "organ_words",
    "read_roi",
    "reference_words",
    "statistics_words",
]


CAUTION = "Similarity is relative to this scan; it is not a probability of disease."
"""Stands wherever findings of a region are shown."""

_MOST_ORGANS = 4
_LEAST_SHARE = 0.005


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
    from napari_ctclip.regions.token_grid import region_tokens
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


def statistics_words(statistics: RegionStatistics) -> str:
    """Return CT numbers and size, e.g. ``"4.1 ml, 34 ± 130 HU, median 78, 5-95 % -243 to 151"``."""
    at = dict(zip(PERCENTS, statistics.percentiles_hounsfield, strict=True))
    size = statistics.volume_ml
    millilitres = f"{size:,.0f}" if size >= 100 else f"{size:.2g}" if size < 1 else f"{size:.1f}"
    return (
        f"{millilitres} ml; mean {statistics.mean_hounsfield:.0f} ± "
        f"{statistics.sd_hounsfield:.0f} HU, median {at[50]:.0f}, "
        f"5 to 95 %: {at[5]:.0f} to {at[95]:.0f}"
    )


def organ_words(statistics: RegionStatistics) -> str:
    """Return the organs that a region lies in with their shares, the largest four."""
    shares = [item for item in statistics.organs.items() if item[1] >= _LEAST_SHARE]
    if not shares:
        return "no organ mask here"
    return ", ".join(f"{anatomy_label(name)} {share:.0%}" for name, share in shares[:_MOST_ORGANS])


def reference_words(local: LocalFindings, templates: TemplateSet = AS_TYPED) -> str:
    """Return what the numbers of a region are compared with, and how the findings were phrased."""
    if not local.findings:
        return "Outside the body: no finding can be ranked here."
    organ = anatomy_label(local.organ)
    moved = (
        f"{local.controls} control regions of this shape in the {organ}"
        if local.controls
        else f"too few control regions of this shape fit in the {organ}"
    )
    template = "" if templates == AS_TYPED else f" Prompt template: {templates.name}."
    others = f"{local.prompts} other findings in this region"
    return f"Compared with {moved}; {local.mirror}; {others}.{template}"


def no_similar_words(local: LocalFindings) -> str:
    """Return why no similar region is listed; empty where some are."""
    if local.similar or not local.findings:
        return ""
    if not local.whole_organ:
        return "No other region lies far enough away to be similar."
    side = local.mirror.removeprefix("mirrored side: ")
    other = f" Compare the mirrored side: {side}." if side != local.mirror else ""
    return (
        f"None for most of an organ ({anatomy_label(local.organ)}): its mean is like the organ "
        f"itself, not like a finding. Draw a sphere or a box on what you mean.{other}"
    )


def finding_words(finding: LocalFinding, local: LocalFindings) -> str:
    """Return one finding of a region in a sentence or two, with what each reference says."""
    said = [f"“{finding.text}”: similarity {finding.similarity:+.2f}"]
    if finding.organ_percentile is not None:
        said.append(
            f"more than in {_of_all(finding.organ_percentile, local.controls)} control regions of "
            f"this shape in the {anatomy_label(local.organ)}"
        )
    if finding.mirrored is not None:
        side = local.mirror.removeprefix("mirrored side: ")
        said.append(f"across the midline ({side}) {finding.mirrored:+.2f}")
    if finding.prompt_p is not None:
        as_high = round(finding.prompt_p * (local.prompts + 1)) - 1
        said.append(
            f"{as_high} of {local.prompts} other findings fit as well (p {finding.prompt_p:.3f})"
        )
    trained = (
        "The model was trained with this finding."
        if finding.known
        else "The model was not trained with this finding; it goes by the likeness of the words."
    )
    return "; ".join(said) + ". " + trained


def _of_all(percentile: float, controls: int) -> str:
    if percentile == 100.0:
        return f"all {controls}"
    return f"none of {controls}" if percentile == 0.0 else f"{percentile:.1f} % of {controls}"
