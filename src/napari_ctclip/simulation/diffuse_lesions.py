"""Ground-glass opacity, consolidation and emphysema: changes of the parenchyma itself.

They are painted before vessels and bronchi, which therefore stay seen through them.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter

from napari_ctclip.simulation.scene import SIDES, Scene
from napari_ctclip.simulation.tubes import tube_coverage
from napari_ctclip.simulation.vessels import lobe_of

__all__ = ["add_consolidation", "add_emphysema", "add_ground_glass", "irregular_patch"]

FloatArray = npt.NDArray[np.float64]


def add_ground_glass(scene: Scene, rng: np.random.Generator) -> None:
    """Add one to six hazy patches of 20-90 mm."""
    both = rng.random() < 0.5
    first = int(rng.integers(0, 2))
    target = float(rng.uniform(-700, -420))
    peripheral = rng.random() < 0.5
    paving = float(rng.uniform(60, 160)) if rng.random() < 0.25 else 0.0
    for n in range(int(rng.integers(1, 7))):
        side = (first + n) % 2 if both else first
        depth = (0.0, 14.0) if peripheral else (5.0, 60.0)
        centre, _ = scene.place(rng, depth_mm=depth, side=side)
        radius = float(rng.uniform(10, 45))
        offset = float(rng.uniform(0, 64))
        found = irregular_patch(
            scene, centre, radius, offset, edge_mm=float(rng.uniform(3, 9)), side=side
        )
        if found is None:
            continue
        box, share = found
        hu = target + 35 * scene.texture(box, 5.0, offset + 3)
        if paving:  # thickened septa 5-10 mm apart
            hu += paving * (np.abs(scene.texture(box, 4.0, offset + 7)) < 0.12)
        current = scene.canvas.hu[box]
        current += np.maximum(hu.astype(np.float32) - current, 0) * share
        scene.record("ground-glass opacity", SIDES[side], box=box, share=share,
                     description="peripheral" if peripheral else "patchy")  # fmt: skip


def add_consolidation(scene: Scene, rng: np.random.Generator) -> None:
    """Add lobar, segmental or patchy airspace filling."""
    kind = str(rng.choice(["segmental", "lobar", "patchy"], p=[0.5, 0.2, 0.3]))
    count = int(rng.integers(2, 5)) if kind == "patchy" else 1
    hu = float(rng.uniform(15, 60)) + (25.0 if scene.plan.blood_hu[1] > 100 else 0.0)
    side = int(rng.integers(0, 2))
    aerated = float(rng.uniform(0.1, 0.6))
    for _ in range(count):
        side = int(rng.integers(0, 2)) if kind == "patchy" else side
        centre, _ = scene.place(rng, depth_mm=(2.0, 20.0), side=side)
        radius = float({"segmental": rng.uniform(20, 42), "lobar": rng.uniform(55, 90),
                        "patchy": rng.uniform(11, 24)}[kind])  # fmt: skip
        offset = float(rng.uniform(0, 64))
        found = irregular_patch(
            scene, centre, radius, offset, edge_mm=float(rng.uniform(1, 5)), side=side
        )
        if found is None:
            continue
        box, share = found
        if kind != "patchy":
            share = share * _same_lobe(scene, box, centre, right=side == 0)
        hazy = irregular_patch(scene, centre, radius * 1.2, offset, edge_mm=10.0, side=side)
        if hazy is not None:
            current = scene.canvas.hu[hazy[0]]
            current += np.maximum(np.float32(-600) - current, 0) * hazy[1] * np.float32(0.8)
        # Some lobules stay aerated, so that a consolidation is no smooth mass.
        filled = np.clip(1.3 + aerated * scene.texture(box, 3.5, offset + 5), 0.35, 1)
        grain = 8 * scene.texture(box, 3.0, offset + 1)
        scene.blend(box, hu + grain, (share * filled).astype(np.float32))
        scene.record("consolidation", SIDES[side], box=box, share=share, description=kind)


def add_emphysema(scene: Scene, rng: np.random.Generator) -> None:
    """Add centrilobular, paraseptal or panlobular destruction of varied extent, in both lungs."""
    kind = str(rng.choice(["centrilobular", "paraseptal", "panlobular"], p=[0.6, 0.2, 0.2]))
    extent = float(rng.uniform(0.15, 1.0))
    upper = rng.random() < (0.85 if kind != "panlobular" else 0.25)
    floor = float(rng.uniform(-990, -965))
    for side, anatomy in enumerate(SIDES):
        box = scene.lung_box(side)
        field = _region(scene, box, upper=upper, extent=extent, offset=float(rng.uniform(0, 64)))
        if kind == "panlobular":
            share = field * scene.lung_share(box, side=side)
            scene.blend(box, floor + 10 * scene.texture(box, 2.0, 5.0), share * np.float32(0.92))
            region = share
        else:
            holes = _holes(scene, rng, side, kind=kind, extent=extent, upper=upper)
            if kind == "paraseptal":  # thin walls between the holes
                walls = holes.copy()
                walls[:, 6:] += 0.8
                scene.blend_capsules(walls, scene.plan.lung_hu + 110, beyond_mm=0.0)
            region = _paint_holes(scene, holes, box, floor, side)
        region = region * scene.lung_share(box, side=side)
        scene.record("emphysema", anatomy, box=box, share=region, description=kind)


def irregular_patch(
    scene: Scene, centre: FloatArray, radius: float, offset: float, *, edge_mm: float, side: int
) -> tuple[tuple[slice, slice, slice], npt.NDArray[np.float32]] | None:
    """Return the box and share of an irregular patch inside one lung."""
    reach = radius * 1.7 + 6
    box = scene.canvas.grid.box(centre - reach, centre + reach)
    if box is None:
        return None
    z, y, x = scene.canvas.grid.part(box).axes_mm()
    stretch = 1.0 + 0.35 * np.sin(offset * np.array([1.0, 1.7, 2.3]))
    distance = np.sqrt(((z - centre[0]) / stretch[0]) ** 2 + ((y - centre[1]) / stretch[1]) ** 2
                       + ((x - centre[2]) / stretch[2]) ** 2)  # fmt: skip
    bumps = 0.28 * scene.texture(box, 0.45 * radius, offset)
    bumps = bumps + 4.0 / radius * scene.texture(box, 4.0, offset + 11)
    share = np.clip(0.5 + (radius * (1 + bumps) - distance) / (edge_mm + scene.voxel_mm), 0, 1)
    return box, (share * scene.lung_share(box, side=side)).astype(np.float32)


def _same_lobe(
    scene: Scene, box: tuple[slice, slice, slice], centre: FloatArray, *, right: bool
) -> npt.NDArray[np.float32]:
    """Return 1 where a voxel of the box lies in the same lobe as ``centre``."""
    z, y, _ = scene.canvas.grid.part(box).axes_mm()
    z2, y2 = np.broadcast_arrays(z[:, :, 0], y[:, :, 0])
    points = np.stack([z2.ravel(), y2.ravel(), np.zeros(z2.size)], axis=1).astype(float)
    lobe = lobe_of(scene.plan, points, right=right).reshape(z2.shape)
    own = lobe_of(scene.plan, centre[None], right=right)[0]
    return np.asarray((lobe == own)[:, :, None], dtype=np.float32)


def _region(
    scene: Scene, box: tuple[slice, slice, slice], *, upper: bool, extent: float, offset: float
) -> npt.NDArray[np.float32]:
    z, _, _ = scene.canvas.grid.part(box).axes_mm()
    height = z / scene.plan.height_mm
    lean = (0.55 - height if upper else height - 0.45) * 2.5
    field = scene.texture(box, 16.0, offset) * 0.7 + lean + (extent - 0.45) * 2.2
    return np.asarray(np.clip(0.5 + field * 1.5, 0, 1), dtype=np.float32)


def _holes(
    scene: Scene, rng: np.random.Generator, side: int, *, kind: str, extent: float, upper: bool
) -> FloatArray:
    """Return holes (N, 8) as very short capsules."""
    depth = scene.coarse.depth
    lung = scene.coarse.labels == 2 + side
    keep = lung & ((depth < 6) & (depth > 1) if kind == "paraseptal" else depth > 2)
    found = np.argwhere(keep)
    height = scene.coarse.grid.point_of(found)[:, 0] / scene.plan.height_mm
    weight = np.exp(-3.0 * height) if upper else np.ones(len(found))
    if kind == "paraseptal":
        weight = weight * (height < 0.5)
    litres = len(found) * scene.coarse.grid.voxel_volume_ml / 1000
    count = int((250 + 2600 * extent**1.5) * litres) + 25
    pick = rng.choice(len(found), count, p=weight / weight.sum())
    centre = scene.coarse.grid.point_of(found[pick] + rng.uniform(-0.5, 0.5, (count, 3)))
    radius = rng.gamma(4.0, 0.45 + 0.45 * extent, count) + 0.9
    if kind == "paraseptal":
        radius = radius * 1.5 + 1.0
    radius = np.minimum(radius, 9.0)[:, None]
    end = centre + rng.normal(0, 1.0, (count, 3)) * radius * 0.4
    return np.hstack([centre, end, radius, radius * 0.9])


def _paint_holes(
    scene: Scene, holes: FloatArray, box: tuple[slice, slice, slice], floor: float, side: int
) -> npt.NDArray[np.float32]:
    """Paint holes; return where they are dense enough to call the lung emphysematous."""
    cover = np.zeros(scene.canvas.hu[box].shape, np.float32)
    whole = np.zeros(scene.canvas.grid.shape, np.float32)
    found = tube_coverage(scene.canvas.grid, holes)
    if found is not None:
        whole[found[0]] = found[1]
        cover = whole[box] * scene.lung_share(box, side=side)
        scene.blend(box, floor, cover * np.float32(0.95))
    # Ours: lung is emphysematous where holes take over a quarter of the 8 mm around a voxel.
    around = gaussian_filter(cover, [4.0 / s for s in scene.canvas.grid.spacing_mm])
    dense = np.clip(0.5 + (around - 0.25) * 8, 0, 1)
    return np.asarray(np.maximum(cover, dense), dtype=np.float32)
