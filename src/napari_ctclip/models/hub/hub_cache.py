"""Hub cache: files that the Hugging Face cache of this machine holds; nothing is downloaded."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

__all__ = ["cached_file", "cached_folder"]


def cached_file(repository: str, files: Sequence[str]) -> Path | None:
    """Return the first of the files that the Hugging Face cache holds; nothing is downloaded."""
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    for file in files:
        try:
            found = try_to_load_from_cache(repository, file)
        except HFValidationError:  # a path, no repository
            return None
        if isinstance(found, str):
            return Path(found)
    return None


def cached_folder(repository: str, files: Sequence[str]) -> Path | None:
    """Return the folder in which the cache holds all of the files; None if one is not there."""
    found = [cached_file(repository, (file,)) for file in files]
    first = found[0]
    return None if first is None or None in found else first.parent
