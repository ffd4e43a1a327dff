"""What an archive's own tables say about a scan, used only where the file shows that it is needed.

Copies of the same public archive exist before and after their numbers were turned into HU and their
headers were mended. To apply the tables blindly rescales twice, and nobody sees it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from napari_ctclip.core.errors import RescaleUndecidable
from napari_ctclip.core.geometry import Geometry
from napari_ctclip.core.notice import Notice, Severity
from napari_ctclip.io.ct.hounsfield import Conversion, hounsfield_fault, refusal
from napari_ctclip.io.ct.stored_scan import StoredScan

__all__ = ["ArchiveMetadata", "with_archive_metadata"]

_SPACING_TOLERANCE = 0.01


@dataclass(frozen=True)
class ArchiveMetadata:
    """Rescale and grid of a scan from a table beside the files.

    Attributes
    ----------
    rescale : (slope, intercept) or None
        HU = slope * stored + intercept, of the scanner's original files.
    affine : sequence of 4 rows or None
        File index (i, j, k) to RAS mm.
    """

    rescale: tuple[float, float] | None = None
    affine: Sequence[Sequence[float]] | None = None


def with_archive_metadata(scan: StoredScan, metadata: ArchiveMetadata, *, path: str) -> StoredScan:
    """Return the scan in HU on its right grid.

    Raises
    ------
    RescaleUndecidable
        If the numbers pass for HU both before and after the table's rescale.
    NotHounsfield
        If they do in neither case.
    """
    if metadata.rescale is not None and metadata.rescale != (1.0, 0.0):
        scan = _rescaled(scan, metadata.rescale, path=path)
    if metadata.affine is not None:
        scan = _placed(scan, Geometry(scan.voxels.shape, np.asarray(metadata.affine)), path=path)
    return scan


def _rescaled(scan: StoredScan, rescale: tuple[float, float], *, path: str) -> StoredScan:
    """Rescale where the numbers are HU afterwards and are not before."""
    slope, intercept = rescale
    voxels = Conversion(slope=slope, intercept=intercept).apply(scan.voxels)
    before, after = hounsfield_fault(scan.voxels), hounsfield_fault(voxels)
    words = f"slope {slope:g} and intercept {intercept:g} of the archive's table"
    if before and after:
        raise refusal(scan.voxels, f"{path}: as stored, {before}; with {words}, {after}")
    if not before and not after:
        raise RescaleUndecidable(
            f"{path}: the numbers pass for HU both as stored and with {words}; compare with the "
            "original DICOM and take the rescale out of the table or the file"
        )
    if before:
        message = f"Raw numbers; turned into HU with {words}."
        notice = Notice(Severity.INFO, "rescaled", message, path)
        return replace(scan, voxels=voxels, notices=(*scan.notices, notice))
    message = f"Already HU; {words} were not applied again."
    notice = Notice(Severity.INFO, "already-hounsfield", message, path)
    return replace(scan, notices=(*scan.notices, notice))


def _placed(scan: StoredScan, geometry: Geometry, *, path: str) -> StoredScan:
    """Take the table's grid where the file's spacing is another."""
    given, stored = np.asarray(geometry.spacing_mm), np.asarray(scan.geometry.spacing_mm)
    if (np.abs(given - stored) <= _SPACING_TOLERANCE * given).all():
        return scan
    message = (
        f"The file's spacing ({_millimetres(stored)}) is not the archive's "
        f"({_millimetres(given)}); the archive's grid was used."
    )
    notice = Notice(Severity.INFO, "archive-grid", message, path)
    # what the header said about the grid no longer matters
    kept = tuple(n for n in scan.notices if n.code not in ("no-orientation", "spacing", "units"))
    return replace(scan, geometry=geometry, notices=(*kept, notice))


def _millimetres(spacing: npt.NDArray[np.float64]) -> str:
    return " x ".join(f"{s:.3g}" for s in spacing) + " mm"
