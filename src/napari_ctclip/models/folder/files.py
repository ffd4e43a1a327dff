"""The files of a model folder: each written whole or not at all, and read without pickle."""

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
    "CARD_FILE",
    "MODEL_FILE",
    "TEXT_FOLDER",
    "WEIGHTS_FILE",
    "hash_of_files",
    "read_description",
    "read_safetensors",
    "replace_weights",
    "require_same_tensors",
    "text_files_folder",
    "write_description",
    "write_weights",
]

WEIGHTS_FILE, MODEL_FILE, CARD_FILE = "weights.safetensors", "model.toml", "MODEL_CARD.md"
TEXT_FOLDER = "text_encoder"

_LISTED = 5  # names in a message
_PICKLES = (b"PK\x03\x04", b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")
"""How files of torch.save and pickles begin."""


def read_description(folder: Path) -> dict[str, Any]:
    """Return what a folder's ``model.toml`` says.

    Raises
    ------
    CheckpointMismatch
        If there is none, or it is not TOML.
    """
    file = folder / MODEL_FILE
    try:
        return tomllib.loads(file.read_text("utf-8"))
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise CheckpointMismatch(
            f"{file} is not readable TOML: {error}; copy the whole model folder again"
        ) from error


def write_description(description: Mapping[str, Any], folder: Path) -> None:
    """Write a folder's ``model.toml``: tuples as lists, None left out."""
    import tomli_w

    write_text(folder / MODEL_FILE, tomli_w.dumps(_plain(description)), durable=True)


def read_safetensors(file: Path, *, advice: str) -> dict[str, Tensor]:
    """Return the tensors of a safetensors file.

    Parameters
    ----------
    file : Path
        The file.
    advice : str
        How to fix it, for the message.

    Raises
    ------
    CheckpointMismatch
        If it is cut short, or another kind of file; a pickle is not opened.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        with file.open("rb") as stream:
            start = stream.read(4)
        if start.startswith(_PICKLES):
            raise CheckpointMismatch(
                f"{file} is a PyTorch pickle under another name, expected safetensors; it was not "
                f"opened, because a pickle can run code; {advice}"
            )
        return load_file(file)
    except (SafetensorError, OSError) as error:
        raise CheckpointMismatch(
            f"{file} is damaged (cut short?) or no safetensors file ({error}); {advice}"
        ) from error


def write_weights(
    weights: Mapping[str, Tensor], file: Path, *, metadata: Mapping[str, str] | None = None
) -> None:
    """Write tensors as a safetensors file; the file is there whole or not at all."""
    from safetensors.torch import save_file

    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in weights.items()}
    with replacing(file, durable=True) as partial:
        save_file(plain, partial, metadata={"format": "pt", **(metadata or {})})


def replace_weights(folder: Path, changed: Mapping[str, Tensor]) -> None:
    """Replace some tensors of a model folder, in the precision they had; the others stay."""
    weights = read_safetensors(folder / WEIGHTS_FILE, advice="copy the model folder again")
    new = {name: tensor.to(weights[name].dtype) for name, tensor in changed.items()}
    write_weights(weights | new, folder / WEIGHTS_FILE)


def require_same_tensors(
    expected: Mapping[str, Tensor], found: Mapping[str, Tensor], *, source: str, advice: str
) -> None:
    """Pass weights with exactly the expected names and shapes.

    Parameters
    ----------
    expected, found : mapping of str to Tensor
        State dicts.
    source : str
        The file, for the message.
    advice : str
        How to fix it.

    Raises
    ------
    CheckpointMismatch
        Naming what is missing, unexpected and of another shape.
    """
    problems = {
        "missing": sorted(set(expected) - set(found)),
        "unexpected": sorted(set(found) - set(expected)),
        "of another shape": [
            f"{name} (expected {tuple(expected[name].shape)}, got {tuple(found[name].shape)})"
            for name in sorted(set(expected) & set(found))
            if expected[name].shape != found[name].shape
        ],
    }
    named = [f"{len(names)} {kind}: {_listed(names)}" for kind, names in problems.items() if names]
    if named:
        raise CheckpointMismatch(f"{source} does not fit the model: {'; '.join(named)}; {advice}")


def hash_of_files(*files: Path, extra: str = "") -> str:
    """Return the SHA-256 (hex) of a text and the bytes of files, in their order."""
    digest = sha256(extra.encode())
    for file in files:
        with file.open("rb") as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


def text_files_folder(folder: Path) -> Path:
    """Return where a text encoder's files lie: in ``text_encoder/``, or in the folder itself.

    In the folder itself they lie in folders of schema version 1, and in those of a text encoder.
    """
    return folder / TEXT_FOLDER if (folder / TEXT_FOLDER).is_dir() else folder


def _plain(value: Any) -> Any:
    """Return a value as TOML can hold it."""
    if isinstance(value, Mapping):
        return {str(key): _plain(entry) for key, entry in value.items() if entry is not None}
    return [_plain(entry) for entry in value] if isinstance(value, (list, tuple)) else value


def _listed(names: list[str]) -> str:
    more = len(names) - _LISTED
    return ", ".join(names[:_LISTED]) + (f" and {more} more" if more > 0 else "")
