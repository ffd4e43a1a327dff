"""Torso: the painted body of a plan, its lungs, heart, mediastinum and upper abdomen."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from numba import njit

from napari_ctclip.simulation.body_plan import BodyPlan, body_profile
from napari_ctclip.simulation.chest_wall import paint_bones, paint_surroundings, paint_wall
from napari_ctclip.simulation.grid import Grid
from napari_ctclip.simulation.noise_field import sample_noise
from napari_ctclip.simulation.soft import blend, cover, ellipsoid, ramp

__all__ = ["Canvas", "paint_abdomen", "paint_torso"]

_EPICARDIAL_FAT_MM = 1.5  # between the heart's muscle and the fluid


@dataclass(frozen=True, eq=False)
class Canvas:
    """Arrays that the painters change in place, each (D, H, W).

    Attributes
    ----------
    grid : Grid
        Where the voxels lie.
    hu : ndarray of float32
        CT number.
    labels : ndarray of uint8
        Organ, by ``body_plan.LABELS``.
    depth : ndarray of float32
        Distance to the pleura, mm; positive inside a lung.
    """

    grid: Grid
    hu: npt.NDArray[np.float32]
    labels: npt.NDArray[np.uint8]
    depth: npt.NDArray[np.float32]


def paint_torso(plan: BodyPlan, grid: Grid, noise: npt.NDArray[np.float32]) -> Canvas:
    """Return the torso without vessels, airways and lesions."""
    canvas = Canvas(
        grid,
        np.empty(grid.shape, np.float32),
        np.zeros(grid.shape, np.uint8),
        np.empty(grid.shape, np.float32),
    )
    profile = body_profile(plan)
    _paint(
        plan,
        profile.first_mm,
        profile.rows,
        np.asarray(grid.origin_mm),
        np.asarray(grid.spacing_mm),
        noise,
        canvas.hu,
        canvas.labels,
        canvas.depth,
    )
    return canvas


@njit(cache=True, fastmath=True, error_model="numpy")
def _paint(plan, first_mm, rows, origin, spacing, noise, hu, labels, depth):  # type: ignore[no-untyped-def]
    h = (spacing[0] * spacing[1] * spacing[2]) ** (1.0 / 3.0)
    ph = plan.phase
    for k in range(hu.shape[0]):
        for j in range(hu.shape[1]):
            for i in range(hu.shape[2]):
                z = origin[0] + k * spacing[0]
                y = origin[1] + j * spacing[1]
                x = origin[2] + i * spacing[2]
                w = plan.warp_mm
                u, v, t = z / 26.0, y / 26.0, x / 26.0
                z += w * sample_noise(noise, u + ph[0], v, t)
                y += w * sample_noise(noise, u + ph[1], v, t)
                x += w * sample_noise(noise, u + ph[2], v, t)
                r = int(min(max(z - first_mm, 0.0), rows.shape[0] - 1.001))
                row = (
                    rows[r, 0], rows[r, 1], rows[r, 2], rows[r, 3],
                    rows[r, 4], rows[r, 5], rows[r, 6], rows[r, 7],
                )  # fmt: skip
                value, label, inside = _point(plan, row, noise, z, y, x, h)
                hu[k, j, i] = value
                labels[k, j, i] = label
                depth[k, j, i] = inside


@njit(cache=True, fastmath=True, error_model="numpy", forceinline=True)
def _point(plan, row, noise, z, y, x, h):  # type: ignore[no-untyped-def]
    """Return CT number, label and lung depth at one warped point."""
    body = _superellipse(x, y - row[5], row[3], row[4])
    hu, label, body = paint_surroundings(plan, row, noise, z, y, x, h, body)
    if body < -h:
        return hu, label, -50.0
    cavity = _superellipse(x, y - row[2], row[0], row[1])
    # Most points are settled by one or two distances; the rest of the painters are left out there.
    if cavity < 6.0 or z < 8.0:
        hu, label = paint_wall(plan, row, noise, z, y, x, h, body, cavity, hu, label)
    lung = cavity - 1.5
    if cavity > -7.0:
        diaphragm, below = _diaphragm(plan, noise, z, y, x)
        centre = row[7]
        heart_q, heart = _heart(plan, z, y, x)
        medial = _mediastinum(plan, row, z, y, x - centre, heart)
        lung = min(min(cavity - 1.5, medial), min(diaphragm, _apex(plan, z, y, x)))
        in_cavity = cover(cavity - 1.0, h)
        if lung < h and in_cavity > 0.0 and below < 0.5 * h and z > 0.0:
            hu, label = _paint_mediastinum(
                plan, noise, z, y, x, h, heart_q, heart, in_cavity, hu, label
            )
        if cavity > -6.0 and below > -4.0:
            hu, label = paint_abdomen(plan, row, noise, z, y, x, h, below, cavity, hu, label)
        c = cover(lung, h)
        if c > 0.0:
            hu = blend(hu, _parenchyma(plan, noise, z, y, x, lung, h), c)
            if c >= 0.5:
                label = 2 if x < centre else 3
    if lung < h and (cavity < 3.0 or y > row[6] - 32):
        hu, label = paint_bones(plan, row, noise, z, y, x, h, cavity, hu, label)
    return hu, label, lung


@njit(cache=True, fastmath=True, error_model="numpy", forceinline=True)
def _superellipse(x, y, a, b):  # type: ignore[no-untyped-def]
    """Return the distance inside an ellipse-like outline, mm."""
    u, v = abs(x) / a, abs(y) / b
    r = np.sqrt(np.sqrt((u * u * np.sqrt(u) + v * v * np.sqrt(v)) ** 1.6))  # exponent 2.5
    g = np.sqrt((u / a) ** 2 + (v / b) ** 2) / max(u * u + v * v, 1e-6) ** 0.5
    return (1.0 - r) / max(g, 1e-3)


@njit(cache=True, fastmath=True, error_model="numpy", forceinline=True)
def _diaphragm(plan, noise, z, y, x):  # type: ignore[no-untyped-def]
    """Return the distance above the diaphragm, and how far below it a point lies vertically."""
    side = 0 if x < 0 else 1
    xc = (-62.0 if side == 0 else 66.0) * plan.width_scale
    drop = plan.dome_drop_mm
    u, v = (x - xc) / (70 * plan.width_scale), (y + 12) / (84 * plan.depth_scale)
    surface = plan.dome_mm[side] + drop * (u * u + v * v)
    blend_mid = ramp(abs(x), 0.0, 25.0)
    middle = 0.5 * (plan.dome_mm[0] + plan.dome_mm[1]) + drop * (0.5 + v * v)
    surface = surface * blend_mid + middle * (1 - blend_mid)
    surface += 2.5 * sample_noise(noise, y / 14.0 + plan.phase[3], x / 14.0, 3.0)
    gu, gv = 2 * drop * u / 70, 2 * drop * v / 84
    return (surface - z) / np.sqrt(1 + gu * gu + gv * gv), z - surface


@njit(cache=True, fastmath=True, error_model="numpy", forceinline=True)
def _apex(plan, z, y, x):  # type: ignore[no-untyped-def]
    """Return the distance below the dome of the apex on the point's side."""
    u = (abs(x) - 50 * plan.width_scale) / (38 * plan.width_scale)
    v = (y - 14 * plan.depth_scale) / (42 * plan.depth_scale)
    gu, gv = 40 * u / 38, 40 * v / 42
    return (z - 20 * (u * u + v * v)) / np.sqrt(1 + gu * gu + gv * gv)


