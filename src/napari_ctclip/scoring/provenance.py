"""Provenance: what a number depends on, so that it can be made again."""

from __future__ import annotations

import platform
from dataclasses import asdict
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from napari_ctclip.core.prompt import Prompt
from napari_ctclip.core.study import Study
from napari_ctclip.core.template_set import TemplateSet

if TYPE_CHECKING:
    from napari_ctclip.models.interface import VisionLanguageModel

__all__ = ["describe_prompt", "describe_templates", "provenance"]

_MADE_HERE = ("quick", "TotalSegmentator", "simulation")
_PACKAGES = ("napari-ctclip", "torch", "numpy", "scipy", "nibabel", "pydicom", "SimpleITK")


def provenance(study: Study, model: VisionLanguageModel | None, *, device: str) -> dict[str, Any]:
    """Return hashes of scan and weights, preprocessing, calibration and versions; no names.

    Without a model nothing is said of one: findings may be marked by hand alone.
    """
    geometry, masks = study.volume.geometry, study.organ_masks
    return {
        "input": {
            "content_sha256": study.volume.content_hash(),
            "shape": list(geometry.shape),
            "spacing_mm": list(geometry.spacing_mm),
        },
        # a path may hold a patient's name: only how masks were made here is recorded
        "organ_masks": None if masks is None else _told_source(masks.source),
        **_told_model(model),
        "device": device,
        "versions": {name: version(name) for name in _PACKAGES}
        | {"python": platform.python_version()},
    }


def describe_prompt(prompt: Prompt) -> dict[str, Any]:
    """Return what was asked, and the templates it was put in."""
    return {
        "positive": prompt.positive,
        "negative": prompt.negative,
        "anatomy": prompt.anatomy,
        "templates": describe_templates(prompt.templates),
    }


def describe_templates(templates: TemplateSet) -> dict[str, Any]:
    """Return templates whole: a person's own may be on no other machine."""
    return {
        "name": templates.name,
        "positive": list(templates.positive),
        "negative": list(templates.negative),
    }


def _told_model(model: VisionLanguageModel | None) -> dict[str, Any]:
    if model is None:
        return {"model": None, "preprocessing": None, "calibration": None}
    return {
        "model": {"name": model.name, "weights_sha256": model.weights_hash()},
        "preprocessing": model.preprocessing.to_dict(),
        "calibration": None if model.calibration is None else asdict(model.calibration),
    }


def _told_source(source: str) -> str:
    return source if source in _MADE_HERE else "file"
