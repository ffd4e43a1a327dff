"""Dry run: operations and memory of one pass of an image encoder, from shapes alone."""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode, sdpa_flop_count

from napari_ctclip.models.interface import VisionLanguageModel

__all__ = ["DryRun", "dry_run"]


@dataclass(frozen=True)
class DryRun:
    """What one pass takes.

    Attributes
    ----------
    flop : float
        Floating point operations of matrix products, convolutions and attention, two a
        multiply-add; 0 where the model does something that has no dry run.
    memory_bytes : int
        Weights, image and intermediate results at their largest.
    """

    flop: float
    memory_bytes: int


def dry_run(model: VisionLanguageModel, shape: Sequence[int]) -> DryRun:
    """Return the cost of ``encode_image`` on one image (C, D, H, W); nothing is computed."""
    held = [*model.parameters(), *model.buffers()] if isinstance(model, torch.nn.Module) else []
    weights = sum(tensor.nbytes for tensor in held)
    device = held[0].device if held else torch.device("cpu")
    image_bytes = 4 * int(torch.Size(shape).numel())
    attention = {torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: _attention_flop}
    flops = FlopCounterMode(display=False, custom_mapping=attention)
    memory = _PeakMemory()
    fast_path = torch.backends.mha.get_fastpath_enabled()
    try:
        # its fused kernel is one operation that no counter knows
        torch.backends.mha.set_fastpath_enabled(False)
        with torch.no_grad(), FakeTensorMode(allow_non_fake_inputs=True), flops, memory:
            model.encode_image(torch.empty((1, *shape), device=device))
    except (RuntimeError, TypeError, ValueError, NotImplementedError):
        # a model that looks at values, or leaves torch: the time is then scaled by voxels
        return DryRun(0.0, weights + image_bytes)
    finally:
        torch.backends.mha.set_fastpath_enabled(fast_path)
    return DryRun(float(flops.get_total_flops()), weights + max(memory.peak, image_bytes))


class _PeakMemory(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Adds up the bytes of tensors that are alive together."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.peak = 0
        self._alive = 0
        self._holders: dict[int, int] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(result):
            if isinstance(leaf, Tensor):
                self._hold(leaf)
        return result

    def _hold(self, tensor: Tensor) -> None:
        storage = tensor.untyped_storage()
        key, size = storage._cdata, storage.nbytes()
        if self._holders.setdefault(key, 0) == 0:
            self._alive += size
            self.peak = max(self.peak, self._alive)
        self._holders[key] += 1
        weakref.finalize(tensor, self._let_go, key, size)

    def _let_go(self, key: int, size: int) -> None:
        self._holders[key] -= 1
        if self._holders[key] == 0:  # views share a storage: the last one frees it
            del self._holders[key]
            self._alive -= size


def _attention_flop(
    query: Sequence[int], key: Sequence[int], value: Sequence[int], *_: Any, **__: Any
) -> int:
    """Return the operations of attention (B, heads, L, C) on the CPU."""
    flop: int = sdpa_flop_count(query, key, value)  # type: ignore[no-untyped-call]
    return flop
