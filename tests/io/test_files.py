"""Files that appear whole or not at all: links, two writers, crashes, full disks."""

from __future__ import annotations

import errno
import os
import pickle
import re
import stat
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest

import napari_ctclip
from napari_ctclip.core.errors import CtClipError, UnwritableFile
from napari_ctclip.io import files
from napari_ctclip.io.files import (
    PartialDownload,
    remove_leftovers,
    replacing,
    replacing_folder,
    write_bytes,
    write_text,
)
from tests.conftest import SmallDisk

pytestmark = pytest.mark.skipif(os.name == "nt", reason="links and permissions of POSIX")

SIZE = 40_000


def _names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_a_file_is_written_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    assert write_text(tmp_path / "deep" / "a.txt", "eins\r\nzwei\n") == tmp_path / "deep" / "a.txt"
    assert (tmp_path / "deep" / "a.txt").read_bytes() == b"eins\r\nzwei\n"
    assert _names(tmp_path / "deep") == {"a.txt"}


def test_a_planted_link_under_the_old_partial_name_is_not_written_through(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (tmp_path / ".provenance.json.part").symlink_to(victim)
    (tmp_path / "provenance.json.part").symlink_to(victim)
    write_text(tmp_path / "provenance.json", "{}")
    assert victim.read_text() == "precious"
    assert (tmp_path / "provenance.json").read_text() == "{}"


def test_a_link_under_the_new_partial_name_is_an_error_and_not_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    victim = tmp_path / "victim"
    monkeypatch.setattr(files.secrets, "token_hex", lambda count: "0" * 2 * count)
    (tmp_path / f".a.{'0' * 16}.part").symlink_to(victim)
    with pytest.raises(UnwritableFile, match="File exists"):
        write_text(tmp_path / "a", "new")
    assert not victim.exists()
    assert not (tmp_path / "a").exists()


def test_partial_names_cannot_be_guessed(tmp_path: Path) -> None:
    seen = set()
    for _ in range(20):
        with replacing(tmp_path / "a") as partial:
            assert partial.parent == tmp_path
            seen.add(partial.name)
    assert len(seen) == 20
    assert all(re.fullmatch(r"\.a\.[0-9a-f]{16}\.part", name) for name in seen)


def test_a_target_that_is_a_link_is_replaced_and_what_it_names_is_left(tmp_path: Path) -> None:
    victim, target = tmp_path / "victim", tmp_path / "a"
    victim.write_text("precious")
    target.symlink_to(victim)
    write_text(target, "new")
    assert victim.read_text() == "precious"
    assert target.read_text() == "new"
    assert not target.is_symlink()


def test_permissions_are_those_of_the_umask_or_of_the_older_file(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        made = write_text(tmp_path / "new", "")
        kept = tmp_path / "old"
        kept.write_text("")
        kept.chmod(0o604)
        write_text(kept, "again")
        with replacing_folder(tmp_path / "folder") as partial:
            (partial / "in").touch()
    finally:
        os.umask(before)
    assert stat.S_IMODE(made.stat().st_mode) == 0o640
    assert stat.S_IMODE(kept.stat().st_mode) == 0o604
    assert stat.S_IMODE((tmp_path / "folder").stat().st_mode) == 0o750


def test_an_error_in_the_middle_leaves_the_older_file(tmp_path: Path) -> None:
    target = write_text(tmp_path / "a", "old")

    def stop(partial: Path) -> None:
        partial.write_text("half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), replacing(target) as partial:
        stop(partial)
    assert target.read_text() == "old"
    assert _names(tmp_path) == {"a"}


def test_a_killed_writer_leaves_the_older_file_and_a_leftover_that_is_found(tmp_path: Path) -> None:
    target = write_text(tmp_path / "a.json", "old")
    code = (
        "import os, pathlib\n"
        "from napari_ctclip.io.files import replacing\n"
        f"with replacing(pathlib.Path({str(target)!r})) as partial:\n"
        "    partial.write_text('half')\n"
        "    os._exit(9)\n"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 9
    assert target.read_text() == "old"
    assert len(_names(tmp_path)) == 2
    (tmp_path / ".a.json.notes.part").touch()  # not ours
    assert remove_leftovers(tmp_path, "other.json") == 0
    assert remove_leftovers(tmp_path, "a.json") == 1
    assert _names(tmp_path) == {"a.json", ".a.json.notes.part"}


def _write_often(target: str, letter: str, times: int) -> None:
    for _ in range(times):
        with replacing(Path(target)) as partial, partial.open("w") as file:
            for _ in range(10):
                file.write(letter * (SIZE // 10))
                file.flush()
                time.sleep(0.0005)  # lets the other writer in


def _torn(target: Path, writers: list) -> tuple[int, int]:
    """Return how many reads were not whole, of how many."""
    reads = torn = 0
    while not all(writer.done() for writer in writers) or reads < 100:
        content = target.read_text()
        reads += 1
        torn += len(content) != SIZE or len(set(content)) != 1
    return torn, reads


@pytest.mark.parametrize("kind", ["threads", "processes"])
def test_every_read_beside_two_writers_is_whole(kind: str, tmp_path: Path) -> None:
    target = write_text(tmp_path / "provenance.json", "a" * SIZE)
    pool = (
        ThreadPoolExecutor(2)
        if kind == "threads"
        else ProcessPoolExecutor(2, mp_context=get_context("spawn"))
    )
    with pool:
        writers = [pool.submit(_write_often, str(target), letter, 60) for letter in "ab"]
        torn, reads = _torn(target, writers)
        for writer in writers:
            writer.result()
    assert reads >= 100
    assert torn == 0
    assert _names(tmp_path) == {"provenance.json"}


def test_a_full_or_read_only_disk_is_one_line(small_disk: SmallDisk) -> None:
    target = write_text(small_disk.path / "a", "old")
    small_disk.fill()
    with pytest.raises(UnwritableFile, match=r"/a: cannot be written \(No space left on device\)"):
        write_bytes(target, b"0" * 100_000)
    assert target.read_text() == "old"
    assert _names(small_disk.path) == {"a", "filler"}
    small_disk.empty()
    small_disk.set_writable(False)
    with pytest.raises(UnwritableFile, match="Read-only file system"):
        write_text(target, "new")
    small_disk.set_writable(True)
    assert target.read_text() == "old"


def test_a_library_s_own_error_on_a_full_disk_is_understood(small_disk: SmallDisk) -> None:
    small_disk.fill()
    with (
        pytest.raises(UnwritableFile, match="No space left on device"),
        replacing(small_disk.path / "state.pt"),
    ):
        raise RuntimeError("PytorchStreamWriter failed writing file data/0: file write failed")
    with pytest.raises(CtClipError, match="mine"), replacing(small_disk.path / "state.pt"):
        raise CtClipError("mine")


def test_the_refusal_survives_another_process() -> None:
    error = pickle.loads(pickle.dumps(UnwritableFile(28, "No space left on device", "a.csv")))
    assert str(error) == (
        "a.csv: cannot be written (No space left on device); make room or choose another folder"
    )


def test_errors_that_are_not_of_writing_pass(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), replacing(tmp_path / "a") as partial:
        partial.write_bytes((tmp_path / "source").read_bytes())
    with pytest.raises(PermissionError), replacing(tmp_path / "a"):
        raise PermissionError(errno.EACCES, "Permission denied", str(tmp_path / "source"))
    with pytest.raises(RuntimeError, match="other"), replacing(tmp_path / "a"):
        raise RuntimeError("other")
    assert _names(tmp_path) == set()


def test_a_folder_where_a_file_is_wanted_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    with pytest.raises(UnwritableFile, match="Is a directory"):
        write_text(tmp_path / "a", "new")
    write_text(tmp_path / "file", "")
    with pytest.raises(UnwritableFile, match=r"in: cannot be written \(.*\)"):
        write_text(tmp_path / "file" / "in", "new")
    assert _names(tmp_path) == {"a", "file"}


def test_durable_files_are_synced_before_they_are_renamed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    sync, replace = files.os.fsync, files.os.replace
    monkeypatch.setattr(files.os, "fsync", lambda d: (done.append("sync"), sync(d)))
    monkeypatch.setattr(files.os, "replace", lambda a, b: (done.append("rename"), replace(a, b)))
    write_text(tmp_path / "a", "new", durable=True)
    assert done == ["sync", "rename", "sync"]


def test_long_names_are_written(tmp_path: Path) -> None:
    name = "ä" * 120 + ".json"
    assert write_text(tmp_path / name, "new").read_text() == "new"


def test_a_folder_takes_the_place_of_an_older_one_or_of_a_link(tmp_path: Path) -> None:
    target, elsewhere = tmp_path / "model", tmp_path / "elsewhere"
    for content in ("first", "second"):
        with replacing_folder(target) as partial:
            (partial / "weights").write_text(content)
        assert (target / "weights").read_text() == content

    def stop(partial: Path) -> None:
        (partial / "weights").write_text("half")
        raise ValueError("stop")

    with pytest.raises(ValueError, match="stop"), replacing_folder(target) as partial:
        stop(partial)
    assert (target / "weights").read_text() == "second"
    target.rename(elsewhere)
    target.symlink_to(elsewhere)
    with replacing_folder(target) as partial:
        (partial / "weights").write_text("third")
    assert (elsewhere / "weights").read_text() == "second"
    assert (target / "weights").read_text() == "third"
    assert not target.is_symlink()
    assert _names(tmp_path) == {"model", "elsewhere"}


def test_a_download_goes_on_with_its_part(tmp_path: Path) -> None:
    part = PartialDownload(tmp_path / "weights.bin")
    assert part.size == 0
    with part.opened() as file:
        file.write(b"first ")
    with PartialDownload(tmp_path / "weights.bin").opened() as file:
        assert file.tell() == 6
        file.write(b"second")
    assert part.size == 12
    part.finish()
    assert (tmp_path / "weights.bin").read_bytes() == b"first second"
    assert _names(tmp_path) == {"weights.bin"}


@pytest.mark.parametrize("how", ["symlink", "hard link", "pipe"])
def test_what_was_planted_in_place_of_a_part_is_not_written_to(how: str, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    part = PartialDownload(tmp_path / "weights.bin")
    if how == "symlink":
        part.path.symlink_to(victim)
    elif how == "hard link":
        part.path.hardlink_to(victim)
    else:
        os.mkfifo(part.path)
    assert part.size == 0
    with part.opened() as file:
        assert file.tell() == 0
        file.write(b"new")
    part.finish()
    assert victim.read_bytes() == b"precious"
    assert (tmp_path / "weights.bin").read_bytes() == b"new"


def test_two_downloads_of_one_file_do_not_meet(tmp_path: Path) -> None:
    part = PartialDownload(tmp_path / "weights.bin")
    again = PartialDownload(tmp_path / "weights.bin")
    with (
        part.opened(),
        pytest.raises(CtClipError, match=r"weights\.bin is being downloaded by another process"),
        again.opened(),
    ):
        pass
    with part.opened() as file:
        file.write(b"x")


def test_no_other_module_writes_and_renames_by_hand() -> None:
    """Whoever renames by hand follows links, and meets another writer."""
    source = Path(napari_ctclip.__file__).parent
    by_hand = re.compile(
        r"""\.part(\.\w+)?["'}]|\bos\.(replace|rename)\(|\bmk[sd]temp\(|NamedTemporaryFile"""
        r"""|\b(part|partial|temporary|draft)\.(replace|rename)\("""
    )
    found = [
        f"{path.relative_to(source)}: {line.strip()}"
        for path in sorted(source.rglob("*.py"))
        if path != source / "io" / "files.py"
        for line in path.read_text("utf-8").splitlines()
        if by_hand.search(line)
    ]
    assert found == []
