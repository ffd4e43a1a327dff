"""The chest wall: skin, fat, muscle, breasts, arms, bones, and the table below."""

from __future__ import annotations

import numpy as np
from numba import njit

from napari_ctclip.simulation.noise_field import sample_noise
from napari_ctclip.simulation.soft import blend, cover, ellipsoid, ramp

__all__ = ["paint_bones", "paint_surroundings", "paint_wall"]


@njit(cache=True, fastmath=True, error_model="numpy", forceinline=True)
def paint_surroundings(plan, row, noise, z, y, x, h, body):  # type: ignore[no-untyped-def]
    """Return CT number, label and body distance of a point: air, table, arms, breasts."""
    hu = -1000.0 + 2.0 * sample_noise(noise, z / 3, y / 3, x / 3)
    label = 0
    back = 112.0 * plan.depth_scale + 0.7 * plan.fat_mm
    sag = y - (back + plan.table_y_mm - 0.0009 * x * x)
    if abs(x) < 215:
        shell = min(abs(sag), abs(sag - 34))
        hu = blend(hu, plan.table_hu + 250, cover(1.6 - shell, h))
        if 0 < sag < 34:
            hu = max(hu, -960.0)
    if plan.breast_mm > 0.0:
        u = abs(x) - 78 * plan.width_scale
        v = y - (row[5] - row[4] * 0.72)
        w = z - 0.52 * plan.height_mm
        r = plan.breast_mm
        body = max(body, -ellipsoid(w, v, u, 62.0, r * 0.7 + 12, 58.0))
    if plan.arms and z > -0.02 * plan.height_mm:
        body = max(body, 36.0 - np.sqrt((abs(x) - row[3] - 38) ** 2 + (y - 12) ** 2))
    if body > -h:
        c = cover(body, h)
        hu = blend(hu, plan.fat_hu, c)
        if c >= 0.5:
            label = 1
    return hu, label, body


@njit(cache=True, fastmath=True, error_model="numpy", forceinline=True)
def paint_wall(plan, row, noise, z, y, x, h, body, cavity, hu, label):  # type: ignore[no-untyped-def]
    """Return the point after skin, subcutaneous fat, glands and muscles."""
    ph = plan.phase
    lobules = sample_noise(noise, z / 6 + ph[10], y / 6, x / 6)
    c = cover(body, h)
    tissue = plan.fat_hu + 7 * lobules
    front = y < row[5] - 0.45 * row[4]
    if plan.breast_mm > 0 and front and lobules > 1.6 - plan.breast_gland and body > 6:
        tissue = 20.0 + 12 * lobules
    fat = plan.fat_mm * (0.75 + 0.2 * sample_noise(noise, z / 30, y / 30 + ph[10], x / 30))
    fat *= 1.0 if abs(x) > 30 else 0.6
    muscle = cover(body - 2.0 - fat, h)
    if front and plan.breast_mm > 0:
        muscle *= ramp(-cavity, 40.0, 16.0) if -cavity > 16 else 1.0
    if muscle > 0.0:
        # Planes of fat between the muscles follow the wall: stretched along z, thin across it.
        plane = sample_noise(noise, z / 22 + ph[11], y / 8, x / 8)
        flesh = plan.muscle_hu + 6 * lobules
        gap = max(ramp(abs(plane), 0.16, 0.04), ramp(plane, 1.2, 1.7))
        flesh = blend(flesh, plan.fat_hu + 15, gap * (0.9 if cavity < -13 else 0.5))
        seam = min(0.8, max(0.0, 0.3 + 0.5 * lobules)) * cover(1.8 - abs(cavity + 13.0), h)
        flesh = blend(flesh, plan.fat_hu + 10, seam)
        tissue = blend(tissue, flesh, muscle)
    if body < 2.0 + h:
        tissue = blend(tissue, 15.0, cover(2.0 - body, h))
    if z < 0.02 * plan.height_mm:
        tissue = _neck(plan, noise, z, y, x, tissue, lobules)
    hu = blend(hu, tissue, c)
    if plan.arms and abs(x) > row[3] + 5:
        r = np.sqrt((abs(x) - row[3] - 38) ** 2 + (y - 12) ** 2)
        hu = _long_bone(plan, r, 11.0, h, hu)
    return hu, (1 if c >= 0.5 else label)


