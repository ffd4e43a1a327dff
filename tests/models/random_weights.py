"""Random weights that depend on nothing but names, shapes and numpy."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor, nn

__all__ = ["fill_with_named_weights", "named_weights", "ready_with_named_weights", "released_names"]

Model = TypeVar("Model", bound=nn.Module)


def named_weights(name: str, shape: tuple[int, ...]) -> Tensor:
    """Return a tensor for a name: kernels of unit gain, norms about 1, positive variances."""
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    values = rng.standard_normal(shape)
    if "var" in name or (len(shape) == 1 and name.endswith("weight")):
        values = 0.8 + 0.1 * np.abs(values)
    elif len(shape) == 1:
        values = 0.1 * values
    else:
        values = values / np.sqrt(np.prod(shape[1:]))
    return torch.from_numpy(np.asarray(values, dtype=np.float32))


def fill_with_named_weights(model: nn.Module, *, prefix: str = "") -> None:
    """Put named weights into every parameter and statistic of a model."""
    state = model.state_dict()
    for name, tensor in state.items():
        if tensor.is_floating_point():
            tensor.copy_(named_weights(prefix + name, tuple(tensor.shape)))


def ready_with_named_weights(model: Model) -> Model:
    """Return a CLIP-like model with named weights and the scale exp(2), ready for inference."""
    fill_with_named_weights(model)
    with torch.no_grad():
        model.logit_scale.fill_(2.0)  # type: ignore[operator, union-attr]
    return model.eval().requires_grad_(False)


def released_names(model: nn.Module, names: Mapping[str, str]) -> dict[str, Tensor]:
    """Return copies of a model's weights, how its names begin replaced as ``names`` says."""
    state = {}
    for own, tensor in model.state_dict().items():
        prefix = next(prefix for prefix in names if own.startswith(prefix))
        state[names[prefix] + own.removeprefix(prefix)] = tensor.clone()
    return state
