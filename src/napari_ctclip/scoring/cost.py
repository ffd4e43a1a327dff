"""Cost: how much work, memory and time encoding takes, told before it starts."""

from __future__ import annotations

from dataclasses import dataclass
from time import perf_counter
from typing import Literal

import numpy as np
import psutil
import torch

from napari_ctclip.core.notice import Notice, Severity
from napari_ctclip.models.interface import VisionLanguageModel
from napari_ctclip.scoring.dry_run import dry_run
from napari_ctclip.scoring.preprocessing_audit import PreprocessingAudit

__all__ = ["EncodingCost", "estimate_cost"]

_TRIAL_SECONDS = 0.7
"""Ours: the timed window gets thicker until it takes this long. A thin one of a starter-like
network runs half as long a voxel as a whole one, whose results no longer fit into the cache."""


@dataclass(frozen=True)
class EncodingCost:
    """What encoding a study takes.

    Attributes
    ----------
    passes : int
        Windows and organ crops together.
    flop : float
        Floating point operations of all passes (two a multiply-add); 0 where they could not be
        counted.
    memory_bytes : int
        Weights, and what one pass holds at its largest. What the libraries need beside comes on
        top.
    free_bytes : int
        Memory that is free on the device now.
    seconds : float
        Estimated time of all passes.
    timed_shape : tuple of int
        Voxels (z, y, x) of the trial the estimate rests on.
    scaled_by : {"operations", "voxels"}
        What the trial's time was multiplied by.
    device : str
        Where.
    notices : tuple of Notice
        What may go wrong.
    """

    passes: int
    flop: float
    memory_bytes: int
    free_bytes: int
    seconds: float
    timed_shape: tuple[int, int, int]
    scaled_by: Literal["operations", "voxels"]
    device: str
    notices: tuple[Notice, ...] = ()


def estimate_cost(
    model: VisionLanguageModel, audit: PreprocessingAudit, *, device: torch.device | str = "cpu"
) -> EncodingCost:
    """Return the cost of encoding the study that an audit was made of.

    Operations and memory come from a dry run on shapes alone, one for each size of window or crop;
    the time from a real pass over a thin part of the scan, scaled by operations.
    """
    shapes = [*audit.window_shapes, *(crop.shape for crop in audit.crops)]
    runs = {shape: dry_run(model, (audit.channels, *shape)) for shape in set(shapes)}
    counted = all(run.flop > 0 for run in runs.values())
    trial, seconds = _timed_trial(model, audit, device)
    work = sum(runs[shape].flop if counted else float(np.prod(shape)) for shape in shapes)
    trial_flop = dry_run(model, (audit.channels, *trial)).flop if counted else 0.0
    trial_work = trial_flop if counted else float(np.prod(trial))
    memory, free = max(run.memory_bytes for run in runs.values()), _free_bytes(device)
    return EncodingCost(
        passes=len(shapes),
        flop=work if counted else 0.0,
        memory_bytes=memory,
        free_bytes=free,
        seconds=seconds * work / trial_work,
        timed_shape=trial,
        scaled_by="operations" if counted else "voxels",
        device=str(device),
        notices=_notices(memory, free, str(device)),
    )


def _timed_trial(
    model: VisionLanguageModel, audit: PreprocessingAudit, device: torch.device | str
) -> tuple[tuple[int, int, int], float]:
    """Return a window about the middle of the scan, whole in plane, and the seconds it takes."""
    depth, height, width = audit.window_shapes[0]
    thickness = max(model.preprocessing.multiple_of[0], model.patch_size[0])
    _timed(model, audit, (min(thickness, depth), height, width), device)  # loads kernels
    while True:
        thickness = min(2 * thickness, depth)
        seconds = _timed(model, audit, (thickness, height, width), device)
        if thickness == depth or seconds > _TRIAL_SECONDS:
            return (thickness, height, width), seconds


@torch.inference_mode()
def _timed(
    model: VisionLanguageModel,
    audit: PreprocessingAudit,
    shape: tuple[int, int, int],
    device: torch.device | str,
) -> float:
    """Return the seconds of one pass over the middle of the scan."""
    middle = tuple(
        slice((size - wanted) // 2, (size - wanted) // 2 + wanted)
        for size, wanted in zip(audit.shape_prepared, shape, strict=True)
    )
    part = np.ascontiguousarray(audit.model_input.image[(slice(None), *middle)])
    image = torch.from_numpy(part)[None].to(device)
    start = perf_counter()
    model.encode_image(image)
    if image.is_cuda:
        torch.cuda.synchronize(image.device)
    return perf_counter() - start


def _free_bytes(device: torch.device | str) -> int:
    device = torch.device(device)
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    return int(psutil.virtual_memory().available)


def _notices(memory: int, free: int, device: str) -> tuple[Notice, ...]:
    if memory <= free:
        return ()
    return (
        Notice(
            Severity.WARNING,
            "memory-short",
            f"one pass needs {memory / 1e9:.1f} GB and {free / 1e9:.1f} GB are free on {device}; "
            "where it does not fit, thinner windows are tried, then the CPU",
        ),
    )
