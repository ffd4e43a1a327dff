from __future__ import annotations

import json
import multiprocessing
from pathlib import Path

import numpy as np
import pytest

from napari_ctclip.core.errors import DataError, UnreadableFile
from napari_ctclip.core.geometry import Geometry
from napari_ctclip.io.store.study_record import StoreSpecification, StudyRecord
from napari_ctclip.io.store.study_store import (
    StudyStore,
    create_store,
    remove_unfinished,
    write_study,
)

SHAPE = (70, 90, 130)
GEOMETRY = Geometry.from_spacing(SHAPE, (2.0, 2.0, 2.0), origin_ras=(10.0, 20.0, 30.0))


def voxels() -> np.ndarray:
    return np.random.default_rng(0).integers(-1000, 1000, SHAPE).astype(np.int16)


def filled(folder: Path, *ids: str) -> StudyStore:
    store = create_store(folder, StoreSpecification(anatomies=("lung",)))
    for study_id in ids:
        rows = tuple(tuple(row) for row in GEOMETRY.affine.tolist())
        record = StudyRecord(
            study_id=study_id,
            specification=store.hash,
            fingerprint="",
            shape=SHAPE,
            affine=rows,  # type: ignore[arg-type]
            source_spacing_mm=(1, 1, 1),
        )
        write_study(store, record, image=voxels(), labels=(voxels() > 0).astype(np.uint8))
    return StudyStore(folder)


def test_a_crop_is_the_box_of_the_written_array(tmp_path: Path) -> None:
    crop = filled(tmp_path, "a").crop("a", (3, 60, 60), (50, 85, 129))
    assert np.array_equal(crop.voxels, voxels()[3:50, 60:85, 60:129])
    assert np.array_equal(crop.labels, crop.voxels > 0)


def test_a_crop_beyond_the_scan_is_air_without_labels_in_its_right_place(tmp_path: Path) -> None:
    crop = filled(tmp_path, "a").crop("a", (-4, 80, -1), (20, 100, 30))
    assert (crop.voxels[:4] == -1024).all()
    assert (crop.voxels[:, 10:] == -1024).all()
    assert (crop.labels[:4] == 0).all()
    assert np.array_equal(crop.voxels[4:, :10, 1:], voxels()[:20, 80:, :30])
    corner = crop.geometry.index_to_world((4, 0, 1))
    assert np.allclose(corner, GEOMETRY.index_to_world((0, 80, 0)))


def test_a_crop_reads_its_chunks_only(tmp_path: Path) -> None:
    store = filled(tmp_path, "a")
    shard = store.folder_of("a") / "image" / "c" / "0" / "0" / "0"
    content = bytearray(shard.read_bytes())
    content[len(content) // 2] ^= 0xFF  # a chunk in the middle of the file
    shard.write_bytes(content)
    assert np.array_equal(store.crop("a", (0, 0, 0), (9, 9, 9)).voxels, voxels()[:9, :9, :9])
    with pytest.raises(UnreadableFile, match="damaged"):
        store.whole("a")


def test_a_lost_file_is_damage_and_not_air(tmp_path: Path) -> None:
    store = filled(tmp_path, "a")
    (store.folder_of("a") / "image" / "c" / "0" / "0" / "0").unlink()
    with pytest.raises(UnreadableFile, match="damaged"):
        store.crop("a", (0, 0, 0), (9, 9, 9))


def test_ids_with_slashes_name_studies_and_no_subfolders(tmp_path: Path) -> None:
    store = filled(tmp_path, "2020/11 a", "../b")
    assert store.studies == ("../b", "2020/11 a")
    assert "2020/11 a" in store
    assert {p.name for p in tmp_path.iterdir()} == {"store.json", "studies"}


def test_the_same_study_written_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    filled(tmp_path / "one", "a")
    filled(tmp_path / "two", "a", "a")
    files = [p.relative_to(tmp_path / "one") for p in (tmp_path / "one").rglob("*")]
    assert files
    for file in files:
        one, two = tmp_path / "one" / file, tmp_path / "two" / file
        assert one.is_dir() or one.read_bytes() == two.read_bytes(), file


def test_a_store_prepared_otherwise_is_not_added_to(tmp_path: Path) -> None:
    filled(tmp_path, "a")
    other = StoreSpecification(anatomies=("lung",), spacing_mm=(3, 1, 1))
    with pytest.raises(DataError, match="spacing_mm was"):
        create_store(tmp_path, other)


def test_a_model_with_another_grid_is_refused(tmp_path: Path) -> None:
    store = filled(tmp_path, "a")
    store.require_grid("IPL", (2.0, 2.0, 2.0))
    with pytest.raises(DataError, match="--spacing 3 1 1"):
        store.require_grid("IPL", (3.0, 1.0, 1.0))
    with pytest.raises(DataError, match="SPL"):
        store.require_grid("SPL", (2.0, 2.0, 2.0))


def test_a_specification_changed_by_hand_is_refused(tmp_path: Path) -> None:
    filled(tmp_path, "a")
    file = tmp_path / "store.json"
    content = json.loads(file.read_text())
    content["specification"]["spacing_mm"] = [1, 1, 1]
    file.write_text(json.dumps(content))
    with pytest.raises(DataError, match="changed after the store was made"):
        StudyStore(tmp_path)


def test_a_study_of_another_store_is_refused(tmp_path: Path) -> None:
    store = filled(tmp_path, "a")
    file = store.folder_of("a") / "zarr.json"
    file.write_text(file.read_text().replace(store.hash, "0" * 64))
    with pytest.raises(DataError, match="prepared with specification 000000000000"):
        store.crop("a", (0, 0, 0), (9, 9, 9))


def test_what_a_killed_run_left_is_removed_and_is_no_study(tmp_path: Path) -> None:
    store = filled(tmp_path, "a")
    for name in (".b.0123456789abcdef.part", ".unfinished-x"):  # the second: of older versions
        (tmp_path / "studies" / name).mkdir()
    assert store.studies == ("a",)
    assert remove_unfinished(store) == 2
    assert sorted(p.name for p in (tmp_path / "studies").iterdir()) == ["a"]


def _read_in_child(store: StudyStore, queue: multiprocessing.Queue[int]) -> None:
    queue.put(int(store.crop("a", (0, 0, 0), (9, 9, 9)).voxels.astype(int).sum()))


def test_a_forked_worker_reads_after_its_parent_did(tmp_path: Path) -> None:
    store = filled(tmp_path, "a")
    expected = int(store.crop("a", (0, 0, 0), (9, 9, 9)).voxels.astype(int).sum())
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    child = context.Process(target=_read_in_child, args=(store, queue))
    child.start()
    assert queue.get(timeout=60) == expected
    child.join()


def test_a_folder_without_a_store_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="make one with"):
        StudyStore(tmp_path)
