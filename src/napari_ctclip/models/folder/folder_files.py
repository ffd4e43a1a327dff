"""The files of every model folder, weights and description, and a hash of what a folder holds."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

from torch import Tensor

from napari_ctclip.core.errors import CheckpointMismatch
from napari_ctclip.io.files import replacing, write_text

__all__ = [
    "MODEL_FILE",
    "WEIGHTS_FILE",
    "described_kind",
    "hash_of_files",
    "read_description",
    "write_description",
    "write_weights",
]

WEIGHTS_FILE, MODEL_FILE = "weights.safetensors", "model.toml"


def read_description(folder: Path) -> dict[str, Any]:
    """Return what a folder's ``model.toml`` says.

    Raises
    ------
    CheckpointMismatch
        If there is none, or it is no TOML.
    """
    file = folder / MODEL_FILE
    try:
        return tomllib.loads(file.read_text("utf-8"))
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise CheckpointMismatch(f"{file} is not readable TOML: {error}") from error


def described_kind(folder: Path | str) -> str:
    """Return ``architecture.kind`` of a folder's ``model.toml``; empty where there is none."""
    try:
        architecture = read_description(Path(folder)).get("architecture")
    except CheckpointMismatch:
        return ""
    return str(architecture.get("kind", "")) if isinstance(architecture, dict) else ""


def write_description(description: Mapping[str, Any], folder: Path) -> None:
    """Write a folder's ``model.toml``: tuples as lists, what is None left out."""
    import tomli_w

    write_text(folder / MODEL_FILE, tomli_w.dumps(_plain(description)), durable=True)


def write_weights(weights: Mapping[str, Tensor], file: Path) -> None:
    """Write tensors on the CPU as safetensors; the file is there whole or not at all."""
    from safetensors.torch import save_file

    with replacing(file, durable=True) as partial:
        save_file(dict(weights), partial, metadata={"format": "pt"})


def hash_of_files(*files: Path, extra: str = "") -> str:
    """Return the SHA-256 (hex) of a text and the bytes of files, in their order."""
    digest = sha256(extra.encode())
    for file in files:
        with file.open("rb") as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


def _plain(value: Any) -> Any:
    """Return a value as TOML can hold it."""
    if isinstance(value, Mapping):
        return {str(key): _plain(entry) for key, entry in value.items() if entry is not None}
    return [_plain(entry) for entry in value] if isinstance(value, (list, tuple)) else value