@njit(cache=True, fastmath=True, error_model="numpy", forceinline=True)
def _heart(plan, z, y, x):  # type: ignore[no-untyped-def]
    """Return the place along the heart's long axis (-1 base, 1 apex) and the distance outside."""
    dz, dy, dx = (
        z - plan.heart_centre[0],
        y - plan.heart_centre[1],
        x - plan.heart_centre[2],
    )
    axes, radii = plan.heart_axes, plan.heart_radii
    p = axes[0][0] * dz + axes[0][1] * dy + axes[0][2] * dx
    q = axes[1][0] * dz + axes[1][1] * dy + axes[1][2] * dx
    s = axes[2][0] * dz + axes[2][1] * dy + axes[2][2] * dx
    q *= 1.0 + 0.12 * p / radii[0]
    return p / radii[0], ellipsoid(p, q, s, radii[0], radii[1], radii[2])


@njit(cache=True, fastmath=True, error_model="numpy", forceinline=True)
def _mediastinum(plan, row, z, y, x, heart):  # type: ignore[no-untyped-def]
    """Return the distance from the mediastinum and the spine, mm; positive outside."""
    t = z / plan.height_mm
    width = plan.mediastinum_mm * (1.0 - 0.35 * ramp(t, 0.5, 0.75))
    front = -row[1] + row[2]
    width *= 0.16 + 0.84 * ramp(y, front + 14, front + 52)
    width *= 1.0 - 0.5 * ramp(y, row[6] - 26, row[6] - 4)  # lung reaches back beside the spine
    slab = abs(x) - width
    spine = np.sqrt(x * x + ((y - row[6]) * 1.15) ** 2) - 22.0
    spine = min(spine, max(abs(x) - 24.0, row[6] + 2.0 - y))
    pericardium = heart - plan.heart_fat_mm - _pericardial_fluid(plan, z, y)
    k = 9.0
    m = _soft_min(slab, spine, k)
    return _soft_min(m, pericardium, k)


