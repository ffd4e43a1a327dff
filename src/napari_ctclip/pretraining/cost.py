"""Cost: what a training will take, measured on one step before it begins."""

from __future__ import annotations

import resource
import time
from dataclasses import dataclass
from functools import partial

import torch
from torch.utils.flop_counter import FlopCounterMode

from napari_ctclip.pretraining.contrast_step import EmbeddingModule, accumulate_gradients
from napari_ctclip.pretraining.data.draws import collate_draws, reseed
from napari_ctclip.pretraining.loop import Training

__all__ = ["Cost", "measure_cost"]

_ADAM_BYTES = 8  # two float32 moments a trained parameter


@dataclass(frozen=True)
class Cost:
    """What one rank needs.

    Attributes
    ----------
    parameters, trained_parameters : int
        Of the module, what is trained beside the model included; of those, what the optimiser
        moves.
    studies, epochs : int, float
        The numbers of the data; how often each is seen.
    peak_gb : float
        Highest memory: of the device on CUDA, of the process elsewhere; the optimiser's state is
        added.
    tflops : float
        Floating-point operations of a step, in 10^12: matrix products and convolutions.
    step_seconds, data_seconds : float
        The seconds of computing a step; of making its batch, which threads do meanwhile.
    total_hours : float
        The hours of all steps, by the slower of the two.
    """

    parameters: int
    trained_parameters: int
    studies: int
    epochs: float
    peak_gb: float
    tflops: float
    step_seconds: float
    data_seconds: float
    total_hours: float


def measure_cost(training: Training) -> Cost:
    """Return the cost of a training, from two real steps of this rank's part of the batch."""
    recipe, assembly, draws = training.recipe, training.assembly, training.draws
    fabric, options = training.launch.fabric, recipe.optimizer
    module = fabric.setup(EmbeddingModule(assembly.trained, assembly.objective)).train()
    started = time.perf_counter()
    rank = fabric.global_rank
    batch = collate_draws(draws, 0, rank=rank, world_size=fabric.world_size)
    data_seconds = time.perf_counter() - started
    assembly.objective.start_step(assembly.trained, 0)
    step = partial(
        accumulate_gradients,
        fabric,
        module,
        assembly.objective,
        batch.to(fabric.device),
        chunk=recipe.loop.chunk or None,
        reseed=partial(reseed, seed=recipe.loop.seed, step=0, rank=rank),
    )
    with FlopCounterMode(display=False) as counter:  # also the warm-up
        step()
    _wait(fabric.device)
    started = time.perf_counter()
    step()
    _wait(fabric.device)
    seconds = (time.perf_counter() - started) * options.accumulation
    data_seconds *= options.accumulation
    moved = sum(p.numel() for p in assembly.trained.parameters() if p.requires_grad)
    seen = options.steps * options.batch * options.accumulation
    slower = max(seconds, data_seconds / recipe.data.workers)
    return Cost(
        parameters=sum(p.numel() for p in assembly.trained.parameters()),
        trained_parameters=moved,
        studies=len(draws),
        epochs=seen / len(draws),
        peak_gb=(_peak_bytes(fabric.device) + _ADAM_BYTES * moved) / 1e9,
        tflops=counter.get_total_flops() * options.accumulation / 1e12,
        step_seconds=seconds,
        data_seconds=data_seconds,
        total_hours=slower * options.steps / 3600,
    )


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _peak_bytes(device: torch.device) -> int:
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
