"""Patterns of interstitial lung disease: whole chests that show one each, with a short report.

Ours: what the terms of the classifications say, in its simplest form; no measured patient.

References
----------
Raghu et al. 2022 (ATS/ERS/JRS/ALAT): usual interstitial pneumonia; Raghu et al. 2020
(ATS/JRS/ALAT): hypersensitivity pneumonitis; Travis et al. 2013 (ATS/ERS): nonspecific interstitial
and organizing pneumonia; Lynch et al. 2015 (Fleischner Society): emphysema.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from napari_ctclip.core.report import Report
from napari_ctclip.core.study import Study
from napari_ctclip.simulation.diffuse_lesions import add_emphysema, irregular_patch
from napari_ctclip.simulation.ild_reports import Pattern, write_pattern_report
from napari_ctclip.simulation.interstitial_lesions import (
    add_honeycombs,
    add_septa,
    add_traction_bronchi,
    subpleural_rim,
)
from napari_ctclip.simulation.scene import SIDES, Scene
from napari_ctclip.simulation.study_simulation import simulate_study

__all__ = ["ILD_SPACING_MM", "pattern_report", "simulate_pattern"]

ILD_SPACING_MM = (8.0, 1.4, 1.4)
"""Ours: fine enough in the plane for cysts of 3 mm; as many slices as a montage needs."""

_REPORT_STREAM = 98


def simulate_pattern(
    seed: int, pattern: Pattern, *, spacing_mm: tuple[float, float, float] = ILD_SPACING_MM
) -> Study:
    """Return the simulated chest of a seed with one pattern of disease.

    Parameters
    ----------
    seed : int
        Of the body, the disease and the words.
    pattern : Pattern
        One of ``ild_reports.PATTERNS``; ``"Normal"`` has none.
    spacing_mm : tuple of float
        Voxel spacing (z, y, x).
    """
    study = simulate_study(
        seed, spacing_mm=spacing_mm, findings=(), parenchyma=_PAINTERS[pattern]
    ).study
    return replace(study, report=pattern_report(seed, pattern))


def pattern_report(seed: int, pattern: Pattern) -> Report:
    """Return the report of :func:`simulate_pattern` without its scan."""
    return write_pattern_report(pattern, np.random.default_rng([seed, _REPORT_STREAM]))


def _add_usual(scene: Scene, rng: np.random.Generator) -> None:
    """Add basal, subpleural honeycombing, reticulation and traction bronchiectasis."""
    rim_mm = float(rng.uniform(20, 36))
    septa_hu, mesh_mm = float(rng.uniform(260, 480)), float(rng.uniform(1.8, 3.0))
    for side in range(len(SIDES)):
        box, offset = scene.lung_box(side), float(rng.uniform(0, 64))
        share = subpleural_rim(scene, box, side, rim_mm=rim_mm, basal=True, offset=offset)
        _at_least(scene, box, float(rng.uniform(-800, -720)), share)
        add_septa(scene, box, share, hu=septa_hu, mesh_mm=mesh_mm, offset=offset)
        add_honeycombs(scene, rng, box, side, share, deepest_mm=float(rng.uniform(9, 22)))
        add_traction_bronchi(scene, rng, side, rim_mm=rim_mm, basal=True)


def _add_nonspecific(scene: Scene, rng: np.random.Generator) -> None:
    """Add symmetric basal haze with fine reticulation that spares the subpleural lung; no cysts."""
    rim_mm, offset = float(rng.uniform(40, 75)), float(rng.uniform(0, 64))
    haze_hu, septa_hu = float(rng.uniform(-680, -520)), float(rng.uniform(70, 170))
    spared_mm = float(rng.uniform(2, 5))
    for side in range(len(SIDES)):
        box = scene.lung_box(side)
        share = subpleural_rim(scene, box, side, rim_mm=rim_mm, basal=True, offset=offset)
        share = share * np.clip((scene.canvas.depth[box] - spared_mm) / 3, 0, 1)
        share = share.astype(np.float32)
        _at_least(scene, box, haze_hu + 30 * scene.texture(box, 6.0, offset + 3), share)
        add_septa(scene, box, share, hu=septa_hu, mesh_mm=float(rng.uniform(1.4, 2.0)),
                  offset=offset)  # fmt: skip
        add_traction_bronchi(scene, rng, side, rim_mm=40.0, basal=True)


def _add_organizing(scene: Scene, rng: np.random.Generator) -> None:
    """Add patches of consolidation below the pleura and along bronchi, some with a clear middle."""
    for n in range(int(rng.integers(9, 17))):
        side = n % 2
        centre, _ = scene.place(rng, depth_mm=(0.0, 25.0), side=side)
        radius, offset = float(rng.uniform(13, 28)), float(rng.uniform(0, 64))
        outer = irregular_patch(scene, centre, radius, offset, edge_mm=4.0, side=side)
        if outer is None:
            continue
        box, share = outer
        if rng.random() < 0.35:  # the reversed halo
            _at_least(scene, box, -620.0, share)
            z, y, x = scene.canvas.grid.part(box).axes_mm()
            away = np.sqrt(
                (z - centre[0]) ** 2 + (y - centre[1]) ** 2 + (x - centre[2]) ** 2
            )  # the ring keeps the outline of the patch
            share = (share * np.clip((away / radius - 0.62) / 0.12, 0, 1)).astype(np.float32)
        filled = np.clip(1.2 + 0.4 * scene.texture(box, 3.5, offset + 5), 0.4, 1)
        scene.blend(box, float(rng.uniform(0, 50)), (share * filled).astype(np.float32))


def _add_hypersensitivity(scene: Scene, rng: np.random.Generator) -> None:
    """Add haze, trapped air and normal lobules side by side, and soft centrilobular nodules."""
    haze_hu, lobule_mm = float(rng.uniform(-700, -600)), float(rng.uniform(5, 8))
    for side in range(len(SIDES)):
        box, offset = scene.lung_box(side), float(rng.uniform(0, 64))
        inside = scene.lung_share(box, side=side)
        kind = scene.texture(box, lobule_mm, offset)
        hazy = (np.clip((kind - 0.25) / 0.15, 0, 1) * inside).astype(np.float32)
        dark = (np.clip((-0.35 - kind) / 0.15, 0, 1) * inside).astype(np.float32)
        _at_least(scene, box, haze_hu, hazy)
        scene.blend(box, float(rng.uniform(-960, -930)), (0.9 * dark).astype(np.float32))
        _soft_nodules(scene, rng, side)


def _soft_nodules(scene: Scene, rng: np.random.Generator, side: int) -> None:
    """Add ill-defined nodules of 3-6 mm, some 700 a litre, more of them above."""
    lung = np.argwhere((scene.coarse.labels == 2 + side) & (scene.coarse.depth > 4))
    height = scene.coarse.grid.point_of(lung)[:, 0] / scene.plan.height_mm
    litres = len(lung) * scene.coarse.grid.voxel_volume_ml / 1000
    weight = np.exp(-1.5 * height)
    count = int(rng.uniform(500, 900) * litres)
    chosen = lung[rng.choice(len(lung), count, p=weight / weight.sum())]
    centre = scene.coarse.grid.point_of(chosen + rng.uniform(-0.5, 0.5, (count, 3)))
    radius = rng.uniform(1.5, 3.0, (count, 1))
    end = centre + rng.normal(0, 0.5, centre.shape)
    scene.blend_capsules(np.hstack([centre, end, radius, radius]), -580.0, beyond_mm=0.0)


def _at_least(
    scene: Scene, box: tuple[slice, slice, slice], hu: npt.ArrayLike, share: npt.NDArray[np.float32]
) -> None:
    """Raise CT numbers to ``hu`` by a share, and lower none."""
    current = scene.canvas.hu[box]
    current += np.maximum(np.asarray(hu, np.float32) - current, 0) * share


_PAINTERS: Mapping[Pattern, Callable[[Scene, np.random.Generator], None] | None] = {
    "Usual interstitial pneumonia": _add_usual,
    "Nonspecific interstitial pneumonia": _add_nonspecific,
    "Organizing pneumonia": _add_organizing,
    "Hypersensitivity pneumonitis": _add_hypersensitivity,
    "Emphysema": add_emphysema,
    "Normal": None,
}
