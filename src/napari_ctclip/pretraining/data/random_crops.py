"""Random crops: where in a scan a sample lies, and how it is flipped."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["Box", "CropOptions", "draw_flips", "draw_start", "flipped"]

Box = tuple[tuple[int, int, int], tuple[int, int, int]]
"""First and one past the last voxel (z, y, x)."""


@dataclass(frozen=True)
class CropOptions:
    """How a sample is cut from a scan.

    Attributes
    ----------
    anatomies : tuple of str
        The groups of the anatomy vocabulary that have a mask and a caption.
    shape : (z, y, x)
        The voxels of a sample.
    flip : float
        The probability of a flip along each axis.
    margin : (z, y, x)
        Crops are drawn from the box of a study's anatomies and this many voxels around it.
    """

    anatomies: tuple[str, ...]
    shape: tuple[int, int, int]
    flip: float = 0.0
    margin: tuple[int, int, int] = (0, 0, 0)


def draw_start(
    shape: Sequence[int], crop: Sequence[int], rng: np.random.Generator, *, box: Box | None = None
) -> tuple[int, int, int]:
    """Return the first voxel of a random crop.

    The crop lies inside the box, or holds it where the box is smaller, and inside the scan, or
    begins with it where the scan is smaller.

    Parameters
    ----------
    shape, crop : sequence of int
        Voxels (z, y, x) of scan and crop.
    rng : numpy.random.Generator
        The source of all random numbers.
    box : Box, optional
        Where to look; the whole scan if None.
    """
    low, high = box or ((0, 0, 0), shape)
    z, y, x = (
        _draw(n, size, rng, start=a, stop=b)
        for n, size, a, b in zip(shape, crop, low, high, strict=True)
    )
    return z, y, x


def draw_flips(probability: float, rng: np.random.Generator) -> tuple[int, ...]:
    """Return the axes of (C, D, H, W) that are flipped, each with the same probability."""
    return tuple(axis for axis in (1, 2, 3) if rng.random() < probability)


def flipped(array: npt.NDArray[Any], axes: tuple[int, ...]) -> npt.NDArray[Any]:
    """Return an array flipped, contiguous."""
    return np.ascontiguousarray(np.flip(array, axes))


def _draw(n: int, size: int, rng: np.random.Generator, *, start: int, stop: int) -> int:
    last = max(0, n - size)
    ends = np.clip([start, stop - size], 0, last)
    return int(rng.integers(ends.min(), ends.max() + 1))
