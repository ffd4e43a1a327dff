"""Great vessels, airways and oesophagus: tubes through the mediastinum."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_ctclip.simulation.body_plan import LABELS, BodyPlan, body_profile
from napari_ctclip.simulation.torso import Canvas
from napari_ctclip.simulation.tubes import Tube, tube_coverage

__all__ = ["Mediastinum", "draw_mediastinum", "paint_tube"]

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Mediastinum:
    """Tubes of one body.

    Attributes
    ----------
    tubes : tuple of Tube
        In the order in which they are painted.
    aorta : Tube
        From the valve over the arch to the abdomen.
    coronaries : tuple of Tube
        On the surface of the heart.
    hila_mm : ndarray, shape (2, 3)
        Where vessels and bronchi enter the right and the left lung.
    """

    tubes: tuple[Tube, ...]
    aorta: Tube
    coronaries: tuple[Tube, ...]
    hila_mm: FloatArray


def draw_mediastinum(plan: BodyPlan, rng: np.random.Generator) -> Mediastinum:
    """Return the tubes of a body."""
    pen = _Pen(plan, rng, carina=0.36 * plan.height_mm, arch=0.24 * plan.height_mm)
    aorta = _aorta(pen)
    gullet = _gullet(pen)
    coronaries = _coronaries(plan, rng)
    tubes = (
        *_veins(pen),
        *_branches(pen),
        *_lung_arteries(pen),
        aorta,
        gullet,
        *_gullet_gas(gullet, rng),
        *_airways(pen),
        *coronaries,
    )
    hila = np.array([[pen.carina + 26, 0.0, -34.0], [pen.carina + 20, 0.0, 34.0]])
    return Mediastinum(tubes, aorta, coronaries, hila * [1.0, plan.depth_scale, plan.width_scale])


def paint_tube(canvas: Canvas, tube: Tube) -> None:
    """Paint a tube, wall first, over what is there."""
    found = tube_coverage(canvas.grid, tube.segments())
    if found is None:
        return
    box, cover = found
    hu, labels, depth = canvas.hu[box], canvas.labels[box], canvas.depth[box]
    hu += (np.float32(tube.wall_hu if tube.wall_mm > 0 else tube.hu) - hu) * cover
    if tube.label:
        keep = np.isin(labels, _KEPT)  # tubes never cut through bone or liver
        labels[(cover >= 0.5) & ~keep] = tube.label
    depth[cover >= 0.3] = np.minimum(depth[cover >= 0.3], -0.5)
    if tube.wall_mm > 0:
        lumen = tube_coverage(canvas.grid, tube.segments(shrink_mm=tube.wall_mm))
        if lumen is not None:
            inner = canvas.hu[lumen[0]]
            inner += (np.float32(tube.hu) - inner) * lumen[1]


_KEPT = (LABELS["vertebrae"], LABELS["ribs"], LABELS["bone"])


@dataclass(frozen=True)
class _Pen:
    """Draws tubes through points given for a body of average width and depth."""

    plan: BodyPlan
    rng: np.random.Generator
    carina: float
    arch: float

    def tube(
        self,
        points: Sequence[tuple[float, float, float]],
        radii: float | Sequence[float],
        hu: float,
        *,
        label: str = "body",
        wall: tuple[float, float] = (0.0, 40.0),
    ) -> Tube:
        scale = np.array([1.0, self.plan.depth_scale, self.plan.width_scale])
        line = np.array(points) * scale + self.rng.normal(0, 1.2, (len(points), 3))
        radius = np.broadcast_to(np.asarray(radii, dtype=float), (len(points),)).copy()
        return _smooth(Tube(line, radius, hu, LABELS[label], *wall))

    def spine(self, z: float) -> float:
        """Return the spine's place along y at a height, for a body of average depth."""
        first, rows = body_profile(self.plan)
        row = int(np.clip(z - first, 0, len(rows) - 1))
        return float(rows[row, 6]) / self.plan.depth_scale


