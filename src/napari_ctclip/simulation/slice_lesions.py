"""Opacities, nodules, masses and pleural disease in one slice.

Each painter returns where (H, W) the finding is.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from napari_ctclip.simulation.slice_painting import SlicePainting

__all__ = [
    "add_consolidated",
    "add_fluid",
    "add_free_air",
    "add_hazy",
    "add_mass_disc",
    "add_nodule_disc",
]

BoolArray = npt.NDArray[np.bool_]
FloatArray = npt.NDArray[np.float32]


def add_hazy(painting: SlicePainting, rng: np.random.Generator) -> BoolArray:
    """Paint ground glass: haze of -700 to -420 HU with fuzzy edges."""
    share = _patch(painting, rng, edge_mm=float(rng.uniform(3, 9)))
    haze = rng.uniform(-700, -420) + 35 * painting.texture(rng, 4.0)
    painting.blend(np.maximum(haze, painting.hu).astype(np.float32), share)
    return np.asarray(share > 0.5)


def add_consolidated(painting: SlicePainting, rng: np.random.Generator) -> BoolArray:
    """Paint filled airspace, with air bronchograms in half and some lobules still aerated."""
    share = _patch(painting, rng, edge_mm=float(rng.uniform(1, 5)))
    filled = np.clip(1.3 + rng.uniform(0.1, 0.6) * painting.texture(rng, 3.0), 0.35, 1)
    painting.blend(float(rng.uniform(0, 90)), (share * filled).astype(np.float32))
    if rng.random() < 0.5:
        tube = np.abs(painting.texture(rng, 7.0))
        painting.blend(-900.0, (np.clip(1 - tube / 0.08, 0, 1) * share).astype(np.float32))
    painting.pruning = 0.5
    return np.asarray(share > 0.5)


def add_nodule_disc(painting: SlicePainting, rng: np.random.Generator) -> BoolArray:
    """Paint one to three nodules of 5-30 mm: smooth, lobulated or spiculated."""
    seen = np.zeros(painting.hu.shape, dtype=bool)
    for _ in range(int(rng.choice([1, 2, 3], p=[0.7, 0.2, 0.1]))):
        seen |= _blob(painting, rng, radius=float(np.exp(rng.uniform(np.log(2.5), np.log(14)))))
    return seen


def add_mass_disc(painting: SlicePainting, rng: np.random.Generator) -> BoolArray:
    """Paint a mass of 32-90 mm."""
    return _blob(painting, rng, radius=float(rng.uniform(16, 45)))


def add_fluid(painting: SlicePainting, rng: np.random.Generator) -> BoolArray:
    """Paint fluid between lung and chest wall, with a rim of compressed lung."""
    share = _rim(painting, float(rng.uniform(5, 40)))
    compressed = np.clip(_rim(painting, float(rng.uniform(10, 48))) - share, 0, 1)
    painting.blend(float(rng.uniform(-500, 20)), (0.6 * compressed).astype(np.float32))
    painting.blend(float(rng.uniform(-5, 30)), share)
    return np.asarray(share > 0.5)


def add_free_air(painting: SlicePainting, rng: np.random.Generator) -> BoolArray:
    """Paint air without any vessel outside a thin visceral pleura."""
    width = float(rng.uniform(4, 40))
    share = _rim(painting, width)
    line = np.clip(1 - np.abs(painting.depth - width) / max(0.8, painting.pixel_mm), 0, 1)
    painting.blend(-500.0, (0.6 * line).astype(np.float32))
    painting.blend(float(rng.uniform(-1000, -980)), share)
    return np.asarray(share > 0.5)


def _blob(painting: SlicePainting, rng: np.random.Generator, *, radius: float) -> BoolArray:
    place = rng.uniform(0.15, 0.85, 2) * painting.side_mm
    dy, dx = painting.y - place[0], painting.x - place[1]
    angle = np.arctan2(dy, dx)
    edge = np.full_like(painting.hu, radius * rng.uniform(0.75, 1.0))
    for lobes in (2, 3, 5):
        edge += radius * rng.normal(0, 0.08) * np.cos(lobes * angle + rng.uniform(0, 6.3))
    if rng.random() < 0.35:  # spicules
        count = int(rng.integers(6, 16))
        spike = np.clip(np.cos(count * angle + rng.uniform(0, 6.3)), 0, 1) ** 8
        edge += rng.uniform(0.2, 0.7) * min(radius, 12) * spike
    blur = painting.pixel_mm + (0.3 * painting.thickness_mm if radius < 8 else 0.0)
    share = np.clip(0.5 + (edge - np.hypot(dy, dx)) / blur, 0, 1).astype(np.float32)
    # a ball thinner than the slice fills a part of it
    share *= np.float32(min(1.0, 1.6 * radius / painting.thickness_mm))
    calcified = radius < 8 and rng.random() < 0.12
    hu = rng.uniform(200, 900) if calcified else rng.uniform(-20, 110)
    grain = rng.uniform(2, 25) * painting.texture(rng, max(2.0, radius / 5))
    painting.blend((hu + grain).astype(np.float32), share)
    return np.asarray(share > 0.4)


def _patch(painting: SlicePainting, rng: np.random.Generator, *, edge_mm: float) -> FloatArray:
    place = rng.uniform(0.1, 0.9, 2) * painting.side_mm
    radius = float(rng.uniform(10, 50))
    distance = np.hypot(painting.y - place[0], painting.x - place[1])
    bumps = 0.28 * painting.texture(rng, 0.4 * radius) + 3 / radius * painting.texture(rng, 4.0)
    return np.asarray(np.clip(0.5 + (radius * (1 + bumps) - distance) / edge_mm, 0, 1), np.float32)


def _rim(painting: SlicePainting, width_mm: float) -> FloatArray:
    return np.asarray(np.clip(0.5 + (width_mm - painting.depth) / 1.0, 0, 1), np.float32)
