"""Triton guard: keeps a second LLVM out of a process whose window Mesa draws with one."""

from __future__ import annotations

import sys
from pathlib import Path

__all__ = ["keep_triton_out"]

_MAPS = Path("/proc/self/maps")
_MESA = ("libLLVM", "libgallium", "swrast_dri")


def keep_triton_out() -> None:
    """Make Triton look uninstalled where Mesa draws the window, as in software OpenGL.

    PyTorch imports Triton once its compiler is asked for, and torchvision, hence open_clip, asks.
    Its LLVM beside Mesa's ends the process: a segmentation fault while the module is loaded
    (Triton 3, Mesa 22.3). Inference here compiles nothing, so nothing is lost. Where Triton is
    loaded already, or OpenGL comes from elsewhere, nothing is changed.
    """
    if "triton" in sys.modules or not _MAPS.exists():
        return
    if any(library in _MAPS.read_text("utf-8", errors="replace") for library in _MESA):
        sys.modules["triton"] = None  # type: ignore[assignment]
