"""Pulmonary fibrosis: reticulation, honeycombing and traction bronchiectasis below the pleura."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from napari_ctclip.simulation.scene import SIDES, Scene
from napari_ctclip.simulation.tubes import tube_coverage

__all__ = ["add_fibrosis", "add_honeycombs", "add_septa", "add_traction_bronchi", "subpleural_rim"]

FloatArray = npt.NDArray[np.float64]
Box = tuple[slice, slice, slice]


def add_fibrosis(scene: Scene, rng: np.random.Generator) -> None:
    """Add fibrosis to both lungs: mostly basal and subpleural, honeycombed in two of five."""
    kind = str(rng.choice(["reticular", "honeycombing", "ground-glass"], p=[0.4, 0.4, 0.2]))
    extent = float(rng.uniform(0.5, 1.0))
    basal = rng.random() < 0.85
    rim_mm = float(rng.uniform(12, 24)) * (1.4 if kind == "ground-glass" else 1.0)
    haze_hu = float(rng.uniform(-700, -580) if kind == "ground-glass" else rng.uniform(-800, -700))
    septa_hu = float(rng.uniform(220, 480))
    mesh_mm = float(rng.uniform(1.8, 3.2))
    for side, anatomy in enumerate(SIDES):
        box = scene.lung_box(side)
        offset = float(rng.uniform(0, 64))
        share = subpleural_rim(scene, box, side, rim_mm=rim_mm * extent, basal=basal, offset=offset)
        current = scene.canvas.hu[box]
        current += np.maximum(np.float32(haze_hu) - current, 0) * share
        add_septa(scene, box, share, hu=septa_hu, mesh_mm=mesh_mm, offset=offset)
        if kind == "honeycombing":
            add_honeycombs(scene, rng, box, side, share, deepest_mm=float(rng.uniform(7, 16)))
        add_traction_bronchi(scene, rng, side, rim_mm=rim_mm * extent, basal=basal)
        scene.record("pulmonary fibrosis", anatomy, box=box, share=share, description=kind)


def add_septa(
    scene: Scene,
    box: Box,
    share: npt.NDArray[np.float32],
    *,
    hu: float,
    mesh_mm: float,
    offset: float,
) -> None:
    """Add reticulation: thickened septa, where two smooth fields change sign."""
    current = scene.canvas.hu[box]
    for n in (1, 2):
        field = np.abs(scene.texture(box, mesh_mm, offset + 7 * n))
        current += hu * np.clip(1 - field / 0.32, 0, 1) * share


def subpleural_rim(
    scene: Scene, box: Box, side: int, *, rim_mm: float, basal: bool, offset: float
) -> npt.NDArray[np.float32]:
    """Return how fibrotic each voxel of a lung is: a rim of varied width below the pleura."""
    z, y, _ = scene.canvas.grid.part(box).axes_mm()
    height = np.clip(z / scene.plan.height_mm, 0, 1)
    lean = height if basal else 1 - height
    behind = np.clip(0.5 + y / (180 * scene.plan.depth_scale), 0, 1)
    width = rim_mm * np.clip(1.7 * lean - 0.45, 0.0, 1.1) * (0.45 + 0.75 * behind)
    width = width * (1 + 0.5 * scene.texture(box, 8.0, offset))
    share = np.clip(0.5 + (width - scene.canvas.depth[box]) / 5.0, 0, 1) * (width > 3)
    return np.asarray(share * scene.lung_share(box, side=side), dtype=np.float32)


def add_honeycombs(
    scene: Scene,
    rng: np.random.Generator,
    box: Box,
    side: int,
    share: npt.NDArray[np.float32],
    *,
    deepest_mm: float,
) -> None:
    """Paint rows of cysts of 3-9 mm with walls of 1-2 mm into the outermost lung."""
    step = float(rng.uniform(4.0, 9.0))
    zone = share * np.clip(0.5 + (deepest_mm - scene.canvas.depth[box]) / 4.0, 0, 1)
    scene.blend(box, float(rng.uniform(-320, -60)), (zone * 0.9).astype(np.float32))
    grid = scene.canvas.grid.part(box)
    extent = np.array(grid.shape) * np.array(grid.spacing_mm)
    lattice = np.stack(
        np.meshgrid(*(np.arange(0, e, step) for e in extent), indexing="ij"), axis=-1
    ).reshape(-1, 3)
    lattice += rng.normal(0, 0.24, lattice.shape) * step
    index = np.round(lattice / np.array(grid.spacing_mm)).astype(int)
    index = np.clip(index, 0, np.array(grid.shape) - 1)
    centre = lattice[zone[tuple(index.T)] > 0.45] + np.asarray(grid.origin_mm)
    if len(centre) == 0:
        return
    radius = step * rng.uniform(0.26, 0.5, (len(centre), 1))
    end = centre + rng.normal(0, 0.25, centre.shape) * radius
    found = tube_coverage(scene.canvas.grid, np.hstack([centre, end, radius, radius]))
    if found is not None:
        cyst_box, cover = found
        scene.blend(cyst_box, -930.0, cover * scene.lung_share(cyst_box, side=side))


def add_traction_bronchi(
    scene: Scene, rng: np.random.Generator, side: int, *, rim_mm: float, basal: bool
) -> None:
    """Paint bronchi that stay 3-6 mm wide close to the pleura."""
    for _ in range(int(rng.integers(2, 12))):
        start, _ = scene.place(rng, depth_mm=(2.0, max(6.0, rim_mm)), side=side)
        if (start[0] > 0.45 * scene.plan.height_mm) != basal:
            continue
        hilum = scene.mediastinum.hila_mm[side]
        inward = (hilum - start) / (np.linalg.norm(hilum - start) + 1e-9)
        line = start + inward * np.linspace(0, rng.uniform(12, 30), 5)[:, None]
        line = line + np.cumsum(rng.normal(0, 0.8, line.shape), axis=0)
        radius = np.full((4, 1), float(rng.uniform(1.5, 3.0))) * rng.uniform(0.8, 1.2, (4, 1))
        wall, lumen = radius + float(rng.uniform(0.8, 1.4)), radius
        scene.blend_capsules(np.hstack([line[:-1], line[1:], wall, wall]), -120.0)
        scene.blend_capsules(np.hstack([line[:-1], line[1:], lumen, lumen]), -960.0)
