"""Focal lesions: nodules and masses, and the harmless structures that resemble them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_ctclip.simulation.scene import SIDES, Scene

__all__ = ["add_confusers", "add_mass", "add_nodules"]

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class _Ball:
    centre_mm: FloatArray
    radius_mm: float
    stretch: FloatArray  # (3,) radii relative to radius_mm
    roughness: float
    rough_scale: float  # size of bumps as a share of the radius
    offset: float
    lobes: FloatArray  # (K, 4) offset and radius of each lobe, relative to radius_mm


_ROUND = np.array([[0.0, 0.0, 0.0, 1.0]])


def add_nodules(scene: Scene, rng: np.random.Generator) -> None:
    """Add one to three nodules of 4-30 mm, about a third of them up to 10 mm."""
    for _ in range(int(rng.choice([1, 2, 3], p=[0.55, 0.28, 0.17]))):
        small = rng.random() < 0.36
        _add_nodule(scene, rng, float(rng.uniform(4, 10) if small else rng.uniform(8, 30)))


def _add_nodule(scene: Scene, rng: np.random.Generator, diameter: float) -> None:
    r = diameter / 2
    kind = str(rng.choice(["solid", "spiculated", "lobulated", "part-solid", "calcified"],
                          p=[0.42, 0.24, 0.12, 0.12, 0.10]))  # fmt: skip
    seat = str(rng.choice(["free", "pleural", "vascular"], p=[0.5, 0.25, 0.25]))
    if seat == "pleural":
        centre, side = scene.place(rng, depth_mm=(0.35 * r, 0.8 * r + 2))
    elif seat == "vascular":
        centre, side = _beside_vessel(scene, rng, r)
    else:
        centre, side = scene.place(rng, depth_mm=(r + 2, 60))
    rough = {"lobulated": 0.16, "spiculated": 0.13}.get(kind, float(rng.uniform(0.02, 0.09)))
    lobes = _ROUND if kind in ("solid", "calcified") else _lobes(rng, 2, 4)
    ball = _Ball(
        centre, r, rng.uniform(0.85, 1.18, 3), rough, 0.45, float(rng.uniform(0, 64)), lobes
    )
    hu = float(rng.uniform(-60, 90)) + (rng.uniform(0, 40) if scene.plan.blood_hu[1] > 100 else 0)
    if kind == "calcified":
        hu = float(rng.uniform(180, 800))
    found = _share(scene, ball, edge_mm=float(rng.uniform(0.2, 1.6)))
    if found is None:
        return
    box, share = found
    share = share * scene.lung_share(box, beyond_mm=0.5)
    if kind == "spiculated" or rng.random() < 0.1:
        scene.blend_capsules(_spicules(ball, rng, int(rng.integers(6, 18))), -60.0)
    if kind == "part-solid":
        _veil(scene, box, share, float(rng.uniform(-650, -380)))
        core = _Ball(centre + rng.normal(0, 0.12 * r, 3), r * float(rng.uniform(0.35, 0.65)),
                     ball.stretch, 0.1, 0.5, ball.offset, _ROUND)  # fmt: skip
        inner = _share(scene, core, edge_mm=1.0)
        if inner is not None:
            scene.blend(inner[0], hu, inner[1] * scene.lung_share(inner[0]))
    else:
        scene.blend(box, hu, share)
    scene.record("lung nodule", SIDES[side], box=box, share=share, diameter_mm=diameter,
                 description=kind)  # fmt: skip


def add_mass(scene: Scene, rng: np.random.Generator) -> None:
    """Add a mass of 30-90 mm, in the lung or at the hilum."""
    diameter = float(30 + 60 * rng.beta(1.2, 2.2))
    r = diameter / 2
    hilar = rng.random() < 0.35
    if hilar:
        side = int(rng.integers(0, 2))
        away = np.array([rng.uniform(-18, 22), rng.uniform(-10, 22), (2 * side - 1) * 0.6 * r])
        centre = scene.mediastinum.hila_mm[side] + away
    else:
        centre, side = scene.place(rng, depth_mm=(0.35 * r, max(14.0, 0.8 * r)))
    kind = str(rng.choice(["lobulated", "spiculated", "well-defined"], p=[0.4, 0.45, 0.15]))
    rough = {"lobulated": 0.2, "spiculated": 0.15}.get(kind, 0.06)
    lobes = _ROUND if kind == "well-defined" else _lobes(rng, 3, 7)
    ball = _Ball(
        centre, r, rng.uniform(0.78, 1.15, 3), rough, 0.3, float(rng.uniform(0, 64)), lobes
    )
    enhanced = scene.plan.blood_hu[1] > 100
    hu = float(rng.uniform(15, 60)) + (float(rng.uniform(0, 50)) if enhanced else 0.0)
    found = _share(scene, ball, edge_mm=float(rng.uniform(0.5, 2.0)))
    if found is None:
        return
    box, share = found
    share = share * scene.lung_share(box, beyond_mm=10.0 if hilar else 2.0)
    if rng.random() < 0.4:  # a rim of haze, from haemorrhage or infiltration
        halo = _share(scene, _Ball(centre, r * 1.25, ball.stretch, 0.25, 0.5, ball.offset, lobes),
                      edge_mm=6.0)  # fmt: skip
        if halo is not None:
            _veil(scene, halo[0], halo[1] * scene.lung_share(halo[0]), -620.0)
    if kind == "spiculated":
        scene.blend_capsules(_spicules(ball, rng, int(rng.integers(14, 34))), -30.0)
    grain = scene.texture(box, 4.0, ball.offset + 9) * 7
    scene.blend(box, hu + grain, share)
    core = str(rng.choice(["", "necrotic", "cavitating"], p=[0.55, 0.32, 0.13]))
    if core:
        hole = _Ball(centre + rng.normal(0, 0.1 * r, 3), r * float(rng.uniform(0.35, 0.6)),
                     ball.stretch, 0.2, 0.5, ball.offset + 5, _ROUND)  # fmt: skip
        inner = _share(scene, hole, edge_mm=3.0)
        if inner is not None:
            content = float(rng.uniform(5, 22)) if core == "necrotic" else -900.0
            limit = scene.lung_share(inner[0], beyond_mm=2.0)
            scene.blend(inner[0], content, inner[1] * limit)
    scene.record("lung mass", SIDES[side], box=box, share=share, diameter_mm=diameter,
                 description=f"{core} {kind}".strip() + (" hilar" if hilar else ""))  # fmt: skip


def _beside_vessel(scene: Scene, rng: np.random.Generator, radius: float) -> tuple[FloatArray, int]:
    """Return a point next to a vessel of 0.8-3 mm radius, and its side."""
    capsules = scene.trees.arteries
    fit = capsules[(capsules[:, 7] > 0.8) & (capsules[:, 7] < 3.0)]
    for _ in range(20):
        chosen = fit[int(rng.integers(0, len(fit)))]
        direction = rng.normal(0, 1, 3)
        centre = chosen[3:6] + direction / np.linalg.norm(direction) * radius * 0.8
        index = np.round(scene.coarse.grid.index_of(centre)).astype(int)
        index = np.clip(index, 0, np.array(scene.coarse.grid.shape) - 1)
        label = int(scene.coarse.labels[tuple(index)])
        if label in (2, 3) and scene.coarse.depth[tuple(index)] > 0.5 * radius:
            return centre, label - 2
    return scene.place(rng, depth_mm=(radius + 2, 60))


def _share(
    scene: Scene, ball: _Ball, *, edge_mm: float
) -> tuple[tuple[slice, slice, slice], npt.NDArray[np.float32]] | None:
    """Return the box around a ball and how much of each voxel it fills."""
    reach = ball.radius_mm * 1.6 + 4
    box = scene.canvas.grid.box(ball.centre_mm - reach, ball.centre_mm + reach)
    if box is None:
        return None
    z, y, x = scene.canvas.grid.part(box).axes_mm()
    c, s, r = ball.centre_mm, ball.stretch, ball.radius_mm
    inside = np.full(scene.canvas.grid.part(box).shape, -1e3, np.float32)
    for dz, dy, dx, size in ball.lobes:
        distance = np.sqrt(((z - c[0] - dz * r) / s[0]) ** 2 + ((y - c[1] - dy * r) / s[1]) ** 2
                           + ((x - c[2] - dx * r) / s[2]) ** 2)  # fmt: skip
        inside = np.maximum(inside, r * size - distance)
    bumps = scene.texture(box, max(1.2, ball.rough_scale * r), ball.offset)
    bumps = bumps + 0.5 * scene.texture(box, max(1.0, 0.4 * ball.rough_scale * r), ball.offset + 3)
    inside = inside + r * ball.roughness * bumps
    share = np.clip(0.5 + inside / (scene.voxel_mm + edge_mm), 0, 1)
    return box, share.astype(np.float32)


def _lobes(rng: np.random.Generator, fewest: int, most: int) -> FloatArray:
    """Return a main lobe and others that bulge out of it."""
    count = int(rng.integers(fewest, most + 1))
    direction = rng.normal(0, 1, (count, 3))
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    size = rng.uniform(0.3, 0.6, (count, 1))
    around = direction * (1.05 - size) * rng.uniform(0.8, 1.1, (count, 1))
    return np.vstack([[0.0, 0.0, 0.0, 0.74], np.hstack([around, size])])


def _spicules(ball: _Ball, rng: np.random.Generator, count: int) -> FloatArray:
    """Return thin strands (N, 8) radiating from the surface."""
    direction = rng.normal(0, 1, (count, 3))
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    start = ball.centre_mm + direction * ball.radius_mm * ball.stretch * 0.8
    bend = rng.normal(0, 0.15, (count, 3))
    length = ball.radius_mm * rng.uniform(0.3, 0.8, (count, 1)) + rng.uniform(2, 9, (count, 1))
    end = start + (direction + bend) * length
    thick = rng.uniform(0.5, 1.0, (count, 1)) + 0.02 * ball.radius_mm
    return np.hstack([start, end, thick * 1.4, thick * 0.4])


def _veil(
    scene: Scene, box: tuple[slice, slice, slice], share: npt.NDArray[np.float32], hu: float
) -> None:
    """Raise lung to ``hu`` where it is lower; vessels stay seen through it."""
    target = scene.canvas.hu[box]
    target += np.maximum(np.float32(hu) - target, 0) * share


def add_confusers(scene: Scene, rng: np.random.Generator) -> None:
    """Add what a nodule has to be distinguished from."""
    if rng.random() < 0.45:
        _add_bands(scene, rng)
    if rng.random() < 0.4:
        _add_apical_caps(scene, rng)


def _add_bands(scene: Scene, rng: np.random.Generator) -> None:
    """Add linear bands of scar or plate atelectasis, 15-60 mm long and 1-2 mm thick."""
    for _ in range(int(rng.integers(1, 5))):
        start, side = scene.place(rng, depth_mm=(0.5, 10.0))
        inward = np.array([rng.normal(0, 0.35), rng.normal(-0.1, 0.7), 1.0 - 2.0 * side])
        inward /= np.linalg.norm(inward)
        length = float(rng.uniform(15, 60))
        steps = np.linspace(0, length, 8)[:, None]
        line = start + inward * steps + np.cumsum(rng.normal(0, 0.8, (8, 3)), axis=0)
        across = np.cross(inward, [1.0, 0.0, 0.0])
        across /= np.linalg.norm(across) + 1e-9
        width = float(rng.uniform(0, 8))
        thick = float(rng.uniform(0.4, 1.1))
        for shift in np.arange(-width, width + 0.1, 1.5):
            path = line + across * shift
            radii = np.full((7, 2), thick)
            scene.blend_capsules(np.hstack([path[:-1], path[1:], radii]), -120.0, beyond_mm=0.5)


def _add_apical_caps(scene: Scene, rng: np.random.Generator) -> None:
    """Add pleural thickening of 1-5 mm over the apices."""
    for side in (0, 1):
        if rng.random() < 0.7:
            box = scene.lung_box(side)
            z, _, _ = scene.canvas.grid.part(box).axes_mm()
            thick = float(rng.uniform(1.0, 5.0)) * np.clip(1 - z / 28, 0, 1)
            thick = thick * (0.7 + 0.5 * scene.texture(box, 5.0, float(rng.uniform(0, 64))))
            share = np.clip(0.5 + (thick - scene.canvas.depth[box]) / scene.voxel_mm, 0, 1)
            share = share * (thick > 0.4) * scene.lung_share(box, side=side)
            scene.blend(box, 10.0, share.astype(np.float32))
