"""Degradation: what scanners do to the same chest, drawn anew for every training crop."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["degrade_crop"]

FloatArray = npt.NDArray[np.float32]


def degrade_crop(hounsfield: npt.NDArray[np.int16], rng: np.random.Generator) -> FloatArray:
    """Return a crop (D, H, W) in HU at 2 mm as some scanner, kernel and protocol would show it.

    Ours: noise 3-90 HU before slices are averaged, slices of 2-10 mm laid back on the grid by
    linear interpolation, kernels from soft to sharp, offsets up to 25 HU, gain up to 3 %.
    """
    hu = hounsfield.astype(np.float32)
    _, H, W = hu.shape
    kernel = rng.uniform(-1.0, 1.0)
    hu = _in_plane(hu, _kernel(H, kernel), _kernel(W, kernel))
    hu += _noise(hu, rng)
    if rng.random() < 0.6:
        hu = _along_z(_thick_slices(hu.shape[0], rng), hu)
    hu += 1000.0
    hu *= np.float32(rng.uniform(0.97, 1.03))
    hu += np.float32(rng.uniform(-25.0, 25.0) - 1000.0)
    return hu


def _noise(hu: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Return correlated noise; denser surroundings are noisier, as in a slice through shoulders."""
    level = float(np.clip(np.exp(rng.normal(np.log(16.0), 0.8)), 3.0, 90.0))
    grain = rng.standard_normal(hu.shape, dtype=np.float32)
    sigma = rng.uniform(0.0, 1.0)
    if sigma > 0.25:
        _, H, W = hu.shape
        grain = _in_plane(grain, _gaussian(H, sigma), _gaussian(W, sigma))
    if rng.random() < 0.5:  # slices reconstructed closer than they are thick
        grain = _along_z(_gaussian(hu.shape[0], rng.uniform(0.3, 0.8)), grain)
    grain *= np.float32(level / max(float(grain.std()), 1e-6))
    return grain


def _kernel(size: int, sharpness: float) -> FloatArray:
    """Return (size, size): smoothing for negative, edge enhancement for positive sharpness."""
    identity = np.eye(size, dtype=np.float32)
    if sharpness < 0:
        return _gaussian(size, 0.85 * -sharpness) if sharpness < -0.25 else identity
    return identity + np.float32(0.8 * sharpness) * (identity - _gaussian(size, 0.7))


def _gaussian(size: int, sigma: float) -> FloatArray:
    """Return a blur (size, size) whose rows sum to one."""
    steps = np.arange(size, dtype=np.float32)
    matrix = np.exp(-0.5 * ((steps[:, None] - steps[None, :]) / max(sigma, 0.05)) ** 2)
    return np.asarray(matrix / matrix.sum(axis=1, keepdims=True), dtype=np.float32)


def _thick_slices(size: int, rng: np.random.Generator) -> FloatArray:
    """Return (size, size): averaging over a slice, sampling at its centres, linear between them."""
    thickness = float(rng.uniform(1.0, 5.0))  # voxels of 2 mm
    distance = thickness * float(rng.uniform(0.6, 1.0))
    centres = np.arange(rng.uniform(0, distance) - distance, size + distance, distance)
    positions = np.arange(size)
    cover = np.clip(thickness / 2 + 0.5 - np.abs(positions[None, :] - centres[:, None]), 0.0, 1.0)
    cover[cover.sum(axis=1) == 0, np.array([0])] = 1.0  # beyond the crop: the face stands in
    cover /= cover.sum(axis=1, keepdims=True)
    cover[centres < 0] = np.eye(1, size)[0]
    cover[centres > size - 1] = np.eye(1, size, size - 1)[0]
    between = np.clip(1.0 - np.abs(positions[:, None] - centres[None, :]) / distance, 0.0, None)
    between /= between.sum(axis=1, keepdims=True)
    return np.asarray(between @ cover, dtype=np.float32)


def _in_plane(hu: FloatArray, along_y: FloatArray, along_x: FloatArray) -> FloatArray:
    return np.asarray(along_y @ (hu @ along_x.T), dtype=np.float32)


def _along_z(matrix: FloatArray, hu: FloatArray) -> FloatArray:
    return (matrix @ hu.reshape(hu.shape[0], -1)).reshape(hu.shape)
