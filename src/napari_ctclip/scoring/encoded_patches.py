"""Encoded patches: a scan's patches embedded once; every prompt ranks them anew in milliseconds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from napari_ctclip.core.errors import CtClipError
from napari_ctclip.core.notice import Notice
from napari_ctclip.core.study import Study
from napari_ctclip.encoding.feature_cache import cache_key
from napari_ctclip.encoding.patch_encoding import PatchModel, encode_patches
from napari_ctclip.encoding.work import PLAIN, Work
from napari_ctclip.models.interface import FeatureMap, VisionLanguageModel
from napari_ctclip.regions.patches import PatchGrid, PatchPlan, lay_patches
from napari_ctclip.scoring.patch_scores import PatchPrompts, prompt_scores

__all__ = ["EncodedPatches", "embeds_patches", "encode_study_patches"]


@dataclass(frozen=True, eq=False)
class EncodedPatches:
    """Patches of a scan as a model sees them.

    Attributes
    ----------
    grid : PatchGrid
        Where they lie, N of them.
    vectors : Tensor (N, E)
        The embeddings, of unit norm.
    notices : tuple of Notice
        What the user should know.
    from_cache : bool
        Whether they came from the cache.
    """

    grid: PatchGrid
    vectors: Tensor
    notices: tuple[Notice, ...] = ()
    from_cache: bool = False

    scored_by = "embedding"
    """What of a patch is compared with the prompts."""

    @torch.inference_mode()
    def scores(self, model: VisionLanguageModel, prompts: PatchPrompts) -> npt.NDArray[np.float32]:
        """Return what prompts rank the patches by (N,)."""
        return prompt_scores(model, self.vectors, prompts).numpy()


def embeds_patches(model: VisionLanguageModel) -> bool:
    """Return whether a model takes pictures, as patches are."""
    return hasattr(model, "embed_patches")


def encode_study_patches(
    model: VisionLanguageModel,
    study: Study,
    plan: PatchPlan,
    *,
    work: Work = PLAIN,
) -> EncodedPatches:
    """Return the patches of a study embedded, from the cache where they are there.

    Raises
    ------
    CtClipError
        If the model is one of volumes: it embeds no picture; see :mod:`placed_patches`.
    DataError
        If no patches can be laid.
    Cancelled
        If the work was stopped.
    """
    if not embeds_patches(model):
        raise CtClipError(
            f"{model.name!r} is a model of volumes and embeds no patches; choose a model of "
            "pictures: starter-2d, or one of open_clip"
        )
    model_input = model.preprocessing.prepare(study.volume)
    grid = lay_patches(model_input.geometry, study.organ_masks, plan, inside=model_input.inside)
    how = f"{model.preprocessing.hash()} patches {grid.hash()}"
    key = cache_key(study.volume.content_hash(), model.weights_hash(), how)
    features, notices = work.cached(key)
    if features is not None and len(features.levels[0]) == len(grid):
        # cached as float16: a unit vector again
        vectors = functional.normalize(features.levels[0], dim=1)
        return EncodedPatches(grid, vectors, notices, from_cache=True)
    vectors = encode_patches(
        cast("PatchModel", model),
        model_input,
        centres=grid.centres,
        size_mm=plan.size_mm,
        work=work,
    )
    return EncodedPatches(grid, vectors, notices + work.store(key, FeatureMap((vectors,))))
