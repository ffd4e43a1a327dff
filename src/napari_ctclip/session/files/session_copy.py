"""Session copy: a session file that lies elsewhere, put where a person wants it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from napari_ctclip.core.errors import DataError
from napari_ctclip.io.export.nifti_writing import replacing

__all__ = ["copy_session", "describe_if_not_written"]


def copy_session(source: Path, path: Path) -> Path:
    """Write a session file that lies elsewhere to a path.

    Raises
    ------
    DataError
        If it cannot be read, or the folder takes no file; an older file of that name is then as it
        was.
    """
    with describe_if_not_written(path), replacing(path) as partial:
        shutil.copyfile(source, partial)
    return path


@contextmanager
def describe_if_not_written(path: Path) -> Iterator[None]:
    """Tell in one line that a session file cannot be written."""
    try:
        yield
    except OSError as error:
        raise DataError(
            f"{path}: the session could not be saved ({error.strerror or error}); make room or "
            "choose another folder. Nothing else is lost."
        ) from error
