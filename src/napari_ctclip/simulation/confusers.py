"""Normal variants that are no finding: scars, bands, apical caps, small nodes."""

from __future__ import annotations

import numpy as np

from napari_ctclip.simulation.scene import Scene

__all__ = ["add_confusers"]


def add_confusers(scene: Scene, rng: np.random.Generator) -> None:
    """Add what a nodule has to be told from."""
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
