"""BodyPlan: the numbers of one simulated body, drawn before anything is painted."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

__all__ = [
    "LABELS",
    "PERICARDIAL_FLUID",
    "BodyPlan",
    "ProfileTable",
    "body_profile",
    "draw_body_plan",
]

LABELS: dict[str, int] = {
    "body": 1,
    "lung_right": 2,
    "lung_left": 3,
    "trachea_and_airways": 4,
    "heart": 5,
    "aorta": 6,
    "esophagus": 7,
    "liver": 8,
    "spleen": 9,
    "stomach": 10,
    "bone": 11,
    "kidney_right": 12,
    "kidney_left": 13,
    "vertebrae": 14,
    "ribs": 15,
}
"""Legend of the simulated organ masks; ``body`` is every tissue that has no other name, ``heart``
is everything inside the pericardium."""

PERICARDIAL_FLUID = 16
"""Label of pericardial fluid while a study is painted; it becomes ``heart`` in the end."""

# Ours: outlines of an adult of 130 mm inner half-width, by height as a fraction of the lung's.
_HEIGHT = (-0.60, -0.28, -0.14, -0.04, 0.04, 0.10, 0.18, 0.30, 0.45, 0.60, 0.80, 1.00, 1.30, 1.80)
_CAVITY_A = (30, 45, 60, 68, 78, 88, 99, 112, 121, 126, 128, 127, 122, 115)
_CAVITY_B = (30, 36, 42, 46, 51, 57, 65, 75, 84, 88, 89, 88, 86, 82)
_CAVITY_Y = (18, 20, 22, 23, 22, 20, 15, 9, 4, 1, 0, 0, -2, -4)
_BODY_A = (62, 66, 84, 138, 172, 170, 166, 160, 154, 150, 148, 146, 140, 134)
_BODY_B = (62, 62, 66, 76, 82, 88, 96, 104, 109, 111, 111, 109, 106, 102)
_BODY_Y = (6, 8, 12, 14, 14, 13, 11, 8, 5, 3, 2, 2, 0, -2)
_SPINE_Y = (22, 26, 32, 38, 43, 46, 50, 53, 54, 53, 49, 43, 32, 20)


class ProfileTable(NamedTuple):
    """Outlines by height, one row of numbers every millimetre (numba reads it)."""

    first_mm: float
    rows: npt.NDArray[np.float64]  # columns: cavity a, b, y; body a, b, y; spine y; spine x


class BodyPlan(NamedTuple):
    """Numbers of one body; lengths in mm, body coordinates.

    Compiled code reads it. It holds no arrays: counting their references cost more than the
    mathematics (1 microsecond a voxel against 0.4).
    """

    scoliosis_mm: float
    scoliosis_turn: float
    height_mm: float
    width_scale: float
    depth_scale: float
    dome_mm: tuple[float, float]  # height of the right and the left dome
    dome_drop_mm: float
    mediastinum_mm: float
    fat_mm: float
    breast_mm: float
    breast_gland: float
    arms: bool
    heart_centre: tuple[float, float, float]  # z, y, x
    heart_radii: tuple[float, float, float]
    heart_axes: tuple[tuple[float, float, float], ...]  # rows: own axes
    heart_fat_mm: float
    pericardial_mm: float  # fluid around the heart; 0 for none
    pericardial_hu: float
    blood_hu: tuple[float, float, float]  # right heart, left heart and aorta, veins
    muscle_hu: float
    fat_hu: float
    liver_hu: float
    spleen_hu: float
    kidney_hu: float
    bone_hu: tuple[float, float]  # trabecular, cortical
    cartilage: float
    osteophyte: tuple[tuple[float, float, float, float], ...]  # (N, 4) z, y, x, radius
    lung_hu: float
    lung_texture_hu: tuple[float, float]  # fine, coarse
    gravity_hu: float
    dependent_mm: float
    warp_mm: float
    phase: tuple[float, ...]  # offsets into the noise field
    rib_gap_mm: float
    stomach_gas: float
    colon_gas: float
    table_y_mm: float
    table_hu: float


def draw_body_plan(rng: np.random.Generator) -> BodyPlan:
    """Return the plan of a random adult."""
    height = float(rng.uniform(205, 275))
    width, depth = float(rng.uniform(0.86, 1.14)), float(rng.uniform(0.86, 1.2))
    fat = float(rng.gamma(2.2, 6.0) + 2.0)
    enhanced = rng.random() < 0.55
    right, left = (rng.uniform(140, 330), rng.uniform(140, 320)) if enhanced else (40.0, 40.0)
    veins = float(rng.uniform(70, 180)) if enhanced else 40.0
    dome_drop = float(rng.uniform(42, 72))
    dome = height - dome_drop - rng.uniform(8, 28) + np.array([0.0, rng.uniform(4, 20)])
    heart = np.array([dome[1] - rng.uniform(18, 30), -24 * depth, 20 * width])
    radii = np.array([68.0, 51.0, 49.0]) * rng.uniform(0.84, 1.12) * width
    spine_y = float(np.interp(0.5 * height, np.array(_HEIGHT) * height, _SPINE_Y))
    return BodyPlan(
        scoliosis_mm=float(rng.normal(0, 4)),
        scoliosis_turn=float(rng.uniform(0, 1)),
        height_mm=height,
        width_scale=width,
        depth_scale=depth,
        dome_mm=(float(dome[0]), float(dome[1])),
        dome_drop_mm=dome_drop,
        mediastinum_mm=float(rng.uniform(24, 34)) * width,
        fat_mm=fat,
        breast_mm=float(rng.uniform(25, 60)) if rng.random() < 0.45 else 0.0,
        breast_gland=float(rng.uniform(-0.5, 1.6)),
        arms=bool(rng.random() < 0.2),
        heart_centre=_triple(heart),
        heart_radii=_triple(radii),
        heart_axes=_heart_axes(rng),
        heart_fat_mm=float(rng.uniform(2, 8)),
        pericardial_mm=0.0,
        pericardial_hu=0.0,
        blood_hu=_triple(np.array([right, left, veins]) + rng.uniform(-4, 6)),
        muscle_hu=float(rng.uniform(38, 58)) + (12.0 if enhanced else 0.0),
        fat_hu=float(rng.uniform(-112, -92)),
        liver_hu=float(rng.uniform(42, 66)) + (float(rng.uniform(15, 60)) if enhanced else 0.0),
        spleen_hu=float(rng.uniform(42, 54)) + (float(rng.uniform(40, 80)) if enhanced else 0.0),
        kidney_hu=float(rng.uniform(28, 38)) + (float(rng.uniform(80, 150)) if enhanced else 0.0),
        bone_hu=(float(rng.uniform(90, 260)), float(rng.uniform(380, 760))),
        cartilage=float(rng.uniform(0, 1)),
        osteophyte=_osteophytes(rng, height, spine_y),
        lung_hu=float(rng.uniform(-915, -800)),
        lung_texture_hu=(float(rng.uniform(8, 24)), float(rng.uniform(8, 24))),
        gravity_hu=float(rng.uniform(10, 70)),
        dependent_mm=float(rng.choice([0.0, rng.uniform(3, 14)])),
        warp_mm=float(rng.uniform(2.5, 5.0)),
        phase=tuple(rng.uniform(0, 64, 12).tolist()),
        rib_gap_mm=float(rng.uniform(23, 29)) * height / 240,
        stomach_gas=float(rng.uniform(0, 1)),
        colon_gas=float(rng.uniform(0, 1)),
        table_y_mm=float(rng.uniform(4, 30)),
        table_hu=float(rng.uniform(-860, -200)),
    )


def body_profile(plan: BodyPlan) -> ProfileTable:
    """Return the outlines of a body by height."""
    height, width, depth, fat = plan.height_mm, plan.width_scale, plan.depth_scale, plan.fat_mm
    knots = np.array(_HEIGHT) * height
    first, last = float(np.floor(knots[0])), float(np.ceil(knots[-1]))
    z = np.arange(first, last + 1)
    columns = [
        np.interp(z, knots, np.array(_CAVITY_A) * width),
        np.interp(z, knots, np.array(_CAVITY_B) * depth),
        np.interp(z, knots, np.array(_CAVITY_Y) * depth),
        np.interp(z, knots, np.array(_BODY_A) * width + fat),
        np.interp(z, knots, np.array(_BODY_B) * depth + 0.8 * fat),
        np.interp(z, knots, np.array(_BODY_Y) * depth - 0.1 * fat),
        np.interp(z, knots, np.array(_SPINE_Y) * depth),
        plan.scoliosis_mm * np.sin((z / height + plan.scoliosis_turn) * np.pi),
    ]
    smooth = np.ones(15) / 15
    padded = [np.convolve(np.pad(c, 7, mode="edge"), smooth, mode="valid") for c in columns]
    return ProfileTable(first, np.stack(padded, axis=1))


def _triple(values: npt.NDArray[np.float64]) -> tuple[float, float, float]:
    a, b, c = values.tolist()
    return a, b, c


def _heart_axes(rng: np.random.Generator) -> tuple[tuple[float, float, float], ...]:
    """Return the heart's three own axes: the long one runs to the left, front and down."""
    long = np.array([0.45, -0.55, 0.75]) + rng.normal(0, 0.07, 3)
    long /= np.linalg.norm(long)
    second = np.cross(long, np.array([1.0, 0.1, 0.0]))
    second /= np.linalg.norm(second)
    return _triple(long), _triple(second), _triple(np.cross(long, second))


def _osteophytes(
    rng: np.random.Generator, height: float, spine_y: float
) -> tuple[tuple[float, float, float, float], ...]:
    """Return bony spurs (z, y, x, radius) beside the discs: into the lung they look like nodules.

    Always five; those of negative radius are not there.
    """
    spurs = []
    for _ in range(5):
        side = -1.0 if rng.random() < 0.75 else 1.0  # right-sided ones are the rule
        level = float(np.round(rng.uniform(0.25, 0.95) * height / 24) * 24)
        radius = float(rng.uniform(2.5, 6.5)) if rng.random() < 0.5 else -9.0
        spurs.append((level, spine_y + float(rng.uniform(-14, 0)),
                      side * float(rng.uniform(14, 19)), radius))  # fmt: skip
    return tuple(spurs)
