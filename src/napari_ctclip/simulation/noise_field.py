"""Smooth random fields over millimetres: the same field at any voxel spacing."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from numba import njit
from scipy.ndimage import gaussian_filter

__all__ = ["NOISE_SIZE", "draw_noise", "sample_noise", "sample_noise_on_grid"]

NOISE_SIZE = 64  # cells along an axis; a power of two, so that wrapping is a bit mask
_SMOOTHING_CELLS = 1.2


def draw_noise(rng: np.random.Generator) -> npt.NDArray[np.float32]:
    """Return a periodic smooth field (64, 64, 64) of zero mean and unit variance."""
    white = rng.standard_normal((NOISE_SIZE,) * 3).astype(np.float32)
    smooth = gaussian_filter(white, _SMOOTHING_CELLS, mode="wrap")
    return np.asarray((smooth - smooth.mean()) / smooth.std(), dtype=np.float32)


@njit(cache=True, fastmath=True, error_model="numpy", forceinline=True)
def sample_noise(noise, z, y, x):  # type: ignore[no-untyped-def]
    """Return the field at a point in cells, trilinear and periodic."""
    fz, fy, fx = math.floor(z), math.floor(y), math.floor(x)
    az, ay, ax = z - fz, y - fy, x - fx
    mask = 63
    z0, y0, x0 = int(fz) & mask, int(fy) & mask, int(fx) & mask
    z1, y1, x1 = (z0 + 1) & mask, (y0 + 1) & mask, (x0 + 1) & mask
    low = (noise[z0, y0, x0] * (1 - ax) + noise[z0, y0, x1] * ax) * (1 - ay) + (
        noise[z0, y1, x0] * (1 - ax) + noise[z0, y1, x1] * ax
    ) * ay
    high = (noise[z1, y0, x0] * (1 - ax) + noise[z1, y0, x1] * ax) * (1 - ay) + (
        noise[z1, y1, x0] * (1 - ax) + noise[z1, y1, x1] * ax
    ) * ay
    return low * (1 - az) + high * az


@njit(cache=True, fastmath=True, error_model="numpy")
def sample_noise_on_grid(noise, origin, spacing, shape, scale, offset):  # type: ignore[no-untyped-def]
    """Return the field on a grid (D, H, W): ``scale`` mm a cell, shifted by ``offset`` cells."""
    out = np.empty((shape[0], shape[1], shape[2]), np.float32)
    for k in range(shape[0]):
        z = (origin[0] + k * spacing[0]) / scale + offset
        for j in range(shape[1]):
            y = (origin[1] + j * spacing[1]) / scale + offset * 0.7
            for i in range(shape[2]):
                x = (origin[2] + i * spacing[2]) / scale + offset * 0.3
                out[k, j, i] = sample_noise(noise, z, y, x)
    return out
