"""Findings as one label map on the grid of the scan."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from napari_ctclip.core.finding import Finding
from napari_ctclip.core.geometry import Geometry
from napari_ctclip.core.notice import Notice, Severity
from napari_ctclip.core.organ_masks import OrganMasks
from napari_ctclip.core.spelling import one_word
from napari_ctclip.regions.painted_labels import draw_regions

__all__ = ["finding_labels"]


def finding_labels(
    findings: Sequence[Finding], geometry: Geometry
) -> tuple[OrganMasks | None, tuple[Notice, ...]]:
    """Return the regions of kept findings, numbered as in ``findings``; None if there is none.

    The legend has the names as they were given, in any script, each after its number.
    A voxel has one label: where regions overlap the smaller keeps it, and a notice says so.
    """
    numbered = [(n, f.name, f.region) for n, f in enumerate(findings, start=1) if f.is_kept]
    regions = [(n, name, region) for n, name, region in numbered if region is not None]
    if not regions:
        return None, ()
    labels = np.zeros(geometry.shape, dtype=np.uint16)
    draw_regions(labels, {number: region for number, _, region in regions})
    overlaps = np.count_nonzero(labels) < sum(int(region.mask.sum()) for _, _, region in regions)
    # numbers keep names apart that read alike
    legend = {one_word(f"{number} {name.lower()}"): number for number, name, _ in regions}
    notices: tuple[Notice, ...] = ()
    if overlaps:
        message = (
            "Regions of findings overlap; a NIfTI label map holds one label a voxel, so the "
            "smaller region kept it. The DICOM SEG holds both."
        )
        notices = (Notice(Severity.WARNING, "overlapping-findings", message),)
    return OrganMasks(labels, legend, geometry, source="findings"), notices
