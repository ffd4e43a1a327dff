"""Pleural lesions: effusion, pneumothorax, and the atelectasis beside them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from napari_ctclip.simulation.lesion import finding_bit
from napari_ctclip.simulation.scene import SIDES, Scene

__all__ = ["add_atelectasis", "add_effusion", "add_pneumothorax"]


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


FloatArray = npt.NDArray[np.float64]
Box = tuple[slice, slice, slice]
_TRIES = 8


def add_atelectasis(scene: Scene, rng: np.random.Generator) -> None:
    """Add atelectasis; beside pleural fluid the lung is compressed by it."""
    enhanced = scene.plan.blood_hu[1] > 100
    hu = float(rng.uniform(30, 60)) + (float(rng.uniform(20, 55)) if enhanced else 0.0)
    squeezed = [side for side in (0, 1) if _beside_fluid(scene, rng, side, hu)]
    kind = str(rng.choice(["plate-like", "segmental"], p=[0.5, 0.5]))
    if squeezed and rng.random() < 0.7:
        return
    if kind == "plate-like":
        for _ in range(int(rng.integers(1, 5))):
            _add_plate(scene, rng, hu)
    else:
        _add_segment(scene, rng, hu)


def _add_plate(scene: Scene, rng: np.random.Generator, hu: float) -> None:
    """Add a plate 3-8 mm thick and 30-80 mm wide, mostly in the lower lung."""
    centre, side = _low_place(scene, rng, depth_mm=(2.0, 22.0))
    radius, half = float(rng.uniform(15, 40)), float(rng.uniform(1.5, 4.0))
    normal = np.array([1.0, rng.normal(0, 0.35), rng.normal(0, 0.35)])
    normal /= np.linalg.norm(normal)
    box = scene.canvas.grid.box(centre - radius - 6, centre + radius + 6)
    if box is None:
        return
    z, y, x = scene.canvas.grid.part(box).axes_mm()
    dz, dy, dx = z - centre[0], y - centre[1], x - centre[2]
    across = dz * normal[0] + dy * normal[1] + dx * normal[2]
    along = np.sqrt(np.maximum(dz**2 + dy**2 + dx**2 - across**2, 0))
    across = across + 0.8 * half * scene.texture(box, 9.0, float(rng.uniform(0, 64)))
    taper = half * np.sqrt(np.clip(1.1 - (along / radius) ** 2, 0, 1))
    share = np.clip(0.5 + (taper - np.abs(across)) / scene.voxel_mm, 0, 1) * (taper > 0)
    _paint(scene, box, share * scene.lung_share(box, side=side), hu, side, "plate-like")


def _add_segment(scene: Scene, rng: np.random.Generator, hu: float) -> None:
    """Add a collapsed segment: airless, sharply and concavely bounded, broad at the pleura."""
    centre, side = _low_place(scene, rng, depth_mm=(0.0, 5.0))
    hilum = scene.mediastinum.hila_mm[side]
    axis = hilum - centre
    length = float(np.linalg.norm(axis))
    axis = axis / (length + 1e-9)
    reach = min(length, float(rng.uniform(35, 80)))
    width = float(rng.uniform(16, 34))
    box = scene.canvas.grid.box(centre - reach - width, centre + reach + width)
    if box is None:
        return
    z, y, x = scene.canvas.grid.part(box).axes_mm()
    dz, dy, dx = z - centre[0], y - centre[1], x - centre[2]
    along = dz * axis[0] + dy * axis[1] + dx * axis[2]
    across = np.sqrt(np.maximum(dz**2 + dy**2 + dx**2 - along**2, 0))
    rest = np.clip(1 - along / reach, 0, 1.4)
    limit = width * rest**1.5 + 2.0 * (rest > 0)  # power above one: the border bends inwards
    limit = limit * (1 + 0.08 * scene.texture(box, 12.0, float(rng.uniform(0, 64))))
    share = np.clip(0.5 + (limit - across) / scene.voxel_mm, 0, 1) * (along < reach)
    _paint(scene, box, share * scene.lung_share(box, side=side), hu, side, "segmental")


def _beside_fluid(scene: Scene, rng: np.random.Generator, side: int, hu: float) -> bool:
    """Compress the lung beside pleural fluid of a side; return whether there is any."""
    box = scene.lung_box(side)
    own = scene.canvas.labels[box] == 2 + side
    fluid = ((scene.bits[box] >> finding_bit("pleural effusion")) & 1 > 0) & own
    if fluid.sum() * scene.canvas.grid.voxel_volume_ml < 40:
        return False
    away = ndimage.distance_transform_edt(~fluid, sampling=scene.canvas.grid.spacing_mm)
    thick = float(rng.uniform(6, 16)) * (
        1 + 0.3 * scene.texture(box, 14.0, float(rng.uniform(0, 64)))
    )
    deep = scene.canvas.depth[box]  # the thicker the fluid, the more lung it compresses
    thick = thick * np.clip(ndimage.uniform_filter(deep, 5) / 18, 0.3, 1.2)
    share = np.clip(0.5 + (thick - away) / scene.voxel_mm, 0, 1) * scene.lung_share(box, side=side)
    _paint(scene, box, share, hu, side, "compressive")
    return True


def _low_place(
    scene: Scene, rng: np.random.Generator, *, depth_mm: tuple[float, float]
) -> tuple[FloatArray, int]:
    """Return a point in the lower half of a lung, where most atelectasis lies."""
    centre, side = scene.place(rng, depth_mm=depth_mm)
    for _ in range(_TRIES):
        if centre[0] > 0.5 * scene.plan.height_mm:
            break
        centre, side = scene.place(rng, depth_mm=depth_mm)
    return centre, side


def _paint(
    scene: Scene, box: Box, share: npt.NDArray[np.floating], hu: float, side: int, kind: str
) -> None:
    share = share.astype(np.float32)
    grain = 7 * scene.texture(box, 3.0, hu)
    scene.blend(box, hu + grain, share)
    scene.record("atelectasis", SIDES[side], box=box, share=share, description=kind)
