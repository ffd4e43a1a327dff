"""One study: files to a stored scan with its masks, or a rejection; the work of one worker."""

from __future__ import annotations

import json
import logging
from errno import ENOSPC
from hashlib import sha256
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy.ndimage import find_objects
from threadpoolctl import threadpool_limits

from napari_ctclip.core.anatomy_table import AnatomyTable
from napari_ctclip.core.errors import CtClipError, DataError
from napari_ctclip.core.geometry import Geometry
from napari_ctclip.core.notice import Notice
from napari_ctclip.io.ct.archive_metadata import ArchiveMetadata
from napari_ctclip.io.ct.radiograph import read_radiograph
from napari_ctclip.io.ct.read import read_volume
from napari_ctclip.io.masks.organ_mask_files import cut_by_field_of_view
from napari_ctclip.io.store.manifest_entry import ManifestEntry
from napari_ctclip.io.store.study_record import (
    HISTOGRAM_EDGES_HU,
    OrganRecord,
    StoredNotice,
    StudyRecord,
)
from napari_ctclip.io.store.study_store import StudyStore, write_study
from napari_ctclip.preparation.masks import find_masks, join_masks
from napari_ctclip.preparation.rejection import Rejection, rejection_of
from napari_ctclip.preprocessing.spatial import on_model_grid, resample_labels, resample_volume

__all__ = ["fingerprint_of", "is_finished", "prepare_study"]

logger = logging.getLogger(__name__)


def prepare_study(entry: ManifestEntry, store_folder: Path) -> Rejection | None:
    """Put a study into the store; return why it was set aside, or None.

    A study that is there already, from the same files, is left alone. Nothing is raised for what
    one study's files hold: a batch of thousands goes on.

    Raises
    ------
    DataError
        If the disk is full.
    """
    store = StudyStore(store_folder)
    try:
        if is_finished(entry, store):
            return None
        missing = _missing_file(entry, store)
        if missing is not None:
            return missing
        # one thread: a sum split over another number of threads may round another way, and the same
        # set must have the same bytes with any number of workers
        with threadpool_limits(limits=1):
            if store.specification.kind == "radiograph":
                return _prepare_radiograph(entry, store)
            return _prepare_scan(entry, store)
    except OSError as error:
        if error.errno != ENOSPC:
            return _failed(entry, error)
        raise DataError(
            f"no space is left for {store.folder}; make room and run the same command again"
        ) from error
    except Exception as error:  # the border of a batch: one study's surprise must not end the rest
        return _failed(entry, error)


def is_finished(entry: ManifestEntry, store: StudyStore) -> bool:
    """Return whether the store holds the study, prepared from the same files in the same way."""
    if entry.study_id not in store:
        return False
    try:
        return store.record(entry.study_id).fingerprint == fingerprint_of(entry)
    except DataError:  # damaged, or of an older store: made anew
        return False


def fingerprint_of(entry: ManifestEntry) -> str:
    """Return a hash (hex) of the names and sizes of a study's files and of how they are read.

    No time stamps: a copy of an archive is the same archive.
    """
    legend = entry.legend or ""
    is_file = bool(Path(legend).suffix)
    how = ["" if is_file else legend, entry.series, entry.rescale, entry.affine]
    paths = (entry.image, entry.masks, Path(legend) if is_file else None)
    files = [_sizes(path) for path in paths if path is not None]
    return sha256(json.dumps([how, files]).encode()).hexdigest()


def _failed(entry: ManifestEntry, error: Exception) -> Rejection:
    logger.error("study %s", entry.study_id, exc_info=error)
    reason = f"{type(error).__name__}: {error}; the log holds the details"
    return Rejection.of(entry, "failed", reason)


def _sizes(path: Path) -> list[tuple[str, int]]:
    if not path.is_dir():
        return [(path.name, path.stat().st_size if path.exists() else -1)]
    files = sorted(p for p in path.rglob("*") if p.is_file())
    return [(p.relative_to(path).as_posix(), p.stat().st_size) for p in files]


def _missing_file(entry: ManifestEntry, store: StudyStore) -> Rejection | None:
    if not entry.image.exists():
        reason = f"there is no file or folder {entry.image}; check the path in the table"
        return Rejection.of(entry, "missing-file", reason)
    choice = store.specification.masks
    if choice in ("auto", "file") and entry.masks is not None and not entry.masks.exists():
        reason = f"there is no label map {entry.masks}; check the path, or leave masks empty"
        return Rejection.of(entry, "missing-masks", reason)
    if choice == "file" and entry.masks is None:
        reason = "--masks file, and no label map is named; name one, or choose --masks auto"
        return Rejection.of(entry, "missing-masks", reason)
    return None


