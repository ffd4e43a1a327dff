"""DICOM series to stored scans: headers by pydicom, slices in order, pixels by SimpleITK."""

# mypy: allow-untyped-calls
# SimpleITK, nibabel and isal are typed in part only.
from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pydicom
import SimpleITK

from napari_ctclip.core.errors import DataError, NotHounsfield, UnreadableFile
from napari_ctclip.core.geometry import Geometry
from napari_ctclip.core.notice import Notice, Severity
from napari_ctclip.io.ct.dicom_headers import UNCOMPRESSED, SliceHeader, refuse_if_cut
from napari_ctclip.io.ct.dicom_series import SeriesInfo, choose_series
from napari_ctclip.io.ct.hounsfield import AIR_HU, Conversion
from napari_ctclip.io.ct.stored_scan import StoredScan

__all__ = [
    "StackPlan",
    "plan_stack",
    "read_dicom",
]

_HU_TYPES = {"", "HU", "US", "HU_MOD", "UNSPECIFIED"}
_PLAUSIBLE_HU = (AIR_HU, 3071)
_LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0])


_JITTER = 0.1  # of the spacing: rounding in headers, not geometry
_EXACT = 1e-3  # of the spacing
_SAME_PLACE_MM = 1e-2
_MOST_GROWTH = 4  # more invented than scanned slices is no scan any more
_OFF_LINE_MM = 0.5


def read_dicom(path: Path, *, series: int | str | None = None) -> StoredScan:
    """Return one CT series of a folder, or the series that a DICOM file belongs to.

    Slices are sorted by position; missing ones are filled in, unequal steps evened out, each with
    a notice. A multi-frame file counts as a folder of its frames.

    Raises
    ------
    SeriesChoiceNeeded
        If several series remain.
    NotHounsfield
        If the numbers are another quantity (dual-energy maps, colour).
    UnreadableFile
        If a slice is cut short; the message names the file.
    """
    info = choose_series(path, series)
    first = info.headers[0]
    _refuse_other_quantities(first)
    assert first.orientation is not None
    positions = np.stack([h.position for h in info.headers if h.position is not None])
    normal = np.cross(first.orientation[:3], first.orientation[3:])
    if normal @ np.array([0.0, 0.0, 1.0]) > 0:
        normal = -normal  # superior slice first: already the internal order, no copy later
    plan = plan_stack(positions, normal, str(path))
    conversion = Conversion()
    voxels = _stack([info.headers[i] for i in plan.order], plan, conversion)
    stored = np.transpose(voxels)  # (columns, rows, slices): first axis fastest, as NIfTI has it
    geometry = _geometry(first, plan, stored.shape)
    notices = plan.notices + _about_left_out(info, path)
    notices += conversion.notices(voxels.size, str(path))
    return StoredScan(
        stored, geometry, windows=first.windows, metadata=first.metadata, notices=notices
    )


def _refuse_other_quantities(header: SliceHeader) -> None:
    samples = header.number("SamplesPerPixel") or 1
    if samples > 1:
        raise DataError(f"{header.path}: a colour image (RGB), expected CT slices in HU")
    kind = header.text("RescaleType").upper()
    if kind not in _HU_TYPES:
        raise NotHounsfield(
            f"{header.path}: the values are {kind} (rescale type), expected Hounsfield units (HU); "
            "choose another series"
        )


def _about_left_out(info: SeriesInfo, path: Path) -> tuple[Notice, ...]:
    if not info.left_out:
        return ()
    names = ", ".join(p.name for p in info.left_out[:3])
    message = (
        f"{len(info.left_out)} images of the series were left out (other orientation, size or no "
        f"position): {names}."
    )
    return (Notice(Severity.WARNING, "left-out-images", message, str(path)),)


def _geometry(header: SliceHeader, plan: StackPlan, shape: tuple[int, ...]) -> Geometry:
    """Return the grid of (columns, rows, slices); a tilted gantry stays in the affine as shear."""
    assert header.orientation is not None
    assert header.pixel_spacing is not None
    between_rows, between_columns = header.pixel_spacing
    affine = np.eye(4)
    affine[:3, 0] = _LPS_TO_RAS @ header.orientation[:3] * between_columns
    affine[:3, 1] = _LPS_TO_RAS @ header.orientation[3:] * between_rows
    affine[:3, 2] = _LPS_TO_RAS @ plan.step
    affine[:3, 3] = _LPS_TO_RAS @ plan.origin
    return Geometry((shape[0], shape[1], shape[2]), affine)


def _stack(
    headers: list[SliceHeader], plan: StackPlan, conversion: Conversion
) -> npt.NDArray[np.int16]:
    """Return the voxels (slices, rows, columns), each scanned slice decoded once."""
    rows, columns = headers[0].rows, headers[0].columns
    stack = np.empty((len(plan.lower), rows, columns), dtype=np.int16)
    frames = _FrameReader(conversion)
    decoded: dict[int, npt.NDArray[np.int16]] = {}
    for index, (low, high, share) in enumerate(
        zip(plan.lower.tolist(), plan.upper.tolist(), plan.weight.tolist(), strict=True)
    ):
        needed = (low,) if share == 0.0 else (low, high)
        decoded = {n: decoded[n] if n in decoded else frames.read(headers[n]) for n in needed}
        if share == 0.0:
            stack[index] = decoded[low]
        else:
            mixed = decoded[low] * np.float32(1.0 - share) + decoded[high] * np.float32(share)
            stack[index] = np.rint(mixed)
    return stack


