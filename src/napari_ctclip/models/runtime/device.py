"""Device: where models compute when nobody says where."""

from __future__ import annotations

__all__ = ["resolved_device"]


def resolved_device(device: str) -> str:
    """Return the device meant by "auto": a CUDA device if there is one."""
    if device != "auto":
        return device
    import torch  # 2 s; a session that only shows a scan never pays for it

    return "cuda" if torch.cuda.is_available() else "cpu"
