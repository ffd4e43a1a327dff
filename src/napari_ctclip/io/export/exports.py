"""Heatmaps and organ masks as NIfTI files on the grid of the CT's own file."""

# mypy: allow-untyped-calls
# SimpleITK, nibabel and isal are typed in part only.
from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from pathlib import Path

import nibabel
import numpy as np
import numpy.typing as npt
from isal import igzip_threaded
from scipy import ndimage

from napari_ctclip.core.anatomy import colour_of
from napari_ctclip.core.errors import DataError, GeometryMismatch
from napari_ctclip.core.geometry import INTERNAL_AXES, Geometry
from napari_ctclip.core.organ_masks import OrganMasks
from napari_ctclip.core.similarity_map import SimilarityMap
from napari_ctclip.core.volume import Volume
from napari_ctclip.io.files import replacing
from napari_ctclip.io.masks.label_resampling import Placement, labels_on_grid
from napari_ctclip.io.masks.legends import volume_stem

__all__ = [
    "heat_slices",
    "write_heatmap",
    "write_nifti_slices",
    "write_organ_masks",
]

_SCANNER = 1
_COMPRESSION = 2  # isal's scale runs to 3; 2 is within 5 % of its size at half its time
_RIGHT_ANGLE = 1e-4


_SEPARABLE = 1e-6


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


def write_nifti_slices(
    slices: Iterable[npt.NDArray[np.generic]],
    geometry: Geometry,
    path: Path,
    *,
    dtype: npt.DTypeLike,
    description: str,
) -> None:
    """Write slices (i, j), one for each k, as .nii or .nii.gz.

    Raises
    ------
    DataError
        If the name ends otherwise.
    """
    name = path.name.lower()
    if not name.endswith((".nii", ".nii.gz")):
        raise DataError(f"{path}: expected a name ending in .nii.gz or .nii")
    header = _header(geometry, np.dtype(dtype), description)
    with replacing(path) as partial:
        if name.endswith(".gz"):
            file = igzip_threaded.open(partial, "wb", compresslevel=_COMPRESSION, threads=1)
        else:
            file = partial.open("wb")
        with file:
            file.write(header)
            for plane in slices:
                file.write(np.asarray(plane, dtype=dtype).tobytes(order="F"))


def _header(geometry: Geometry, dtype: np.dtype[np.generic], description: str) -> bytes:
    header = nibabel.Nifti1Header()
    header.set_data_shape(geometry.shape)
    header.set_data_dtype(dtype)
    header.set_xyzt_units("mm")
    header.set_sform(geometry.affine, code=_SCANNER)
    axes = geometry.affine[:3, :3] / np.asarray(geometry.spacing_mm)
    if np.abs(axes.T @ axes - np.eye(3)).max() < _RIGHT_ANGLE:  # a qform cannot hold shear
        header.set_qform(geometry.affine, code=_SCANNER)
    header["magic"] = b"n+1"
    header["vox_offset"] = 352
    header["descrip"] = description.encode("ascii", "replace")[:79]
    return bytes(header.binaryblock) + b"\0\0\0\0"


def heat_slices(
    similarity_map: SimilarityMap, target: Geometry
) -> Iterator[npt.NDArray[np.float32]]:
    """Yield the slices (i, j) of ``target``, one for each k.

    Trilinear between tokens; NaN outside the map's field of view and where the nearest token is
    NaN.
    """
    values, grid = similarity_map.values, similarity_map.geometry
    matrix = np.linalg.inv(grid.affine) @ target.affine
    known = np.isfinite(values)
    filled = np.where(known, values, 0.0).astype(np.float32)
    large = np.abs(matrix[:3, :3]) > _SEPARABLE
    if (large.sum(axis=0) == 1).all() and (large.sum(axis=1) == 1).all():
        yield from _separable(filled, known, matrix, target.shape)
    else:
        yield from _oblique(filled, known, matrix, target.shape)


