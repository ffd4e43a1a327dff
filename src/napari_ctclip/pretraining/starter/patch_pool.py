"""Patch pool: simulated squares of axial slices, undegraded, with their ground truth."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from napari_ctclip.io.files import replacing
from napari_ctclip.pretraining.starter.token_targets import TISSUES, UNSURE
from napari_ctclip.simulation import FINDINGS, simulate_study
from napari_ctclip.simulation.lesion import SimulatedStudy
from napari_ctclip.simulation.lung_slices import simulate_lung_slice

__all__ = ["PATCH_FINDINGS", "PatchPool", "make_pool"]

logger = logging.getLogger(__name__)

PATCH_FINDINGS = FINDINGS[:11]
"""Findings that a patch of lung can show; the size of the heart is not seen in one."""

SIDE = 112
"""Pixels: 78 mm of a fine slice, 100 mm of a chest; larger than any crop of it."""

_SLICE_PIXEL_MM = (0.55, 0.9)
_CHEST_SPACING_MM = (3.0, 0.9, 0.9)
_AIR_HU = -1024
# Ours: what is seen among other things in a chest, beside the slices of lung alone
_IN_CHESTS = (
    ("lung nodule",), ("lung mass",), ("consolidation", "lung nodule"), (),
    ("atelectasis", "pleural effusion"), ("lung mass", "emphysema"), ("pulmonary fibrosis",),
    ("ground-glass opacity", "coronary calcification"), ("lung nodule", "aortic calcification"), (),
    ("pneumothorax", "lung mass"), ("lung nodule", "emphysema"),
)  # fmt: skip
_TISSUE_OF = {
    "lung_right": "lung", "lung_left": "lung", "trachea_and_airways": "airway", "heart": "heart",
    "aorta": "aorta", "esophagus": "esophagus", "liver": "liver", "spleen": "spleen",
    "stomach": "stomach", "bone": "bone", "vertebrae": "bone", "ribs": "bone",
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class PatchPool:
    """Squares to cut patches from.

    Attributes
    ----------
    hounsfield : ndarray, shape (N, H, W), int16
        Before kernel and noise.
    bits : ndarray, shape (N, H, W), uint16
        Bit i is set where ``FINDINGS[i]`` is.
    tissue : ndarray, shape (N, H, W), uint8
        Index into ``TISSUES``, or ``UNSURE``.
    pixel_mm : ndarray, shape (N,), float32
        The width of a pixel of each.
    """

    hounsfield: npt.NDArray[np.int16]
    bits: npt.NDArray[np.uint16]
    tissue: npt.NDArray[np.uint8]
    pixel_mm: npt.NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.hounsfield)

    def present(self) -> npt.NDArray[np.bool_]:
        """Return which finding (N, F) of ``PATCH_FINDINGS`` each square shows anywhere."""
        found = np.bitwise_or.reduce(self.bits.reshape(len(self), -1), axis=1)
        return np.asarray((found[:, None] >> np.arange(len(PATCH_FINDINGS))) & 1, dtype=bool)

    def save(self, file: Path) -> None:
        """Write the pool, whole or not at all."""
        arrays = {name: getattr(self, name) for name in self.__dataclass_fields__}
        with replacing(file) as partial, partial.open("wb") as stream:
            np.savez(stream, **arrays)

    @classmethod
    def load(cls, file: Path) -> PatchPool:
        """Return the pool of a file written by :meth:`save`."""
        with np.load(file, allow_pickle=False) as stored:
            return cls(*(stored[name] for name in cls.__dataclass_fields__))


def make_pool(*, slices: int, chests: int, per_chest: int, seed: int) -> PatchPool:
    """Return squares of ``slices`` slices of lung and of ``chests`` simulated chest CTs.

    Parameters
    ----------
    slices, chests, per_chest : int
        How many squares of lung alone, how many chests, and squares of each.
    seed : int
        The seed of everything; chests have the seeds from it on.
    """
    rng = np.random.default_rng([seed, 0])
    squares: list[tuple[np.ndarray, np.ndarray, np.ndarray, float]] = []
    for _ in range(slices):
        pixel_mm = float(rng.uniform(*_SLICE_PIXEL_MM))
        drawn = simulate_lung_slice(rng, size=SIDE, pixel_mm=pixel_mm)
        tissue = np.where(drawn.is_lung, TISSUES.index("lung"), UNSURE).astype(np.uint8)
        squares.append((drawn.hounsfield, drawn.finding_bits, tissue, pixel_mm))
    for number in range(chests):
        findings = _IN_CHESTS[number % len(_IN_CHESTS)]
        study = simulate_study(
            seed + number, spacing_mm=_CHEST_SPACING_MM, findings=findings, degrade=False
        )
        squares += _squares(study, rng, count=per_chest)
        logger.info("chest %d of %d", number + 1, chests)
    hounsfield, bits, tissues, pixels = zip(*squares, strict=True)
    return PatchPool(
        np.stack(hounsfield), np.stack(bits), np.stack(tissues), np.array(pixels, np.float32)
    )


def _squares(
    simulated: SimulatedStudy, rng: np.random.Generator, *, count: int
) -> list[tuple[np.ndarray, np.ndarray, np.ndarray, float]]:
    """Return squares about lesions, two of three, and about points in the lungs."""
    study = simulated.study
    assert study.organ_masks is not None, "simulated studies have masks"
    hounsfield, bits = study.volume.voxels, simulated.finding_bits
    tissue = _tissue(hounsfield, simulated)
    lung = np.flatnonzero(tissue == TISSUES.index("lung"))
    wanted = np.uint16((1 << len(PATCH_FINDINGS)) - 1)
    lesions = [
        np.flatnonzero(bits & np.uint16(1 << bit))
        for bit in range(len(PATCH_FINDINGS))
        if (bits & wanted & np.uint16(1 << bit)).any()
    ]
    squares = []
    for number in range(count):
        among = lesions[number % len(lesions)] if lesions and rng.random() < 0.66 else lung
        z, y, x = np.unravel_index(int(rng.choice(among)), hounsfield.shape)
        row, column = (int(v + rng.integers(-25, 26)) for v in (y, x))
        # half of them twice as thick: the viewer shows slices of 5 mm
        slab = hounsfield[z : z + 1 + int(rng.integers(2))].mean(axis=0).astype(np.int16)
        parts = [
            _cut(array, row, column, fill)
            for array, fill in (
                (slab, _AIR_HU),
                (bits[z], 0),
                (tissue[z], TISSUES.index("outside")),
            )
        ]
        squares.append((parts[0], parts[1], parts[2], _CHEST_SPACING_MM[1]))
    return squares


def _tissue(hounsfield: npt.NDArray[np.int16], simulated: SimulatedStudy) -> npt.NDArray[np.uint8]:
    """Return the tissue of every voxel; unnamed soft tissue is muscle or fat by its HU."""
    masks = simulated.study.organ_masks
    assert masks is not None, "simulated studies have masks"
    table = np.full(256, UNSURE, dtype=np.uint8)
    table[0] = TISSUES.index("outside")
    for name, label in masks.legend.items():
        if name in _TISSUE_OF:
            table[label] = TISSUES.index(_TISSUE_OF[name])
    tissue: npt.NDArray[np.uint8] = table[masks.labels]
    body = masks.labels == masks.legend["body"]
    tissue[body & (hounsfield < -40)] = TISSUES.index("fat")
    tissue[body & (hounsfield > 10)] = TISSUES.index("muscle")
    return tissue


def _cut(array: np.ndarray, y: int, x: int, fill: int) -> np.ndarray:
    """Return a square about a point, filled beyond the slice."""
    half = SIDE // 2
    padded = np.pad(array, half, constant_values=fill)
    y, x = (int(np.clip(v, 0, n - 1)) for v, n in zip((y, x), array.shape, strict=True))
    return padded[y : y + SIDE, x : x + SIDE].copy()
