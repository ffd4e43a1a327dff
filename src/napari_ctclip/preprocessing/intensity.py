"""Intensities: CT numbers to the channels a model sees."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["window_channels"]


def window_channels(
    hounsfield: npt.NDArray[Any], windows_hu: Sequence[tuple[float, float]]
) -> npt.NDArray[np.float32]:
    """Return (C, D, H, W) float32 in 0..1: each window (low, high) in HU is one channel."""
    channels = np.empty((len(windows_hu), *hounsfield.shape), dtype=np.float32)
    for channel, (low, high) in zip(channels, windows_hu, strict=True):
        np.subtract(hounsfield, np.float32(low), out=channel, casting="unsafe")
        channel *= np.float32(1.0 / (high - low))
        np.clip(channel, 0.0, 1.0, out=channel)
    return channels
