"""Files and folders that appear whole or not at all: the one place that writes and renames them.

A file is written under a name that nobody can guess, in the folder of its target, and takes the
target's name by one rename. A reader sees the old content or the new one, two writers do not meet,
and a link that somebody planted is neither followed nor overwritten through.
"""

from __future__ import annotations

import errno
import os
import secrets
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from napari_ctclip.core.errors import CtClipError, UnwritableFile

__all__ = [
    "PartialDownload",
    "remove_leftovers",
    "replacing",
    "replacing_folder",
    "write_bytes",
    "write_text",
]

_END = ".part"
_TOKEN_BYTES = 8
_NAME_BYTES = 200  # of the target in the name of a partial file; file systems take 255
_LITTLE = 1 << 16  # bytes free; a disk with no more is called full
# what a disk, a quota or a permission answers to writing
_REFUSALS = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM}

# absent on Windows, which has neither these links nor this inheritance
_NO_LINKS = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
_BINARY = getattr(os, "O_BINARY", 0)


@contextmanager
def replacing(path: Path, *, durable: bool = False) -> Iterator[Path]:
    """Give the path of an empty file to write, and put it in place of ``path`` once it is whole.

    An older file keeps its content until then, and its permissions afterwards; a new one has those
    that the umask leaves. If ``path`` is a symbolic link, the link is replaced, not what it names.

    Parameters
    ----------
    path : Path
        The target; its folder is made if it is not there.
    durable : bool
        Whether the content is on the disk before the rename, and the rename when this returns: for
        what a crash of the machine must not take.

    Raises
    ------
    UnwritableFile
        If the disk is full or read-only, or the folder takes no file. An older file is then as it
        was, and nothing is left beside it.
    """
    with _refusals_of(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = _create(path)
    try:
        with _refusals_of(path, partial):
            yield partial
        with _refusals_of(path):
            _keep_permissions(path, partial)
            if durable:
                _sync(partial)
            os.replace(partial, path)
            if durable:
                _sync(path.parent)
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def replacing_folder(path: Path) -> Iterator[Path]:
    """Give an empty folder to fill, and put it in place of ``path`` once it is whole.

    An older folder stays until then.

    Raises
    ------
    UnwritableFile
        As :func:`replacing`.
    """
    with _refusals_of(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = _unused_name(path)
        partial.mkdir()
    try:
        with _refusals_of(path, partial):
            yield partial
        with _refusals_of(path):
            _swap_folders(partial, path)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def write_text(path: Path, text: str, *, durable: bool = False) -> Path:
    """Write a text in UTF-8 as it is, line ends included, and return its path.

    Raises
    ------
    UnwritableFile
        As :func:`replacing`.
    """
    return write_bytes(path, text.encode("utf-8"), durable=durable)


def write_bytes(path: Path, content: bytes, *, durable: bool = False) -> Path:
    """Write bytes, and return their path.

    Raises
    ------
    UnwritableFile
        As :func:`replacing`.
    """
    with replacing(path, durable=durable) as partial:
        partial.write_bytes(content)
    return path


def remove_leftovers(folder: Path, name: str = "*") -> int:
    """Remove the partial files and folders that killed writers left; return how many.

    Only for a folder, or a name in it, that nobody else is writing.
    """
    token = "[0-9a-f]" * (2 * _TOKEN_BYTES)
    left = list(folder.glob(f".{name}.{token}{_END}"))
    for path in left:
        _remove(path)
    return len(left)


class PartialDownload:
    """What is there of a file that is being downloaded, beside it: ``NAME.part``.

    The name can be guessed, so that a later run resumes from it. A link, a pipe or the file of
    another user under that name is removed, never written to.

    Parameters
    ----------
    target : Path
        The file once it is whole.
    """

    def __init__(self, target: Path) -> None:
        self.target = target
        self.path = target.with_name(f"{target.name}{_END}")

    @property
    def size(self) -> int:
        """Bytes that are there."""
        return self.path.stat().st_size if self._is_ours() else 0

    @contextmanager
    def opened(self) -> Iterator[BinaryIO]:
        """Give it open for reading and writing, at its end; nobody else can open it meanwhile.

        Raises
        ------
        CtClipError
            If another process is downloading the same file.
        UnwritableFile
            If the folder takes no file.
        """
        with _refusals_of(self.target):
            self.target.parent.mkdir(parents=True, exist_ok=True)
            file = self._open()
        with file:
            file.seek(0, os.SEEK_END)
            with _refusals_of(self.target, self.path):
                yield file

    def finish(self) -> None:
        """Give it the name of the target.

        Raises
        ------
        UnwritableFile
            If it cannot be renamed.
        """
        with _refusals_of(self.target):
            _sync(self.path)
            os.replace(self.path, self.target)

    def discard(self) -> None:
        """Remove it."""
        self.path.unlink(missing_ok=True)

    def _is_ours(self) -> bool:
        try:
            return _is_plain_and_ours(self.path.lstat())
        except FileNotFoundError:
            return False

    def _open(self) -> BinaryIO:
        while True:
            if not self._is_ours():
                self.discard()
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | _NO_LINKS | _BINARY, 0o666)
            file = os.fdopen(descriptor, "r+b")
            try:
                _lock(file, self.target)
                # between the two steps above another download may have taken it away
                with suppress(FileNotFoundError):
                    opened, named = os.fstat(descriptor), self.path.lstat()
                    if os.path.samestat(opened, named) and _is_plain_and_ours(opened):
                        return file
            except BaseException:
                file.close()
                raise
            file.close()


# --- inside ---------------------------------------------------------------------------------------


def _unused_name(path: Path) -> Path:
    """Return a name beside ``path`` that nobody can guess."""
    name = path.name.encode()[:_NAME_BYTES].decode(errors="ignore")
    return path.with_name(f".{name}.{secrets.token_hex(_TOKEN_BYTES)}{_END}")


def _create(path: Path) -> Path:
    """Return the path of a new, empty file beside ``path``."""
    partial = _unused_name(path)
    # O_EXCL: what already has this name, a link too, is an error and not our file
    os.close(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _NO_LINKS, 0o666))
    return partial


