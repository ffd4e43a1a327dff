"""Heatmaps and organ masks as NIfTI files on the grid of the CT's own file."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

from napari_ctclip.core.anatomy import colour_of
from napari_ctclip.core.errors import GeometryMismatch
from napari_ctclip.core.geometry import INTERNAL_AXES
from napari_ctclip.core.organ_masks import OrganMasks
from napari_ctclip.core.similarity_map import SimilarityMap
from napari_ctclip.core.volume import Volume
from napari_ctclip.io.export.heat_slices import heat_slices
from napari_ctclip.io.export.nifti_writing import write_nifti_slices
from napari_ctclip.io.files import replacing
from napari_ctclip.io.masks.label_resampling import Placement, labels_on_grid
from napari_ctclip.io.masks.legends import volume_stem

__all__ = ["write_heatmap", "write_organ_masks"]


def write_heatmap(
    similarity_map: SimilarityMap,
    volume: Volume,
    path: Path | str,
    *,
    description: str = "napari-ctclip heatmap (similarity)",
) -> Path:
    """Write a similarity map as float32 NIfTI on the source grid of a volume; return the path.

    The axis order and affine are those of the file the volume was read from, so the heatmap lies
    on that file in any viewer. Trilinear between tokens; NaN outside the map's field of view and
    where the nearest token is NaN. Memory stays at a few slices. ``description``, what the numbers
    are, goes into the header.

    Raises
    ------
    DataError
        If the name does not end in .nii.gz or .nii.
    """
    path = Path(path)
    target = volume.stored_geometry
    write_nifti_slices(
        heat_slices(similarity_map, target),
        target,
        path,
        dtype=np.float32,
        description=description,
    )
    return path


def write_organ_masks(masks: OrganMasks, volume: Volume, path: Path | str) -> Path:
    """Write organ masks as uint8 or uint16 NIfTI on the source grid of a volume; return the path.

    The legend goes beside it as ``<name>.tsv`` with columns index, name, color (BIDS).

    Raises
    ------
    GeometryMismatch
        If the masks lie elsewhere.
    DataError
        If the name does not end in .nii.gz or .nii.
    """
    path = Path(path)
    if not masks.geometry.coincides_with(volume.geometry):
        raise GeometryMismatch(
            f"masks {masks.geometry.shape} do not lie on the CT {volume.geometry.shape}; "
            "write them with the scan they were made for"
        )
    target = volume.stored_geometry
    highest = max(masks.legend.values(), default=0)
    dtype = np.uint8 if highest < 256 else np.uint16
    to_internal = target.transform_to(INTERNAL_AXES)
    if target.reoriented(to_internal).coincides_with(masks.geometry):
        stored = to_internal.inverse().apply(masks.labels)
    else:  # a tilted gantry was made upright on reading
        stored = labels_on_grid(masks.labels, Placement(masks.geometry, target), dtype)
    write_nifti_slices(
        (stored[:, :, k] for k in range(target.shape[2])),
        target,
        path,
        dtype=dtype,
        description="napari-ctclip organ masks",
    )
    _write_legend(masks, path.with_name(f"{volume_stem(path)}.tsv"))
    return path


def _write_legend(masks: OrganMasks, path: Path) -> None:
    with replacing(path) as partial, partial.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, delimiter="\t", lineterminator="\n")
        writer.writerow(("index", "name", "color"))
        for name, label in sorted(masks.legend.items(), key=lambda entry: entry[1]):
            red, green, blue = colour_of(name)
            writer.writerow((label, name, f"#{red:02X}{green:02X}{blue:02X}"))
