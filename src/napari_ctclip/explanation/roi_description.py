"""Place words: what the numbers of a place mean, in sentences for the window and the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_ctclip.core.anatomy import anatomy_label
from napari_ctclip.core.template_set import AS_TYPED, TemplateSet
from napari_ctclip.regions.region_statistics import PERCENTS, RegionStatistics

if TYPE_CHECKING:
    # torch comes in with these
    from napari_ctclip.explanation.local_findings import LocalFinding, LocalFindings

__all__ = [
    "CAUTION",
    "finding_words",
    "no_similar_words",
    "organ_words",
    "reference_words",
    "statistics_words",
]

CAUTION = "Similarity is relative to this scan; it is not a probability of disease."
"""Stands wherever findings of a place are shown."""

_MOST_ORGANS = 4
_LEAST_SHARE = 0.005


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
    """Return the organs that a place lies in with their shares, the largest four."""
    shares = [item for item in statistics.organs.items() if item[1] >= _LEAST_SHARE]
    if not shares:
        return "no organ mask here"
    return ", ".join(f"{anatomy_label(name)} {share:.0%}" for name, share in shares[:_MOST_ORGANS])


def reference_words(local: LocalFindings, templates: TemplateSet = AS_TYPED) -> str:
    """Return what the numbers of a place are held against, and how the findings were worded."""
    if not local.findings:
        return "Outside the body: no finding can be ranked here."
    organ = anatomy_label(local.organ)
    moved = (
        f"{local.places} places of this shape in the {organ}"
        if local.places
        else f"too few places of this shape fit in the {organ} to compare with"
    )
    wording = "" if templates == AS_TYPED else f" Wording: {templates.name}."
    against = f"{moved}; {local.mirror}; {local.prompts} other findings at this place"
    return f"Against: {against}.{wording}"


def no_similar_words(local: LocalFindings) -> str:
    """Return why no similar place is listed; empty where some are."""
    if local.similar or not local.findings:
        return ""
    if not local.whole_organ:
        return "No other place lies far enough away to be similar."
    side = local.mirror.removeprefix("mirrored side: ")
    other = f" Compare the mirrored side: {side}." if side != local.mirror else ""
    return (
        f"None for most of an organ ({anatomy_label(local.organ)}): its mean is like the organ "
        f"itself, not like a finding. Draw a ball or a box on what you mean.{other}"
    )


def finding_words(finding: LocalFinding, local: LocalFindings) -> str:
    """Return one finding of a place in a sentence or two, with what each null says."""
    said = [f"“{finding.text}”: similarity {finding.similarity:+.2f}"]
    if finding.organ_percentile is not None:
        said.append(
            f"more than at {_of_all(finding.organ_percentile, local.places)} places of this "
            f"shape in the {anatomy_label(local.organ)}"
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


def _of_all(percentile: float, places: int) -> str:
    if percentile == 100.0:
        return f"all {places}"
    return f"none of {places}" if percentile == 0.0 else f"{percentile:.1f} % of {places}"
