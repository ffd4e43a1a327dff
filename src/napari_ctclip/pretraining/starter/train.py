"""The training loop of the image encoder, readable top to bottom; it can stop and go on."""

from __future__ import annotations

import csv
import logging
import math
import time
from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from napari_ctclip.models.dual_encoder import DualEncoder
from napari_ctclip.models.folder.checkpoint import save_checkpoint
from napari_ctclip.models.runtime.kept_heap import kept_heap
from napari_ctclip.pretraining.data.sentences import load_vocabulary
from napari_ctclip.pretraining.recipe import OptimizerTable, Recipe, WideCropTable
from napari_ctclip.pretraining.runs.run_status import noted_status
from napari_ctclip.pretraining.starter.batch import TokenBatch
from napari_ctclip.pretraining.starter.dataset import StudyFolder
from napari_ctclip.pretraining.starter.loader import CropPlan, batches
from napari_ctclip.pretraining.starter.token_grounding import TokenGrounding

__all__ = ["MovingAverage", "append_metrics", "learning_rate", "train"]

logger = logging.getLogger(__name__)

_STATE = "training_state.pt"
_HIGHEST_SCALE = math.log(40.0)
_REFRESH_EVERY = 20  # steps between looks for studies that were added


class MovingAverage:
    """Exponential moving average of the weights, with a short memory at the start."""

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self.state = {name: t.detach().clone() for name, t in model.state_dict().items()}

    @torch.no_grad()
    def update(self, model: nn.Module, step: int) -> None:
        """Take in the weights after a step."""
        decay = min(self.decay, (step + 1) / (step + 10))
        for name, tensor in model.state_dict().items():
            if tensor.is_floating_point():
                self.state[name].lerp_(tensor, 1 - decay)


def learning_rate(step: int, *, peak: float, warm_up: int, steps: int) -> float:
    """Return the rate at a step: linear warm-up, then a cosine to zero."""
    if step < warm_up:
        return peak * (step + 1) / warm_up
    done = (step - warm_up) / max(1, steps - warm_up)
    return peak * 0.5 * (1 + math.cos(math.pi * min(1.0, done)))


def train(
    model: DualEncoder,
    recipe: Recipe,
    *,
    studies: StudyFolder,
    out: Path,
    architecture: Mapping[str, Any],
    resume: bool = False,
    device: str = "cpu",
) -> Path:
    """Train the image encoder and both projections; return the folder of the averaged model."""
    out.mkdir(parents=True, exist_ok=True)
    model.to(device)
    # the objective makes many small tensors: they are made where the model is
    place = nullcontext() if device == "cpu" else torch.device(device)
    with place, noted_status(out), kept_heap():
        _loop(model, recipe, studies=studies, out=out, architecture=architecture, resume=resume)
    return out / "model"


def _loop(
    model: DualEncoder,
    recipe: Recipe,
    *,
    studies: StudyFolder,
    out: Path,
    architecture: Mapping[str, Any],
    resume: bool,
) -> None:
    options = recipe.optimizer
    torch.manual_seed(recipe.loop.seed)
    model.text_encoder.requires_grad_(False)
    optimiser = _optimiser(model, options.weight_decay)
    average = MovingAverage(model, options.ema)
    first = _restore(out, model, optimiser, average) if resume else 0
    objective = TokenGrounding(
        load_vocabulary(),
        np.random.default_rng([recipe.loop.seed, 1, first]),
        **recipe.objective,
    )
    studies.refresh()
    model.train()
    started = time.monotonic()
    wide = recipe.data.wide or WideCropTable(every=0)
    plan = CropPlan(
        recipe.data.crop[0],
        options.batch,
        wide.crop,
        wide.batch,
        wide.every,
    )
    feed = batches(studies, plan, first_step=first, last_step=options.steps, seed=recipe.loop.seed)
    for step, batch in enumerate(feed, start=first):
        if step % _REFRESH_EVERY == 0:
            studies.refresh()
        _set_rate(optimiser, step, options)
        terms, norm = _step(model, objective, optimiser, batch.to(model.logit_scale.device))
        average.update(model, step)
        seconds = time.monotonic() - started
        _log(out, step, terms, norm=norm, scale=model.logit_scale, seconds=seconds)
        if (step + 1) % recipe.loop.save_every == 0 or step + 1 == options.steps:
            _save_state(out, step + 1, model, optimiser, average)
            _save_model(out, step + 1, model, average, architecture=architecture, recipe=recipe)