class _FrameReader:
    """Slices as HU; keeps the last multi-frame file open in memory."""

    def __init__(self, conversion: Conversion) -> None:
        self._conversion = conversion
        self._path: Path | None = None
        self._frames: npt.NDArray[np.generic] = np.empty(0)

    def read(self, header: SliceHeader) -> npt.NDArray[np.int16]:
        if header.path != self._path:
            compressed = header.transfer_syntax not in UNCOMPRESSED
            self._frames = _compressed(header) if compressed else _uncompressed(header)
            self._path = header.path
        stored = self._frames[header.frame]
        if header.transfer_syntax not in UNCOMPRESSED:
            return self._conversion.apply(stored)  # SimpleITK has rescaled
        self._conversion.slope, self._conversion.intercept = header.slope, header.intercept
        voxels = self._conversion.apply(stored)
        padding = _padding_hu(header)
        if padding is not None:
            voxels[voxels == padding] = AIR_HU
        return voxels


def _padding_hu(header: SliceHeader) -> int | None:
    """Return what stands outside the scan after the rescale, if it cannot be tissue."""
    value = header.number("PixelPaddingValue")
    if value is None:
        return None
    rescaled = value * header.slope + header.intercept
    if _PLAUSIBLE_HU[0] <= rescaled <= _PLAUSIBLE_HU[1] or rescaled < _PLAUSIBLE_HU[0]:
        return None  # low padding is found, replaced and reported with every other format's
    return round(rescaled)


