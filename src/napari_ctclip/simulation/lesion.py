"""Lesion and SimulatedStudy: what was put into a simulated CT, and where."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_ctclip.core.study import Study

__all__ = ["FINDINGS", "Lesion", "SimulatedStudy", "finding_bit"]

FINDINGS: tuple[str, ...] = (
    "lung nodule",
    "lung mass",
    "ground-glass opacity",
    "consolidation",
    "pleural effusion",
    "pneumothorax",
    "emphysema",
    "pulmonary fibrosis",
    "atelectasis",
    "coronary calcification",
    "aortic calcification",
    "cardiomegaly",
    "pericardial effusion",
)
"""Findings that can be simulated; the position is the bit in ``SimulatedStudy.finding_bits``."""


@dataclass(frozen=True)
class Lesion:
    """One lesion of a simulated study.

    Attributes
    ----------
    finding : str
        One of ``FINDINGS``.
    anatomy : str
        The anatomy it lies in, a name of the organ masks' legend.
    centre : tuple of float
        Index (z, y, x) of a voxel inside the lesion, the nearest one to its centroid.
    diameter_mm : float
        Drawn diameter for nodules and masses; that of a ball of the same volume otherwise.
    volume_ml : float
        Volume inside the scanned field of view.
    description : str
        Words for the report, e.g. ``"spiculated"``.
    """

    finding: str
    anatomy: str
    centre: tuple[float, float, float]
    diameter_mm: float
    volume_ml: float
    description: str = ""


@dataclass(frozen=True, eq=False)
class SimulatedStudy:
    """A simulated CT study with its ground truth.

    Attributes
    ----------
    study : Study
        Volume, organ masks and report.
    finding_bits : ndarray, shape (D, H, W), uint16
        Bit i is set where ``FINDINGS[i]`` fills at least half of the voxel; a lesion that
        fills half of none keeps its fullest one.
    lesions : tuple of Lesion
        Every lesion that reaches into the field of view.
    """

    study: Study
    finding_bits: npt.NDArray[np.uint16]
    lesions: tuple[Lesion, ...]

    def finding_mask(self, finding: str) -> npt.NDArray[np.bool_]:
        """Return the voxels (D, H, W) of one finding.

        Raises
        ------
        KeyError
            If it is not one of ``FINDINGS``.
        """
        return np.asarray((self.finding_bits >> finding_bit(finding)) & 1, dtype=bool)

    @property
    def findings_present(self) -> frozenset[str]:
        """Findings of all lesions."""
        return frozenset(lesion.finding for lesion in self.lesions)


def finding_bit(finding: str) -> int:
    """Return the bit number of a finding.

    Raises
    ------
    KeyError
        If it is not one of ``FINDINGS``.
    """
    if finding not in FINDINGS:
        raise KeyError(f"no finding {finding!r}; expected one of {FINDINGS}")
    return FINDINGS.index(finding)
