"""Study sources: the studies of an evaluation, from the lines of a manifest or from elsewhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from napari_ctclip.core.notice import Notice
from napari_ctclip.core.study import Study
from napari_ctclip.core.volume import Volume
from napari_ctclip.io import read_organ_masks, read_volume
from napari_ctclip.io.ct.archive_metadata import ArchiveMetadata

if TYPE_CHECKING:
    from napari_ctclip.io.store.manifest_entry import ManifestEntry

__all__ = [
    "FileStudy",
    "Lesion",
    "LoadedPicture",
    "LoadedStudy",
    "StudySource",
    "file_state",
    "file_studies",
]


@dataclass(frozen=True, eq=False)
class LoadedStudy:
    """A scan with its organ masks.

    Attributes
    ----------
    study : Study
        The volume and, where there are any, the masks.
    notices : tuple of Notice
        What the readers remarked.
    """

    study: Study
    notices: tuple[Notice, ...] = ()


@dataclass(frozen=True, eq=False)
class LoadedPicture:
    """One picture, prepared for a model of pictures.

    Attributes
    ----------
    channels : ndarray, shape (C, H, W), float32
        A channel for each HU window of the model.
    """

    channels: npt.NDArray[np.float32]


class Lesion(Protocol):
    """The place of one finding in one study."""

    def mask(self, volume: Volume) -> npt.NDArray[np.bool_]:
        """Return the voxels (D, H, W) of the finding on the volume's grid."""
        ...

    def fingerprint(self) -> list[Any]:
        """Return JSON values that change when the place changes."""
        ...


class StudySource(Protocol):
    """One study of a cohort: what is known about it, and how its scan is read.

    Attributes
    ----------
    study_id, patient_id : str
        The unique name of the study; whose it is.
    split : str or None
        The split it belongs to.
    labels : mapping of str to 0, 1 or None
        Absent, present, unknown.
    """

    @property
    def study_id(self) -> str: ...
    @property
    def patient_id(self) -> str: ...
    @property
    def split(self) -> str | None: ...
    @property
    def labels(self) -> Mapping[str, int | None]: ...

    def load(self, *, quick_masks: bool) -> LoadedStudy | LoadedPicture:
        """Return the scan; its masks are made from HU where none are given and they are wanted.

        Raises
        ------
        DataError
            If the scan or its masks cannot be used.
        """
        ...

    def fingerprint(self) -> list[Any]:
        """Return JSON values that change when the scan or its masks change."""
        ...


@dataclass(frozen=True, eq=False)
class FileStudy:
    """A study whose files a line of a manifest names."""

    entry: ManifestEntry

    @property
    def study_id(self) -> str:
        """The unique name of the study."""
        return self.entry.study_id

    @property
    def patient_id(self) -> str:
        """Whose study it is."""
        return self.entry.patient_id

    @property
    def split(self) -> str | None:
        """The split it belongs to."""
        return self.entry.split

    @property
    def labels(self) -> Mapping[str, int | None]:
        """Absent, present, unknown."""
        return self.entry.labels

    def load(self, *, quick_masks: bool) -> LoadedStudy:
        """Return the scan with the masks of its file, or with those made from HU if wanted."""
        entry = self.entry
        metadata = ArchiveMetadata(entry.rescale, entry.affine)
        read = read_volume(entry.image, series=entry.series, metadata=metadata)
        masks, notices = None, read.notices
        if entry.masks is not None:
            read_masks = read_organ_masks(entry.masks, read.volume, legend=entry.legend)
            masks, notices = read_masks.masks, notices + read_masks.notices
        elif quick_masks:
            from napari_ctclip.segmentation.quick_masks import quick_organ_masks

            masks = quick_organ_masks(read.volume)
        return LoadedStudy(Study(read.volume, masks, study_id=entry.study_id), notices)

    def fingerprint(self) -> list[Any]:
        """Return size and time of the files, and what the line says about reading them."""
        entry = self.entry
        files = [file_state(entry.image), file_state(entry.masks)]
        return [*files, entry.series, entry.legend, entry.rescale, entry.affine]


def file_studies(entries: Sequence[ManifestEntry]) -> list[FileStudy]:
    """Return the studies of a manifest."""
    return [FileStudy(entry) for entry in entries]


def file_state(path: Path | None) -> list[Any]:
    """Return JSON values that tell a changed file or folder from an unchanged one."""
    if path is None or not path.exists():
        return [str(path)]
    found = path.stat()
    return [str(path), found.st_size, found.st_mtime_ns]
