"""A disk that is really full or read-only: one clear line, and what was there stays as it was."""

from __future__ import annotations

import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from napari_ctclip.core.errors import DataError
from napari_ctclip.core.region import Region
from napari_ctclip.core.study import Study
from napari_ctclip.exporting import write_exports as writing
from napari_ctclip.exporting.content import ExportKind
from napari_ctclip.exporting.reproduction_script import finding_script, write_script
from napari_ctclip.exporting.write_exports import write_exports
from napari_ctclip.io import read_volume
from napari_ctclip.session.files.archive import SessionState, write_session
from napari_ctclip.session.files.copies import copy_session
from napari_ctclip.session.session import Session
from napari_ctclip.simulation.dicom import write_dicom_series
from tests.conftest import SmallDisk
from tests.exporting.asked import asked_session, content_of, drawn_finding
from tests.phantom import ball_study

BOX = Region.of(np.ones((5, 5, 6), dtype=bool), start=(18, 28, 41))
KINDS = [*(f"export {kind}" for kind in ExportKind), "session", "copied session", "finding script"]


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Session:
    """A session on a DICOM series: every kind of export can be had."""
    folder = tmp_path_factory.mktemp("asked")
    write_dicom_series(ball_study(), folder / "ct")
    volume = read_volume(folder / "ct", accept_suspicious=True).volume
    return asked_session(folder, Study(volume))


def _writer(session: Session, kind: str, folder: Path, tmp_path: Path) -> Callable[[], object]:
    """Return what writes a kind of file to a folder."""
    finding = drawn_finding(session, BOX)
    content = content_of(session, finding)
    state = SessionState(session.study, session.model, "tiny", findings=[finding])
    if kind == "session":
        return lambda: write_session(state, folder / "case.ctclip.zip")
    if kind == "copied session":
        source = write_session(state, tmp_path / "kept.ctclip.zip")
        return lambda: copy_session(source, folder / "case.ctclip.zip")
    if kind == "finding script":
        script = finding_script(content, finding.key)
        return lambda: write_script(script, folder / "reproduce.py", volume=session.study.volume)
    wanted = [ExportKind(kind.removeprefix("export "))]
    return lambda: write_exports(content, folder, kinds=wanted, figure_size=(400, 200))


def _content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("kind", KINDS)
def test_a_full_or_read_only_disk_leaves_older_files_whole(
    asked: Session,
    small_disk: SmallDisk,
    tmp_path: Path,
    kind: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if kind in ("export html", "export pdf"):  # drawing takes seconds and writes nothing
        monkeypatch.setattr(writing, "pictures", lambda content: [])
    folder = small_disk.path / "out"
    write = _writer(asked, kind, folder, tmp_path)
    write()
    before = _content(folder)
    assert before
    small_disk.fill()
    with pytest.raises(DataError, match=r"No space left on device.*Nothing else is lost"):
        write()
    assert _content(folder) == before  # nothing half written, no partial file
    small_disk.empty()
    small_disk.set_writable(False)
    with pytest.raises(DataError, match=r"Read-only file system.*Nothing else is lost"):
        write()
    assert _content(folder) == before


@contextmanager
def _largest_file(size: int) -> Iterator[None]:
    """Let the system refuse every byte of a file past a size (EFBIG), as any user may."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_a_session_that_is_cut_off_in_the_middle_leaves_the_older_file(
    asked: Session, tmp_path: Path
) -> None:
    folder = tmp_path / "out"
    write = _writer(asked, "session", folder, tmp_path)
    write()
    before = _content(folder)
    (name,) = before
    with _largest_file(len(before[name]) // 2), pytest.raises(DataError, match="File too large"):
        write()
    assert _content(folder) == before