@njit(cache=True, fastmath=True, error_model="numpy", forceinline=True)
def _neck(plan, noise, z, y, x, tissue, lobules):  # type: ignore[no-untyped-def]
    """Return the tissue of the lower neck: a thyroid beside the trachea, fat between muscles."""
    lobe = ellipsoid(z + 22, y - 2, abs(x) - 15, 20.0, 10.0, 9.0)
    inner = ramp(55.0 - np.sqrt(x * x + (y - 12) ** 2), 0.0, 25.0)
    loose = ramp(sample_noise(noise, z / 9 + plan.phase[5], y / 7, x / 7), 0.1, 0.5)
    tissue = blend(tissue, plan.fat_hu + 12, inner * loose * 0.9)
    if lobe < 0:
        tissue = 95.0 + 10 * lobules + 0.3 * (plan.blood_hu[1] - 40)
    return tissue


@njit(cache=True, fastmath=True, error_model="numpy", forceinline=True)
def _long_bone(plan, r, radius, h, hu):  # type: ignore[no-untyped-def]
    hu = blend(hu, plan.bone_hu[1] + 150, cover(radius - r, h))
    return blend(hu, plan.bone_hu[0] - 60, cover(radius - 3.5 - r, h))


@njit(cache=True, fastmath=True, error_model="numpy", forceinline=True)
def paint_bones(plan, row, noise, z, y, x, h, cavity, hu, label):  # type: ignore[no-untyped-def]
    """Return the point after spine, ribs, cartilage, sternum, scapulae and shoulders."""
    marrow = plan.bone_hu[0] + 35 * sample_noise(noise, z / 2.4, y / 2.4 + plan.phase[4], x / 2.4)
    bone, kind = _spine(plan, row, z, y, x), 14
    rib, cartilage = _rib(plan, row, z, y, x, cavity)
    if rib > bone:
        bone, kind = rib, 15
    plate = max(_sternum(plan, row, z, y, x, cavity), _shoulder(plan, row, z, y, x, cavity))
    if plate > bone:
        bone, kind = plate, 11
    c = cover(bone, h)
    if c > 0.0:
        if kind == 15 and cartilage:
            speck = sample_noise(noise, z / 3 + plan.phase[6], y / 3, x / 3)
            gristle = 95.0 + (260.0 if speck > 2.4 - 1.6 * plan.cartilage else 0.0)
            return blend(hu, gristle, c), (1 if c >= 0.5 else label)
        wall = 1.2 if kind == 14 else 1.5
        density = blend(plan.bone_hu[1], marrow, cover(bone - wall, max(h, 0.8)))
        hu = blend(hu, density, c)
        if c >= 0.5:
            label = kind
    return hu, label


@njit(cache=True, fastmath=True, error_model="numpy", forceinline=True)
def _spine(plan, row, z, y, x):  # type: ignore[no-untyped-def]
    """Return the distance inside a vertebra, mm."""
    x = x - row[7]
    grow = 0.8 + 0.25 * min(1.0, max(0.0, z / plan.height_mm))
    level = (z + 240.0) % 24.0
    waist = 1.5 * (1 - abs(level - 12) / 12)
    body = 19.0 * grow - waist - np.sqrt(x * x + ((y - row[6]) * 1.25) ** 2)
    body = min(body, min(level - 2.2, 21.8 - level))  # the rest is disc
    for s in range(5):
        o = plan.osteophyte[s]
        if abs(z - o[0]) < 10 and o[3] > 0:
            d = np.sqrt((z - o[0]) ** 2 + (y - row[6] + 8) ** 2 + (x - o[2] * grow * 0.9) ** 2)
            body = max(body, o[3] - d)
    canal_y = row[6] + 15.2 * grow + 8
    ring = 2.2 - abs(np.sqrt(x * x + (y - canal_y) ** 2) - 10.0)
    arch = ring if 5 < level < 17 or y > canal_y + 4 else min(ring, 0.2)
    process = min(2.6 - abs(x), min(y - canal_y - 8, canal_y + 34 - y))
    process = min(process, 8.5 - abs((z - 0.5 * (y - canal_y) + 240) % 24 - 12))
    wing = min(4.5 - np.sqrt((y - canal_y - 1) ** 2 + (level - 10) ** 2), 32 - abs(x))
    wing = min(wing, abs(x) - 10) if z > -10 else -9.0
    return max(max(body, arch), max(process, wing))


