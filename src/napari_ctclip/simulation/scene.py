"""Scene: everything a lesion painter needs, and the record of what it painted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from napari_ctclip.simulation.body_plan import BodyPlan
from napari_ctclip.simulation.lesion import Lesion, finding_bit
from napari_ctclip.simulation.mediastinum import Mediastinum
from napari_ctclip.simulation.noise_field import sample_noise_on_grid
from napari_ctclip.simulation.torso import Canvas
from napari_ctclip.simulation.tubes import tube_coverage
from napari_ctclip.simulation.vessels import LungTrees

__all__ = ["SIDES", "Scene"]

FloatArray = npt.NDArray[np.float64]
Box = tuple[slice, slice, slice]
SIDES = ("lung_right", "lung_left")


_PARENCHYMAL = ("emphysema", "pulmonary fibrosis", "ground-glass opacity", "consolidation")
# What a lesion leaves nothing of: fluid or a mass where there was emphysema shows no emphysema.
_REPLACES: dict[str, tuple[str, ...]] = {
    "pulmonary fibrosis": ("emphysema",),
    "ground-glass opacity": ("emphysema",),
    "consolidation": _PARENCHYMAL[:3],
    "pleural effusion": _PARENCHYMAL,
    "pneumothorax": (*_PARENCHYMAL, "pleural effusion"),
    "atelectasis": _PARENCHYMAL,
    "lung nodule": (*_PARENCHYMAL, "atelectasis"),
    "lung mass": (*_PARENCHYMAL, "atelectasis", "lung nodule"),
    "pericardial effusion": ("cardiomegaly",),
}
_PLEURAL = np.uint16((1 << finding_bit("pleural effusion")) | (1 << finding_bit("pneumothorax")))
_PLACE_TRIES = 12


@dataclass(frozen=True)
class _Draft:
    finding: str
    anatomy: str
    diameter_mm: float | None
    description: str


@dataclass(frozen=True, eq=False)
class Scene:
    """One body being painted.

    Attributes
    ----------
    canvas : Canvas
        The study's voxels.
    coarse : Canvas
        The same body on a fixed coarse grid: places are drawn here, so that they do not depend on
        the spacing of the study.
    plan, mediastinum, trees, noise
        The body.
    bits : ndarray, shape (D, H, W), uint16
        Ground truth, changed in place.
    painted : list
        What was painted so far, with its box and its voxels.
    """

    canvas: Canvas
    coarse: Canvas
    plan: BodyPlan
    mediastinum: Mediastinum
    trees: LungTrees
    noise: npt.NDArray[np.float32]
    bits: npt.NDArray[np.uint16]
    painted: list[tuple[_Draft, Box, npt.NDArray[np.bool_]]] = field(default_factory=list)

    @property
    def voxel_mm(self) -> float:
        """Edge of a cube of a voxel's volume, mm."""
        return float(np.prod(self.canvas.grid.spacing_mm) ** (1 / 3))

    @property
    def whole(self) -> Box:
        """The box of all voxels."""
        d, h, w = self.canvas.grid.shape
        return slice(0, d), slice(0, h), slice(0, w)

    def lung_box(self, side: int, margin_mm: float = 6.0) -> Box:
        """Return the box around one lung (0 right, 1 left)."""
        points = self.coarse.grid.point_of(np.argwhere(self.coarse.labels == 2 + side))
        box = self.canvas.grid.box(points.min(axis=0) - margin_mm, points.max(axis=0) + margin_mm)
        return self.whole if box is None else box

    def texture(self, box: Box, scale_mm: float, offset: float) -> npt.NDArray[np.float32]:
        """Return a smooth random field over a box, features of about 2.5 x ``scale_mm``."""
        part = self.canvas.grid.part(box)
        out: npt.NDArray[np.float32] = sample_noise_on_grid(
            self.noise,
            np.asarray(part.origin_mm),
            np.asarray(part.spacing_mm),
            part.shape,
            scale_mm,
            offset,
        )
        return out

    def lung_share(
        self, box: Box, *, beyond_mm: float = 0.0, side: int | None = None
    ) -> npt.NDArray[np.float32]:
        """Return how much of each voxel is lung, or lies up to ``beyond_mm`` outside it."""
        share = np.clip(0.5 + (self.canvas.depth[box] + beyond_mm) / self.voxel_mm, 0, 1)
        share = share * ((self.bits[box] & _PLEURAL) == 0)
        labels = self.canvas.labels[box]
        if beyond_mm > 0:
            share = share * ((labels <= 3) & (labels > 0))
        if side is not None:
            share = share * (labels != 3 - side)
        return np.asarray(share, dtype=np.float32)

    def place(
        self, rng: np.random.Generator, *, depth_mm: tuple[float, float], side: int | None = None
    ) -> tuple[FloatArray, int]:
        """Return a random point of a lung within a range of depths, and the side."""
        side = int(rng.integers(0, 2)) if side is None else side
        depth = self.coarse.depth
        lung = self.coarse.labels == 2 + side
        found = np.argwhere(lung & (depth >= depth_mm[0]) & (depth <= depth_mm[1]))
        if len(found) == 0:  # a narrow lung: take its deepest place
            found = np.argwhere(lung & (depth >= depth[lung].max() - 2))
        point = self.coarse.grid.point_of(found[0])
        for _ in range(_PLACE_TRIES):
            index = found[int(rng.integers(0, len(found)))] + rng.uniform(-0.4, 0.4, 3)
            point = self.coarse.grid.point_of(index)
            if not self._pleural_at(point):
                break
        return point, side

    def _pleural_at(self, point_mm: FloatArray) -> bool:
        """Return whether a point lies in pleural fluid or air."""
        index = np.round(self.canvas.grid.index_of(point_mm)).astype(int)
        if (index < 0).any() or (index >= self.canvas.grid.shape).any():
            return False
        return bool(self.bits[tuple(index)] & _PLEURAL)

    def blend(self, box: Box, hu: npt.ArrayLike, share: npt.NDArray[np.float32]) -> None:
        """Mix ``hu`` into a box by a share (d, h, w)."""
        target = self.canvas.hu[box]
        target += (np.asarray(hu, dtype=np.float32) - target) * share

    def blend_capsules(self, capsules: FloatArray, hu: float, *, beyond_mm: float = 1.0) -> None:
        """Mix capsules (N, 8) into the lungs, without recording them as a finding."""
        found = tube_coverage(self.canvas.grid, capsules)
        if found is not None:
            box, cover = found
            self.blend(box, hu, cover * self.lung_share(box, beyond_mm=beyond_mm))

    def record(
        self,
        finding: str,
        anatomy: str,
        *,
        box: Box,
        share: npt.NDArray[np.float32],
        diameter_mm: float | None = None,
        description: str = "",
    ) -> None:
        """Note a lesion that fills ``share`` of the voxels of ``box``; none outside the scan.

        A lesion too small to fill half of any voxel keeps its fullest one.
        """
        fullest = float(share.max(initial=0.0))
        if fullest < 0.05:
            return
        mask = share >= min(0.5, fullest)
        self.clear(box, mask, _REPLACES.get(finding, ()))
        self.bits[box][mask] |= np.uint16(1 << finding_bit(finding))
        self.painted.append((_Draft(finding, anatomy, diameter_mm, description), box, mask))

    def clear(self, box: Box, mask: npt.NDArray[np.bool_], findings: Sequence[str]) -> None:
        """Take findings out of the ground truth where something else has replaced them."""
        gone = sum(1 << finding_bit(finding) for finding in findings)
        self.bits[box][mask] &= np.uint16(0xFFFF - gone)

    def lesions(self) -> tuple[Lesion, ...]:
        """Return all lesions by what is left of them at the end."""
        out = []
        spacing = np.asarray(self.canvas.grid.spacing_mm)
        for draft, box, mask in self.painted:
            left = (self.bits[box] >> finding_bit(draft.finding)) & 1
            where = np.argwhere(mask & (left == 1))
            if len(where) == 0:
                continue
            away = (((where - where.mean(axis=0)) * spacing) ** 2).sum(axis=1)
            z, y, x = (
                float(n + b.start) for n, b in zip(where[int(np.argmin(away))], box, strict=True)
            )
            volume = len(where) * self.canvas.grid.voxel_volume_ml
            ball = (6 * volume * 1000 / np.pi) ** (1 / 3)
            diameter = float(ball if draft.diameter_mm is None else draft.diameter_mm)
            out.append(
                Lesion(draft.finding, draft.anatomy, (z, y, x), diameter, volume, draft.description)
            )
        return tuple(out)