@njit(cache=True, fastmath=True, error_model="numpy", forceinline=True)
def _pericardial_fluid(plan, z, y):  # type: ignore[no-untyped-def]
    """Return the thickness of pericardial fluid, mm: it gathers behind and below the heart."""
    if plan.pericardial_mm <= 0.0:
        return 0.0
    behind = ramp(y - plan.heart_centre[1], -45.0, 40.0)
    below = ramp(z - plan.heart_centre[0], -60.0, 10.0)
    return plan.pericardial_mm * (0.3 + 0.7 * behind) * (0.25 + 0.75 * below)


@njit(cache=True, fastmath=True, error_model="numpy", forceinline=True)
def _soft_min(a, b, k):  # type: ignore[no-untyped-def]
    m = max(k - abs(a - b), 0.0) / k
    return min(a, b) - m * m * k * 0.25


@njit(cache=True, fastmath=True, error_model="numpy", forceinline=True)
def _paint_mediastinum(plan, noise, z, y, x, h, along, heart, c, hu, label):  # type: ignore[no-untyped-def]
    """Return the point after mediastinal fat, thymus and nodes, and the heart."""
    ph = plan.phase
    strand = sample_noise(noise, z / 7 + ph[4], y / 7, x / 7)
    fat = plan.fat_hu + 12 + 9 * strand
    node = sample_noise(noise, z / 5.5 + ph[5], y / 5.5, x / 5.5)
    if node > 1.5 and z > 15:  # small lymph nodes, thymic remnants, nerves and small vessels
        fat = blend(fat, plan.muscle_hu, min(1.0, (node - 1.5) * 2.5))
    hu = blend(hu, fat, c)
    if c >= 0.5:
        label = 1
    fluid = _pericardial_fluid(plan, z, y)
    if fluid > 0.0:
        layer = cover(min(heart - _EPICARDIAL_FAT_MM, _EPICARDIAL_FAT_MM + fluid - heart), h) * c
        hu = blend(hu, plan.pericardial_hu + 3 * strand, layer)
        if layer >= 0.5:
            label = 16
    inside = cover(-heart, h)
    if inside > 0.0:
        wall = plan.muscle_hu + (35.0 if plan.blood_hu[1] > 100 else 0.0)
        ripple = sample_noise(noise, z / 12 + ph[6], y / 12, x / 12)
        # The left ventricle's wall is 8-12 mm, the others are thin; the groove between is fat.
        left = along > -0.25 and heart < -10 - 2 * ripple
        right = along <= -0.3 and heart < -3
        blood = wall
        if left:
            blood = plan.blood_hu[1] if x - y * 0.4 > 18 + 6 * ripple else plan.blood_hu[0]
        elif right:
            blood = plan.blood_hu[1] if y > plan.heart_centre[1] + 4 * ripple else plan.blood_hu[0]
        tissue = blood + 4 * ripple
        groove = abs(along + 0.28) < 0.05 and heart > -7
        hu = blend(hu, plan.fat_hu + 20 if groove else tissue, inside)
        if inside >= 0.5:
            label = 5
    return hu, label


@njit(cache=True, fastmath=True, error_model="numpy", forceinline=True)
def _parenchyma(plan, noise, z, y, x, lung, h):  # type: ignore[no-untyped-def]
    """Return the CT number of lung without its vessels."""
    ph = plan.phase
    hu = plan.lung_hu + plan.gravity_hu * (y / (90 * plan.depth_scale))
    hu += plan.lung_texture_hu[0] * sample_noise(noise, z / 2.6 + ph[7], y / 2.6, x / 2.6)
    hu += plan.lung_texture_hu[1] * sample_noise(noise, z / 16 + ph[8], y / 16, x / 16)
    if plan.dependent_mm > 0.0 and y > 10:
        near = ramp(plan.dependent_mm - lung, 0.0, plan.dependent_mm)
        patch = 0.6 + 0.4 * sample_noise(noise, z / 12 + ph[9], y / 12, x / 12)
        hu += 170 * near * max(0.0, patch) * ramp(y, 20.0, 75.0)
    hu = max(hu, -985.0)
    # Fissures are 0.5-1 mm thin: a voxel holds only a share of them.
    ripple = 5.0 * sample_noise(noise, z / 22 + ph[3], y / 22, x / 22)
    oblique = (z + ripple) / plan.height_mm - 0.52 + 0.42 * y / (90 * plan.depth_scale)
    near = abs(oblique) * plan.height_mm * 0.88
    if x < 0 and oblique < 0:
        near = min(near, abs(z + ripple - 0.46 * plan.height_mm))
    if near < h:
        hu = blend(hu, -300.0, min(1.0, 0.7 / h) * (1 - near / h))
    return hu


