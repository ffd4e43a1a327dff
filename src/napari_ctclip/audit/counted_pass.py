"""Counted pass: operations and memory of one pass of an image encoder, seen while it runs.

PyTorch's own counter, and running on shapes alone, import Triton, whose LLVM ends a window that
Mesa's software OpenGL draws with another LLVM (segmentation fault); hence a real, small pass.
"""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from napari_ctclip.models.interface import VisionLanguageModel

__all__ = ["PassCount", "count_pass", "weights_bytes"]


@dataclass(frozen=True)
class PassCount:
    """What one pass takes.

    Attributes
    ----------
    flop : int
        The floating point operations of matrix products, convolutions and attention, two a
        multiply-add.
    memory_bytes : int
        The image and intermediate results at their largest; weights and what libraries need are not
        in it.
    """

    flop: int
    memory_bytes: int


def count_pass(model: VisionLanguageModel, image: Tensor) -> PassCount:
    """Return the cost of encoding an image (1, C, D, H, W), by encoding it."""
    counter = _Counter()
    fast_path = torch.backends.mha.get_fastpath_enabled()
    try:
        # its fused kernel is one operation that hides its parts
        torch.backends.mha.set_fastpath_enabled(False)
        with torch.no_grad(), counter:
            model.encode_image(image)
    finally:
        torch.backends.mha.set_fastpath_enabled(fast_path)
    return PassCount(counter.flop, counter.peak + image.nbytes)


def weights_bytes(model: VisionLanguageModel) -> int:
    """Return the memory of a model's weights."""
    if not isinstance(model, torch.nn.Module):
        return 0
    return sum(tensor.nbytes for tensor in (*model.parameters(), *model.buffers()))


class _Counter(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Adds up the work of operations, and the bytes of results that are alive together."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.flop = 0
        self.peak = 0
        self._alive = 0
        self._holders: dict[int, int] = {}

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # skipping the compiler means importing it, and Triton with it

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        self.flop += _flop(func.overloadpacket.__name__, args, result)
        for leaf in tree_leaves(result):
            if isinstance(leaf, Tensor):
                self._hold(leaf)
        return result

    def _hold(self, tensor: Tensor) -> None:
        storage = tensor.untyped_storage()
        key, size = storage._cdata, storage.nbytes()
        if key not in self._holders:
            self._holders[key] = 0
            self._alive += size
            self.peak = max(self.peak, self._alive)
        self._holders[key] += 1
        weakref.finalize(tensor, self._let_go, key, size)

    def _let_go(self, key: int, size: int) -> None:
        self._holders[key] -= 1
        if self._holders[key] == 0:  # views share a storage: the last one frees it
            del self._holders[key]
            self._alive -= size


def _flop(name: str, args: Sequence[Any], result: Any) -> int:
    """Return two for each multiply-add of an operation."""
    count = 0
    if name in ("mm", "bmm", "addmm", "baddbmm"):
        left = args[1] if "add" in name else args[0]
        count = result.numel() * left.shape[-1]
    elif name == "convolution":
        image, weight, transposed = args[0], args[1], args[6]
        count = (image if transposed else result).numel() * prod(weight.shape[1:])
    elif name.startswith("_scaled_dot_product"):
        query, key, value = (tensor.shape for tensor in args[:3])
        count = prod(query[:-1]) * key[-2] * (query[-1] + value[-1])
    return 2 * int(count)