@njit(cache=True, fastmath=True, error_model="numpy", forceinline=True)
def _rib(plan, row, z, y, x, cavity):  # type: ignore[no-untyped-def]
    """Return the distance inside a rib, mm, and whether it is the cartilage in front."""
    if cavity > -0.5 or cavity < -14 or z < -4:
        return -9.0, False
    front = (row[2] - y) / row[1]  # -1 at the back, 1 at the sternum
    slope = 34.0 * (front + 0.8) - 16.0 * max(0.0, front - 0.55) * 4
    u = (z - slope + 20 * plan.rib_gap_mm) % plan.rib_gap_mm - 0.5 * plan.rib_gap_mm
    low = ramp(z, 1.05 * plan.height_mm, 1.2 * plan.height_mm)
    reach = 1.0 - 1.4 * low
    if front > reach:
        return -9.0, False
    radial = (cavity + 6.5) / 4.2
    r = np.sqrt(radial * radial + (u / 6.8) ** 2)
    return (1.0 - r) * 4.4, front > 0.72


@njit(cache=True, fastmath=True, error_model="numpy", forceinline=True)
def _sternum(plan, row, z, y, x, cavity):  # type: ignore[no-untyped-def]
    t = z / plan.height_mm
    if t < 0.06 or t > 0.66 or y > row[2] or cavity > -0.5:
        return -9.0
    half = 28.0 - 14.0 * ramp(t, 0.08, 0.22) + 3.0 * ramp(t, 0.3, 0.5)
    return min(
        min(half - abs(x), 6.0 - 0.006 * x * x - abs(cavity + 8.5)), (t - 0.06) * plan.height_mm
    )


@njit(cache=True, fastmath=True, error_model="numpy", forceinline=True)
def _shoulder(plan, row, z, y, x, cavity):  # type: ignore[no-untyped-def]
    """Return the distance inside scapula, clavicle or humeral head, mm."""
    s = plan.width_scale
    ax = abs(x)
    if z < -60 or z > 0.52 * plan.height_mm:
        return -9.0
    # The blade hugs the ribs behind, 22 mm outside the cavity.
    blade = 1.9 - abs(cavity + 23 + 4 * np.sin(z / 17))
    along = (ax - 104 * s) / (29 * s) + 0.004 * z
    blade = min(blade, 30 * (1 - abs(along)))
    blade = min(blade, min(z + 5, 0.5 * plan.height_mm - z - 25 * abs(along)))
    if y < row[2] + 10:
        blade = -9.0
    head = 23.0 - np.sqrt((ax - 150 * s) ** 2 + (y - 16) ** 2 + (z + 14) ** 2)
    dz = 18.0 - 34.0 * min(1.0, max(0.0, (ax - 20 * s) / (120 * s)))
    line_y = -28 + 34 * ramp(ax, 40 * s, 140 * s) - 10 * np.sin(ax / (45 * s))
    rod = 5.5 - np.sqrt((z - dz) ** 2 + (y - line_y * plan.depth_scale) ** 2)
    rod = min(rod, min(ax - 20 * s, 140 * s - ax))
    return max(blade, max(head, rod))
