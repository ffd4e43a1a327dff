"""Pleural effusion and pneumothorax: what lies between the lung and the chest wall."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from napari_ctclip.simulation.scene import SIDES, Scene

__all__ = ["add_effusion", "add_pneumothorax"]


def add_effusion(scene: Scene, rng: np.random.Generator) -> None:
    """Add fluid on one or both sides: a crescent behind and below."""
    sides = (0, 1) if rng.random() < 0.4 else (int(rng.integers(0, 2)),)
    hu = float(rng.uniform(0, 25))
    for side in sides:
        thick = float(rng.choice([rng.uniform(9, 18), rng.uniform(16, 35), rng.uniform(32, 65)]))
        front = float(rng.uniform(-10, 45)) - 0.7 * thick
        top = float(rng.uniform(0.2, 0.6)) * scene.plan.height_mm - 1.2 * thick
        box = scene.lung_box(side)
        z, y, _ = scene.canvas.grid.part(box).axes_mm()
        wave = scene.texture(box, 18.0, float(rng.uniform(0, 64)))
        depth_mm = thick * _step(y, front, front + 55) * _step(z, top, top + 90)
        depth_mm = depth_mm * (1 + 0.08 * wave)
        lung = scene.lung_share(box, side=side)
        share = _inside(scene, box, depth_mm) * lung
        scene.blend(box, hu + 3 * wave, share)
        size = "small" if thick < 18 else "moderate" if thick < 38 else "large"
        scene.record("pleural effusion", SIDES[side], box=box, share=share, description=size)


def add_pneumothorax(scene: Scene, rng: np.random.Generator) -> None:
    """Add air in front of and above one lung, which is partly collapsed."""
    side = int(rng.integers(0, 2))
    thick = float(rng.choice([rng.uniform(5, 12), rng.uniform(10, 28), rng.uniform(25, 50)]))
    box = scene.lung_box(side)
    z, y, _ = scene.canvas.grid.part(box).axes_mm()
    back = float(rng.uniform(-10, 70)) * scene.plan.depth_scale
    apical = 1 - _step(z, 0.1 * scene.plan.height_mm, 0.5 * scene.plan.height_mm)
    depth_mm = thick * (1 - _step(y, back - 70, back)) * (0.55 + 0.45 * apical)
    depth_mm = depth_mm + 0.5 * thick * apical * (1 - _step(y, back - 30, back + 50))
    depth_mm = depth_mm * (1 + 0.08 * scene.texture(box, 20.0, float(rng.uniform(0, 64))))
    lung = scene.lung_share(box, side=side)
    share = _inside(scene, box, depth_mm) * lung
    # Lung that lost its air is denser: up to 200 HU at the largest.
    collapse = float(rng.uniform(1.0, 4.5)) * thick
    current = scene.canvas.hu[box]
    current += np.where(current < -500, collapse, 0).astype(np.float32) * lung
    line = _inside(scene, box, depth_mm + 0.8 * (depth_mm > 2)) * lung
    scene.blend(box, -250.0, line)
    scene.blend(box, -998.0, share)
    size = "small" if thick < 12 else "moderate" if thick < 28 else "large"
    scene.record("pneumothorax", SIDES[side], box=box, share=share, description=size)


def _inside(
    scene: Scene, box: tuple[slice, slice, slice], depth_mm: npt.NDArray[np.floating]
) -> npt.NDArray[np.float32]:
    """Return how much of each voxel lies within ``depth_mm`` of the pleura."""
    share = np.clip(0.5 + (depth_mm - scene.canvas.depth[box]) / scene.voxel_mm, 0, 1)
    return np.asarray(share * (depth_mm > 0.6), dtype=np.float32)


def _step(x: npt.NDArray[np.float32], low: float, high: float) -> npt.NDArray[np.float32]:
    t = np.clip((x - low) / (high - low), 0, 1)
    return np.asarray(t * t * (3 - 2 * t), dtype=np.float32)
