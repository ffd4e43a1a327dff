"""Folders compared byte by byte."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

__all__ = ["contents"]


def contents(folder: Path) -> dict[str, str]:
    """Return every file and folder below, files with their hash."""
    return {
        path.relative_to(folder).as_posix(): (
            sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
        )
        for path in sorted(folder.rglob("*"))
    }
