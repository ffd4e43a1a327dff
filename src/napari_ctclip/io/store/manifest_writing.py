"""Writing a manifest: one JSON object a line, defaults left out, paths relative to the file."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from napari_ctclip.io.files import replacing
from napari_ctclip.io.store.manifest_entry import ManifestEntry

__all__ = ["write_manifest"]


def write_manifest(entries: Iterable[ManifestEntry], path: Path) -> None:
    """Write the studies as ``.jsonl``, whole or not at all; the same studies give the same bytes.

    Parameters
    ----------
    entries : iterable of ManifestEntry
        With absolute paths, as :func:`read_manifest` gives them.
    path : Path
        The file; its folder is where the relative paths start.
    """
    folder = path.parent.absolute()
    with replacing(path) as partial, partial.open("w", encoding="utf-8", newline="\n") as file:
        for entry in entries:
            file.write(json.dumps(_values(entry, folder), ensure_ascii=False) + "\n")


def _values(entry: ManifestEntry, folder: Path) -> dict[str, Any]:
    values = entry.model_dump(mode="json", exclude_defaults=True)
    for key in ("image", "masks"):
        if values.get(key) is not None:
            values[key] = _relative(Path(values[key]), folder)
    if entry.legend is not None and Path(entry.legend).suffix:
        values["legend"] = _relative(Path(entry.legend), folder)
    return values


def _relative(path: Path, folder: Path) -> str:
    try:
        # links are kept: what they point to may have another name and ending
        return Path(os.path.relpath(path, folder)).as_posix()
    except ValueError:  # another drive on Windows
        return path.absolute().as_posix()
