"""Download: a known model's files, on request only; resumed, verified, written whole or not."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from urllib.parse import quote

from napari_ctclip.core.errors import CtClipError
from napari_ctclip.io.files import write_text
from napari_ctclip.models.hub.fetch import Progress, Remote, fetch, sha256_of, stated_by_hub
from napari_ctclip.models.hub.registry import Access, KnownModel, ModelFile

__all__ = ["RECORD_FILE", "DownloadedFile", "download_model", "recorded_files", "require_network"]

RECORD_FILE = "download.json"
"""In a downloaded model folder: where each file came from, its size and SHA-256."""


@dataclass(frozen=True)
class DownloadedFile:
    """What was downloaded, for verification later."""

    path: str
    url: str
    commit: str
    size: int
    sha256: str


def download_model(
    model: KnownModel, *, progress: Progress | None = None
) -> tuple[DownloadedFile, ...]:
    """Return the files of a model, downloaded into its folder; those there already are verified.

    Raises
    ------
    CtClipError
        If it is not one that can be downloaded, there is no network, or a file is not what it
        should be.
    """
    if model.access != Access.DOWNLOAD:
        raise CtClipError(f"{model.name} cannot be downloaded ({model.state}): {model.how}")
    require_network()
    before = {entry.path: entry for entry in recorded_files(model.folder)}
    done: list[DownloadedFile] = []
    for file in model.files:
        target = model.folder / file.target
        known = before.get(file.target)
        if known is not None and target.is_file() and sha256_of(target) == known.sha256:
            done.append(known)
            continue
        remote = _on_hub(file)
        sha256 = fetch(remote, target, progress=progress)
        done.append(
            DownloadedFile(file.target, remote.url, remote.commit, target.stat().st_size, sha256)
        )
        _write_record(model, done)
    _write_record(model, done)
    return tuple(done)


def recorded_files(folder: Path) -> tuple[DownloadedFile, ...]:
    """Return what was downloaded into a folder; nothing if no record is there or it is damaged."""
    try:
        record = json.loads((folder / RECORD_FILE).read_text("utf-8"))
        return tuple(DownloadedFile(**entry) for entry in record["files"])
    except (OSError, ValueError, KeyError, TypeError):
        return ()


def require_network() -> None:
    """Pass unless downloads are switched off.

    Raises
    ------
    CtClipError
        If ``HF_HUB_OFFLINE`` is set.
    """
    if os.environ.get("HF_HUB_OFFLINE", "").strip().lower() in ("1", "true", "yes", "on"):
        raise CtClipError(
            "offline (HF_HUB_OFFLINE is set): nothing is downloaded; unset it, or copy the model's "
            "folder from another machine"
        )


def _on_hub(file: ModelFile) -> Remote:
    """Return where the Hugging Face hub has a file, with the checksum published or stated."""
    endpoint = (os.environ.get("HF_ENDPOINT") or "https://huggingface.co").rstrip("/")
    path = quote(file.path)
    stated = stated_by_hub(f"{endpoint}/{file.repository}/resolve/{file.revision}/{path}")
    return replace(stated, sha256=file.sha256 or stated.sha256, size=file.size_bytes or stated.size)


def _write_record(model: KnownModel, done: list[DownloadedFile]) -> None:
    record = {
        "model": model.name,
        "licence": model.licence,
        "source": model.source,
        "files": [asdict(entry) for entry in done],
    }
    write_text(model.folder / RECORD_FILE, json.dumps(record, indent=2) + "\n")
