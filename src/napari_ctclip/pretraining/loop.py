"""The training loop of every recipe, readable top to bottom; it knows none of the methods."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from napari_ctclip.core.errors import CtClipError
from napari_ctclip.core.notice import Notice
from napari_ctclip.models.runtime.freed_memory import reuse_freed_memory
from napari_ctclip.pretraining.building import Assembly
from napari_ctclip.pretraining.contrast_step import EmbeddingModule, accumulate_gradients
from napari_ctclip.pretraining.data.draws import BatchDraws, batches_of, reseed
from napari_ctclip.pretraining.data.samples import Batch
from napari_ctclip.pretraining.objectives.objective import Objective
from napari_ctclip.pretraining.recipe import OptimizerTable, Recipe
from napari_ctclip.pretraining.runs.launching import Launch, stop_requests
from napari_ctclip.pretraining.runs.run_folder import SIMULATED, RunFolder
from napari_ctclip.pretraining.runs.run_log import RunLog, StepReport
from napari_ctclip.pretraining.runs.run_status import noted_status

__all__ = ["Stopped", "Training", "TrainingFailed", "WeightAverage", "rate_at", "train"]

_MEMORY = 0.98  # share of the running mean of the loss that a step keeps


class TrainingFailed(CtClipError):
    """The loss is not finite any more, or it exploded; the batch is named."""


class Stopped(CtClipError):
    """The training was stopped; its state is saved."""


@dataclass(frozen=True, eq=False)
class Training:
    """What is trained, on what, and where.

    Attributes
    ----------
    recipe : Recipe
        The recipe.
    assembly : Assembly
        The model and its objective.
    draws : BatchDraws
        The samples of each step.
    launch : Launch
        The ranks, their devices and the precision.
    identity : mapping of str to plain values
        What the data is; equal for the same data, without a path.
    notices : tuple of Notice
        What the user should know.
    """

    recipe: Recipe
    assembly: Assembly
    draws: BatchDraws
    launch: Launch
    identity: Mapping[str, Any] = field(default_factory=lambda: dict(SIMULATED))
    notices: tuple[Notice, ...] = ()


class WeightAverage:
    """The exponential moving average of a module's weights, with a short memory at the start.

    Parameters
    ----------
    module : nn.Module
        Its weights begin the average.
    decay : float
        The share of the average that stays at every step, later on.
    """

    def __init__(self, module: nn.Module, decay: float) -> None:
        self.decay = decay
        self.weights = {name: t.detach().clone() for name, t in module.state_dict().items()}

    @torch.no_grad()
    def update(self, module: nn.Module, step: int) -> None:
        """Take in the weights after a step."""
        decay = min(self.decay, (step + 1) / (step + 10))
        for name, tensor in module.state_dict().items():
            if tensor.is_floating_point():
                self.weights[name].lerp_(tensor, 1 - decay)


def train(
    training: Training,
    folder: RunFolder,
    *,
    resume: bool = False,
    report: StepReport | None = None,
) -> None:
    """Train to the recipe's last step; the model lies in ``folder.model`` then.

    All random numbers come from (seed, step, rank) and a checkpoint holds the rest: a run that was
    killed and resumed ends with the weights of one that was not, bit by bit.

    Parameters
    ----------
    training : Training
        What is trained, on what, and where.
    folder : RunFolder
        The folder of the run.
    resume : bool
        Continue where the run in the folder stopped.
    report : StepReport, optional
        Shows progress.

    Raises
    ------
    DataError
        If the folder holds a run already, or on resuming one of another recipe or other data.
    TrainingFailed
        If the loss is not finite, or explodes.
    Stopped
        After SIGTERM or an interrupt; the state is saved.
    """
    fabric, recipe = training.launch.fabric, training.recipe
    folder.require_startable(recipe, training.identity, resume=resume)
    run = _Run(training)
    if resume and folder.can_resume():
        _restore(run, folder)
    log = None
    if fabric.is_global_zero:
        folder.write_inputs(recipe, training.identity)
        folder.note_start(fabric, step=run.step, studies=len(training.draws))
        log = RunLog(folder.path, first_step=run.step, report=report)
    batches = _batches(run)
    status = noted_status(folder.path, stopped=Stopped, write=fabric.is_global_zero)
    stopping, logging_to = stop_requests(fabric), log or nullcontext()
    with reuse_freed_memory(), status, stopping as asked_to_stop, logging_to:
        if run.step >= recipe.optimizer.steps:  # the run was killed between its state and its model
            _export(run, folder)
        while run.step < recipe.optimizer.steps:
            numbers = _take_step(run, batches)
            if log is not None:
                log.write(run.step - 1, recipe.optimizer.steps, numbers)
            stop = asked_to_stop()
            is_last = run.step == recipe.optimizer.steps
            is_example = _is_due(run.step, recipe.loop.snapshot_every)
            if stop or is_last or is_example or _is_due(run.step, recipe.loop.save_every):
                folder.save_state(fabric, _state(run))
                _export(run, folder)
                if is_example and fabric.is_global_zero:
                    folder.keep_snapshot(run.step)
            if stop and not is_last:
                raise Stopped(f"stopped after step {run.step}; continue with --resume")


def rate_at(step: int, options: OptimizerTable) -> float:
    """Return the learning rate of a step: linear warm-up, then a cosine to the final share."""
    peak, floor = options.learning_rate, options.learning_rate * options.final_share
    if step < options.warm_up:
        return peak * (step + 1) / options.warm_up
    last = options.cosine_steps or options.steps
    done = (step - options.warm_up) / max(1, last - options.warm_up)
    return floor + (peak - floor) * 0.5 * (1 + math.cos(math.pi * min(1.0, done)))


class _Run:
    """A training under way."""

    def __init__(self, training: Training) -> None:
        recipe, assembly, fabric = training.recipe, training.assembly, training.launch.fabric
        self.training = training
        self.objective: Objective = assembly.objective
        self.embedding = EmbeddingModule(assembly.trained, assembly.objective)
        optimizer = _adamw(self.embedding, recipe, assembly.objective)
        self.module: Any
        self.optimizer: Any
        self.module, self.optimizer = fabric.setup(self.embedding, optimizer)
        self.module.train()
        ema = recipe.optimizer.ema
        self.average = WeightAverage(self.embedding, ema) if ema else None
        self.step = 0
        self.mean_loss = math.nan
        self.study_ids: tuple[str, ...] = ()


def _take_step(run: _Run, batches: Iterator[Batch]) -> dict[str, float]:
    """Change the weights once; return the numbers of the step."""
    started = time.perf_counter()
    training, trained = run.training, run.training.assembly.trained
    options, launch = training.recipe.optimizer, training.launch
    rate = rate_at(run.step, options)
    for group in run.optimizer.param_groups:
        group["lr"] = rate * group.get("factor", 1.0)  # older states have none
    run.objective.start_step(trained, run.step)
    run.optimizer.zero_grad(set_to_none=True)
    terms, waited = _accumulate(run, batches)
    norm = launch.fabric.clip_gradients(
        run.module, run.optimizer, max_norm=options.clip, error_if_nonfinite=False
    )
    if launch.scaler is None and norm is not None and not math.isfinite(norm):
        # fp16 meets this now and then; its scaler leaves the step out
        raise TrainingFailed(f"the gradient is not finite {_where(run, terms)}")
    run.optimizer.step()
    run.objective.end_step(trained)
    if run.average is not None:
        run.average.update(run.embedding, run.step)
    loss = sum(terms.values())
    before = loss if math.isnan(run.mean_loss) else run.mean_loss
    run.mean_loss = _MEMORY * before + (1 - _MEMORY) * loss
    run.step += 1
    return {
        "loss": loss,
        **terms,
        "gradient_norm": math.nan if norm is None else float(norm),
        "learning_rate": rate,
        "scale": _scale_of(run.objective.model_of(trained)),
        "seconds": time.perf_counter() - started,
        "waited": waited,
    }


def _scale_of(model: Any) -> float:
    """Return the factor that the model puts on its cosines."""
    return math.exp(float(model.logit_scale.detach()))


def _accumulate(run: _Run, batches: Iterator[Batch]) -> tuple[dict[str, float], float]:
    """Add up the gradients of a step's batches; return mean terms and the wait for data, s."""
    recipe, fabric = run.training.recipe, run.training.launch.fabric
    count, loop = recipe.optimizer.accumulation, recipe.loop
    terms: dict[str, float] = {}
    waited = 0.0
    for micro in range(count):
        began = time.perf_counter()
        batch = next(batches)
        waited += time.perf_counter() - began
        number = run.step * count + micro
        found = accumulate_gradients(
            fabric,
            run.module,
            run.objective,
            batch.to(fabric.device),
            chunk=loop.chunk or None,
            reseed=partial(reseed, seed=loop.seed, step=number, rank=fabric.global_rank),
            weight=1 / count,
            is_last=micro == count - 1,
        )
        run.study_ids = batch.study_ids
        _require_sane({name: float(term) for name, term in found.items()}, run)
        for name, term in found.items():
            terms[name] = terms.get(name, 0.0) + float(term) / count
    return terms, waited


