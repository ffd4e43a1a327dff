"""Which format a file really has: by its first bytes, never by its name."""

# mypy: allow-untyped-calls
# isal is typed in part only.
from __future__ import annotations

import struct
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import BinaryIO, cast

from isal import igzip, igzip_threaded, isal_zlib

from napari_ctclip.core.errors import UnreadableFile

__all__ = [
    "GZIP_ERRORS",
    "FileFormat",
    "dicom_files",
    "file_format",
    "holds_dicom",
    "is_gzip",
    "open_for_streaming",
    "open_plain",
]

GZIP_ERRORS: tuple[type[Exception], ...] = (
    EOFError,
    OSError,
    cast("type[Exception]", isal_zlib.IsalError),
)
"""What a damaged or cut gzip stream raises."""

_GZIP_MAGIC = b"\x1f\x8b"
_NIFTI_1_SIZE, _NIFTI_2_SIZE = 348, 540
_HEAD_BYTES = 512
_FILES_LOOKED_AT = 40  # of a folder, before it is called "no DICOM": a click must answer at once


class FileFormat(StrEnum):
    """A format that can be read."""

    NIFTI = "NIfTI"
    DICOM = "DICOM"
    NRRD = "NRRD"
    META_IMAGE = "MetaImage"


def file_format(path: Path) -> FileFormat | None:
    """Return the format of a file by its content; None if it is none we read.

    Raises
    ------
    UnreadableFile
        If the file is missing or empty, or its gzip stream is damaged in the first bytes.
    """
    head = _head(path)
    if _is_nifti(head):
        return FileFormat.NIFTI
    if _is_dicom(head):
        return FileFormat.DICOM
    if head.startswith(b"NRRD000"):
        return FileFormat.NRRD
    if b"NDims" in head and b"=" in head and (b"ObjectType" in head or b"DimSize" in head):
        return FileFormat.META_IMAGE
    return None


def is_gzip(path: Path) -> bool:
    """Return whether a file starts like a gzip stream."""
    with path.open("rb") as file:
        return file.read(2) == _GZIP_MAGIC


def open_plain(path: Path) -> BinaryIO:
    """Open a file for reading, seeing through gzip; seekable."""
    return cast("BinaryIO", igzip.open(path, "rb")) if is_gzip(path) else path.open("rb")


def open_for_streaming(path: Path) -> BinaryIO:
    """Open a file for reading front to back; gzip is unpacked ahead by a second thread."""
    if is_gzip(path):
        return cast("BinaryIO", igzip_threaded.open(path, "rb", threads=1))
    return path.open("rb")


def dicom_files(folder: Path) -> Iterator[Path]:
    """Yield the DICOM files of a folder and of its subfolders, in order of their paths."""
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        if path.name == "DICOMDIR" or path.name.startswith("."):
            continue
        with path.open("rb") as file:
            if _is_dicom(file.read(_HEAD_BYTES)):
                yield path


def holds_dicom(folder: Path) -> bool:
    """Return whether one of a folder's first files is DICOM; cheap."""
    looked_at = 0
    for path in folder.rglob("*"):
        if not path.is_file():
            continue
        with path.open("rb") as file:
            if _is_dicom(file.read(_HEAD_BYTES)):
                return True
        looked_at += 1
        if looked_at >= _FILES_LOOKED_AT:
            return False
    return False


def _head(path: Path) -> bytes:
    if not path.exists():
        raise UnreadableFile(f"there is no file {path}; check the path")
    try:
        with open_plain(path) as file:
            head = file.read(_HEAD_BYTES)
    except GZIP_ERRORS as error:
        raise UnreadableFile(
            f"{path} cannot be read: {error}; the gzip stream is damaged or cut short, "
            "copy the file again"
        ) from error
    if not head:
        raise UnreadableFile(f"{path} is empty (0 bytes); copy or export the file again")
    return head


def _is_nifti(head: bytes) -> bool:
    if len(head) < _NIFTI_1_SIZE:
        return False
    sizes = {struct.unpack("<i", head[:4])[0], struct.unpack(">i", head[:4])[0]}
    if _NIFTI_1_SIZE in sizes:
        return head[344:347] in (b"n+1", b"ni1")
    return _NIFTI_2_SIZE in sizes and head[4:7] in (b"n+2", b"ni2")


def _is_dicom(head: bytes) -> bool:
    if head[128:132] == b"DICM":
        return True
    # Old exports lack the preamble and start with group 0008, element 0000..0020.
    if len(head) < 8 or head[:2] != b"\x08\x00":
        return False
    element = struct.unpack("<H", head[2:4])[0]
    explicit = head[4:6] in (b"UI", b"CS", b"UL", b"DA", b"TM", b"LO", b"SH")
    return element <= 0x0020 and (explicit or struct.unpack("<I", head[4:8])[0] < 256)