def _separable(
    filled: npt.NDArray[np.float32],
    known: npt.NDArray[np.bool_],
    matrix: npt.NDArray[np.float64],
    shape: tuple[int, int, int],
) -> Iterator[npt.NDArray[np.float32]]:
    """Yield slices where every target axis runs along one token axis: one axis after the other."""
    axes = [int(np.argmax(np.abs(matrix[:3, axis]))) for axis in range(3)]
    values, share = filled.transpose(axes), known.transpose(axes).astype(np.float32)
    lines = [
        _Line(matrix[source, axis] * np.arange(shape[axis]) + matrix[source, 3], tokens)
        for axis, (source, tokens) in enumerate(zip(axes, values.shape, strict=True))
    ]
    seen = lines[0].inside[:, None] & lines[1].inside[None, :]
    nowhere = np.full(shape[:2], np.nan, dtype=np.float32)
    whole = bool(known.all())
    for k in range(shape[2]):
        if not lines[2].inside[k]:
            yield nowhere
            continue
        plane, shown = _in_plane(values, lines, k), seen
        if not whole:
            certainty = np.maximum(_in_plane(share, lines, k), 1e-6)
            plane = np.asarray(plane / certainty, dtype=np.float32)
            nearest = share[:, :, lines[2].nearest[k]] > 0
            shown = seen & nearest[np.ix_(lines[0].nearest, lines[1].nearest)]
        yield np.where(shown, plane, np.float32(np.nan))


class _Line:
    """Linear interpolation along one axis, held constant past the outer tokens.

    Parameters
    ----------
    at : ndarray, shape (N,)
        Where the target voxels lie, in tokens.
    tokens : int
        How many tokens there are.
    """

    def __init__(self, at: npt.NDArray[np.float64], tokens: int) -> None:
        clipped = np.clip(at, 0, tokens - 1)
        self.inside = (at >= -0.5) & (at < tokens - 0.5)
        self.nearest = np.clip(np.rint(at), 0, tokens - 1).astype(np.intp)
        self.lower = np.clip(np.floor(clipped), 0, max(tokens - 2, 0)).astype(np.intp)
        self.upper = np.minimum(self.lower + 1, tokens - 1)
        self.weight = (clipped - self.lower).astype(np.float32)

    def along_rows(self, plane: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Return ``plane`` (tokens, M) at the target voxels, (N, M)."""
        weight = self.weight[:, None]
        return plane[self.lower] * (1 - weight) + plane[self.upper] * weight


def _in_plane(
    values: npt.NDArray[np.float32], lines: list[_Line], k: int
) -> npt.NDArray[np.float32]:
    # Gathers, not matrix products: these are too small for BLAS threads, which then spin.
    rows, columns, stack = lines
    weight = stack.weight[k]
    plane = values[:, :, stack.lower[k]] * (1 - weight) + values[:, :, stack.upper[k]] * weight
    return columns.along_rows(rows.along_rows(plane).T).T


def _oblique(
    filled: npt.NDArray[np.float32],
    known: npt.NDArray[np.bool_],
    matrix: npt.NDArray[np.float64],
    shape: tuple[int, int, int],
) -> Iterator[npt.NDArray[np.float32]]:
    """Yield slices where axes are turned or sheared against the tokens."""
    share = known.astype(np.float32)
    rows, columns = np.arange(shape[0])[:, None], np.arange(shape[1])[None, :]
    for k in range(shape[2]):
        at = np.stack([m[0] * rows + m[1] * columns + m[2] * k + m[3] for m in matrix[:3]])
        inside = np.ones(shape[:2], dtype=bool)
        for part, length in zip(at, filled.shape, strict=True):
            inside &= (part >= -0.5) & (part < length - 0.5)
        value = ndimage.map_coordinates(filled, at, order=1, mode="nearest")
        weight = ndimage.map_coordinates(share, at, order=1, mode="nearest")
        nearest = ndimage.map_coordinates(share, at, order=0, mode="nearest") > 0
        shown = inside & nearest & (weight > 0)
        out = np.full(shape[:2], np.nan, dtype=np.float32)
        out[shown] = value[shown] / weight[shown]
        yield out
