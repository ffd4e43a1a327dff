"""Soft edges: partial volume of analytic shapes, for compiled painters."""

from __future__ import annotations

import numpy as np
from numba import njit

__all__ = ["blend", "cover", "ellipsoid", "ramp"]


@njit(cache=True, fastmath=True, error_model="numpy", forceinline=True)
def cover(distance_inside, voxel):  # type: ignore[no-untyped-def]
    """Return how much of a voxel (mm) an edge leaves filled, 0 to 1."""
    return min(1.0, max(0.0, 0.5 + distance_inside / voxel))


@njit(cache=True, fastmath=True, error_model="numpy", forceinline=True)
def blend(a, b, share):  # type: ignore[no-untyped-def]
    """Return ``a`` with a share of ``b``."""
    return a + (b - a) * share


@njit(cache=True, fastmath=True, error_model="numpy", forceinline=True)
def ramp(x, low, high):  # type: ignore[no-untyped-def]
    """Return the smooth step from 0 at ``low`` to 1 at ``high``."""
    t = min(1.0, max(0.0, (x - low) / (high - low)))
    return t * t * (3 - 2 * t)


@njit(cache=True, fastmath=True, error_model="numpy", forceinline=True)
def ellipsoid(a, b, c, ra, rb, rc):  # type: ignore[no-untyped-def]
    """Return the distance outside an ellipsoid, to first order, mm."""
    k0 = np.sqrt((a / ra) ** 2 + (b / rb) ** 2 + (c / rc) ** 2)
    k1 = np.sqrt((a / ra**2) ** 2 + (b / rb**2) ** 2 + (c / rc**2) ** 2)
    return k0 * (k0 - 1.0) / max(k1, 1e-6)
