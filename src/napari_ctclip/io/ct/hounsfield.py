"""Are these numbers CT numbers? Conversion to int16 HU, checks, and padding."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_ctclip.core.errors import NotHounsfield, RescaledTwice
from napari_ctclip.core.notice import Notice, Severity

__all__ = [
    "AIR_HU",
    "Conversion",
    "check_hounsfield",
    "hounsfield_fault",
    "refusal",
    "replace_padding",
]

AIR_HU = -1024
"""What stands outside the scan: the lowest number of a 12-bit CT."""

_LOWEST_REAL_HU = -1500  # Ours: below it lies neither air (-1000, noise some 100 HU) nor tissue
_INT16 = np.iinfo(np.int16)
_SAMPLE_VOXELS = 1_000_000
_CLIPPED_SHARE = 1e-3
_SOFT_TISSUE = (-200, 300)
_AIR = (-1200, -600)


class Conversion:
    """Numbers of any type to int16 HU, block by block, counting what did not fit.

    Parameters
    ----------
    slope, intercept : float
        HU = slope * stored + intercept; applied exactly once.
    count_fractions : bool
        Also count numbers that are not whole (label maps must have none).
    """

    def __init__(
        self, *, slope: float = 1.0, intercept: float = 0.0, count_fractions: bool = False
    ) -> None:
        self.slope = slope
        self.intercept = intercept
        self.count_fractions = count_fractions
        self.fractions = 0
        self.not_finite = 0
        self.clipped = 0
        self.lowest = np.inf
        self.highest = -np.inf

    def changes(self, dtype: np.dtype[np.generic]) -> bool:
        """Return whether stored numbers of this type differ from int16 HU."""
        return dtype != np.dtype(np.int16) or self.slope != 1.0 or self.intercept != 0.0

    def apply(self, block: npt.NDArray[Any]) -> npt.NDArray[np.int16]:
        """Return one block (any shape) as int16 HU, rounded to whole numbers."""
        whole = block.dtype.kind in "iub" and block.dtype.itemsize <= 4
        if whole and self.slope == 1.0 and float(self.intercept).is_integer():
            numbers: npt.NDArray[Any] = block.astype(
                np.int64 if block.dtype.itemsize == 4 else np.int32
            )
            numbers += int(self.intercept)
        else:
            real: npt.NDArray[Any] = block.astype(
                np.float64 if block.dtype.itemsize > 4 else np.float32
            )
            if self.slope != 1.0:
                real *= self.slope
            if self.intercept != 0.0:
                real += self.intercept
            lost = ~np.isfinite(real)
            if lost.any():
                self.not_finite += int(lost.sum())
                real[lost] = AIR_HU
            if self.count_fractions:
                self.fractions += int((real != np.rint(real)).sum())
            numbers = np.rint(real, out=real)
        low, high = float(numbers.min()), float(numbers.max())
        self.lowest, self.highest = min(self.lowest, low), max(self.highest, high)
        if low < _INT16.min or high > _INT16.max:
            self.clipped += int(((numbers < _INT16.min) | (numbers > _INT16.max)).sum())
            np.clip(numbers, _INT16.min, _INT16.max, out=numbers)
        return np.asarray(numbers.astype(np.int16))

    def notices(self, voxels: int, path: str) -> tuple[Notice, ...]:
        """Return what the user should know about a conversion of ``voxels`` voxels.

        Raises
        ------
        NotHounsfield
            If more than one voxel in a thousand lies beyond what CT numbers can be.
        """
        found: list[Notice] = []
        if self.clipped > _CLIPPED_SHARE * voxels:
            raise NotHounsfield(
                f"{path}: {self.clipped} of {voxels} voxels lie beyond the 16-bit range of CT "
                f"numbers (lowest {self.lowest:.6g}, highest {self.highest:.6g}); expected HU "
                "between about -1024 and 3071; export the scan in Hounsfield units"
            )
        if self.clipped:
            found.append(
                _warning("clipped", f"{self.clipped} voxels beyond +-32767 HU were clipped.", path)
            )
        if self.not_finite == voxels:
            raise NotHounsfield(f"{path}: every voxel is NaN or infinite; export the scan again")
        if self.not_finite:
            message = f"{self.not_finite} voxels are NaN or infinite; they were set to {AIR_HU} HU."
            found.append(_warning("not-finite", message, path))
        return tuple(found)


def check_hounsfield(
    voxels: npt.NDArray[np.int16], path: str, *, accept_suspicious: bool = False
) -> tuple[Notice, ...]:
    """Return notices about numbers that are only just CT numbers.

    Looks at up to a million voxels spread over the scan.

    Parameters
    ----------
    voxels : ndarray, 3D, int16
        Meant to be HU.
    path : str
        For messages.
    accept_suspicious : bool
        Turn a refusal into a warning.

    Raises
    ------
    RescaledTwice, NotHounsfield
        If the numbers cannot be HU: unsigned raw values, rescaled twice, inverted, normalised.
    """
    sample = _sample(voxels)
    reason = _reason_to_refuse(sample)
    if reason:
        if not accept_suspicious:
            raise refusal(voxels, f"{path}: {reason}")
        return (_warning("not-hounsfield", f"Read on your word although {reason}.", path),)
    if not ((sample > _AIR[0]) & (sample < _AIR[1])).any():
        message = (
            f"No air in this scan (lowest {sample.min()} HU): perhaps a crop inside the body. "
            "Heatmaps may be wrong."
        )
        return (_warning("no-air", message, path),)
    return ()


def replace_padding(voxels: npt.NDArray[np.int16], path: str) -> tuple[Notice, ...]:
    """Set what stands for "outside the scan" to -1024 HU, in place; say so if there was any."""
    lowest, count = 0, 0
    for slab in _slabs(voxels):
        smallest = int(slab.min())
        if smallest < _LOWEST_REAL_HU:
            outside = slab < _LOWEST_REAL_HU
            count += int(outside.sum())
            lowest = min(lowest, smallest)
            slab[outside] = AIR_HU
    if not count:
        return ()
    percent = 100.0 * count / voxels.size
    message = f"{percent:.2g} % of the voxels are padding (down to {lowest}); set to {AIR_HU} HU."
    return (Notice(Severity.INFO, "padding", message, path),)


def hounsfield_fault(voxels: npt.NDArray[np.int16]) -> str:
    """Return why the numbers cannot be HU; an empty text if they can."""
    return _reason_to_refuse(_sample(voxels))


def refusal(voxels: npt.NDArray[np.int16], message: str) -> NotHounsfield:
    """Return the error for numbers that cannot be HU: :class:`RescaledTwice` where that is why."""
    kind = RescaledTwice if _is_rescaled_twice(_sample(voxels)) else NotHounsfield
    return kind(message)


def _reason_to_refuse(sample: npt.NDArray[np.int16]) -> str:
    low, high = int(sample.min()), int(sample.max())
    seen = f"the values run from {low} to {high}"
    if low == high:
        return f"every voxel is {low}; an empty scan holds nothing to look at; export it again"
    if high - low <= 50:
        return (
            f"{seen}, too narrow for HU (air -1000, water 0, bone above 300): a normalised image "
            "or a label map; give the CT itself"
        )
    inside = sample[sample >= _LOWEST_REAL_HU]
    tissue, air = _share(inside, *_SOFT_TISSUE), _share(inside, *_AIR)
    if _is_rescaled_twice(sample):
        return (
            f"{seen} and soft tissue lies near -1000: HU rescaled twice (the intercept of -1024 "
            "was applied to numbers that already were HU); set the file's slope to 1 and "
            "intercept to 0"
        )
    if low >= -20:
        return (
            f"{seen}, without air near -1000: raw detector numbers (HU = value - 1024 was not "
            "applied) or not a CT; rescale the file to Hounsfield units"
        )
    if _share(inside, 700, 1300) > 0.1 and air < 0.01:
        return (
            f"{seen} and much of the scan lies near +1000 where air should be -1000: the values "
            "are inverted; multiply them by -1"
        )
    if tissue < 0.01:
        return (
            f"{seen}, but hardly a voxel lies in soft tissue ({_SOFT_TISSUE[0]} to "
            f"{_SOFT_TISSUE[1]} HU); rescale the file to Hounsfield units"
        )
    return ""


def _is_rescaled_twice(sample: npt.NDArray[np.int16]) -> bool:
    """Return whether air lies below what air can be and soft tissue is missing."""
    inside = sample[sample >= _LOWEST_REAL_HU]
    padding = 1.0 - inside.size / sample.size
    return inside.size > 0 and padding > 0.02 and _share(inside, *_SOFT_TISSUE) < 0.02


def _share(sample: npt.NDArray[np.int16], low: int, high: int) -> float:
    return float(((sample > low) & (sample < high)).mean()) if sample.size else 0.0


def _sample(voxels: npt.NDArray[np.int16]) -> npt.NDArray[np.int16]:
    step = max(1, int(np.ceil((voxels.size / _SAMPLE_VOXELS) ** (1 / 3))))
    offset = [min(step // 2, n - 1) for n in voxels.shape]
    return voxels[offset[0] :: step, offset[1] :: step, offset[2] :: step].ravel()


def _slabs(voxels: npt.NDArray[np.int16]) -> Iterator[npt.NDArray[np.int16]]:
    """Yield views along the slowest axis: one slice at a time keeps temporaries small."""
    slowest = int(np.argmax(np.abs(voxels.strides)))
    yield from np.moveaxis(voxels, slowest, 0)


def _warning(code: str, message: str, path: str) -> Notice:
    return Notice(Severity.WARNING, code, message, path)