def _aorta(pen: _Pen) -> Tube:
    h, carina, arch = pen.plan.height_mm, pen.carina, pen.arch
    size = float(pen.rng.uniform(0.88, 1.2))
    base = pen.plan.heart_centre[0] - 30
    points = [(base, -22, 6), (carina + 12, -34, -12), (arch + 12, -30, -15), (arch, -14, -4),
              (arch - 1, 2, 8), (arch + 8, 20, 17), (carina, pen.spine(carina) - 16, 21),
              (0.62 * h, pen.spine(0.62 * h) - 19, 17), (0.9 * h, pen.spine(0.9 * h) - 22, 8),
              (1.15 * h, pen.spine(1.15 * h) - 24, 3),
              (1.75 * h, pen.spine(1.75 * h) - 24, 2)]  # fmt: skip
    radii = np.array([15.5, 15, 14.5, 14, 13, 12.5, 12, 11.5, 11, 10.5, 9]) * size
    return pen.tube(points, radii.tolist(), pen.plan.blood_hu[1], label="aorta")


def _lung_arteries(pen: _Pen) -> list[Tube]:
    c, base, blood = pen.carina, pen.plan.heart_centre[0] - 30, pen.plan.blood_hu[0]
    return [
        pen.tube([(base - 2, -38, 14), (c + 22, -36, 19), (c + 8, -20, 18)], [14, 13.5, 12.5],
                 blood),
        pen.tube([(c + 10, -20, 16), (c + 14, -12, 0), (c + 20, -4, -24), (c + 27, 0, -38)],
                 [11.5, 10.5, 9.5, 8], blood),
        pen.tube([(c + 8, -20, 18), (c + 6, -6, 26), (c + 14, 4, 35), (c + 24, 4, 38)],
                 [12, 10.5, 9, 8], blood),
    ]  # fmt: skip


def _veins(pen: _Pen) -> list[Tube]:
    """Return caval veins, lung veins at the heart, azygos and hemiazygos."""
    h, c, base = pen.plan.height_mm, pen.carina, pen.plan.heart_centre[0] - 30
    _, left, vein = pen.plan.blood_hu
    dome, spine = pen.plan.dome_mm[0], pen.spine
    return [
        pen.tube([(-40, -8, -24), (0.08 * h, -16, -24), (0.2 * h, -24, -24), (base + 5, -24, -27)],
                 [6, 7.5, 9, 10], vein * float(pen.rng.uniform(0.9, 1.8))),
        pen.tube([(0.06 * h, -14, 34), (0.15 * h, -30, 12), (0.2 * h, -26, -22)], 6, vein),
        pen.tube([(1.5 * h, 24, -18), (dome + 30, 8, -22), (base + 35, -8, -22)], 11, vein),
        pen.tube([(c + 34, 6, -28), (c + 38, 6, 0), (c + 34, 6, 30)], [6, 9, 6], left),
        pen.tube([(1.2 * h, spine(1.2 * h) - 17, -5), (c, spine(c) - 15, -8),
                  (c - 10, spine(c) - 20, -12), (c - 14, -4, -22), (c - 10, -18, -25)],
                 [3, 4, 4.5, 4.5, 4.5], vein),
        pen.tube([(0.5 * h, spine(0.5 * h) - 6, 17), (1.1 * h, spine(1.1 * h) - 8, 12)], 2.5, vein),
    ]  # fmt: skip


def _branches(pen: _Pen) -> list[Tube]:
    """Return vessels of the neck and the arms, and the internal thoracic arteries."""
    h, arch = pen.plan.height_mm, pen.arch
    _, blood, vein = pen.plan.blood_hu
    return [
        pen.tube([(arch + 2, -20, -8), (0.1 * h, -10, -16), (0.0, 0, -26), (-60, 0, -30)],
                 [6.5, 6, 5, 4], blood),
        pen.tube([(arch, -8, 4), (0.1 * h, -4, 16), (-60, 0, 28)], [4.5, 4, 4], blood),
        pen.tube([(arch, 4, 14), (0.1 * h, 10, 24), (0.0, 4, 34), (0.02 * h, 4, 70)],
                 [5.5, 5, 4.5, 4], blood),
        pen.tube([(0.02 * h, 6, -34), (-0.02 * h, 0, -60), (0.0, 0, -110)], 4.5, vein),
        pen.tube([(-60, 4, -40), (0.0, -6, -30)], [6, 7], vein),
        pen.tube([(-60, 4, 40), (0.06 * h, -12, 32)], [6, 7], vein),
        *(pen.tube([(0.1 * h, -32, s * 13), (0.35 * h, -70, s * 15), (0.6 * h, -82, s * 16)], 1.6,
                   blood) for s in (-1, 1)),
    ]  # fmt: skip


