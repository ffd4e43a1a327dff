"""The 2D starter model, from nothing: a small CLIP of patches in open_clip's format."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import nn

from napari_ctclip.core.errors import DataError
from napari_ctclip.models.published.slice_model import SliceModel
from napari_ctclip.pretraining.building import (
    Assembly,
    objective_options,
    open_clip_of,
    open_clip_writer,
)
from napari_ctclip.pretraining.loop import Training, train
from napari_ctclip.pretraining.objectives.objective import Setting
from napari_ctclip.pretraining.recipe import PatchPoolTable, Recipe
from napari_ctclip.pretraining.runs.launching import launch_fabric
from napari_ctclip.pretraining.runs.run_folder import RunFolder
from napari_ctclip.pretraining.runs.run_log import StepReport
from napari_ctclip.pretraining.starter.distillation import sentence_encoder_words
from napari_ctclip.pretraining.starter.patch_batches import PatchDraws, PatchSampler
from napari_ctclip.pretraining.starter.patch_objective import PatchObjective
from napari_ctclip.pretraining.starter.patch_pool import PatchPool, make_pool

__all__ = ["assemble_starter_2d", "pretrain_starter_2d"]

_POOL = "pool.npz"
_WORD_SCALE = 0.05


def pretrain_starter_2d(
    recipe: Recipe, out: Path, *, resume: bool = False, report: StepReport | None = None
) -> Path:
    """Make the pool if it is not there, train, and return the folder of the averaged model.

    Parameters
    ----------
    recipe : Recipe
        The recipe.
    out : Path
        The folder of the run; it holds ``pool.npz`` beside what every run holds.
    resume : bool
        Continue where an earlier run of the same folder stopped.
    report : StepReport, optional
        Shows progress.

    Raises
    ------
    DataError
        If the folder holds a run already, or one of another recipe; if the sentence encoder that
        initialises the words is not installed.
    """
    folder = RunFolder(out)
    folder.require_startable(recipe, resume=resume)
    launch = launch_fabric(recipe)
    if launch.fabric.is_global_zero and not (out / _POOL).exists():
        pool = _pool(recipe).model_dump()
        make_pool(**pool, seed=recipe.data.first_seed).save(out / _POOL)
    launch.fabric.barrier()
    sampler = PatchSampler(
        PatchPool.load(out / _POOL),
        windows_hu=recipe.preprocessing.windows_hu,
        image_size=recipe.model.image["image_size"],
    )
    draws = PatchDraws(sampler, recipe.optimizer.batch, seed=recipe.loop.seed)
    training = Training(recipe, assemble_starter_2d(recipe), draws, launch)
    train(training, folder, resume=resume, report=report)
    return folder.model


def assemble_starter_2d(recipe: Recipe) -> Assembly:
    """Return the untrained model, with the words of a sentence encoder, and its objective.

    Raises
    ------
    DataError
        If the sentence encoder is not installed.
    """
    setting = Setting((), recipe.loop.seed, batch=recipe.optimizer.batch)
    objective = PatchObjective(objective_options(recipe, PatchObjective), setting)
    model = open_clip_of(recipe)
    _initialise_words(model)
    torch.manual_seed(recipe.loop.seed)
    trained = objective.module(model, lambda: model)
    return Assembly(trained, objective, open_clip_writer(model, half=True))


def _initialise_words(model: SliceModel) -> None:
    """Initialise the word table from a sentence encoder, and freeze it.

    A word that no sentence of the training has stays beside those that mean alike.
    """
    clip: Any = model.clip
    words: nn.Embedding = clip.token_embedding
    try:
        table = sentence_encoder_words(words.num_embeddings, words.embedding_dim)
    except ImportError as error:
        raise DataError(
            f"initialising the words needs a sentence encoder ({error}); "
            'install it with: pip install "napari-ctclip[distil]"'
        ) from error
    with torch.no_grad():
        words.weight.copy_(table * _WORD_SCALE)
    words.weight.requires_grad_(False)


def _pool(recipe: Recipe) -> PatchPoolTable:
    if recipe.data.pool is None:
        raise DataError('a recipe of "starter_2d" has a table [data.pool]; copy the shipped one')
    return recipe.data.pool