def _uncompressed(header: SliceHeader) -> npt.NDArray[np.generic]:
    """Return the stored frames (F, rows, columns) of an uncompressed file."""
    refuse_if_cut(header)
    try:
        dataset = pydicom.dcmread(header.path, force=True)
        pixels = dataset.get("PixelData")
    except (EOFError, OSError, pydicom.errors.InvalidDicomError) as error:
        raise _cut_short(header, str(error)) from error
    bits = int(dataset.get("BitsAllocated", 16))
    frames = int(dataset.get("NumberOfFrames", 1) or 1)
    needed = frames * header.rows * header.columns * bits // 8
    if pixels is None or len(pixels) < needed:
        got = 0 if pixels is None else len(pixels)
        raise _cut_short(header, f"{got} of {needed} bytes of pixels")
    signed = int(dataset.get("PixelRepresentation", 0)) == 1
    order = ">" if header.transfer_syntax == "1.2.840.10008.1.2.2" else "<"
    dtype = np.dtype(f"{order}{'i' if signed else 'u'}{bits // 8}")
    stored = np.frombuffer(pixels, dtype=dtype, count=needed // dtype.itemsize)
    return _without_overlay(stored, dataset).reshape(frames, header.rows, header.columns)


def _without_overlay(
    stored: npt.NDArray[np.generic], dataset: pydicom.Dataset
) -> npt.NDArray[np.generic]:
    """Return the numbers without bits above Bits Stored: old scanners keep overlays there."""
    allocated = int(dataset.get("BitsAllocated", 16))
    used = int(dataset.get("BitsStored", allocated) or allocated)
    spare = allocated - used
    if spare <= 0:
        return stored
    native = stored.astype(stored.dtype.newbyteorder("="))
    return np.asarray(np.right_shift(np.left_shift(native, spare), spare))


def _compressed(header: SliceHeader) -> npt.NDArray[np.generic]:
    """Return the rescaled frames (F, rows, columns) of a compressed file."""
    reader = SimpleITK.ImageFileReader()
    reader.SetImageIO("GDCMImageIO")
    reader.SetFileName(str(header.path))
    try:
        frames = SimpleITK.GetArrayFromImage(reader.Execute())
    except RuntimeError as error:
        raise _cut_short(header, "the compressed pixels cannot be decoded") from error
    return np.asarray(frames).reshape(-1, header.rows, header.columns)


def _cut_short(header: SliceHeader, what: str) -> UnreadableFile:
    return UnreadableFile(
        f"{header.path} is cut short or damaged: {what}; copy the file again or leave it out"
    )


@dataclass(frozen=True, eq=False)
class StackPlan:
    """How scanned slices make a regular stack.

    Attributes
    ----------
    order : ndarray of int, shape (S,)
        Scanned slices kept, sorted along the normal.
    lower, upper : ndarray of int, shape (D,)
        For each slice of the stack, the positions in ``order`` it lies between.
    weight : ndarray of float, shape (D,)
        The weight of ``upper``; 0 where a scanned slice is taken as it is.
    origin, step : ndarray, shape (3,)
        LPS mm of the first slice's first voxel, and from slice to slice.
    notices : tuple of Notice
        What was wrong with the scanned positions.
    """

    order: npt.NDArray[np.intp]
    lower: npt.NDArray[np.intp]
    upper: npt.NDArray[np.intp]
    weight: npt.NDArray[np.float64]
    origin: npt.NDArray[np.float64]
    step: npt.NDArray[np.float64]
    notices: tuple[Notice, ...]

    @property
    def is_as_scanned(self) -> bool:
        """Whether every slice of the stack is a scanned one."""
        return not self.weight.any()


def plan_stack(
    positions: npt.NDArray[np.float64], normal: npt.NDArray[np.float64], path: str
) -> StackPlan:
    """Return the regular stack for slices at ``positions`` (S, 3), LPS mm.

    Missing slices and unequal steps are bridged linearly, so that positions stay true.

    Raises
    ------
    DataError
        If the slices do not make one stack.
    """
    heights = positions @ normal
    order = np.argsort(heights, kind="stable")
    keep = np.concatenate([[True], np.diff(heights[order]) > _SAME_PLACE_MM])
    notices: list[Notice] = []
    if not keep.all():
        doubled = int((~keep).sum())
        message = f"{doubled} of {len(keep)} slices lie at the same place as another; left out."
        notices.append(Notice(Severity.WARNING, "duplicate-slices", message, path))
    order = order[keep]
    if len(order) < 2:
        raise DataError(f"{path}: all slices lie at one place, expected a stack of slices")
    sorted_heights = heights[order]
    _refuse_scattered(positions[order], sorted_heights, path)
    places = _places(sorted_heights)
    count = round(float(places[-1])) + 1
    spacing = float(sorted_heights[-1] - sorted_heights[0]) / (count - 1)
    if count > _MOST_GROWTH * len(order):
        raise DataError(
            f"{path}: {len(order)} slices spread over {spacing * (count - 1):.0f} mm with steps as "
            f"small as {spacing:.2g} mm; too irregular for one volume; export the series again"
        )
    lower, upper, weight = _between(places, count)
    notices += _about_gaps(places, weight, spacing, path)
    direction = (positions[order[-1]] - positions[order[0]]) / (count - 1)
    return StackPlan(order, lower, upper, weight, positions[order[0]], direction, tuple(notices))


def _places(heights: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the place of each slice on a regular stack, from 0; whole numbers where it fits one.

    Whole steps are counted one by one, so that rounded positions cannot drift by a slice.
    """
    steps = np.diff(heights)
    whole = np.concatenate([[0.0], np.cumsum(np.maximum(1, np.rint(steps / np.median(steps))))])
    spacing, start = np.polyfit(whole, heights, 1)
    if np.abs(heights - start - whole * spacing).max() <= _JITTER * spacing:
        return whole
    extent = heights[-1] - heights[0]
    last = max(1, round(float(extent / np.median(steps))))
    return np.asarray((heights - heights[0]) / extent * last)


def _between(
    places: npt.NDArray[np.float64], count: int
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp], npt.NDArray[np.float64]]:
    target = np.arange(count, dtype=np.float64)
    upper = np.clip(np.searchsorted(places, target), 1, len(places) - 1)
    lower = upper - 1
    weight = np.clip((target - places[lower]) / (places[upper] - places[lower]), 0.0, 1.0)
    nearest = np.where(weight > 0.5, upper, lower)
    exact = np.abs(places[nearest] - target) <= _EXACT
    lower = np.where(exact, nearest, lower)
    return lower.astype(np.intp), upper.astype(np.intp), np.where(exact, 0.0, weight)


def _about_gaps(
    places: npt.NDArray[np.float64],
    weight: npt.NDArray[np.float64],
    spacing: float,
    path: str,
) -> list[Notice]:
    if not weight.any():
        return []
    steps = np.diff(places)
    whole = np.abs(places - np.round(places)).max() <= _EXACT
    if whole:
        gaps = np.flatnonzero(np.round(steps) > 1)
        listed = "; ".join(
            f"{steps[g] * spacing:.4g} mm between slices {g + 1} and {g + 2}" for g in gaps[:5]
        )
        filled = round(float(steps.sum())) - len(steps)
        message = (
            f"Slices are missing: a gap of {listed}. {filled} slices "
            "were filled in linearly; heatmaps may be wrong there."
        )
        return [Notice(Severity.WARNING, "missing-slices", message, path)]
    message = (
        f"Slices lie unequally, {steps.min() * spacing:.3g} to {steps.max() * spacing:.3g} mm "
        f"apart; resampled to every {spacing:.3g} mm."
    )
    return [Notice(Severity.WARNING, "unequal-spacing", message, path)]


def _refuse_scattered(
    positions: npt.NDArray[np.float64], heights: npt.NDArray[np.float64], path: str
) -> None:
    share = ((heights - heights[0]) / (heights[-1] - heights[0]))[:, None]
    line = positions[0] + share * (positions[-1] - positions[0])
    worst = float(np.linalg.norm(positions - line, axis=1).max())
    if worst > _OFF_LINE_MM:
        raise DataError(
            f"{path}: slices are shifted sideways by up to {worst:.2g} mm, so they make no "
            "straight stack; expected one acquisition; export the series again"
        )