def _require_sane(terms: Mapping[str, float], run: _Run) -> None:
    loss, limit = sum(terms.values()), run.training.recipe.loop.explosion
    if not math.isfinite(loss):
        raise TrainingFailed(f"the loss is not finite {_where(run, terms)}")
    if loss > limit * max(run.mean_loss, 1.0):  # a comparison with NaN, at first, is False
        raise TrainingFailed(
            f"the loss is more than {limit:g} times its running mean of {run.mean_loss:.4g} "
            f"{_where(run, terms)}, lower optimizer.learning_rate, or raise loop.explosion"
        )


def _where(run: _Run, terms: Mapping[str, float]) -> str:
    values = ", ".join(f"{name} {value:.4g}" for name, value in terms.items())
    return (
        f"at step {run.step} ({values}), on rank {run.training.launch.fabric.global_rank} with "
        f"studies {', '.join(run.study_ids)}; the last checkpoint is untouched: look at these "
        "studies"
    )


def _batches(run: _Run) -> Iterator[Batch]:
    recipe, fabric = run.training.recipe, run.training.launch.fabric
    options = recipe.optimizer
    return batches_of(
        run.training.draws,
        steps=range(run.step * options.accumulation, options.steps * options.accumulation),
        rank=fabric.global_rank,
        world_size=fabric.world_size,
        workers=recipe.data.workers,
    )