def _set_rate(optimiser: torch.optim.Optimizer, step: int, options: OptimizerTable) -> None:
    rate = learning_rate(
        step, peak=options.learning_rate, warm_up=options.warm_up, steps=options.steps
    )
    for group in optimiser.param_groups:
        group["lr"] = group["factor"] * rate


def _step(
    model: DualEncoder,
    objective: TokenGrounding,
    optimiser: torch.optim.Optimizer,
    batch: TokenBatch,
) -> tuple[dict[str, Tensor], Tensor]:
    """Learn from a batch; return the terms of its loss and the norm of the gradient."""
    terms = objective(model, batch)
    loss = torch.stack(list(terms.values())).sum()
    optimiser.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    norm = nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimiser.step()
    with torch.no_grad():
        model.logit_scale.clamp_(max=_HIGHEST_SCALE)
    return terms, norm


def _optimiser(model: DualEncoder, weight_decay: float) -> torch.optim.AdamW:
    kernels: list[nn.Parameter] = []
    rest: list[nn.Parameter] = []
    text: list[nn.Parameter] = []
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        if name.startswith("text_projection"):
            text.append(parameter)
        else:
            (kernels if parameter.ndim > 1 else rest).append(parameter)
    return torch.optim.AdamW(
        [
            {"params": kernels, "weight_decay": weight_decay, "factor": 1.0},
            {"params": rest, "weight_decay": 0.0, "factor": 1.0},
            # distilled already: it follows the image encoder slowly
            {"params": text, "weight_decay": 0.0, "factor": 0.2},
        ],
        lr=1e-3,
        betas=(0.9, 0.98),
    )


def _log(
    out: Path,
    step: int,
    terms: Mapping[str, Tensor],
    *,
    norm: Tensor,
    scale: Tensor,
    seconds: float,
) -> None:
    row = {"step": step, **{name: round(float(term.detach()), 4) for name, term in terms.items()}}
    row |= {"gradient_norm": round(float(norm), 3), "scale": round(float(scale.detach().exp()), 2)}
    row["elapsed"] = round(seconds, 1)
    append_metrics(out, row)


def append_metrics(out: Path, row: Mapping[str, float]) -> None:
    """Add a step's numbers to ``metrics.csv`` of a run; every twentieth is logged too."""
    file = out / "metrics.csv"
    new = not file.exists()
    with file.open("a", newline="") as stream:
        writer = csv.DictWriter(stream, fieldnames=list(row))
        if new:
            writer.writeheader()
        writer.writerow(row)
    if row["step"] % 20 == 0:
        logger.info(" ".join(f"{name}={value}" for name, value in row.items()))


def _save_state(
    out: Path, step: int, model: nn.Module, optimiser: torch.optim.Optimizer, average: MovingAverage
) -> None:
    state = {
        "step": step,
        "model": model.state_dict(),
        "optimiser": optimiser.state_dict(),
        "average": average.state,
    }
    part = out / f"{_STATE}.part"
    torch.save(state, part)
    part.replace(out / _STATE)  # a run killed here leaves the old state whole


def _save_model(
    out: Path,
    step: int,
    model: DualEncoder,
    average: MovingAverage,
    *,
    architecture: Mapping[str, Any],
    recipe: Recipe,
) -> None:
    """Write the averaged model's folder."""
    save_checkpoint(
        model,
        out / "model",
        architecture=architecture,
        licence="Apache-2.0",
        provenance={"steps": step, "data": "simulated studies", "recipe": recipe.model_dump()},
        state=average.state,
    )


def _restore(
    out: Path, model: DualEncoder, optimiser: torch.optim.Optimizer, average: MovingAverage
) -> int:
    """Load the last saved state of a run; return the step it goes on with, 0 without one."""
    file = out / _STATE
    if not file.exists():
        return 0
    state = torch.load(file, weights_only=True, map_location=model.logit_scale.device)
    model.load_state_dict(state["model"])
    optimiser.load_state_dict(state["optimiser"])
    average.state = state["average"]
    logger.info("resuming at step %d", state["step"])
    return int(state["step"])
