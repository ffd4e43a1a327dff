"""Encoding: seconds, FLOP rate, and its share of what a matrix product reaches on this machine."""

from __future__ import annotations

import time

import torch
from torch.utils.flop_counter import FlopCounterMode

from napari_ctclip.core.study import Study
from napari_ctclip.encoding.encoding import encode_input
from napari_ctclip.models.factory import load_model


def run(study: Study) -> dict[str, str]:
    """Return the benchmark's lines."""
    model = load_model("starter")
    start = time.perf_counter()
    prepared = model.preprocessing.prepare(study.volume)
    preparing = time.perf_counter() - start
    encode_input(model, prepared)  # warm-up: kernels are chosen and memory is mapped
    start = time.perf_counter()
    encode_input(model, prepared)
    seconds = time.perf_counter() - start
    with FlopCounterMode(display=False) as counter:
        encode_input(model, prepared)
    rate = counter.get_total_flops() / seconds / 1e9
    single, half = _matmul_rate(torch.float32), _matmul_rate(torch.bfloat16)
    shape = " x ".join(str(n) for n in prepared.image.shape[1:])
    return {
        f"prepare to {shape} at 2 mm": f"{preparing:.2f} s",
        "encode": f"{seconds:.2f} s ({prepared.image[0].size / seconds / 1e6:.1f} Mvoxel/s)",
        "  rate": f"{rate:.0f} GFLOP/s",
        "  share of the matrix-product rate, float32": f"{rate / single:.0%} of {single:.0f}",
        "  share of the matrix-product rate, bfloat16": f"{rate / half:.0%} of {half:.0f}",
    }


def _matmul_rate(dtype: torch.dtype, size: int = 2048) -> float:
    """Return the best of five products of two square matrices, GFLOP/s."""
    a, b = torch.randn(2, size, size).to(dtype)
    best = float("inf")
    for _ in range(5):
        start = time.perf_counter()
        a @ b
        best = min(best, time.perf_counter() - start)
    return 2 * size**3 / best / 1e9