def _adamw(module: nn.Module, recipe: Recipe, objective: Objective) -> torch.optim.AdamW:
    """Return AdamW over what is not frozen; kernels and tables decay, the rest does not.

    What the objective slows down does not decay either. In one pass over memory; fp16 needs the
    plain one, whose gradients can be clipped unscaled.
    """
    options = recipe.optimizer
    groups: dict[tuple[bool, float], list[nn.Parameter]] = {}
    for name, parameter in module.named_parameters():
        if parameter.requires_grad:
            factor = objective.rate_factor(name)
            decays = parameter.ndim > 1 and factor == 1.0
            groups.setdefault((decays, factor), []).append(parameter)
    return torch.optim.AdamW(
        [
            {
                "params": groups[decays, factor],
                "weight_decay": options.weight_decay if decays else 0.0,
                "factor": factor,
            }
            for decays, factor in sorted(groups, reverse=True)
        ],
        lr=options.learning_rate,
        betas=options.betas,
        fused=recipe.loop.precision != "fp16",
    )


def _is_due(step: int, every: int) -> bool:
    return every > 0 and step % every == 0


def _state(run: _Run) -> dict[str, Any]:
    """Return all that a resumed run needs."""
    scaler = run.training.launch.scaler
    averages = {} if run.average is None else {"average": run.average.weights}
    return {
        "module": run.module,
        "optimizer": run.optimizer,
        "step": run.step,
        "mean_loss": run.mean_loss,
        "scaler": {} if scaler is None else scaler.state_dict(),
        **averages,
    }


def _restore(run: _Run, folder: RunFolder) -> None:
    state = _state(run)
    folder.load_state(run.training.launch.fabric, state)
    run.step, run.mean_loss = int(state["step"]), float(state["mean_loss"])
    if run.training.launch.scaler is not None and state["scaler"]:
        run.training.launch.scaler.load_state_dict(state["scaler"])
    if run.average is not None:
        averages: Mapping[str, Tensor] = state["average"]
        for name, tensor in run.average.weights.items():
            tensor.copy_(averages[name])


def _export(run: _Run, folder: RunFolder) -> None:
    """Write the folder of the model that the saved state holds."""
    if run.training.launch.fabric.is_global_zero:
        provenance = {"steps": run.step, "recipe": run.training.recipe.to_plain()}
        run.training.assembly.export(folder.saved_weights(), folder.model, provenance)
