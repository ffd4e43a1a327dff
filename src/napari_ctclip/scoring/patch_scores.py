"""Patch scores: how much each patch looks like the target prompts, and not like the controls."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor

from napari_ctclip.core.errors import DataError
from napari_ctclip.models.interface import VisionLanguageModel

__all__ = ["PatchPrompts", "Pooling", "ScoreMode", "patch_scores", "prompt_scores"]

ScoreMode = Literal["contrast", "cosine", "softmax"]
"""``contrast``: targets pooled, less the mean of the controls. ``cosine``: targets pooled.
``softmax``: probability of any target among all prompts, at the model's scale."""

Pooling = Literal["lse", "max"]
"""How several target prompts become one: smooth or hard maximum."""

DEFAULT_CONTROLS = ("normal lung", "motion artefact", "air outside the body")


@dataclass(frozen=True)
class PatchPrompts:
    """What patches are ranked by.

    Attributes
    ----------
    targets : tuple of str
        What is looked for, in any number of phrasings.
    controls : tuple of str
        What it is contrasted with.
    mode : {"contrast", "cosine", "softmax"}
        The mode; see :data:`ScoreMode`.
    pooling : {"lse", "max"}
        The pooling; see :data:`Pooling`.

    Raises
    ------
    DataError
        If there is no target, or a mode that compares has nothing to compare with.
    """

    targets: tuple[str, ...]
    controls: tuple[str, ...] = DEFAULT_CONTROLS
    mode: ScoreMode = "contrast"
    pooling: Pooling = "lse"

    def __post_init__(self) -> None:
        for name in ("targets", "controls"):
            texts = tuple(" ".join(text.split()) for text in getattr(self, name))
            object.__setattr__(self, name, tuple(dict.fromkeys(text for text in texts if text)))
        if not self.targets:
            raise DataError("a montage needs at least one target prompt, e.g. 'lung nodule'")
        for name, value, choices in (
            ("mode", self.mode, get_args(ScoreMode)),
            ("pooling", self.pooling, get_args(Pooling)),
        ):
            if value not in choices:
                raise DataError(f"no {name} {value!r}; expected one of {', '.join(choices)}")
        if self.mode != "cosine" and not self.controls:
            raise DataError(
                f"the {self.mode} score needs a control prompt, e.g. 'normal lung'; give one, or "
                "choose the cosine"
            )


def prompt_scores(model: VisionLanguageModel, vectors: Tensor, prompts: PatchPrompts) -> Tensor:
    """Return the scores (N,) of unit vectors (N, E), of patches or tokens, by a model's texts."""
    texts = model.embed_text([*prompts.targets, *prompts.controls]).float().to(vectors.device)
    count = len(prompts.targets)
    scale = float(model.logit_scale.exp())
    return patch_scores(vectors, texts[:count], texts[count:], scale=scale, prompts=prompts)


def patch_scores(
    vectors: Tensor,
    targets: Tensor,
    controls: Tensor,
    *,
    scale: float,
    prompts: PatchPrompts,
) -> Tensor:
    """Return the scores (N,) of patches.

    Parameters
    ----------
    vectors : Tensor (N, E)
        The unit-norm embeddings of patches.
    targets, controls : Tensor (T, E) and (M, E)
        The unit-norm embeddings of the prompts.
    scale : float
        The model's factor on a cosine (``exp(logit_scale)``).
    prompts : PatchPrompts
        The prompts, for their mode and pooling.

    References
    ----------
    Van Uden et al. 2023 (arXiv 2306.01111), section 3: patches of the lung chosen by contrastive
    prompts. Ours: the smooth maximum ``log(mean exp(s c)) / s`` over targets, and the mean over
    controls, which were not published.
    """
    cosines = vectors @ targets.T
    if prompts.mode == "softmax":
        both = scale * torch.cat([cosines, vectors @ controls.T], dim=1)
        return torch.softmax(both, dim=1)[:, : len(targets)].sum(dim=1)
    if prompts.pooling == "max":
        pooled = cosines.max(dim=1).values
    else:
        mean = torch.logsumexp(scale * cosines, dim=1) - torch.tensor(float(len(targets))).log()
        pooled = mean / scale
    if prompts.mode == "cosine":
        return pooled
    return pooled - (vectors @ controls.T).mean(dim=1)
