"""Cardiomegaly and pericardial effusion: drawn into the body plan, recorded once it is painted."""

from __future__ import annotations

import numpy as np

from napari_ctclip.simulation.body_plan import LABELS, PERICARDIAL_FLUID, BodyPlan
from napari_ctclip.simulation.scene import Scene

__all__ = [
    "enlarge_heart",
    "fill_pericardium",
    "name_pericardial_fluid",
    "record_cardiomegaly",
    "record_pericardial_effusion",
]

_NORMAL_RADII_MM = np.array([68.0, 51.0, 49.0])


def enlarge_heart(plan: BodyPlan, rng: np.random.Generator) -> BodyPlan:
    """Return the plan with a heart of 1.28-1.6 times the normal size; normal is up to 1.12."""
    factor = float(rng.uniform(1.28, 1.6))
    z, y, x = (_NORMAL_RADII_MM * factor * (0.4 + 0.6 * plan.width_scale)).tolist()
    centre = plan.heart_centre
    return plan._replace(
        heart_radii=(z, y, x),
        heart_centre=(centre[0] - 22 * (factor - 1), centre[1], centre[2] + 12 * (factor - 1)),
    )


def fill_pericardium(plan: BodyPlan, rng: np.random.Generator) -> BodyPlan:
    """Return the plan with 7-32 mm of fluid at the thickest place around the heart."""
    return plan._replace(
        pericardial_mm=float(7 + 25 * rng.beta(1.2, 2.0)), pericardial_hu=float(rng.uniform(0, 28))
    )


def record_pericardial_effusion(scene: Scene, rng: np.random.Generator) -> None:
    """Note the fluid that was painted around the heart."""
    thick = scene.plan.pericardial_mm
    size = "small" if thick < 12 else "moderate" if thick < 20 else "large"
    share = (scene.canvas.labels == PERICARDIAL_FLUID).astype(np.float32)
    scene.record("pericardial effusion", "heart", box=scene.whole, share=share, description=size)


def record_cardiomegaly(scene: Scene, rng: np.random.Generator) -> None:
    """Note every voxel of the enlarged heart."""
    share = (scene.canvas.labels == LABELS["heart"]).astype(np.float32)
    degree = "mild" if scene.plan.heart_radii[0] < 92 else "marked"
    scene.record("cardiomegaly", "heart", box=scene.whole, share=share, description=degree)


def name_pericardial_fluid(scene: Scene) -> None:
    """Give pericardial fluid the heart's label: organ masks know no sac of its own."""
    for canvas in (scene.canvas, scene.coarse):
        canvas.labels[canvas.labels == PERICARDIAL_FLUID] = LABELS["heart"]
