"""Writing the study store: each study appears whole, by one rename, or not at all."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_ctclip.core.errors import DataError
from napari_ctclip.io.ct.hounsfield import AIR_HU
from napari_ctclip.io.files import remove_leftovers, replacing_folder, write_text
from napari_ctclip.io.store.study_record import StoreSpecification, StudyRecord
from napari_ctclip.io.store.study_store import (
    IMAGE,
    LABELS,
    SPECIFICATION_FILE,
    StudyStore,
    specification_hash,
)

__all__ = ["create_store", "remove_unfinished", "write_json", "write_study"]

# Ours: a crop of 96 voxels touches 8 to 27 chunks of 64; 32 reads less and takes twice as long
_CHUNK = 64
_UNFINISHED = ".unfinished-"


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
