"""Cost: how much work, memory and time encoding takes, estimated before it starts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from time import perf_counter

import numpy as np
import psutil
import torch
from torch import Tensor

from napari_ctclip.audit.counted_pass import count_pass, weights_bytes
from napari_ctclip.audit.preprocessing_audit import PreprocessingAudit
from napari_ctclip.core.notice import Notice, Severity
from napari_ctclip.models.interface import VisionLanguageModel

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
        The number of windows and organ crops together.
    flop : float
        The floating point operations of all passes, two a multiply-add.
    memory_bytes : int
        The weights, and what one pass holds at its largest. What the libraries need beside comes on
        top.
    free_bytes : int
        The memory that is free on the device now.
    seconds : float
        The estimated time of all passes.
    timed_shape : tuple of int
        The voxels (z, y, x) of the window that the estimate rests on.
    device : str
        The device that encodes.
    notices : tuple of Notice
        What may go wrong.
    """

    passes: int
    flop: float
    memory_bytes: int
    free_bytes: int
    seconds: float
    timed_shape: tuple[int, int, int]
    device: str
    notices: tuple[Notice, ...] = ()


@dataclass(frozen=True)
class _Growth:
    """How the cost of a pass grows with its voxels v.

    Operations are ``linear * v + square * v ** 2``: convolutions and products of tokens, and
    attention of all tokens to all. Exact for convolutional networks, for transformers over a volume
    and, in one plane, for encoders of slices.
    """

    linear: float
    square: float
    bytes_a_voxel: float

    def flop(self, shape: Sequence[int]) -> float:
        v = float(prod(shape))
        return self.linear * v + self.square * v * v


def estimate_cost(
    model: VisionLanguageModel, audit: PreprocessingAudit, *, device: torch.device | str = "cpu"
) -> EncodingCost:
    """Return the cost of encoding the study that an audit was made of.

    Operations and memory are counted in two thin passes over the scan and carried on to the
    windows and crops; the time is that of a thicker pass, scaled by operations. A model that takes
    one shape only is counted and timed in one whole pass.
    """
    shapes = [*audit.window_shapes, *(crop.shape for crop in audit.crops)]
    if _step(model) >= audit.window_shapes[0][0]:  # a model of one shape: nothing is thinner
        trial = audit.window_shapes[0]
        growth, seconds = _counted_whole(model, _middle(audit, trial, device))
    else:
        growth = _counted(model, audit, device)
        trial, seconds = _timed_trial(model, audit, device)
    work = sum(growth.flop(shape) for shape in shapes)
    # a model without a single product that counts: voxels are the measure
    scale = work / growth.flop(trial) if work else sum(map(prod, shapes)) / prod(trial)
    memory = weights_bytes(model) + int(growth.bytes_a_voxel * max(map(prod, shapes)))
    free = _free_bytes(device)
    return EncodingCost(
        passes=len(shapes),
        flop=work,
        memory_bytes=memory,
        free_bytes=free,
        seconds=seconds * scale,
        timed_shape=trial,
        device=str(device),
        notices=_notices(memory, free, str(device)),
    )


def _counted_whole(model: VisionLanguageModel, image: Tensor) -> tuple[_Growth, float]:
    """Return the cost of one whole pass, and its seconds."""
    start = perf_counter()
    count = count_pass(model, image)
    seconds = perf_counter() - start
    v = float(prod(image.shape[2:]))
    return _Growth(count.flop / v, 0.0, count.memory_bytes / v), seconds


def _counted(
    model: VisionLanguageModel, audit: PreprocessingAudit, device: torch.device | str
) -> _Growth:
    depth, height, width = audit.window_shapes[0]
    thin = min(_step(model), depth)
    thick = min(2 * thin, depth)
    first = count_pass(model, _middle(audit, (thin, height, width), device))
    v = float(thin * height * width)
    second = count_pass(model, _middle(audit, (thick, height, width), device))
    w = float(thick * height * width)
    square = (second.flop / w - first.flop / v) / (w - v)
    return _Growth(first.flop / v - square * v, square, second.memory_bytes / w)


def _timed_trial(
    model: VisionLanguageModel, audit: PreprocessingAudit, device: torch.device | str
) -> tuple[tuple[int, int, int], float]:
    """Return a window about the middle of the scan, whole in plane, and the seconds it takes."""
    depth, height, width = audit.window_shapes[0]
    thickness = min(_step(model), depth)
    while True:
        thickness = min(2 * thickness, depth)
        image = _middle(audit, (thickness, height, width), device)
        seconds = _timed(model, image)
        if thickness == depth or seconds > _TRIAL_SECONDS:
            return (thickness, height, width), seconds


@torch.inference_mode()
def _timed(model: VisionLanguageModel, image: Tensor) -> float:
    """Return the seconds of one pass."""
    start = perf_counter()
    model.encode_image(image)
    if image.is_cuda:
        torch.cuda.synchronize(image.device)
    return perf_counter() - start


def _middle(
    audit: PreprocessingAudit, shape: tuple[int, int, int], device: torch.device | str
) -> Tensor:
    """Return the middle of the prepared scan, (1, C, *shape)."""
    part = tuple(
        slice((size - wanted) // 2, (size - wanted) // 2 + wanted)
        for size, wanted in zip(audit.shape_prepared, shape, strict=True)
    )
    image = np.ascontiguousarray(audit.model_input.image[(slice(None), *part)])
    return torch.from_numpy(image)[None].to(device)


def _step(model: VisionLanguageModel) -> int:
    """Return the fewest slices a model takes."""
    fixed = model.preprocessing.shape
    return fixed[0] if fixed else max(model.preprocessing.multiple_of[0], model.patch_size[0])


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