@njit(cache=True, fastmath=True, error_model="numpy", forceinline=True)
def paint_abdomen(plan, row, noise, z, y, x, h, below, cavity, hu, label):  # type: ignore[no-untyped-def]
    """Return the point after everything inside the abdominal wall below the diaphragm."""
    inside = min(cavity - 1.5, below * 0.75)
    c = cover(inside, h)
    if c <= 0.0:
        return hu, label
    ph, ws, ds = plan.phase, plan.width_scale, plan.depth_scale
    wave = sample_noise(noise, z / 15 + ph[1], y / 15, x / 15)
    hu = blend(hu, plan.fat_hu + 6 * wave, c)
    if c >= 0.5:
        label = 1
    hu, label = _paint_gut(plan, noise, z, y, x, h, c, inside, wave, hu, label)
    floor = plan.dome_mm[0] + 150 - 0.55 * (x + 110 * ws)
    liver = min(inside - 1.5, 0.7 * (floor - z))
    liver = min(liver, (52 * ws - x) * 0.8 - 0.25 * max(0.0, y) + 3 * wave)
    liver = min(liver, np.sqrt((x - 4) ** 2 + (y - row[6] + 8) ** 2) - 40)
    part = cover(liver, h)
    if part > 0.0:
        vein = sample_noise(noise, z / 13 + ph[2], y / 13, x / 13)
        flesh = plan.liver_hu + 4 * wave
        if abs(vein) < 0.09 and liver > 8:
            flesh += 0.35 * (plan.blood_hu[2] - 40) - 6
        hu = blend(hu, flesh, part)
        if part >= 0.5:
            label = 8
    spleen = -ellipsoid(
        z - plan.dome_mm[1] - 48, y - 42 * ds, x - 92 * ws, 48.0, 34.0, 22.0 + 3 * wave
    )
    part = cover(min(spleen, inside - 1.0), h)
    if part > 0.0:
        hu = blend(hu, plan.spleen_hu + 3 * wave, part)
        if part >= 0.5:
            label = 9
    crus = min(4.0 - abs(inside - 1.0), 4.0)
    hu = blend(hu, plan.muscle_hu, 0.7 * cover(crus - 2.0, h) * c) if label == 1 else hu
    return _paint_kidney(plan, z, y, x, h, inside, hu, label)


@njit(cache=True, fastmath=True, error_model="numpy", forceinline=True)
def _paint_gut(plan, noise, z, y, x, h, c, inside, wave, hu, label):  # type: ignore[no-untyped-def]
    """Return the point after the stomach and the colon with wall, content and gas on top."""
    ws, ds = plan.width_scale, plan.depth_scale
    zs, ys, xs = z - plan.dome_mm[1] - 42, y + 8 * ds, x - 62 * ws
    stomach = -ellipsoid(zs + 0.25 * xs, ys, xs + 0.35 * zs, 46.0, 44.0 * ds, 36.0 * ws) + 4 * wave
    part = cover(min(stomach, inside - 2.0), h)
    if part > 0.0:
        content = 12.0 + 10 * wave
        food = sample_noise(noise, z / 4 + plan.phase[7], y / 4, x / 4)
        if food > 1.1 - plan.stomach_gas:
            content = blend(content, 45.0 if food < 2 else -400.0, 0.8)
        if ys < -30 + 44 * plan.stomach_gas:
            content = -985.0
        hu = blend(hu, blend(58.0, content, cover(stomach - 4.0, h)), part)
        if part >= 0.5:
            label = 10
    if part < 0.5 and y < 40 and z > plan.dome_mm[1] + 12:
        loop = sample_noise(noise, z / 20 + plan.phase[8], y / 20, x / 20)
        lumen = 14.0 * (loop - 0.55)
        part = cover(min(lumen, inside - 4.0), h) * ramp(x, -30.0, 10.0)
        if part > 0.0:
            gas = plan.colon_gas > 0.35 and lumen > 2.0 + 2 * wave
            hu = blend(hu, -960.0 if gas else 38.0, part)
    return hu, label


@njit(cache=True, fastmath=True, error_model="numpy", forceinline=True)
def _paint_kidney(plan, z, y, x, h, inside, hu, label):  # type: ignore[no-untyped-def]
    side = 1.0 if x > 0 else -1.0
    top = plan.dome_mm[1] + (112.0 if side < 0 else 100.0)
    kidney = -ellipsoid(
        z - top, y - 46 * plan.depth_scale, abs(x) - 58 * plan.width_scale, 55.0, 26.0, 26.0
    )
    part = cover(min(kidney, inside - 3.0), h)
    if part > 0.0:
        hilum = ramp(kidney, 12.0, 16.0)
        hu = blend(hu, blend(plan.kidney_hu, plan.fat_hu + 30, hilum), part)
        if part >= 0.5:
            label = 12 if side < 0 else 13
    return hu, label
