"""StudyStore: prepared scans and masks on disk; a crop reads its chunks, a study appears whole."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import numpy as np
import numpy.typing as npt
from pydantic import ValidationError

from napari_ctclip.core.errors import DataError, UnreadableFile
from napari_ctclip.core.geometry import Geometry
from napari_ctclip.io.ct.hounsfield import AIR_HU
from napari_ctclip.io.files import remove_leftovers, replacing_folder, write_text
from napari_ctclip.io.store.study_record import StoreSpecification, StudyRecord

__all__ = [
    "IMAGE",
    "LABELS",
    "SPECIFICATION_FILE",
    "StoredCrop",
    "StudyStore",
    "create_store",
    "remove_unfinished",
    "specification_hash",
    "write_json",
    "write_study",
]

SPECIFICATION_FILE = "store.json"
IMAGE, LABELS = "image", "labels"
_STUDIES = "studies"
_TOLERANCE_MM = 1e-6
_SHARD = ("c", "0", "0", "0")
_ARRAYS_OPEN = 64  # a crop of an open array costs a third less


# Ours: a crop of 96 voxels touches 8 to 27 chunks of 64; 32 reads less and takes twice as long
_CHUNK = 64
_UNFINISHED = ".unfinished-"


@dataclass(frozen=True, eq=False)
class StoredCrop:
    """Part of a stored study.

    Attributes
    ----------
    voxels : ndarray, shape (D, H, W), int16
        HU (or grey values 0..4095 of a radiograph); -1024 (0) outside the scan.
    labels : ndarray, shape (D, H, W), uint8
        0 none, n + 1 the anatomy ``n`` of the store; 0 outside the scan.
    geometry : Geometry
        The crop's grid in the patient.
    """

    voxels: npt.NDArray[np.int16]
    labels: npt.NDArray[np.uint8]
    geometry: Geometry


class StudyStore:
    """The prepared studies in a folder.

    Parameters
    ----------
    folder : path
        ``store`` in the folder that ``napari-ctclip-train prepare`` made, or that folder.

    Attributes
    ----------
    folder : Path
        Holds ``store.json`` and ``studies/``.
    specification : StoreSpecification
        What was done to every study.
    hash : str
        Of the specification.

    Raises
    ------
    DataError
        If there is no store, or its specification was changed by hand.

    Notes
    -----
    Holds no open file and may be handed to worker processes.
    """

    def __init__(self, folder: Path | str) -> None:
        folder = Path(folder)
        inner = folder / "store"
        self.folder = inner if (inner / SPECIFICATION_FILE).is_file() else folder
        self.specification, self.hash = _read_specification(self.folder / SPECIFICATION_FILE)

    @property
    def anatomies(self) -> tuple[str, ...]:
        """Anatomy of label 1, 2, ..."""
        return self.specification.anatomies

    @property
    def studies(self) -> tuple[str, ...]:
        """Ids of the finished studies, sorted."""
        folder = self.folder / _STUDIES
        if not folder.is_dir():
            return ()
        return tuple(sorted(unquote(p.name) for p in folder.iterdir() if p.name[0] != "."))

    def __contains__(self, study_id: object) -> bool:
        return isinstance(study_id, str) and self.folder_of(study_id).is_dir()

    def require_grid(self, orientation: str, spacing_mm: Sequence[float]) -> None:
        """Check that a model's grid is the stored one.

        Raises
        ------
        DataError
            If it is not.
        """
        own = self.specification
        near = np.allclose(own.spacing_mm, spacing_mm, atol=_TOLERANCE_MM, rtol=0)
        if own.orientation != orientation or not near:
            wanted = " ".join(f"{s:g}" for s in spacing_mm)
            stored = " ".join(f"{s:g}" for s in own.spacing_mm)
            raise DataError(
                f"{self.folder}: prepared as {own.orientation} at {stored} mm, the model expects "
                f"{orientation} at {wanted} mm; prepare again with --orientation {orientation} "
                f"--spacing {wanted} into another folder"
            )

    def folder_of(self, study_id: str) -> Path:
        """Return where a study lies, whether or not it is there."""
        name = quote(study_id, safe="")
        if name.startswith("."):  # folders with a dot are unfinished
            name = f"%2E{name[1:]}"
        return self.folder / _STUDIES / name

    def record(self, study_id: str) -> StudyRecord:
        """Return what is known about a study.

        Raises
        ------
        DataError
            If it is not in the store, damaged, or prepared otherwise than the store says.
        """
        record = self._record(study_id)
        if record.specification != self.hash:
            raise DataError(
                f"{self.folder_of(study_id)}: prepared with specification "
                f"{record.specification[:12]}, the store's is {self.hash[:12]}; remove this folder "
                "and run prepare again"
            )
        return record

    @lru_cache(maxsize=4096)  # noqa: B019 - a store lives as long as the training
    def geometry(self, study_id: str) -> Geometry:
        """Return the stored grid of a study; read once.

        Raises
        ------
        DataError
            As :meth:`record`.
        """
        return self.record(study_id).geometry

    def crop(self, study_id: str, start: Sequence[int], stop: Sequence[int]) -> StoredCrop:
        """Return the box [start, stop) of a study; parts beyond the scan are air without labels.

        Parameters
        ----------
        study_id : str
            One of ``studies``.
        start, stop : sequence of int
            Corners (z, y, x) on the stored grid; may lie outside it.

        Raises
        ------
        DataError
            As :meth:`record`; or if the box is empty.
        """
        geometry = self.geometry(study_id)
        shape = tuple(int(b) - int(a) for a, b in zip(start, stop, strict=True))
        if min(shape) < 1:
            raise DataError(f"expected a box with stop beyond start, got {start} to {stop}")
        fill = AIR_HU if self.specification.kind == "ct" else 0
        voxels = np.full(shape, fill, dtype=np.int16)
        labels = np.zeros(shape, dtype=np.uint8)
        low = [max(0, int(a)) for a in start]
        high = [min(n, int(b)) for n, b in zip(geometry.shape, stop, strict=True)]
        if all(a < b for a, b in zip(low, high, strict=True)):
            source = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
            target = tuple(
                slice(a - int(s), b - int(s)) for a, b, s in zip(low, high, start, strict=True)
            )
            voxels[target] = self._read(study_id, IMAGE, source)
            if self.anatomies:
                labels[target] = self._read(study_id, LABELS, source)
        return StoredCrop(voxels, labels, geometry.cropped(start, stop))

    def whole(self, study_id: str) -> StoredCrop:
        """Return all of a study."""
        return self.crop(study_id, (0, 0, 0), self.geometry(study_id).shape)

    def _record(self, study_id: str) -> StudyRecord:
        file = self.folder_of(study_id) / "zarr.json"
        try:
            return StudyRecord.model_validate(json.loads(file.read_bytes())["attributes"])
        except FileNotFoundError:
            raise DataError(f"{self.folder}: there is no study {study_id!r}") from None
        except (OSError, ValueError, KeyError, ValidationError) as error:
            raise UnreadableFile(
                f"{file} is damaged ({error}); remove its folder and run prepare again"
            ) from error

    def _read(self, study_id: str, name: str, box: tuple[slice, ...]) -> npt.NDArray[Any]:
        try:
            return np.asarray(self._array(study_id, name)[box])
        except (OSError, ValueError, KeyError, RuntimeError) as error:
            where = self.folder_of(study_id)
            raise UnreadableFile(
                f"{where / name} is damaged ({error}); remove {where} and run prepare again"
            ) from error

    @lru_cache(maxsize=_ARRAYS_OPEN)  # noqa: B019
    def _array(self, study_id: str, name: str) -> Any:
        import zarr  # half a second; the viewer never needs it

        folder = self.folder_of(study_id) / name
        if not folder.joinpath(*_SHARD).is_file():  # zarr would read it as air
            raise FileNotFoundError(f"there is no {'/'.join(_SHARD)}")
        return zarr.open_array(str(folder), mode="r")


def specification_hash(specification: StoreSpecification) -> str:
    """Return the hash (hex) of a specification."""
    values = specification.model_dump(mode="json")
    return sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def _read_specification(file: Path) -> tuple[StoreSpecification, str]:
    try:
        content = json.loads(file.read_bytes())
        specification = StoreSpecification.model_validate(content["specification"])
        written = content["hash"]
    except FileNotFoundError:
        raise DataError(
            f"{file.parent} is no store of prepared studies (no {file.name}); make one with "
            "napari-ctclip-train prepare"
        ) from None
    except (OSError, ValueError, KeyError, TypeError, ValidationError) as error:
        raise UnreadableFile(f"{file} is damaged: {error}") from error
    if written != specification_hash(specification):
        raise DataError(
            f"{file}: the specification was changed after the store was made (its hash differs); "
            "restore the file, or prepare again into another folder"
        )
    return specification, written


def create_store(folder: Path, specification: StoreSpecification) -> StudyStore:
    """Return the store in a folder, made if there is none.

    Raises
    ------
    DataError
        If there is one that was prepared otherwise.
    """
    file = folder / SPECIFICATION_FILE
    if file.is_file():
        store = StudyStore(folder)
        if store.specification != specification:
            changed = _differences(store.specification, specification)
            raise DataError(
                f"{folder} was prepared otherwise: {changed}; give the same options, or another "
                "--out"
            )
        return store
    values = specification.model_dump(mode="json")
    write_json({"hash": specification_hash(specification), "specification": values}, file)
    return StudyStore(folder)


def write_study(
    store: StudyStore,
    record: StudyRecord,
    *,
    image: npt.NDArray[np.int16],
    labels: npt.NDArray[np.uint8] | None,
) -> None:
    """Write a study, in place of an older one of the same id.

    Parameters
    ----------
    store : StudyStore
        Where to.
    record : StudyRecord
        Becomes the attributes of its group.
    image, labels : ndarray, shape (D, H, W)
        On the store's grid; no labels where the store has no anatomies.
    """
    import zarr

    with replacing_folder(store.folder_of(record.study_id)) as part:
        attributes = record.model_dump(mode="json")
        zarr.create_group(str(part), attributes=attributes, overwrite=True)
        _write_array(part / IMAGE, image, AIR_HU if store.specification.kind == "ct" else 0)
        if labels is not None:
            _write_array(part / LABELS, labels, 0)


def remove_unfinished(store: StudyStore) -> int:
    """Remove what killed runs left half done; return how many."""
    left = list(store.folder.glob(f"*/{_UNFINISHED}*"))  # those of the first versions
    for folder in left:
        shutil.rmtree(folder, ignore_errors=True)
    return len(left) + sum(
        remove_leftovers(part) for part in store.folder.iterdir() if part.is_dir()
    )


def write_json(values: dict[str, Any], path: Path) -> None:
    """Write JSON, whole or not at all."""
    write_text(path, json.dumps(values, indent=1, ensure_ascii=False) + "\n")


def _write_array(path: Path, values: npt.NDArray[Any], fill: int) -> None:
    """Write one array as one file (a shard) of chunks that can be read one by one."""
    import zarr
    from zarr.codecs import BloscCodec, Crc32cCodec

    chunks = tuple(min(_CHUNK, n) for n in values.shape)
    array = zarr.create_array(
        str(path),
        shape=values.shape,
        dtype=values.dtype,
        chunks=chunks,
        shards=tuple(-(-n // c) * c for n, c in zip(values.shape, chunks, strict=True)),
        # zstd at 1: within 3 % of the size at 3, half its time
        compressors=(
            BloscCodec(cname="zstd", clevel=1, shuffle="shuffle", typesize=values.dtype.itemsize),
            Crc32cCodec(),
        ),
        fill_value=fill,
        config={"write_empty_chunks": True},  # a missing file is then damage, never air
        dimension_names=("z", "y", "x"),
    )
    array[...] = values


def _differences(stored: StoreSpecification, wanted: StoreSpecification) -> str:
    """Return what differs, a key each, shortened."""
    old, new = stored.model_dump(mode="json"), wanted.model_dump(mode="json")
    changed = [key for key in old if old[key] != new[key]]
    return "; ".join(f"{key} was {str(old[key])[:60]}, now {str(new[key])[:60]}" for key in changed)
