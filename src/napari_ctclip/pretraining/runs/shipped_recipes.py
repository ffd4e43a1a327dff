"""Shipped recipes: the methods by name, and where their recipe files lie; needs no torch."""

from __future__ import annotations

from pathlib import Path

from napari_ctclip.core.errors import CtClipError

__all__ = ["METHOD_SUMMARIES", "STARTER_SUMMARIES", "installed_recipe", "recipe_file"]

METHOD_SUMMARIES = {
    "clip": "whole scan against whole report (baseline)",
    "siglip": "the same, each pair judged alone (baseline)",
    "ct_glip": "organs against their names and findings, with a dictionary of negatives",
    "ct_glip_finetune": "a classification head on organ embeddings, tower frozen or not",
    "lrclr": "words of the report against significant regions",
    "fvlm": "each anatomy against its own description, false negatives calibrated",
    "clip_ild_dapt": "a 2D CLIP adapted on lung montages and reports",
}
"""Method -> what it is in a line."""

STARTER_SUMMARIES = {
    "starter": "the bundled 3D model, trained on simulated chest CT",
    "starter_2d": "the bundled 2D model for patches and montages, trained on simulated slices",
}
"""The bundled models' trainings -> what they are in a line."""


def recipe_file(method: str, *, smoke: bool = False) -> Path:
    """Return the shipped recipe of a method: beside the package, or in the source tree.

    Parameters
    ----------
    method : str
        Its name.
    smoke : bool
        The recipe of a training of seconds.

    Raises
    ------
    CtClipError
        If it is not installed.
    """
    return installed_recipe(method, "smoke.toml" if smoke else "recipe.toml")


def installed_recipe(folder: str, name: str) -> Path:
    """Return a shipped file of a folder of ``training/``, wherever that was installed.

    Raises
    ------
    CtClipError
        If it is not there.
    """
    package = Path(__file__).parents[2]
    for root in (package / "recipes", package.parents[1] / "training"):
        if (root / folder / name).is_file():
            return root / folder / name
    raise CtClipError(f"the recipe of {folder!r} is not installed; pass one with --recipe")
