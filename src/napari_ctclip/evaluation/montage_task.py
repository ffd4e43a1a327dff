"""Montage task: what a montage, which is one picture, answers to the classes of a task set."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from napari_ctclip.core.montage import Montage
from napari_ctclip.evaluation.task_files import TaskSet
from napari_ctclip.preprocessing.intensity import window_channels
from napari_ctclip.scoring.prompt_ensemble import ensemble_text, with_ensembles
from napari_ctclip.scoring.similarity import (
    background_similarity,
    contrast,
    softmax_probability,
)

if TYPE_CHECKING:
    from napari_ctclip.encoding.patch_encoding import PatchModel

__all__ = [
    "ClassifiedMontage",
    "MontageClass",
    "classify_montage",
    "picture_classes",
    "picture_vector",
]

_AIR_HU = -1024


@dataclass(frozen=True)
class MontageClass:
    """How much a montage looks like one class.

    Attributes
    ----------
    label : str
        Of the task set.
    similarity : float
        Cosine with the class less that of what it is contrasted with: all other classes of a set
        whose classes exclude each other, else its own negatives.
    probability : float
        The softmax of the two: over all classes of an exclusive set they sum to 1. Not calibrated.
    """

    label: str
    similarity: float
    probability: float


@dataclass(frozen=True, eq=False)
class ClassifiedMontage:
    """What one montage answers to a task set, in the set's order."""

    montage: Montage
    tasks: TaskSet
    classes: tuple[MontageClass, ...]


@torch.inference_mode()
def classify_montage(
    model: PatchModel, montage: Montage, tasks: TaskSet, *, device: torch.device | str = "cpu"
) -> ClassifiedMontage:
    """Return what a montage answers to each class; it is encoded once.

    A montage that is not square is filled up with air: no tile is distorted.

    References
    ----------
    Van Uden et al. 2023 (arXiv 2306.01111), abstract: montages classified zero-shot; Radford et al.
    2021, section 3.1.4: an ensemble is the mean of its phrasings' embeddings.
    """
    channels = window_channels(_square(montage.hounsfield), model.preprocessing.windows_hu)
    vector = picture_vector(model, channels, device=device)
    return ClassifiedMontage(montage, tasks, picture_classes(model, vector, tasks))


@torch.inference_mode()
def picture_vector(
    model: PatchModel, channels: npt.NDArray[np.float32], *, device: torch.device | str = "cpu"
) -> Tensor:
    """Return the vector (E,) of one prepared picture (C, H, W)."""
    return model.embed_patches(torch.from_numpy(channels)[None].to(device)).float().cpu()[0]


@torch.inference_mode()
def picture_classes(model: PatchModel, vector: Tensor, tasks: TaskSet) -> tuple[MontageClass, ...]:
    """Return what a picture's vector (E,) answers to each class of a task set."""
    queried = with_ensembles(model, tasks.ensembles, ensemble=tasks.ensemble)
    positives = queried.embed_text([ensemble_text(t.positives) for t in tasks.tasks]).float().cpu()
    scale = float(model.logit_scale.exp())
    cosines = (positives @ vector).reshape(-1)
    if tasks.exclusive:
        against = _others(cosines, scale)
    else:
        texts = queried.embed_text([ensemble_text(t.negatives) for t in tasks.tasks]).float().cpu()
        against = texts @ vector
    similarity = contrast(cosines, against)
    probability = softmax_probability(similarity, scale)
    return tuple(
        MontageClass(task.label, float(s), float(p))
        for task, s, p in zip(tasks.tasks, similarity, probability, strict=True)
    )


def _square(hounsfield: npt.NDArray[np.int16]) -> npt.NDArray[np.int16]:
    """Return the picture (H, W) with air below or to the right until it is square."""
    side = max(hounsfield.shape)
    missing = [(0, side - n) for n in hounsfield.shape]
    return np.pad(hounsfield, missing, constant_values=_AIR_HU)


def _others(cosines: Tensor, scale: float) -> Tensor:
    """Return the smooth maximum of all other classes' cosines, for each class (T,)."""
    rows = []
    for k in range(len(cosines)):
        rest = torch.cat([cosines[:k], cosines[k + 1 :]])
        rows.append(background_similarity(torch.ones(1, 1), rest[:, None], scale))
    return torch.cat(rows)