def _prepare_scan(entry: ManifestEntry, store: StudyStore) -> Rejection | None:
    specification = store.specification
    try:
        metadata = ArchiveMetadata(entry.rescale, entry.affine)
        read = read_volume(entry.image, series=entry.series, metadata=metadata)
    except CtClipError as error:
        return rejection_of(entry, error, about_masks=False)
    resampled, grid = on_model_grid(
        read.volume, specification.orientation, specification.spacing_mm
    )
    image = np.rint(resampled).astype(np.int16)
    labels: npt.NDArray[np.uint8] | None = None
    organs: dict[str, OrganRecord] = {}
    source, notices = "none", read.notices
    if specification.anatomies:
        try:
            masks, source, about = find_masks(entry, read.volume, choice=specification.masks)
        except CtClipError as error:
            return rejection_of(entry, error, about_masks=True)
        joined = join_masks(masks, AnatomyTable(specification.parts))
        turn = joined.geometry.transform_to(specification.orientation)
        turned = joined.geometry.reoriented(turn)
        labels = resample_labels(turn.apply(joined.labels), turned, grid).astype(np.uint8)
        organs = _organs(labels, specification.anatomies, cut_by_field_of_view(joined))
        notices += about
    spacing = read.volume.geometry.spacing_mm
    record = _record(
        entry, store, grid=grid, source_spacing_mm=spacing, image=image, notices=notices
    ).model_copy(update={"mask_source": source, "organs": organs})
    write_study(store, record, image=image, labels=labels)
    return None


def _prepare_radiograph(entry: ManifestEntry, store: StudyStore) -> Rejection | None:
    try:
        grey = read_radiograph(entry.image)
    except CtClipError as error:
        rejection = rejection_of(entry, error, about_masks=False)
        if rejection.code == "not-a-ct":
            rejection = Rejection.of(entry, "not-a-radiograph", str(error))
        return rejection
    step = min(grey.shape) / store.specification.shorter_side
    flat = Geometry.from_spacing((1, *grey.shape), (1.0, 1.0, 1.0))
    resized, _ = resample_volume(grey[None], flat, (1.0, step, step))
    image = np.rint(resized).astype(np.int16)
    grid = Geometry.from_spacing(image.shape, (1.0, 1.0, 1.0))
    record = _record(entry, store, grid=grid, source_spacing_mm=(1.0, 1.0, 1.0), image=image)
    write_study(store, record, image=image, labels=None)
    return None


def _organs(
    labels: npt.NDArray[np.uint8], anatomies: tuple[str, ...], cut: set[str]
) -> dict[str, OrganRecord]:
    counts = np.bincount(labels.ravel(), minlength=len(anatomies) + 1)
    boxes = find_objects(labels, max_label=len(anatomies))
    return {
        name: OrganRecord(
            voxels=int(counts[n]),
            start=tuple(side.start for side in box),
            stop=tuple(side.stop for side in box),
            is_cut=name in cut,
        )
        for n, (name, box) in enumerate(zip(anatomies, boxes, strict=True), start=1)
        if box is not None
    }


def _record(
    entry: ManifestEntry,
    store: StudyStore,
    *,
    grid: Geometry,
    source_spacing_mm: tuple[float, float, float],
    image: npt.NDArray[np.int16],
    notices: tuple[Notice, ...] = (),
) -> StudyRecord:
    edges = np.asarray(HISTOGRAM_EDGES_HU)
    counts, _ = np.histogram(np.clip(image, edges[0], edges[-1]), bins=edges)
    rows = [tuple(row) for row in grid.affine.tolist()]
    return StudyRecord(
        study_id=entry.study_id,
        specification=store.hash,
        fingerprint=fingerprint_of(entry),
        shape=grid.shape,
        affine=(rows[0], rows[1], rows[2], rows[3]),
        source_spacing_mm=source_spacing_mm,
        histogram=tuple(counts.tolist()),
        notices=tuple(
            StoredNotice(severity=str(n.severity), code=n.code, message=n.message) for n in notices
        ),
    )
