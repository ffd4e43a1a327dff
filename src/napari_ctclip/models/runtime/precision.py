"""Precision: where bfloat16 is computed in hardware."""

from __future__ import annotations

import torch

__all__ = ["bf16_is_fast", "in_fast_precision"]


def bf16_is_fast(device: torch.device) -> bool:
    """Return whether a device computes in bfloat16; elsewhere it is slower than float32."""
    if device.type != "cpu":
        return torch.cuda.is_available() and torch.cuda.is_bf16_supported()
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())


def in_fast_precision(device: torch.device) -> torch.autocast:
    """Return the context in which a device computes in bfloat16, if that is fast there."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=bf16_is_fast(device))
