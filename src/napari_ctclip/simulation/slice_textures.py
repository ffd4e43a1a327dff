"""Emphysema and fibrosis in one slice: what is recognised by fine texture.

Each painter returns where (H, W) the lung is diseased.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter

from napari_ctclip.simulation.slice_painting import SlicePainting

__all__ = [
    "add_centrilobular",
    "add_honeycombing",
    "add_panlobular",
    "add_paraseptal",
    "add_reticulation",
]

BoolArray = npt.NDArray[np.bool_]

_AIR_HU = (-1000.0, -960.0)
_AROUND_MM, _DENSE = 4.0, 0.05
"""Ours: lung is emphysematous where holes fill a twentieth of the 4 mm about a pixel, as in mild
disease, and in every hole."""


def add_centrilobular(painting: SlicePainting, rng: np.random.Generator) -> BoolArray:
    """Paint round holes of 1-10 mm in the lobules, from few and small to merging."""
    severity = float(rng.uniform(0.0, 1.0)) ** 1.5  # mild disease is the commonest
    radii = 0.5 + rng.gamma(3.0, 0.25 + 0.55 * severity, 4000)
    radii = np.clip(radii, 0.5, 5.0)
    wanted = (0.05 + 0.78 * severity) * painting.side_mm**2
    # a slab meets spheres whose centres lie up to a radius outside it
    met = 2 * radii / (2 * radii + painting.thickness_mm)
    count = int(np.searchsorted(np.cumsum(2.0 * radii**2 * met), wanted)) + 3
    count = min(count, len(radii))
    centres = rng.uniform(0, painting.side_mm, (count, 2))
    if rng.random() < 0.6:  # patchy: some lobules are spared
        field = painting.texture(rng, float(rng.uniform(5, 12)))
        index = np.minimum((centres / painting.pixel_mm).astype(int), len(field) - 1)
        kept = field[index[:, 0], index[:, 1]] > rng.uniform(-1.0, 0.2)
        centres = centres[kept]
    radii = radii[: len(centres)]
    return _holes(painting, rng, centres, radii, pruning=0.6 * severity)


def add_paraseptal(painting: SlicePainting, rng: np.random.Generator) -> BoolArray:
    """Paint rows of holes with thin walls below the pleura; in deep lung, below a septum."""
    depth = painting.depth
    if depth.min() > 20:  # an interlobular septum or fissure stands in for the pleura
        angle, away = rng.uniform(0, np.pi), rng.uniform(0.2, 0.8) * painting.side_mm
        depth = np.abs(painting.y * np.sin(angle) + painting.x * np.cos(angle) - away)
    step = float(rng.uniform(3.0, 10.0))
    rows = float(rng.uniform(1.0, 2.6)) * step
    lattice = np.arange(0, painting.side_mm, step)
    centres = np.stack(np.meshgrid(lattice, lattice, indexing="ij"), axis=-1).reshape(-1, 2)
    centres = centres + rng.normal(0, 0.2 * step, centres.shape)
    index = np.clip((centres / painting.pixel_mm).astype(int), 0, len(depth) - 1)
    at = depth[index[:, 0], index[:, 1]]
    centres = centres[(at > 0.3 * step) & (at < rows)]
    radii = step * rng.uniform(0.35, 0.56, len(centres))
    walls = painting.spheres(centres, radii + 0.7, rng.uniform(-1, 1, len(centres)))
    painting.blend(float(rng.uniform(-780, -600)), 0.7 * walls)
    return _holes(painting, rng, centres, radii, pruning=0.1)


def add_panlobular(painting: SlicePainting, rng: np.random.Generator) -> BoolArray:
    """Paint evenly destroyed lung: almost air, few vessels, faint remains of walls."""
    field = painting.texture(rng, 14.0) + rng.uniform(0.4, 2.5)
    share = np.clip(0.5 + field, 0, 1) * np.float32(rng.uniform(0.6, 0.97))
    floor = rng.uniform(*_AIR_HU) + 8 * painting.texture(rng, 2.0)
    painting.blend(floor.astype(np.float32), share)
    painting.pruning = float(rng.uniform(0.5, 0.9))
    return np.asarray(share > 0.45)


def add_reticulation(painting: SlicePainting, rng: np.random.Generator) -> BoolArray:
    """Paint a net of thickened septa, with a little haze, in a rim or all over."""
    zone = _zone(painting, rng)
    haze = np.maximum(np.float32(rng.uniform(-800, -600)), painting.hu)
    painting.blend(haze, zone)
    mesh = float(rng.uniform(1.6, 3.4))
    for _ in range(2):
        net = np.clip(1 - np.abs(painting.texture(rng, mesh)) / 0.3, 0, 1)
        painting.hu += np.float32(rng.uniform(180, 480)) * net * zone
    return np.asarray(zone > 0.5)


def add_honeycombing(painting: SlicePainting, rng: np.random.Generator) -> BoolArray:
    """Paint clustered cysts of 3-10 mm with walls of 1-2 mm in soft-tissue density."""
    zone = _zone(painting, rng)
    painting.blend(float(rng.uniform(-350, -30)), (0.9 * zone).astype(np.float32))
    step = float(rng.uniform(3.5, 9.0))
    lattice = np.arange(0, painting.side_mm + step, step)
    centres = np.stack(np.meshgrid(lattice, lattice, indexing="ij"), axis=-1)
    centres[1::2, :, 1] += step / 2
    centres = centres.reshape(-1, 2) + rng.normal(0, 0.14 * step, (centres.size // 2, 2))
    index = np.clip((centres / painting.pixel_mm).astype(int), 0, len(zone) - 1)
    centres = centres[zone[index[:, 0], index[:, 1]] > 0.4]
    radii = step * rng.uniform(0.28, 0.46, len(centres))
    cysts = painting.spheres(centres, radii, rng.uniform(-0.5, 0.5, len(centres)))
    painting.blend(float(rng.uniform(-980, -880)), cysts)
    painting.pruning = 0.5
    return np.asarray(zone > 0.5)


def _holes(
    painting: SlicePainting,
    rng: np.random.Generator,
    centres: npt.NDArray[np.float64],
    radii: npt.NDArray[np.float64],
    *,
    pruning: float,
) -> BoolArray:
    reach = radii + painting.thickness_mm / 2
    cover = painting.spheres(centres, radii, rng.uniform(-reach, reach) * 0.8)
    painting.blend(float(rng.uniform(*_AIR_HU)), cover * np.float32(rng.uniform(0.85, 1.0)))
    painting.pruning = pruning
    around = gaussian_filter(cover, _AROUND_MM / painting.pixel_mm)
    return np.asarray((around > _DENSE) | (cover > 0.3))


def _zone(painting: SlicePainting, rng: np.random.Generator) -> npt.NDArray[np.float32]:
    """Return how fibrotic each pixel is: a rim below the pleura, or a part of deep lung."""
    if painting.depth.min() < 20:
        width = float(rng.uniform(12, 40)) * (1 + 0.3 * painting.texture(rng, 8.0))
        share = np.clip(0.5 + (width - painting.depth) / 5, 0, 1)
    else:
        share = np.clip(0.5 + painting.texture(rng, 12.0) + rng.uniform(0.2, 2.5), 0, 1)
    return np.asarray(share, dtype=np.float32)
