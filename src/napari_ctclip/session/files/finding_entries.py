"""Findings to entries of a session file and back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_ctclip.core.errors import DataError
from napari_ctclip.core.finding import Finding, FindingOrigin, FindingState
from napari_ctclip.core.prompt import Prompt
from napari_ctclip.core.region import Region
from napari_ctclip.core.template_set import AS_TYPED, TemplateSet
from napari_ctclip.session.files.document import FindingEntry, PromptEntry, TemplatesEntry

__all__ = ["entry_of", "finding_of", "prompt_of", "queried_prompt"]


def entry_of(finding: Finding, arrays: dict[str, npt.NDArray[Any]]) -> FindingEntry:
    """Return the entry of a finding; the mask of its region joins ``arrays``."""
    name = ""
    if finding.region is not None:
        name = f"findings/{finding.key}.npy"
        arrays[name] = finding.region.mask
    origin = finding.origin
    return FindingEntry(
        key=finding.key,
        name=finding.name,
        state=finding.state.value,
        index=finding.index,
        world_mm=finding.world_mm,
        mean_hounsfield=finding.mean_hounsfield,
        volume_ml=finding.volume_ml,
        region_start=None if finding.region is None else finding.region.start,
        region=name,
        prompt=None if finding.prompt is None else prompt_of(finding.prompt),
        anatomy=finding.anatomy,
        similarity=finding.similarity,
        probability=finding.probability,
        threshold=finding.threshold,
        note=finding.note,
        model=origin.model,
        weights_sha256=origin.weights_sha256,
        preprocessing_sha256=origin.preprocessing_sha256,
        ensemble=origin.ensemble,
    )


def finding_of(entry: FindingEntry, array: Callable[[str], npt.NDArray[Any]]) -> Finding:
    """Return the finding of an entry; ``array`` gives an array of the file by its name.

    Raises
    ------
    ValueError
        If its state is unknown, or its prompt odd.
    """
    region = None
    if entry.region and entry.region_start is not None:
        region = Region(entry.region_start, array(entry.region).astype(np.bool_))
    return Finding(
        key=entry.key,
        name=entry.name,
        index=entry.index,
        world_mm=entry.world_mm,
        mean_hounsfield=entry.mean_hounsfield,
        volume_ml=entry.volume_ml,
        region=region,
        prompt=None if entry.prompt is None else queried_prompt(entry.prompt),
        anatomy=entry.anatomy,
        similarity=entry.similarity,
        probability=entry.probability,
        threshold=entry.threshold,
        note=entry.note,
        state=FindingState(entry.state),
        origin=FindingOrigin(
            entry.model, entry.weights_sha256, entry.preprocessing_sha256, entry.ensemble
        ),
    )


def prompt_of(prompt: Prompt, *, shown: bool = False) -> PromptEntry:
    """Return the entry of a prompt."""
    templates = prompt.templates
    return PromptEntry(
        positive=prompt.positive,
        negative=prompt.negative,
        anatomy=prompt.anatomy,
        shown=shown,
        templates=None
        if templates == AS_TYPED
        else TemplatesEntry(
            name=templates.name, positive=templates.positive, negative=templates.negative
        ),
    )


def queried_prompt(entry: PromptEntry) -> Prompt:
    """Return the prompt of an entry.

    Raises
    ------
    ValueError
        If its words or its templates are odd.
    """
    saved, templates = entry.templates, AS_TYPED
    try:
        if saved is not None:
            templates = TemplateSet(saved.name, saved.positive, saved.negative)
        return Prompt(entry.positive, entry.negative, entry.anatomy, templates)
    except DataError as error:
        raise ValueError(str(error)) from error