def _gullet(pen: _Pen) -> Tube:
    h, c, spine = pen.plan.height_mm, pen.carina, pen.spine
    return pen.tube([(-60, 20, 2), (0.1 * h, spine(0.1 * h) - 18, 5), (c, spine(c) - 24, 4),
                     (0.7 * h, spine(0.7 * h) - 27, 4), (h, 6, 14), (1.06 * h, 0, 36)],
                    [7, 7, 7.5, 8, 9, 9], 38.0, label="esophagus")  # fmt: skip


def _airways(pen: _Pen) -> list[Tube]:
    """Return trachea and main bronchi; their cartilage calcifies in some."""
    c, h = pen.carina, pen.plan.height_mm
    bore = float(pen.rng.uniform(8.0, 10.5))
    wall = (1.6, float(pen.rng.choice([45.0, 60.0, 150.0], p=[0.5, 0.3, 0.2])))
    lines: list[tuple[list[tuple[float, float, float]], list[float]]] = [
        ([(-0.6 * h, 0, 0), (-10, 2, 0), (0.15 * h, 7, -1), (c, 8, -3)],
         [bore, bore, bore, bore + 0.5]),
        ([(c, 8, -4), (c + 14, 9, -18), (c + 26, 6, -30), (c + 45, 8, -36)], [7.8, 7.6, 6.4, 5.2]),
        ([(c, 8, -2), (c + 16, 8, 14), (c + 27, 10, 30), (c + 42, 16, 40)], [7.2, 6.8, 6.0, 5.0]),
        ([(c + 14, 9, -20), (c + 6, 6, -34), (c - 6, 5, -40)], [5.6, 5, 4]),
        ([(c + 26, 9, 28), (c + 16, 0, 38), (c + 2, -4, 42)], [5.4, 4.6, 3.8]),
    ]  # fmt: skip
    return [
        pen.tube(points, radii, -993.0, label="trachea_and_airways", wall=wall)
        for points, radii in lines
    ]


def _gullet_gas(gullet: Tube, rng: np.random.Generator) -> list[Tube]:
    """Return up to three bubbles of swallowed air."""
    bubbles = []
    for _ in range(int(rng.integers(0, 4))):
        start = int(rng.integers(0, len(gullet.points_mm) - 6))
        part = slice(start, start + int(rng.integers(3, 6)))
        radius = np.full(part.stop - part.start, rng.uniform(1.5, 4.5))
        bubbles.append(Tube(gullet.points_mm[part], radius, -900.0, gullet.label))
    return bubbles


def _coronaries(plan: BodyPlan, rng: np.random.Generator) -> tuple[Tube, ...]:
    """Return LAD, circumflex and right coronary artery in the fat around the heart."""
    axes, radii = np.array(plan.heart_axes), np.array(plan.heart_radii) + 1.0
    paths = (
        [(-0.62, -0.55), (-0.35, -0.7), (0.1, -0.85), (0.5, -0.95), (0.8, -1.1)],
        [(-0.62, -0.5), (-0.4, 0.2), (-0.3, 0.9), (-0.2, 1.4)],
        [(-0.7, -1.6), (-0.35, -2.1), (-0.2, -2.7), (-0.1, -3.4)],
    )
    tubes = []
    for path in paths:
        line = []
        for along, angle in path:
            ring = np.sqrt(1 - along**2)
            own = np.array([along, ring * np.sin(angle), ring * np.cos(angle)]) * radii
            line.append(np.array(plan.heart_centre) + own @ axes)
        radius = np.linspace(2.1, 1.1, len(line)) * rng.uniform(0.85, 1.2)
        tubes.append(_smooth(Tube(np.array(line), radius, float(plan.blood_hu[1]), 0)))
    return tuple(tubes)


def _smooth(tube: Tube) -> Tube:
    """Return the tube with a rounded centre line of about 4 mm steps."""
    p, r = tube.points_mm, tube.radii_mm
    for _ in range(2):  # Chaikin's corner cutting
        q = np.empty((2 * len(p), 3))
        q[0::2][:-1], q[1::2][:-1] = 0.75 * p[:-1] + 0.25 * p[1:], 0.25 * p[:-1] + 0.75 * p[1:]
        s = np.empty(2 * len(r))
        s[0::2][:-1], s[1::2][:-1] = 0.75 * r[:-1] + 0.25 * r[1:], 0.25 * r[:-1] + 0.75 * r[1:]
        p = np.vstack([p[:1], q[:-2], p[-1:]])
        r = np.concatenate([r[:1], s[:-2], r[-1:]])
    return Tube(p, r, tube.hu, tube.label, tube.wall_mm, tube.wall_hu)
