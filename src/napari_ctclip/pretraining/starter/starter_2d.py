"""The 2D starter model, from nothing: a small CLIP of patches in open_clip's format."""

from __future__ import annotations

import logging
import math
import time
from copy import deepcopy
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from napari_ctclip.core.errors import DataError
from napari_ctclip.models.published.open_clip_adapter import save_open_clip, untrained_open_clip
from napari_ctclip.models.published.slice_model import SliceModel
from napari_ctclip.preprocessing.specification import Preprocessing
from napari_ctclip.pretraining.recipe import PatchPoolTable, Recipe
from napari_ctclip.pretraining.runs.run_status import noted_status
from napari_ctclip.pretraining.starter.patch_batches import PatchSampler
from napari_ctclip.pretraining.starter.patch_objective import PatchObjective
from napari_ctclip.pretraining.starter.patch_pool import PatchPool, make_pool
from napari_ctclip.pretraining.starter.train import MovingAverage, append_metrics, learning_rate
from napari_ctclip.pretraining.starter.word_table import sentence_encoder_words

__all__ = ["build", "pretrain_starter_2d"]

logger = logging.getLogger(__name__)

_STATE = "training_state.pt"
_HIGHEST_SCALE = math.log(40.0)


def pretrain_starter_2d(recipe: Recipe, out: Path, *, resume: bool = False) -> Path:
    """Make the pool if it is not there, train, and return the folder of the averaged model.

    Parameters
    ----------
    recipe : Recipe
        What to do.
    out : Path
        Of the run; holds ``pool.npz``, ``metrics.csv``, ``model/``.
    resume : bool
        Go on where an earlier run of the same folder stopped.
    """
    out.mkdir(parents=True, exist_ok=True)
    pool_file = out / "pool.npz"
    if not pool_file.exists():
        make_pool(**_pool(recipe).model_dump(), seed=recipe.data.first_seed).save(pool_file)
    model = build(recipe)
    sampler = PatchSampler(
        PatchPool.load(pool_file),
        windows_hu=recipe.preprocessing.windows_hu,
        image_size=recipe.model.image["image_size"],
    )
    with noted_status(out):
        return _train(model, recipe, sampler=sampler, out=out, resume=resume)


def build(recipe: Recipe) -> SliceModel:
    """Return the untrained model: random weights, and words placed by a sentence encoder.

    Raises
    ------
    DataError
        If the sentence encoder is not installed.
    """
    described = recipe.model
    architecture = {
        "embed_dim": described.embedding_width,
        "vision_cfg": described.image,
        **described.head,
    }
    model = untrained_open_clip(architecture, seed=recipe.loop.seed)
    model.preprocessing = Preprocessing.from_dict(recipe.preprocessing.model_dump())
    model.name = "starter-2d"
    words: nn.Embedding = model.clip.token_embedding  # type: ignore[assignment]
    try:
        table = sentence_encoder_words(words.num_embeddings, words.embedding_dim)
    except ImportError as error:
        raise DataError(
            f"placing the words needs a sentence encoder ({error}); "
            'install it with: pip install "napari-ctclip[distil]"'
        ) from error
    with torch.no_grad():
        words.weight.copy_(table * 0.05)
    # kept: a word that no sentence of the training has stays beside those that mean alike
    words.weight.requires_grad_(False)
    return model


def _train(
    model: SliceModel,
    recipe: Recipe,
    *,
    sampler: PatchSampler,
    out: Path,
    resume: bool,
) -> Path:
    options = recipe.optimizer
    torch.manual_seed(recipe.loop.seed)
    objective = PatchObjective(
        model,
        width=recipe.model.embedding_width,
        places=recipe.objective["localisation"],
        ranking=recipe.objective["ranking"],
    )
    optimiser = _optimiser(model, objective, options.weight_decay)
    average = MovingAverage(model.clip, options.ema)
    first = _restore(out, model, objective, optimiser, average) if resume else 0
    model.train()
    model.clip.visual.to(memory_format=torch.channels_last)  # a third faster in bf16
    scale: Tensor = model.clip.logit_scale  # type: ignore[assignment]
    started = time.monotonic()
    for step in range(first, options.steps):
        rng = np.random.default_rng([recipe.loop.seed, 1, step])  # a resumed run draws the same
        for group in optimiser.param_groups:
            group["lr"] = learning_rate(
                step,
                peak=options.learning_rate,
                warm_up=options.warm_up,
                steps=options.cosine_steps or options.steps,
            )
        batch = sampler.draw(options.batch, rng)
        loss = objective(model, batch, rng, ranked=step >= recipe.objective["ranking_from"])
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        with torch.no_grad():
            scale.clamp_(max=_HIGHEST_SCALE)
        average.update(model.clip, step)
        row = {"step": step, "loss": round(float(loss.detach()), 4)}
        row |= {
            "scale": round(float(scale.detach().exp()), 2),
            "elapsed": round(time.monotonic() - started, 1),
        }
        append_metrics(out, row)
        if (step + 1) % recipe.loop.save_every == 0 or step + 1 == options.steps:
            _save(out, step + 1, model, objective, optimiser, average)
    return out / "model"


def _pool(recipe: Recipe) -> PatchPoolTable:
    if recipe.data.pool is None:
        raise DataError('a recipe of "starter_2d" has a table [data.pool]; copy the shipped one')
    return recipe.data.pool


def _optimiser(
    model: SliceModel, objective: PatchObjective, weight_decay: float
) -> torch.optim.AdamW:
    trained = [p for p in (*model.parameters(), *objective.parameters()) if p.requires_grad]
    return torch.optim.AdamW(
        [
            {"params": [p for p in trained if p.ndim > 1], "weight_decay": weight_decay},
            {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0},
        ],
        lr=1e-3,
        betas=(0.9, 0.98),
    )


def _save(
    out: Path,
    step: int,
    model: SliceModel,
    objective: PatchObjective,
    optimiser: torch.optim.Optimizer,
    average: MovingAverage,
) -> None:
    state = {
        "step": step,
        "model": model.clip.state_dict(),
        "objective": objective.state_dict(),
        "optimiser": optimiser.state_dict(),
        "average": average.state,
    }
    part = out / f"{_STATE}.part"
    torch.save(state, part)
    part.replace(out / _STATE)  # a run killed here leaves the old state whole
    averaged = deepcopy(model)
    averaged.clip.load_state_dict(average.state)
    save_open_clip(averaged.half(), out / "model")


def _restore(
    out: Path,
    model: SliceModel,
    objective: PatchObjective,
    optimiser: torch.optim.Optimizer,
    average: MovingAverage,
) -> int:
    file = out / _STATE
    if not file.exists():
        return 0
    state = torch.load(file, weights_only=True)
    model.clip.load_state_dict(state["model"])
    objective.load_state_dict(state["objective"])
    optimiser.load_state_dict(state["optimiser"])
    average.state = state["average"]
    logger.info("resuming at step %d", state["step"])
    return int(state["step"])
