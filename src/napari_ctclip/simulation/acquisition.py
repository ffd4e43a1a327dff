"""What the scanner does: kernel, noise, thick slices, streaks, the field of view."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter, uniform_filter1d

__all__ = ["degrade_voxels"]


def degrade_voxels(
    hu: npt.NDArray[np.float32], rng: np.random.Generator, *, spacing_mm: tuple[float, float, float]
) -> npt.NDArray[np.float32]:
    """Return a scan (D, H, W) in HU as a random scanner and protocol would give it.

    Ours: noise 3-90 HU (median 17), slices up to 8.5 mm, kernels from soft to sharp.
    """
    sharpness = float(rng.uniform(-1, 1))
    thickness = float(rng.choice([0.0, 2.5, 5.0, 8.5], p=[0.45, 0.25, 0.2, 0.1]))
    noise_hu = float(np.clip(np.exp(rng.normal(np.log(17), 0.75)), 3, 90))
    out = _kernel(hu, sharpness, spacing_mm)
    out = out + _noise(hu, rng, noise_hu=noise_hu, sharpness=sharpness)
    if rng.random() < 0.2:
        out = out + _streaks(hu, rng, float(rng.uniform(10, 60)))
    count = round(thickness / spacing_mm[0])
    if count > 1:
        out = uniform_filter1d(out, count, axis=0, mode="nearest")
    out = out + np.float32(rng.normal(0, 6))
    if rng.random() < 0.3:
        out = _circle(out, rng)
    return np.asarray(out, dtype=np.float32)


def _kernel(
    hu: npt.NDArray[np.float32], sharpness: float, spacing_mm: tuple[float, float, float]
) -> npt.NDArray[np.float32]:
    """Return the image after a smoothing (-1) to edge-enhancing (+1) kernel."""
    sigma = [0.0, 0.9 / spacing_mm[1], 0.9 / spacing_mm[2]]
    soft = gaussian_filter(hu, sigma)
    if sharpness < 0:
        return np.asarray(hu + (soft - hu) * -sharpness, dtype=np.float32)
    return np.asarray(hu + (hu - soft) * (1.2 * sharpness), dtype=np.float32)


def _noise(
    hu: npt.NDArray[np.float32], rng: np.random.Generator, *, noise_hu: float, sharpness: float
) -> npt.NDArray[np.float32]:
    """Return correlated noise that grows with the attenuation along a slice."""
    white = rng.standard_normal(hu.shape, dtype=np.float32)
    grain = gaussian_filter(white, [0.35, 0.75, 0.75]) if sharpness < 0.3 else white
    if sharpness > 0.6:  # a sharp kernel removes the low frequencies
        grain = grain - gaussian_filter(grain, [0, 1.5, 1.5])
    grain /= grain.std()
    water = np.clip(hu / 1000 + 1, 0, 2.5).mean(axis=(1, 2))
    level = np.clip(water / water.mean(), 0.5, 2.0) ** 0.8
    return np.asarray(grain * (noise_hu * level)[:, None, None], dtype=np.float32)


def _streaks(
    hu: npt.NDArray[np.float32], rng: np.random.Generator, strength_hu: float
) -> npt.NDArray[np.float32]:
    """Return left-to-right streaks where shoulders or arms starve the detector."""
    rows = rng.standard_normal(hu.shape[:2]).astype(np.float32)
    rows = gaussian_filter(rows, [0.3, 0.6])
    dense = np.clip(hu / 1000 + 1, 0, 2.5).mean(axis=2)
    starved = np.clip(dense / np.percentile(dense, 98), 0, 1.2) ** 8
    waves = rows / rows.std() * starved * strength_hu
    fade = np.hanning(hu.shape[2] + 2)[1:-1].astype(np.float32)
    return np.asarray(waves[:, :, None] * (0.3 + 0.7 * fade), dtype=np.float32)


def _circle(hu: npt.NDArray[np.float32], rng: np.random.Generator) -> npt.NDArray[np.float32]:
    """Return the scan with padding outside the round field of view."""
    h, w = hu.shape[1:]
    y, x = np.mgrid[:h, :w]
    r2 = ((y - (h - 1) / 2) / (h / 2)) ** 2 + ((x - (w - 1) / 2) / (w / 2)) ** 2
    padding = float(rng.choice([-2000.0, -1024.0]))
    return np.asarray(np.where(r2 > 1.0, padding, hu), dtype=np.float32)
