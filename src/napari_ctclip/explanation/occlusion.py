"""Occlusion: whether a region drives a score, by filling it with normal tissue (inpainting)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from napari_ctclip.core.anatomy import anatomy_label
from napari_ctclip.core.notice import Notice, Severity
from napari_ctclip.core.prompt import Prompt
from napari_ctclip.core.region import Region
from napari_ctclip.core.similarity_map import SimilarityMap
from napari_ctclip.core.study import Study
from napari_ctclip.encoding.work import PLAIN, Work
from napari_ctclip.explanation.reencoding import encode_changed
from napari_ctclip.regions.drawn_region import control_regions
from napari_ctclip.regions.normal_tissue import NormalFill, fill_with_normal_tissue, organ_of
from napari_ctclip.regions.token_grid import TokenRegions, region_tokens
from napari_ctclip.scoring.answer import Answer
from napari_ctclip.scoring.encoded_study import Ready, answer_prompt
from napari_ctclip.scoring.region_scores import WHOLE_SCAN, region_scores

__all__ = ["CONTROLS", "THE_REGION", "OccludedRegion", "OcclusionEffect", "occlude_region"]

CONTROLS = 5
"""Ours: with five, a region like any other falls by more than all of them one time in six."""

THE_REGION = "the region itself"
"""Name of the row that reads out the occluded tokens."""

_SEED = 0  # the same region always gets the same filling and the same controls


@dataclass(frozen=True)
class OcclusionEffect:
    """What the occlusion of a region did to one score, beside the occlusion of matched controls.

    Attributes
    ----------
    where : str
        ``WHOLE_SCAN``, an organ, or ``THE_REGION``.
    before, after : float
        The similarity with the region as it is, and occluded.
    controls : tuple of float
        The change by the occlusion of each control; for ``THE_REGION`` that of the control's own
        tokens.
    """

    where: str
    before: float
    after: float
    controls: tuple[float, ...]

    @property
    def change(self) -> float:
        """After less before."""
        return self.after - self.before

    @property
    def beyond(self) -> int:
        """How many controls changed the score by less, to either side."""
        return sum(abs(control) < abs(self.change) for control in self.controls)

    @property
    def reading(self) -> str:
        """The change in words."""
        moved = "falls" if self.change < 0 else "rises"
        said = f"{moved} by {abs(self.change):.3f}"
        if not self.controls:
            return f"{said}; no control"
        how = f"more than {self.beyond} of {len(self.controls)} controls"
        return f"{said}, {how}" if self.beyond else f"{said}, no more than any control"


@dataclass(frozen=True, eq=False)
class OccludedRegion:
    """What a scan answers with a region occluded.

    Attributes
    ----------
    prompt : Prompt
        The query.
    region : Region
        The region that was to be occluded.
    fill : NormalFill
        The normal tissue in its place.
    before, after : Answer
        The answers to the prompt.
    difference : SimilarityMap
        The map after less the map before.
    effects : tuple of OcclusionEffect
        The whole scan, the organ of the region where it has a score, and the region itself.
    controls : tuple of Region
        The matched control regions, of the same shape.
    notices : tuple of Notice
        What makes the result hard to read.
    """

    prompt: Prompt
    region: Region
    fill: NormalFill
    before: Answer
    after: Answer
    difference: SimilarityMap
    effects: tuple[OcclusionEffect, ...]
    controls: tuple[Region, ...]
    notices: tuple[Notice, ...] = ()


def occlude_region(
    ready: Ready,
    prompt: Prompt,
    region: Region,
    *,
    controls: int = CONTROLS,
    work: Work = PLAIN,
) -> OccludedRegion:
    """Return what becomes of a prompt's answer when a region is filled with normal tissue.

    The scan is not changed. Ours: the filling (:func:`fill_with_normal_tissue`), and the controls,
    matched control regions: the same shape, filled by the same rule at random positions in the same
    organ. Filling leaves traces of its own, and any hole changes a map a little.

    Parameters
    ----------
    ready : Ready
        The scan and the model that the prompt was asked of.
    prompt : Prompt
        The prompt whose answer is tested.
    region : Region
        The region, on the scan's grid.
    controls : int
        The number of control regions; each costs as much as the occlusion itself.
    work : Work
        Each encoding is a step.

    Raises
    ------
    Cancelled
        If the work was stopped.
    DataError
        If the region cannot be filled.
    """
    study, model = ready.study, ready.model
    rng = np.random.default_rng(_SEED)
    organ = organ_of(study, region)
    fill = fill_with_normal_tissue(study, region, rng=rng)
    matched = control_regions(study, region, organ=organ, number=controls, rng=rng)
    fills = [fill, *(fill_with_normal_tissue(study, control, rng=rng) for control in matched)]
    original = model.preprocessing.prepare(study.volume)
    before = answer_prompt(model, ready.encoding, prompt)
    answers = []
    for one in work.steps(fills, name="the occlusion"):
        changed = encode_changed(
            ready,
            original=original,
            changed=model.preprocessing.prepare(one.on(study.volume)),
            work=work.silent(),
        )
        answers.append(answer_prompt(model, changed, prompt))
    after, *others = answers
    return OccludedRegion(
        prompt,
        region,
        fill,
        before,
        after,
        _difference(before, after),
        (
            *_score_effects(before, after, others, organ),
            *_region_effect(study, before, answers, (region, *matched)),
        ),
        matched,
        _notices(organ, len(matched), controls),
    )


def _score_effects(
    before: Answer, after: Answer, others: Sequence[Answer], organ: str
) -> list[OcclusionEffect]:
    effects = []
    for where in (WHOLE_SCAN, organ):
        scores = [
            next((s.similarity for s in answer.scores if s.anatomy == where), None)
            for answer in (before, after, *others)
        ]
        known = [s for s in scores if s is not None]
        if len(known) == len(scores):
            was, now, *controls = known
            effects.append(OcclusionEffect(where, was, now, tuple(c - was for c in controls)))
    return effects


def _region_effect(
    study: Study, before: Answer, answers: Sequence[Answer], regions: Sequence[Region]
) -> list[OcclusionEffect]:
    """Return the change of the occluded tokens; empty where none of them answers."""
    pairs = [
        (_read_out(study, before, region), _read_out(study, answer, region))
        for answer, region in zip(answers, regions, strict=True)
    ]
    (was, now), *controls = pairs
    if was is None or now is None:
        return []
    changes = tuple(b - a for a, b in controls if a is not None and b is not None)
    return [OcclusionEffect(THE_REGION, was, now, changes)]


def _read_out(study: Study, answer: Answer, region: Region) -> float | None:
    found = answer.similarity_map
    tokens = region_tokens(region, study.volume.geometry, found.geometry)
    scores = region_scores(found, TokenRegions({THE_REGION: tokens}), scale=1.0)
    return next((s.similarity for s in scores if s.anatomy == THE_REGION), None)


def _difference(before: Answer, after: Answer) -> SimilarityMap:
    was, now = before.similarity_map, after.similarity_map
    return replace(now, values=(now.values - was.values).astype(np.float32))


def _notices(organ: str, found: int, wanted: int) -> tuple[Notice, ...]:
    if found == wanted:
        return ()
    where = anatomy_label(organ) if organ else ""
    why = (
        f"the {where} has room for {found} of {wanted} control regions of this size"
        if where
        else "without organ masks there are no matched control regions"
    )
    return (
        Notice(
            Severity.WARNING,
            "few-controls",
            f"{why}; read the change with care: a hole anywhere changes a map a little",
        ),
    )
