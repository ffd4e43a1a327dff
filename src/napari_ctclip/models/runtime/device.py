"""Device: where models compute, and where in bfloat16; PyTorch is imported on use."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

__all__ = ["bf16_is_fast", "in_fast_precision", "resolved_device"]


def resolved_device(device: str) -> str:
    """Return the device meant by "auto": a CUDA device if there is one."""
    if device != "auto":
        return device
    import torch  # 2 s; a session that only shows a scan never pays for it

    return "cuda" if torch.cuda.is_available() else "cpu"


def bf16_is_fast(device: torch.device) -> bool:
    """Return whether a device computes in bfloat16; elsewhere it is slower than float32."""
    import torch

    if device.type != "cpu":
        return torch.cuda.is_available() and torch.cuda.is_bf16_supported()
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())


def in_fast_precision(device: torch.device) -> torch.autocast:
    """Return the context in which a device computes in bfloat16, if that is fast there."""
    import torch

    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=bf16_is_fast(device))
