"""Slice painting: a square of lung with its chest wall, painted in HU, and what to paint with."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter

__all__ = ["SlicePainting", "direction"]

FloatArray = npt.NDArray[np.float32]


@dataclass(eq=False)
class SlicePainting:
    """One square of a slice while it is painted.

    Attributes
    ----------
    hu : ndarray, shape (H, W), float32
        CT numbers, changed in place.
    y, x : ndarray, shape (H, W), float32
        Place of every pixel, mm from the corner.
    depth : ndarray, shape (H, W), float32
        Distance to the pleura, mm; negative outside the lung.
    pixel_mm, thickness_mm : float
        Of a pixel, and of the slice.
    pruning : float
        Share of vessels that disease took away.
    """

    hu: FloatArray
    y: FloatArray
    x: FloatArray
    depth: FloatArray
    pixel_mm: float
    thickness_mm: float
    pruning: float = 0.0

    @classmethod
    def draw(
        cls, rng: np.random.Generator, *, size: int, pixel_mm: float, near_pleura: bool = False
    ) -> SlicePainting:
        """Return aerated lung; ``near_pleura`` puts the chest wall into the square for certain.

        Ours: lung of -860 HU, at full inspiration; 35 HU more or less (-925 to -770 at most),
        and darker in front than behind by up to 60 HU.
        """
        axis = np.arange(size, dtype=np.float32) * np.float32(pixel_mm)
        y, x = np.meshgrid(axis, axis, indexing="ij")
        side = size * pixel_mm
        painting = cls(
            np.full((size, size), np.clip(rng.normal(-860, 35), -925, -770), np.float32),
            y,
            x,
            _depth(rng, y, x, side, certain=near_pleura),
            pixel_mm,
            float(rng.choice([0.7, 1.5, 3.0, 5.0], p=[0.3, 0.25, 0.2, 0.25])),
        )
        painting.hu += (y / side - 0.5) * np.float32(rng.uniform(-10, 60))
        painting.hu += painting.texture(rng, 6.0) * np.float32(rng.uniform(3, 14))
        painting.hu += painting.texture(rng, 1.2) * np.float32(rng.uniform(3, 14))
        return painting

    @property
    def is_lung(self) -> npt.NDArray[np.bool_]:
        """Pixels inside the pleura (H, W)."""
        return np.asarray(self.depth > 0)

    @property
    def side_mm(self) -> float:
        """Side of the square."""
        return float(self.hu.shape[0] * self.pixel_mm)

    def texture(self, rng: np.random.Generator, scale_mm: float) -> FloatArray:
        """Return a smooth field (H, W) of zero mean and unit variance."""
        sigma = max(scale_mm / self.pixel_mm, 0.3)
        step = max(1, int(sigma / 2))  # a smooth field is drawn coarse and enlarged
        n = -(-self.hu.shape[0] // step) + 2
        field = gaussian_filter(rng.standard_normal((n, n)).astype(np.float32), sigma / step)
        if step > 1:
            field = np.kron(field, np.ones((step, step), np.float32))
            field = gaussian_filter(field, step / 2)
        field = field[: self.hu.shape[0], : self.hu.shape[1]]
        return np.asarray((field - field.mean()) / (field.std() + 1e-6), dtype=np.float32)

    def blend(self, hu: float | FloatArray, share: FloatArray) -> None:
        """Replace a share (H, W) of every pixel by ``hu``."""
        self.hu += (hu - self.hu) * share

    def spheres(
        self,
        centres: npt.NDArray[np.float64],
        radii: npt.NDArray[np.float64],
        heights: npt.NDArray[np.float64],
    ) -> FloatArray:
        """Return the share (H, W) of the slab that spheres fill; overlaps join.

        Parameters
        ----------
        centres : ndarray, shape (N, 2)
            Places (y, x), mm.
        radii, heights : ndarray, shape (N,)
            Radii, and distances of the centres from the middle of the slice, mm.
        """
        empty = np.ones_like(self.hu)
        half = self.thickness_mm / 2
        for (cy, cx), radius, height in zip(centres, radii, heights, strict=True):
            box = self._box(cy, cx, radius)
            if box is None:
                continue
            d2 = (self.y[box] - cy) ** 2 + (self.x[box] - cx) ** 2
            chord = np.sqrt(np.clip(radius**2 - d2, 0, None))
            low, high = np.maximum(height - chord, -half), np.minimum(height + chord, half)
            empty[box] *= 1 - np.clip(high - low, 0, None) / self.thickness_mm
        return 1 - empty

    def add_surroundings(self, rng: np.random.Generator) -> None:
        """Paint what lies outside the pleura: muscle, fat, ribs, or mediastinum."""
        outside = np.clip(0.5 - self.depth / self.pixel_mm, 0, 1)
        if not outside.any():
            return
        tissue = np.full_like(self.hu, rng.uniform(10, 70))
        if rng.random() < 0.5:  # chest wall
            rim = float(rng.uniform(1, 4))
            tissue = np.where(self.depth < -rim, rng.uniform(-110, 60), tissue)
            for _ in range(int(rng.integers(0, 4))):
                cy, cx = rng.uniform(0, self.side_mm, 2)
                across = ((self.y - cy) / rng.uniform(4, 9)) ** 2
                rib = across + ((self.x - cx) / rng.uniform(4, 14)) ** 2
                inside = (rib < 1) & (self.depth < -rim - 1)
                tissue = np.where(inside, np.where(rib > 0.5, 600.0, 220.0), tissue)
        elif rng.random() < 0.7:  # contrast in the great vessels
            tissue = np.where(self.texture(rng, 12.0) > 0.4, rng.uniform(60, 320), tissue)
        tissue = tissue + 8 * self.texture(rng, 3.0)
        self.blend(tissue.astype(np.float32), outside.astype(np.float32))

    def tube(
        self,
        start: npt.NDArray[np.float64],
        along: npt.NDArray[np.float64],
        *,
        length: float,
        radii: tuple[float, float],
        hu: float,
        bend: float = 0.0,
    ) -> None:
        """Paint a vessel in the plane of the slice, from radius to radius, where it is denser.

        Parameters
        ----------
        start, along : ndarray, shape (2,)
            Where it begins (y, x), mm, and its direction.
        length : float
            In mm.
        radii : (float, float)
            At its start and at its end, mm.
        hu : float
            Of blood.
        bend : float
            How far its middle lies off the straight line, as a share of its length.
        """
        middle = start + along * length / 2
        reach = self._box(middle[0], middle[1], length / 2 + 3 * radii[0])
        if reach is None:
            return
        y, x = self.y[reach] - start[0], self.x[reach] - start[1]
        t = np.clip((y * along[0] + x * along[1]) / length, 0, 1)
        away = np.abs(y * along[1] - x * along[0] - bend * length * np.sin(np.pi * t))
        beyond = (y * along[0] + x * along[1]) - t * length
        radius = radii[0] + (radii[1] - radii[0]) * t
        # a vessel thinner than the slice fills a part of it
        share = np.clip(0.5 + (radius - np.hypot(away, beyond)) / self.pixel_mm, 0, 1)
        share = share * np.clip(2 * radius / self.thickness_mm, 0.05, 1)
        self.hu[reach] += (np.maximum(hu, self.hu[reach]) - self.hu[reach]) * share

    def disc(self, place: npt.NDArray[np.float64], radius: float, hu: float) -> None:
        """Paint a tube cut across at a place (y, x), mm."""
        box = self._box(place[0], place[1], radius + self.pixel_mm)
        if box is not None:
            distance = np.hypot(self.y[box] - place[0], self.x[box] - place[1])
            share = np.clip(0.5 + (radius - distance) / self.pixel_mm, 0, 1)
            self.hu[box] += (hu - self.hu[box]) * share

    def _box(self, cy: float, cx: float, radius: float) -> tuple[slice, slice] | None:
        n = self.hu.shape[0]
        ends = []
        for centre in (cy, cx):
            first = max(int((centre - radius) / self.pixel_mm), 0)
            last = min(int((centre + radius) / self.pixel_mm) + 2, n)
            if last <= first:
                return None
            ends.append(slice(first, last))
        return ends[0], ends[1]


def _depth(
    rng: np.random.Generator, y: FloatArray, x: FloatArray, side: float, *, certain: bool
) -> FloatArray:
    """Return distances to a pleura that is a large circle; far away in half of the squares."""
    if not certain and rng.random() < 0.5:
        return np.full_like(y, 60.0)
    radius = float(rng.uniform(60, 160))
    away = direction(rng)
    inward = float(rng.uniform(-0.25, 0.45)) * side
    cy, cx = side / 2 - away * (radius - side / 2 + inward)
    distance = radius - np.hypot(y - cy, x - cx)
    return np.asarray(distance, dtype=np.float32)


def direction(rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """Return a unit vector (y, x)."""
    angle = rng.uniform(0, 2 * np.pi)
    return np.array([np.sin(angle), np.cos(angle)])
