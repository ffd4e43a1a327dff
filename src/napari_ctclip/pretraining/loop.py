"""The training loop of every method, readable top to bottom; it knows none of them."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import nn

from napari_ctclip.core.errors import CtClipError
from napari_ctclip.models.runtime.kept_heap import kept_heap
from napari_ctclip.pretraining.building import Assembly
from napari_ctclip.pretraining.contrast_step import EmbeddingModule, accumulate_gradients
from napari_ctclip.pretraining.data.data_order import DataOrder, batches_of, reseed
from napari_ctclip.pretraining.data.samples import SampleSource, StudyBatch
from napari_ctclip.pretraining.objectives.objective import Objective
from napari_ctclip.pretraining.recipe import OptimizerTable, Recipe
from napari_ctclip.pretraining.runs.launching import Launch, stop_requests
from napari_ctclip.pretraining.runs.run_folder import RunFolder
from napari_ctclip.pretraining.runs.run_log import RunLog, StepReport
from napari_ctclip.pretraining.runs.run_status import noted_status

__all__ = ["Stopped", "TrainingFailed", "rate_at", "train_method"]

_MEMORY = 0.98  # share of the running mean of the loss that a step keeps


class TrainingFailed(CtClipError):
    """The loss is no number any more, or it exploded; the batch is named."""


class Stopped(CtClipError):
    """The training was told to stop; its state is saved."""


@dataclass
class _Run:
    """A training under way."""

    launch: Launch
    recipe: Recipe
    objective: Objective
    trained: nn.Module
    module: Any
    optimizer: Any
    step: int = 0
    mean_loss: float = math.nan
    study_ids: tuple[str, ...] = ()


def train_method(
    launch: Launch,
    recipe: Recipe,
    assembly: Assembly,
    source: SampleSource,
    *,
    folder: RunFolder,
    resume: bool = False,
    report: StepReport | None = None,
) -> None:
    """Train to the recipe's last step; the model lies in ``folder.model`` then.

    All chance comes from (seed, step, process) and a checkpoint holds the rest: a run that was
    killed and resumed ends with the weights of one that was not, bit by bit.

    Parameters
    ----------
    launch, recipe, assembly
        Where to compute, what to do, and with which model and objective.
    source : SampleSource
        Of the samples.
    folder : RunFolder
        Of the run.
    resume : bool
        Go on where the run in the folder stopped.
    report : StepReport, optional
        Shows progress.

    Raises
    ------
    TrainingFailed
        If the loss is not finite, or explodes.
    Stopped
        After SIGTERM or an interrupt; the state is saved.
    """
    fabric = launch.fabric
    embedding = EmbeddingModule(assembly.trained, assembly.objective)
    module, optimizer = fabric.setup(embedding, _adamw(embedding, recipe))
    module.train()
    run = _Run(launch, recipe, assembly.objective, assembly.trained, module, optimizer)
    if resume and folder.has_state:
        _restore(run, folder)
    log = None
    if fabric.is_global_zero:
        folder.note_start(fabric, step=run.step, studies=len(source))
        log = RunLog(folder.path, first_step=run.step, report=report)
    batches = _batches(run, source)
    status = noted_status(folder.path, stopped=Stopped, write=fabric.is_global_zero)
    stopping, logging_to = stop_requests(fabric), log or nullcontext()
    with kept_heap(), status, stopping as asked_to_stop, logging_to:
        while run.step < recipe.optimizer.steps:
            numbers = _take_step(run, batches)
            if log is not None:
                log.write(run.step - 1, recipe.optimizer.steps, numbers)
            stop = asked_to_stop()
            is_last = run.step == recipe.optimizer.steps
            is_example = _is_due(run.step, recipe.loop.snapshot_every)
            if stop or is_last or is_example or _is_due(run.step, recipe.loop.save_every):
                _save(run, folder, assembly, snapshot=is_example)
            if stop and not is_last:
                raise Stopped(f"stopped after step {run.step}; go on with --resume")


def rate_at(step: int, options: OptimizerTable) -> float:
    """Return the learning rate of a step: linear warm-up, then a cosine to the final share."""
    peak, floor = options.learning_rate, options.learning_rate * options.final_share
    if step < options.warm_up:
        return peak * (step + 1) / options.warm_up
    done = (step - options.warm_up) / max(1, options.steps - options.warm_up)
    return floor + (peak - floor) * 0.5 * (1 + math.cos(math.pi * min(1.0, done)))


def _take_step(run: _Run, batches: Iterator[StudyBatch]) -> dict[str, float]:
    """Change the weights once; return the numbers of the step."""
    started = time.perf_counter()
    options, fabric = run.recipe.optimizer, run.launch.fabric
    rate = rate_at(run.step, options)
    for group in run.optimizer.param_groups:
        group["lr"] = rate
    run.objective.start_step(run.trained, run.step)
    run.optimizer.zero_grad(set_to_none=True)
    terms, waited = _accumulate(run, batches)
    norm = fabric.clip_gradients(
        run.module, run.optimizer, max_norm=options.clip, error_if_nonfinite=False
    )
    if run.launch.scaler is None and norm is not None and not math.isfinite(norm):
        # fp16 meets this now and then; its scaler leaves the step out
        raise TrainingFailed(f"the gradient is no finite number {_where(run, terms)}")
    run.optimizer.step()
    run.objective.end_step(run.trained)
    loss = sum(terms.values())
    before = loss if math.isnan(run.mean_loss) else run.mean_loss
    run.mean_loss = _MEMORY * before + (1 - _MEMORY) * loss
    run.step += 1
    return {
        "loss": loss,
        **terms,
        "gradient_norm": math.nan if norm is None else float(norm),
        "learning_rate": rate,
        "seconds": time.perf_counter() - started,
        "waited": waited,
    }


def _accumulate(run: _Run, batches: Iterator[StudyBatch]) -> tuple[dict[str, float], float]:
    """Add up the gradients of a step's batches; return mean terms and the wait for data, s."""
    count, loop, fabric = run.recipe.optimizer.accumulation, run.recipe.loop, run.launch.fabric
    terms: dict[str, float] = {}
    waited = 0.0
    for micro in range(count):
        asked = time.perf_counter()
        batch = next(batches)
        waited += time.perf_counter() - asked
        number = run.step * count + micro
        found = accumulate_gradients(
            fabric,
            run.module,
            run.objective,
            batch.to(fabric.device),
            chunk=loop.chunk or None,
            reseed=partial(reseed, seed=loop.seed, step=number, process=fabric.global_rank),
            share=1 / count,
            is_last=micro == count - 1,
        )
        run.study_ids = batch.study_ids
        _require_sane({name: float(term) for name, term in found.items()}, run)
        for name, term in found.items():
            terms[name] = terms.get(name, 0.0) + float(term) / count
    return terms, waited


