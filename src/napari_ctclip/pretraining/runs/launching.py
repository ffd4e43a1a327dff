"""Launching: ranks, devices and precision, through Lightning Fabric.

One device needs nothing; ``torchrun`` and ``srun`` start several processes and Fabric finds them.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Any

import torch
from lightning_fabric import Fabric
from lightning_fabric.plugins import MixedPrecision
from lightning_fabric.strategies.ddp import DDPStrategy
from lightning_fabric.strategies.fsdp import FSDPStrategy

from napari_ctclip.core.errors import DataError
from napari_ctclip.pretraining.recipe import Recipe

__all__ = ["Launch", "launch_fabric", "stop_requests"]

_FABRIC_PRECISION = {"fp32": "32-true", "bf16": "bf16-mixed"}


@dataclass(frozen=True, eq=False)
class Launch:
    """Where and how a training computes.

    Attributes
    ----------
    fabric : Fabric
        Launched.
    scaler : GradScaler or None
        The gradient scaler of fp16, whose state belongs to a checkpoint.
    """

    fabric: Fabric
    scaler: torch.amp.GradScaler | None = None


def launch_fabric(recipe: Recipe) -> Launch:
    """Return the launched Fabric of a recipe.

    Raises
    ------
    DataError
        If batch, devices, precision and strategy do not go together.
    """
    loop, scaler = recipe.loop, None
    options: dict[str, Any] = {}
    if loop.precision == "fp16":
        if not torch.cuda.is_available():
            raise DataError('precision "fp16" needs a CUDA device; take "bf16" or "fp32"')
        scaler = torch.amp.GradScaler("cuda")
        options["plugins"] = MixedPrecision("16-mixed", "cuda", scaler)
    else:
        options["precision"] = _FABRIC_PRECISION[loop.precision]
    if loop.strategy == "fsdp":
        if not torch.cuda.is_available() or recipe.optimizer.ema:
            raise DataError('strategy "fsdp" needs CUDA devices and optimizer.ema = 0; take "ddp"')
        options["strategy"] = FSDPStrategy(state_dict_type="full")
    elif loop.strategy == "ddp" or _several_processes(recipe):
        # an organ that no crop of a rank shows, or a partner that rests, has no gradient
        options["strategy"] = DDPStrategy(find_unused_parameters=True)
    fabric = Fabric(
        accelerator=loop.accelerator, devices=loop.devices, num_nodes=loop.nodes, **options
    )
    fabric.launch()
    if recipe.optimizer.batch % fabric.world_size:
        raise DataError(
            f"optimizer.batch is {recipe.optimizer.batch} and must be a multiple of the "
            f"{fabric.world_size} ranks"
        )
    return Launch(fabric, scaler)


def _several_processes(recipe: Recipe) -> bool:
    started = max(int(os.environ.get(name, 1)) for name in ("WORLD_SIZE", "SLURM_NTASKS"))
    devices: int | str = recipe.loop.devices
    if isinstance(devices, str):
        devices = 1 if recipe.loop.accelerator == "cpu" else max(1, torch.cuda.device_count())
    return max(started, devices, recipe.loop.nodes) > 1


@contextmanager
def stop_requests(fabric: Fabric) -> Iterator[Callable[[], bool]]:
    """Note SIGTERM and the first interrupt instead of dying of them.

    Gives a function that says, alike on every rank, whether one of them was told to stop. A
    second signal acts at once.
    """
    asked = threading.Event()
    signals = (signal.SIGTERM, signal.SIGINT)
    before: dict[int, Any] = {}

    def note(number: int, frame: FrameType | None) -> None:
        asked.set()
        signal.signal(number, before[number])

    def agreed() -> bool:
        if fabric.world_size == 1:
            return asked.is_set()
        flag = torch.tensor(float(asked.is_set()), device=fabric.device)
        stopped = fabric.all_reduce(flag, reduce_op="sum")
        assert isinstance(stopped, torch.Tensor)
        return bool(stopped > 0)

    if threading.current_thread() is threading.main_thread():
        before = {number: signal.signal(number, note) for number in signals}
    try:
        yield agreed
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
