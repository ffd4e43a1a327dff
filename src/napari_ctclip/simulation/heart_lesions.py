"""Heart lesions: calcified vessels, an enlarged heart and pericardial fluid."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from napari_ctclip.simulation.body_plan import LABELS, PERICARDIAL_FLUID, BodyPlan
from napari_ctclip.simulation.scene import Scene
from napari_ctclip.simulation.tubes import Tube, tube_coverage

__all__ = [
    "add_aortic_calcification",
    "add_coronary_calcification",
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


FloatArray = npt.NDArray[np.float64]


def add_coronary_calcification(scene: Scene, rng: np.random.Generator) -> None:
    """Add three to eleven plaques to the coronary arteries."""
    for _ in range(3 + int(8 * rng.uniform(0.2, 1.0) * rng.random())):
        vessel = scene.mediastinum.coronaries[int(rng.integers(0, 3))]
        _paint(scene, _coronary_plaque(vessel, rng), _plaque_hu(scene, rng), "heart")


def add_aortic_calcification(scene: Scene, rng: np.random.Generator) -> None:
    """Add three to seventeen plaques to the wall of the aorta."""
    for _ in range(3 + int(14 * rng.uniform(0.2, 1.0) * rng.random())):
        capsules = _aortic_plaque(scene.mediastinum.aorta, rng)
        _paint(scene, capsules, _plaque_hu(scene, rng), "aorta")


def _plaque_hu(scene: Scene, rng: np.random.Generator) -> float:
    """Return the CT number of a plaque: what is no denser than contrast medium nobody reports."""
    return max(float(rng.uniform(280, 1200)), scene.plan.blood_hu[1] + 220.0)


def _aortic_plaque(aorta: Tube, rng: np.random.Generator) -> FloatArray:
    """Return capsules (N, 8) that lie along the wall; the arch is the place of choice."""
    p = aorta.points_mm
    last = len(p) - 2
    at = int(np.clip(rng.normal(0.42, 0.08) * last if rng.random() < 0.45
                     else rng.uniform(0.3, 0.8) * last, 1, last))  # fmt: skip
    along = p[at + 1] - p[at - 1]
    along /= np.linalg.norm(along) + 1e-9
    out = np.cross(along, rng.normal(0, 1, 3))
    out /= np.linalg.norm(out) + 1e-9
    round_ = np.cross(along, out)
    thick = float(rng.uniform(0.9, 2.0))
    radius = aorta.radii_mm[at] - 0.6 * thick
    spread = float(rng.uniform(0.05, 0.6))  # radians to each side
    length = float(rng.uniform(1, 8))
    angles = np.linspace(-spread, spread, int(3 + 8 * spread))
    ring = p[at] + radius * (np.cos(angles)[:, None] * out + np.sin(angles)[:, None] * round_)
    ring += rng.normal(0, 0.4, ring.shape)
    lower, upper = ring - along * length / 2, ring + along * length / 2
    radii = np.full((len(ring), 1), thick) * rng.uniform(0.7, 1.0, (len(ring), 1))
    return np.hstack([lower, upper, radii, radii])


def _coronary_plaque(vessel: Tube, rng: np.random.Generator) -> FloatArray:
    start = int(rng.integers(0, max(1, int(0.6 * len(vessel.points_mm)))))
    stop = min(len(vessel.points_mm), start + int(rng.integers(2, 5)))
    p = vessel.points_mm[start:stop] + rng.normal(0, 0.4, (stop - start, 3))
    radius = np.full((len(p) - 1, 2), rng.uniform(1.0, 1.9))
    return np.hstack([p[:-1], p[1:], radius])


def _paint(scene: Scene, capsules: FloatArray, hu: float, anatomy: str) -> None:
    found = tube_coverage(scene.canvas.grid, capsules)
    if found is None:
        return
    box, share = found
    scene.blend(box, hu, share)
    finding = "coronary calcification" if anatomy == "heart" else "aortic calcification"
    scene.record(finding, anatomy, box=box, share=share)