def _require_sane(terms: Mapping[str, float], run: _Run) -> None:
    loss, limit = sum(terms.values()), run.recipe.loop.explosion
    if not math.isfinite(loss):
        raise TrainingFailed(f"the loss is no finite number {_where(run, terms)}")
    if loss > limit * max(run.mean_loss, 1.0):  # a comparison with NaN, at first, is False
        raise TrainingFailed(
            f"the loss is more than {limit:g} times its running mean of {run.mean_loss:.4g} "
            f"{_where(run, terms)}, lower optimizer.learning_rate, or raise loop.explosion"
        )


def _where(run: _Run, terms: Mapping[str, float]) -> str:
    told = ", ".join(f"{name} {value:.4g}" for name, value in terms.items())
    return (
        f"at step {run.step} ({told}), on process {run.launch.fabric.global_rank} with studies "
        f"{', '.join(run.study_ids)}; the last checkpoint is untouched: look at these studies"
    )


def _batches(run: _Run, source: SampleSource) -> Iterator[StudyBatch]:
    options, fabric = run.recipe.optimizer, run.launch.fabric
    return batches_of(
        source,
        DataOrder(len(source), options.batch, run.recipe.loop.seed),
        steps=range(run.step * options.accumulation, options.steps * options.accumulation),
        share=(fabric.global_rank, fabric.world_size),
        workers=run.recipe.data.workers,
    )


def _adamw(module: nn.Module, recipe: Recipe) -> torch.optim.AdamW:
    """Return AdamW over what is not frozen; kernels and tables decay, the rest does not.

    In one pass over memory; fp16 needs the plain one, whose gradients can be clipped unscaled.
    """
    options = recipe.optimizer
    moved = [parameter for parameter in module.parameters() if parameter.requires_grad]
    groups = [
        {"params": [p for p in moved if p.ndim > 1], "weight_decay": options.weight_decay},
        {"params": [p for p in moved if p.ndim <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(
        [group for group in groups if group["params"]],
        lr=options.learning_rate,
        betas=options.betas,
        fused=recipe.loop.precision != "fp16",
    )


def _is_due(step: int, every: int) -> bool:
    return every > 0 and step % every == 0


def _save(run: _Run, folder: RunFolder, assembly: Assembly, *, snapshot: bool) -> None:
    scaler = run.launch.scaler
    state = {
        "module": run.module,
        "optimizer": run.optimizer,
        "step": run.step,
        "mean_loss": run.mean_loss,
        "scaler": {} if scaler is None else scaler.state_dict(),
    }
    folder.save_state(run.launch.fabric, state)
    if run.launch.fabric.is_global_zero:
        training = {"steps": run.step, "recipe": run.recipe.model_dump(mode="json")}
        assembly.export(folder.saved_weights(), folder.model, training)
        if snapshot:
            folder.keep_snapshot(run.step)


def _restore(run: _Run, folder: RunFolder) -> None:
    state: dict[str, Any] = {
        "module": run.module,
        "optimizer": run.optimizer,
        "step": 0,
        "mean_loss": 0.0,
        "scaler": {},
    }
    folder.load_state(run.launch.fabric, state)
    run.step, run.mean_loss = int(state["step"]), float(state["mean_loss"])
    if run.launch.scaler is not None and state["scaler"]:
        run.launch.scaler.load_state_dict(state["scaler"])
