"""The upper abdomen below the diaphragm: liver, spleen, stomach, colon, kidneys."""

from __future__ import annotations

import numpy as np
from numba import njit

from napari_ctclip.simulation.noise_field import sample_noise
from napari_ctclip.simulation.soft import blend, cover, ellipsoid, ramp

__all__ = ["paint_abdomen"]


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