def _keep_permissions(path: Path, partial: Path) -> None:
    """Give a partial file the permissions of the file that it replaces."""
    with suppress(FileNotFoundError):
        before = path.lstat().st_mode
        if stat.S_ISREG(before):
            with suppress(PermissionError):  # some file systems have none
                partial.chmod(stat.S_IMODE(before) & 0o777)


def _swap_folders(partial: Path, path: Path) -> None:
    """Give ``partial`` the name ``path``; an older folder of that name goes."""
    while True:
        try:
            os.rename(partial, path)
            return
        except OSError:
            if not path.is_dir():
                raise
        aside = _unused_name(path)
        try:
            os.rename(path, aside)
        except FileNotFoundError:  # another writer was faster
            continue
        try:
            os.rename(partial, path)
            return
        except OSError:
            if not path.is_dir():  # then another writer's is there
                os.rename(aside, path)
                raise
        finally:
            _remove(aside)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _sync(path: Path) -> None:
    """Make sure that the content of a file, or the names in a folder, are on the disk."""
    if os.name == "nt" and path.is_dir():
        return  # Windows opens no folder
    descriptor = os.open(path, os.O_RDWR if os.name == "nt" else os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _is_plain_and_ours(status: os.stat_result) -> bool:
    """Return whether a file is a plain one under a single name, of this user."""
    if not stat.S_ISREG(status.st_mode) or status.st_nlink != 1:
        return False
    return os.name == "nt" or status.st_uid == os.geteuid()


def _lock(file: BinaryIO, target: Path) -> None:
    """Hold a file until it is closed; without effect where the system has no such locks."""
    try:
        import fcntl
    except ImportError:
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise CtClipError(
            f"{target} is being downloaded by another process; wait until it is done"
        ) from None
    except OSError:  # some network file systems
        return


@contextmanager
def _refusals_of(path: Path, partial: Path | None = None) -> Iterator[None]:
    """Say in one line that ``path`` cannot be written.

    With a ``partial``, while that is written by the caller: an error of reading something
    else passes, and libraries that tell of a full disk in errors of their own are understood.
    """
    try:
        yield
    except CtClipError:
        raise
    except OSError as error:
        if partial is not None and not _is_of_writing(error, partial):
            raise
        raise _refused(path, error.errno or errno.EIO) from error
    except Exception as error:
        if partial is None or not _is_full(partial):
            raise
        raise _refused(path, errno.ENOSPC) from error


def _refused(path: Path, number: int) -> UnwritableFile:
    return UnwritableFile(number, os.strerror(number), str(path))


def _is_of_writing(error: OSError, partial: Path) -> bool:
    """Return whether writing was refused; an error of another file has that file's name."""
    about = None if error.filename is None else Path(os.fsdecode(error.filename))
    named = about is None or about == partial or partial in about.parents
    return named and error.errno in _REFUSALS


def _is_full(partial: Path) -> bool:
    try:
        return shutil.disk_usage(partial.parent).free < _LITTLE
    except OSError:
        return False
