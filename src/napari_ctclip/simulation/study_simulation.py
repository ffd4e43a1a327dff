"""Study simulation: from a seed to a chest CT study with its ground truth."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter, uniform_filter1d

from napari_ctclip.core.geometry import Geometry
from napari_ctclip.core.organ_masks import OrganMasks
from napari_ctclip.core.study import Study
from napari_ctclip.core.volume import Volume
from napari_ctclip.simulation.body_plan import LABELS, BodyPlan, body_profile, draw_body_plan
from napari_ctclip.simulation.diffuse_lesions import (
    add_consolidation,
    add_emphysema,
    add_ground_glass,
)
from napari_ctclip.simulation.focal_lesions import add_confusers, add_mass, add_nodules
from napari_ctclip.simulation.grid import Grid
from napari_ctclip.simulation.heart_lesions import (
    add_aortic_calcification,
    add_coronary_calcification,
    enlarge_heart,
    fill_pericardium,
    name_pericardial_fluid,
    record_cardiomegaly,
    record_pericardial_effusion,
)
from napari_ctclip.simulation.interstitial_lesions import add_fibrosis
from napari_ctclip.simulation.lesion import FINDINGS, SimulatedStudy, finding_bit
from napari_ctclip.simulation.mediastinum import draw_mediastinum, paint_tube
from napari_ctclip.simulation.noise_field import draw_noise
from napari_ctclip.simulation.pleural_lesions import add_atelectasis, add_effusion, add_pneumothorax
from napari_ctclip.simulation.report_writing import write_report
from napari_ctclip.simulation.scene import Scene
from napari_ctclip.simulation.torso import paint_torso
from napari_ctclip.simulation.vessels import grow_lung_trees, paint_airway_trees, paint_vessel_trees

__all__ = ["degrade_voxels", "draw_findings", "simulate_study"]

_PLANNING_MM = 4.0
_NORMAL_SHARE = 0.17
_PREVALENCE: dict[str, float] = {  # of the studies that are not normal
    "lung nodule": 0.36,
    "lung mass": 0.22,
    "ground-glass opacity": 0.24,
    "consolidation": 0.24,
    "pleural effusion": 0.24,
    "pneumothorax": 0.18,
    "emphysema": 0.22,
    "pulmonary fibrosis": 0.2,
    "atelectasis": 0.18,
    "coronary calcification": 0.26,
    "aortic calcification": 0.28,
    "cardiomegaly": 0.2,
    "pericardial effusion": 0.2,
}
_COMPRESSION = 0.4  # of the effusions compress the lung beside them

_BODY: dict[str, Callable[[BodyPlan, np.random.Generator], BodyPlan]] = {
    "cardiomegaly": enlarge_heart,
    "pericardial effusion": fill_pericardium,
}

_BEFORE_VESSELS: dict[str, Callable[[Scene, np.random.Generator], None]] = {
    "cardiomegaly": record_cardiomegaly,
    "pericardial effusion": record_pericardial_effusion,
    "emphysema": add_emphysema,
    "pulmonary fibrosis": add_fibrosis,
    "ground-glass opacity": add_ground_glass,
    "consolidation": add_consolidation,
}
_AFTER_VESSELS: dict[str, Callable[[Scene, np.random.Generator], None]] = {
    "pleural effusion": add_effusion,
    "pneumothorax": add_pneumothorax,
    "atelectasis": add_atelectasis,
    "lung nodule": add_nodules,
    "lung mass": add_mass,
    "coronary calcification": add_coronary_calcification,
    "aortic calcification": add_aortic_calcification,
}


def simulate_study(
    seed: int,
    *,
    spacing_mm: tuple[float, float, float] = (2.0, 2.0, 2.0),
    findings: Sequence[str] | None = None,
    degrade: bool = True,
    parenchyma: Callable[[Scene, np.random.Generator], None] | None = None,
) -> SimulatedStudy:
    """Return the simulated chest CT of a seed.

    Parameters
    ----------
    seed : int
        The same seed gives the same body and lesions at any spacing.
    spacing_mm : tuple of float
        Voxel spacing (z, y, x).
    findings : sequence of str, optional
        Exactly these of ``FINDINGS``; drawn at random if not given.
    degrade : bool
        Whether to add kernel, noise and thick slices.
    parenchyma : callable, optional
        Paints a pattern of disease into the lungs, before vessels and lesions.

    Returns
    -------
    SimulatedStudy
        Axes point Inferior, Posterior, Left; voxels in HU.

    Raises
    ------
    KeyError
        If a finding is unknown.
    """
    streams = {name: np.random.default_rng([seed, n]) for n, name in enumerate(_STREAMS)}
    chosen = draw_findings(streams["findings"]) if findings is None else tuple(findings)
    lesion_rng = _lesion_streams(seed, chosen)
    plan = draw_body_plan(streams["body"])
    for finding, change in _BODY.items():
        if finding in chosen:
            plan = change(plan, lesion_rng[finding])
    grid = _scan_range(plan, streams["range"], spacing_mm)
    scene = _build(plan, grid, streams)
    if parenchyma is not None:
        parenchyma(scene, np.random.default_rng([seed, _PARENCHYMA_STREAM]))
    _add_lesions(scene, chosen, lesion_rng, streams["confusers"])
    lesions = scene.lesions()
    hu = scene.canvas.hu
    if degrade:
        hu = degrade_voxels(hu, streams["scanner"], spacing_mm=spacing_mm)
    voxels = np.clip(np.round(hu), -2000, 3071).astype(np.int16)
    geometry = Geometry.from_spacing(
        grid.shape, spacing_mm, origin_ras=[-o for o in grid.origin_mm[::-1]]
    )
    study = Study(
        volume=Volume(voxels, geometry),
        organ_masks=OrganMasks(scene.canvas.labels, dict(LABELS), geometry, source="simulation"),
        report=write_report(lesions, streams["report"]),
        study_id=f"simulated-{seed}",
    )
    return SimulatedStudy(study, scene.bits, lesions)


_STREAMS = ("findings", "body", "range", "noise", "tubes", "trees", "confusers", "scanner",
            "report")  # fmt: skip
_PARENCHYMA_STREAM, _FIRST_LESION_STREAM = 99, 100


def _lesion_streams(seed: int, chosen: Sequence[str]) -> dict[str, np.random.Generator]:
    for finding in chosen:
        finding_bit(finding)  # refuses one that is unknown
    return {
        finding: np.random.default_rng([seed, _FIRST_LESION_STREAM + n])
        for n, finding in enumerate(FINDINGS)
    }


def draw_findings(rng: np.random.Generator) -> tuple[str, ...]:
    """Return findings at their prevalence; a share of studies is normal."""
    if rng.random() < _NORMAL_SHARE:
        return ()
    drawn = {f for f in FINDINGS if rng.random() < _PREVALENCE[f]}
    if "pleural effusion" in drawn and rng.random() < _COMPRESSION:
        drawn.add("atelectasis")
    return tuple(f for f in FINDINGS if f in drawn) or (str(rng.choice(FINDINGS)),)


def _scan_range(
    plan: BodyPlan, rng: np.random.Generator, spacing_mm: tuple[float, float, float]
) -> Grid:
    """Return the voxels of a scan from the lower neck to the upper abdomen."""
    top = -float(rng.uniform(8, 45))
    bottom = plan.height_mm + float(rng.uniform(5, 70))
    body = body_profile(plan).rows[:, 3].max()
    # Fields of view hold the lungs; a large body is cut at the sides.
    field = float(np.clip(2 * body * rng.uniform(0.86, 1.12), 2 * 128 * plan.width_scale + 24, 440))
    centre_y = float(rng.uniform(-8, 14))
    extent = (bottom - top, field, field)
    shape = tuple(max(8, round(e / s)) for e, s in zip(extent, spacing_mm, strict=True))
    half = [0.5 * s for s in spacing_mm]
    origin = (top + half[0], centre_y - field / 2 + half[1], -field / 2 + half[2])
    return Grid((shape[0], shape[1], shape[2]), spacing_mm, origin)


def _build(plan: BodyPlan, grid: Grid, streams: dict[str, np.random.Generator]) -> Scene:
    """Return the painted torso with everything drawn that is to come into it."""
    noise = draw_noise(streams["noise"])
    canvas = paint_torso(plan, grid, noise)
    reach = (plan.height_mm + 40, 2 * 130 * plan.depth_scale, 2 * 150 * plan.width_scale)
    shape = tuple(int(r / _PLANNING_MM) for r in reach)
    origin = (-10.0, -reach[1] / 2, -reach[2] / 2)
    step = (_PLANNING_MM,) * 3
    coarse = paint_torso(plan, Grid((shape[0], shape[1], shape[2]), step, origin), noise)
    mediastinum = draw_mediastinum(plan, streams["tubes"])
    for tube in mediastinum.tubes:
        paint_tube(coarse, tube)
    trees = grow_lung_trees(coarse, plan, streams["trees"], hila_mm=mediastinum.hila_mm)
    bits = np.zeros(grid.shape, np.uint16)
    return Scene(canvas, coarse, plan, mediastinum, trees, noise, bits)


def _add_lesions(
    scene: Scene,
    chosen: Sequence[str],
    lesion_rng: dict[str, np.random.Generator],
    confusers: np.random.Generator,
) -> None:
    """Paint changes of the parenchyma, then vessels and airways, then all other lesions."""
    for finding, add in _BEFORE_VESSELS.items():
        if finding in chosen:
            add(scene, lesion_rng[finding])
    name_pericardial_fluid(scene)
    paint_vessel_trees(scene.canvas, scene.plan, scene.trees)
    paint_airway_trees(scene.canvas, scene.trees)
    for tube in scene.mediastinum.tubes:
        paint_tube(scene.canvas, tube)
    add_confusers(scene, confusers)
    for finding, add in _AFTER_VESSELS.items():
        if finding in chosen:
            add(scene, lesion_rng[finding])


def degrade_voxels(
    hu: npt.NDArray[np.float32], rng: np.random.Generator, *, spacing_mm: tuple[float, float, float]
) -> npt.NDArray[np.float32]:
    """Return a scan (D, H, W) in HU as a random scanner and protocol would give it.

    Ours: noise 3-90 HU (median 17), slices up to 8.5 mm, kernels from soft to sharp.
    """
    sharpness = float(rng.uniform(-1, 1))
    thickness = float(rng.choice([0.0, 2.5, 5.0, 8.5], p=[0.45, 0.25, 0.2, 0.1]))
    noise_hu = float(np.clip(np.exp(rng.normal(np.log(17), 0.75)), 3, 90))
    out = _kernel(hu, sharpness, spacing_mm)
    out = out + _noise(hu, rng, noise_hu=noise_hu, sharpness=sharpness)
    if rng.random() < 0.2:
        out = out + _streaks(hu, rng, float(rng.uniform(10, 60)))
    count = round(thickness / spacing_mm[0])
    if count > 1:
        out = uniform_filter1d(out, count, axis=0, mode="nearest")
    out = out + np.float32(rng.normal(0, 6))
    if rng.random() < 0.3:
        out = _circle(out, rng)
    return np.asarray(out, dtype=np.float32)


def _kernel(
    hu: npt.NDArray[np.float32], sharpness: float, spacing_mm: tuple[float, float, float]
) -> npt.NDArray[np.float32]:
    """Return the image after a smoothing (-1) to edge-enhancing (+1) kernel."""
    sigma = [0.0, 0.9 / spacing_mm[1], 0.9 / spacing_mm[2]]
    soft = gaussian_filter(hu, sigma)
    if sharpness < 0:
        return np.asarray(hu + (soft - hu) * -sharpness, dtype=np.float32)
    return np.asarray(hu + (hu - soft) * (1.2 * sharpness), dtype=np.float32)


def _noise(
    hu: npt.NDArray[np.float32], rng: np.random.Generator, *, noise_hu: float, sharpness: float
) -> npt.NDArray[np.float32]:
    """Return correlated noise that grows with the attenuation along a slice."""
    white = rng.standard_normal(hu.shape, dtype=np.float32)
    grain = gaussian_filter(white, [0.35, 0.75, 0.75]) if sharpness < 0.3 else white
    if sharpness > 0.6:  # a sharp kernel removes the low frequencies
        grain = grain - gaussian_filter(grain, [0, 1.5, 1.5])
    grain /= grain.std()
    water = np.clip(hu / 1000 + 1, 0, 2.5).mean(axis=(1, 2))
    level = np.clip(water / water.mean(), 0.5, 2.0) ** 0.8
    return np.asarray(grain * (noise_hu * level)[:, None, None], dtype=np.float32)


def _streaks(
    hu: npt.NDArray[np.float32], rng: np.random.Generator, strength_hu: float
) -> npt.NDArray[np.float32]:
    """Return left-to-right streaks where shoulders or arms starve the detector."""
    rows = rng.standard_normal(hu.shape[:2]).astype(np.float32)
    rows = gaussian_filter(rows, [0.3, 0.6])
    dense = np.clip(hu / 1000 + 1, 0, 2.5).mean(axis=2)
    starved = np.clip(dense / np.percentile(dense, 98), 0, 1.2) ** 8
    waves = rows / rows.std() * starved * strength_hu
    fade = np.hanning(hu.shape[2] + 2)[1:-1].astype(np.float32)
    return np.asarray(waves[:, :, None] * (0.3 + 0.7 * fade), dtype=np.float32)


def _circle(hu: npt.NDArray[np.float32], rng: np.random.Generator) -> npt.NDArray[np.float32]:
    """Return the scan with padding outside the round field of view."""
    h, w = hu.shape[1:]
    y, x = np.mgrid[:h, :w]
    r2 = ((y - (h - 1) / 2) / (h / 2)) ** 2 + ((x - (w - 1) / 2) / (w / 2)) ** 2
    padding = float(rng.choice([-2000.0, -1024.0]))
    return np.asarray(np.where(r2 > 1.0, padding, hu), dtype=np.float32)
