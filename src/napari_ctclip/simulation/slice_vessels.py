"""Vessels of one slice, and what else is round and dense in a healthy lung.

Nodules have to be distinguished from these: vessels cut across or branching, the hilum, and the
domes of diaphragm and heart, none of which is a finding.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from napari_ctclip.simulation.slice_painting import SlicePainting, direction

__all__ = ["add_dome", "add_hilum", "add_vessels"]

_THINNEST_MM = 0.5


def add_vessels(painting: SlicePainting, rng: np.random.Generator) -> None:
    """Paint vessels along and across the slice, trees of them, and bronchi beside some."""
    hu = float(rng.uniform(-20, 180))
    dense = float(rng.uniform(0.3, 1.3)) * (1 - painting.pruning) * (painting.side_mm / 80) ** 2
    for _ in range(rng.poisson(18 * dense)):
        radius = float(rng.gamma(2.0, 0.35) + 0.25)
        painting.tube(
            rng.uniform(-0.1, 1.1, 2) * painting.side_mm,
            direction(rng),
            length=float(rng.uniform(6, 10 + 14 * radius)),
            radii=(radius, 0.5 * radius),
            hu=hu,
            bend=float(rng.normal(0, 0.08)),
        )
    for _ in range(rng.poisson(14 * dense)):
        radius = float(rng.gamma(2.0, 0.5) + 0.4)
        _cut_across(painting, rng, rng.uniform(0, painting.side_mm, 2), radius=radius, hu=hu)
    for _ in range(rng.poisson(1.6 * dense)):
        start = rng.uniform(0, painting.side_mm, 2)
        radius = float(rng.uniform(1.0, 4.0))
        _branch(painting, rng, start, direction(rng), radius=radius, hu=hu)


def add_hilum(painting: SlicePainting, rng: np.random.Generator) -> None:
    """Paint large vessels of 6-18 mm close together, with bronchi, and their branches."""
    hu = float(rng.uniform(10, 250))
    middle = rng.uniform(0.1, 0.9, 2) * painting.side_mm
    for _ in range(int(rng.integers(2, 6))):
        place = middle + rng.normal(0, 9, 2)
        radius = float(rng.uniform(3, 9))
        if rng.random() < 0.5:
            _cut_across(painting, rng, place, radius=radius, hu=hu)
        else:
            outward = place - middle
            along = outward / (np.linalg.norm(outward) + 1e-6)
            _branch(painting, rng, place, along, radius=radius, hu=hu)


def add_dome(painting: SlicePainting, rng: np.random.Generator) -> None:
    """Paint the top of the diaphragm, or the edge of the heart: smooth, large, its rim faded.

    Last of all: below it there is no lung, and what was painted there is not seen.
    """
    radius = float(rng.uniform(14, 70))
    if rng.random() < 0.5:  # wholly seen
        middle = rng.uniform(0.2, 0.8, 2) * painting.side_mm
    else:
        middle = painting.side_mm * (0.5 + rng.uniform(0.4, 0.6) * direction(rng))
        middle = middle + radius * 0.6 * direction(rng)
    dy, dx = painting.y - middle[0], painting.x - middle[1]
    angle = rng.uniform(0, np.pi)
    along, across = (
        dy * np.sin(angle) + dx * np.cos(angle),
        dy * np.cos(angle) - dx * np.sin(angle),
    )
    distance = np.hypot(along, across * rng.uniform(1.0, 1.6))
    # it slopes through the slice: the thicker the slice, the wider its rim
    rim = painting.pixel_mm + painting.thickness_mm * rng.uniform(0.3, 2.0)
    share = np.clip(0.5 + (radius - distance) / rim, 0, 1).astype(np.float32)
    inside = rng.uniform(20, 120) + 6 * painting.texture(rng, 4.0)
    painting.blend(inside.astype(np.float32), share)
    painting.depth = np.minimum(painting.depth, (distance - radius).astype(np.float32))


def _branch(
    painting: SlicePainting,
    rng: np.random.Generator,
    start: npt.NDArray[np.float64],
    along: npt.NDArray[np.float64],
    *,
    radius: float,
    hu: float,
) -> None:
    """Paint a vessel that divides; each branch stays in the slice, or leaves it as a round end."""
    length = float(rng.uniform(2.5, 6.0)) * radius + 3.0
    thin = 0.85 * radius
    painting.tube(
        start, along, length=length, radii=(radius, thin), hu=hu, bend=float(rng.normal(0, 0.05))
    )
    end = start + along * length
    if thin < _THINNEST_MM:
        return
    turn = float(rng.uniform(0.2, 0.8))
    for sign in (-1.0, 1.0):
        part = thin * float(rng.uniform(0.55, 0.85))  # two of 0.79 carry as much (Murray)
        angle = np.arctan2(along[0], along[1]) + sign * turn
        if rng.random() < 0.25:
            painting.disc(end + 0.5 * thin * along, part, hu)
        else:
            onward = np.array([np.sin(angle), np.cos(angle)])
            _branch(painting, rng, end, onward, radius=part, hu=hu)


def _cut_across(
    painting: SlicePainting,
    rng: np.random.Generator,
    place: npt.NDArray[np.float64],
    *,
    radius: float,
    hu: float,
) -> None:
    painting.disc(place, radius, hu)
    if radius > 1.2 and rng.random() < 0.5:
        beside = place + radius * 2.1 * direction(rng)
        painting.disc(beside, radius * 1.25, -150.0)
        painting.disc(beside, radius * 0.9, -960.0)
