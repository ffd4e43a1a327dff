"""Token targets: how much of each token every finding fills, and which tissue it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_ctclip.simulation import FINDINGS

__all__ = ["TISSUES", "UNSURE", "TokenTargets", "token_targets"]

TISSUES = (
    "lung", "vessel", "airway", "heart", "aorta", "mediastinum", "bone", "muscle", "fat", "liver",
    "spleen", "stomach", "esophagus", "outside",
)  # fmt: skip
"""Normal tissues, in the order of ``vocabulary.toml``."""

UNSURE = 255
"""A token of mixed tissue, or one that a finding reaches."""

_PATCH = 2
_PURE = 6  # of the 8 voxels behind a token
_VESSEL_HU = -500.0  # Ours: mean of a token of lung that holds a vessel or a band
_LUNG_HU = -720.0  # between the two a token is neither
_FAT_HU = -30.0
_BONE_HU = 160.0

# label of simulation.LABELS -> tissue; body, lungs and airways are separated below
_BY_LABEL = {
    5: "heart", 6: "aorta", 7: "esophagus", 8: "liver", 9: "spleen", 10: "stomach", 11: "bone",
    12: "spleen", 13: "spleen", 14: "bone", 15: "bone",
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class TokenTargets:
    """What the tokens of one study are.

    Attributes
    ----------
    findings : ndarray, shape (F, d, h, w), uint8
        Voxels of the eight behind each token that each of ``simulation.FINDINGS`` fills.
    tissue : ndarray, shape (d, h, w), uint8
        Index into ``TISSUES``, or ``UNSURE``.
    """

    findings: npt.NDArray[np.uint8]
    tissue: npt.NDArray[np.uint8]


def token_targets(
    hounsfield: npt.NDArray[Any], labels: npt.NDArray[Any], bits: npt.NDArray[np.uint16]
) -> TokenTargets:
    """Return the targets of a simulated study at 2 mm, without incomplete tokens at the end."""
    hounsfield, labels, bits = (_even(a) for a in (hounsfield, labels, bits))
    shape = tuple(n // _PATCH for n in labels.shape)
    findings = np.zeros((len(FINDINGS), *shape), dtype=np.uint8)
    seen = int(np.bitwise_or.reduce(bits, axis=None))
    for bit in range(len(FINDINGS)):
        if seen >> bit & 1:
            findings[bit] = _pool((bits >> bit) & 1)
    mean_hu = _pool(hounsfield.astype(np.float32)) / np.float32(_PATCH**3)
    tissue = _tissue(mean_hu, labels)
    tissue[findings.any(axis=0)] = UNSURE
    return TokenTargets(findings, tissue)


def _tissue(mean_hu: npt.NDArray[Any], labels: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    index = {name: i for i, name in enumerate(TISSUES)}
    tissue = np.full(mean_hu.shape, UNSURE, dtype=np.uint8)

    def pure(*wanted: int) -> npt.NDArray[np.bool_]:
        lookup = np.zeros(256, dtype=np.uint8)
        lookup[list(wanted)] = 1
        return np.asarray(_pool(lookup[labels]) >= _PURE)

    for label in np.flatnonzero(np.bincount(labels.ravel())):
        if int(label) in _BY_LABEL:
            tissue[pure(int(label))] = index[_BY_LABEL[int(label)]]
    lung = pure(2, 3)
    tissue[lung & (mean_hu < _LUNG_HU)] = index["lung"]
    tissue[lung & (mean_hu > _VESSEL_HU)] = index["vessel"]
    tissue[pure(4) & (mean_hu < _LUNG_HU)] = index["airway"]
    tissue[pure(0)] = index["outside"]
    body = pure(1)
    fat = body & (mean_hu < _FAT_HU)
    between = _between_lungs(lung)
    tissue[fat & ~between] = index["fat"]
    tissue[fat & between] = index["mediastinum"]
    tissue[body & ~between & (mean_hu >= _FAT_HU) & (mean_hu < _BONE_HU)] = index["muscle"]
    return tissue


def _between_lungs(lung: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Return tokens that have lung on both sides in their row."""
    leftward = np.logical_or.accumulate(lung, axis=2)
    rightward = np.logical_or.accumulate(lung[:, :, ::-1], axis=2)[:, :, ::-1]
    return np.asarray(leftward & rightward & ~lung)


def _even(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return array[tuple(slice(0, n - n % _PATCH) for n in array.shape)]


def _pool(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return the sum over blocks of two voxels along each axis."""
    for axis in range(3):
        first = [slice(None)] * 3
        second = [slice(None)] * 3
        first[axis], second[axis] = slice(0, None, 2), slice(1, None, 2)
        array = array[tuple(first)] + array[tuple(second)]
    return array
