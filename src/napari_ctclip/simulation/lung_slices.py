"""Lung slices: squares of lung at the pixel size of a scanner, with their ground truth.

:func:`simulate_study` makes whole chests at millimetres; the texture of emphysema and fibrosis is
finer than that, and cheap to draw in one slice of known thickness.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_ctclip.simulation.lesion import finding_bit
from napari_ctclip.simulation.slice_lesions import (
    add_consolidated,
    add_fluid,
    add_free_air,
    add_hazy,
    add_mass_disc,
    add_nodule_disc,
)
from napari_ctclip.simulation.slice_painting import SlicePainting
from napari_ctclip.simulation.slice_textures import (
    add_centrilobular,
    add_honeycombing,
    add_panlobular,
    add_paraseptal,
    add_reticulation,
)
from napari_ctclip.simulation.slice_vessels import add_dome, add_hilum, add_vessels

__all__ = ["LungSlice", "simulate_lung_slice"]


@dataclass(frozen=True, eq=False)
class LungSlice:
    """A square of one axial slice.

    Attributes
    ----------
    hounsfield : ndarray, shape (H, W), int16
        Before kernel and noise.
    finding_bits : ndarray, shape (H, W), uint16
        Bit i is set where ``FINDINGS[i]`` is.
    is_lung : ndarray, shape (H, W), bool
        Aerated or diseased lung; the rest is chest wall or mediastinum.
    """

    hounsfield: npt.NDArray[np.int16]
    finding_bits: npt.NDArray[np.uint16]
    is_lung: npt.NDArray[np.bool_]


_Painter = Callable[[SlicePainting, np.random.Generator], npt.NDArray[np.bool_]]

_PARENCHYMA: dict[str, tuple[_Painter, ...]] = {
    "emphysema": (
        add_centrilobular,
        add_centrilobular,
        add_centrilobular,
        add_paraseptal,
        add_panlobular,
    ),
    "pulmonary fibrosis": (add_reticulation, add_honeycombing),
    "ground-glass opacity": (add_hazy,),
    "consolidation": (add_consolidated,),
}
"""Painted before vessels and bronchi, which stay seen through them."""

_OTHERS: dict[str, tuple[_Painter, ...]] = {
    "lung nodule": (add_nodule_disc,),
    "lung mass": (add_mass_disc,),
    "pleural effusion": (add_fluid,),
    "pneumothorax": (add_free_air,),
}

# Ours: half of what is seen in 2D is recognised by texture, and every finding is contrasted with
# normal lung.
_SHARES = {
    "": 0.29,
    "emphysema": 0.22,
    "pulmonary fibrosis": 0.08,
    "ground-glass opacity": 0.06,
    "consolidation": 0.06,
    "lung nodule": 0.16,
    "lung mass": 0.07,
    "pleural effusion": 0.03,
    "pneumothorax": 0.03,
}
_HILUM, _DOME = 0.3, 0.2
_WITH_LOOKALIKES = ("", "lung nodule", "lung mass")
"""Alike with and without a nodule: only the nodule tells the two apart."""

_NEAR_PLEURA = ("pleural effusion", "pneumothorax")


def simulate_lung_slice(
    rng: np.random.Generator, *, size: int, pixel_mm: float, finding: str | None = None
) -> LungSlice:
    """Return a square of lung of ``size`` pixels, with at most one finding.

    Parameters
    ----------
    rng : Generator
        Draws everything.
    size : int
        Pixels along a side.
    pixel_mm : float
        Of a pixel; slices are 0.6-6 mm thick.
    finding : str, optional
        One of ``FINDINGS`` that lungs show, or "" for normal lung; drawn if not given.
    """
    if finding is None:
        finding = str(rng.choice(list(_SHARES), p=list(_SHARES.values())))
    near = finding in _NEAR_PLEURA
    painting = SlicePainting.draw(rng, size=size, pixel_mm=pixel_mm, near_pleura=near)
    seen = np.zeros((size, size), dtype=bool)
    if finding in _PARENCHYMA:
        kinds = _PARENCHYMA[finding]
        seen |= kinds[int(rng.integers(len(kinds)))](painting, rng)
    add_vessels(painting, rng)
    if finding in _WITH_LOOKALIKES and rng.random() < _HILUM:
        add_hilum(painting, rng)
    if finding in _OTHERS:
        kinds = _OTHERS[finding]
        seen |= kinds[int(rng.integers(len(kinds)))](painting, rng)
    painting.add_surroundings(rng)
    if finding in _WITH_LOOKALIKES and rng.random() < _DOME:
        add_dome(painting, rng)
    bits = np.zeros((size, size), dtype=np.uint16)
    if finding:
        bits[seen & painting.is_lung] = np.uint16(1 << finding_bit(finding))
    hounsfield = np.clip(np.rint(painting.hu), -1024, 3000).astype(np.int16)
    return LungSlice(hounsfield, bits, painting.is_lung)
