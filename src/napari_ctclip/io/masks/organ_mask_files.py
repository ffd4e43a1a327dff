"""Organ masks from files, brought onto the CT and given names, or refused."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from napari_ctclip.core.errors import GeometryMismatch, UnknownLabelScheme
from napari_ctclip.core.notice import Notice, Severity
from napari_ctclip.core.organ_masks import OrganMasks
from napari_ctclip.core.volume import Volume
from napari_ctclip.io.masks.label_map import LabelMap, read_label_map
from napari_ctclip.io.masks.label_resampling import Placement, labels_on_grid
from napari_ctclip.io.masks.legends import (
    SCHEMES,
    Legend,
    legend_beside,
    read_legend,
    recognised_scheme,
)

__all__ = ["ReadMasks", "cut_by_field_of_view", "read_organ_masks"]

_WHOLE_COVER = 0.995


@dataclass(frozen=True, eq=False)
class ReadMasks:
    """Organ masks as read, with what the user should know about them.

    Attributes
    ----------
    masks : OrganMasks
        On the grid of the volume.
    notices : tuple of Notice
        Shown alike by viewer and command line.
    """

    masks: OrganMasks
    notices: tuple[Notice, ...] = ()


def read_organ_masks(
    path: Path | str, volume: Volume, *, legend: Legend | None = None
) -> ReadMasks:
    """Return the organ masks of a label map file on the grid of a volume.

    Names come from, in this order: ``legend``; the file itself (TotalSegmentator's header, 3D
    Slicer's segments, DICOM SEG); a legend file beside it (same stem, or BIDS ``_dseg.tsv``); the
    numbering of TotalSegmentator 1 or 2, if the CT under the labels bears it out.

    Parameters
    ----------
    path : path
        NIfTI, NRRD, MetaImage or DICOM SEG.
    volume : Volume
        The CT they belong to.
    legend : path, str or mapping, optional
        A .json, .tsv or .csv file, ``"totalsegmentator-v1"``, ``"totalsegmentator-v2"``, or names
        with their labels.

    Raises
    ------
    UnknownLabelScheme
        If nobody explains the labels.
    GeometryMismatch
        If the label map lies elsewhere in the patient.
    UnreadableFile, DataError
        If it is no readable label map.
    """
    path = Path(path)
    label_map = read_label_map(path)
    placement = Placement(label_map.geometry, volume.geometry)
    highest = int(label_map.labels.max())
    try:
        labels = labels_on_grid(
            label_map.labels, placement, np.uint8 if highest < 256 else np.uint16
        )
    except GeometryMismatch as error:
        raise GeometryMismatch(f"{path}: {error}") from error
    notices = label_map.notices + _about_placement(placement, path)
    names, source, about_names = _names(label_map, labels, volume, path, legend)
    masks, about_rest = _masks(labels, names, volume, source, path)
    return ReadMasks(masks, notices + about_names + about_rest)


def cut_by_field_of_view(masks: OrganMasks) -> set[str]:
    """Return the anatomies that touch a face of the scan, so part of them may lie outside it."""
    touching: set[int] = set()
    for axis in range(3):
        for end in (0, -1):
            touching |= set(np.unique(np.take(masks.labels, end, axis=axis)).tolist())
    return {name for name, label in masks.legend.items() if label in touching}


def _about_placement(placement: Placement, path: Path) -> tuple[Notice, ...]:
    found = []
    if not placement.is_aligned:
        message = (
            f"The label map {placement.source.shape} lies on another grid than the CT; brought "
            "onto it by nearest voxel."
        )
        found.append(Notice(Severity.INFO, "masks-resampled", message, str(path)))
    if placement.cover < _WHOLE_COVER:
        message = f"The label map covers {100 * placement.cover:.0f} % of the CT only."
        found.append(Notice(Severity.WARNING, "masks-partial", message, str(path)))
    return tuple(found)


def _names(
    label_map: LabelMap,
    labels: npt.NDArray[np.unsignedinteger],
    volume: Volume,
    path: Path,
    legend: Legend | None,
) -> tuple[dict[int, str], str, tuple[Notice, ...]]:
    """Return label -> name, a word on where they come from, and notices."""
    if legend is not None:
        return read_legend(legend), str(path), ()
    if label_map.names:
        return dict(label_map.names), str(path), ()
    beside = legend_beside(path)
    if beside is not None:
        return read_legend(beside), str(path), ()
    scheme = recognised_scheme(labels, volume.voxels, path)
    message = f"Labels read as {scheme}: the CT under them agrees with it and with no other."
    notice = Notice(Severity.INFO, "label-scheme", message, str(path))
    return dict(SCHEMES[scheme]), f"{path} ({scheme})", (notice,)


def _masks(
    labels: npt.NDArray[np.unsignedinteger],
    names: dict[int, str],
    volume: Volume,
    source: str,
    path: Path,
) -> tuple[OrganMasks, tuple[Notice, ...]]:
    """Return the masks of the labels present; labels without a name are taken out."""
    present = np.flatnonzero(np.bincount(labels.ravel()))
    present = present[present > 0]
    named = {names[n]: n for n in present.tolist() if n in names}
    unnamed = [n for n in present.tolist() if n not in names]
    if not len(present):
        raise GeometryMismatch(f"{path}: no label lies inside the CT; give the masks of this scan")
    if not named:
        raise UnknownLabelScheme(
            f"{path}: the legend names none of the labels {unnamed[:12]}; give their legend"
        )
    notices: tuple[Notice, ...] = ()
    if unnamed:
        keep = np.arange(int(present.max()) + 1, dtype=labels.dtype)
        keep[unnamed] = 0
        labels = keep[labels]
        message = f"{len(unnamed)} labels have no name and were left out: {unnamed[:12]}."
        notices = (Notice(Severity.WARNING, "unnamed-labels", message, str(path)),)
    return OrganMasks(labels, named, volume.geometry, source=source), notices
