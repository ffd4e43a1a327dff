"""A model that a recipe trained, as a folder: safetensors, TOML, the text encoder's files."""

from __future__ import annotations

import os
import shutil
import tomllib
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from napari_ctclip.core.errors import CheckpointMismatch
from napari_ctclip.models.architecture import MODEL_KINDS, TrainableModel, build_architecture
from napari_ctclip.models.strict_state import require_same_tensors

__all__ = ["SCHEMA_VERSION", "is_trained_folder", "load_trained", "save_trained"]

SCHEMA_VERSION = 1
_WEIGHTS, _MODEL = "weights.safetensors", "model.toml"
_TEXT_FILES = (
    "tokenizer.json",
    "config.json",
    "vocab.txt",
    "tokenizer_config.json",
    "special_tokens_map.json",
)


def is_trained_folder(folder: Path | str) -> bool:
    """Return whether a folder's ``model.toml`` is one of :func:`save_trained`."""
    try:
        description = tomllib.loads((Path(folder) / _MODEL).read_text("utf-8"))
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError):
        return False
    architecture = description.get("architecture")
    return isinstance(architecture, dict) and architecture.get("kind") in MODEL_KINDS


def load_trained(folder: Path | str) -> TrainableModel:
    """Return the model of a folder, ready for inference.

    Raises
    ------
    CheckpointMismatch
        If a file is missing or damaged, or the weights do not fit the description.
    """
    folder = Path(folder)
    try:
        description = tomllib.loads((folder / _MODEL).read_text("utf-8"))
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise CheckpointMismatch(f"{folder / _MODEL} is not readable TOML: {error}") from error
    if description.get("schema_version") != SCHEMA_VERSION:
        raise CheckpointMismatch(
            f"{folder / _MODEL}: expected schema version {SCHEMA_VERSION}, got "
            f"{description.get('schema_version')}; update napari-ctclip or export the model again"
        )
    model = build_architecture(description, text_folder=folder)
    weights = _read_weights(folder / _WEIGHTS)
    require_same_tensors(
        model.state_dict(),
        weights,
        source=str(folder / _WEIGHTS),
        advice=f"weights and {_MODEL} must come from the same training",
    )
    model.load_state_dict(weights)
    model.content_hash = _hash_of(folder)
    return model.eval().requires_grad_(False)


def save_trained(
    state: Mapping[str, Tensor],
    description: Mapping[str, Any],
    folder: Path | str,
    *,
    text_folder: Path,
    training: Mapping[str, Any],
) -> None:
    """Write a folder that :func:`load_trained` opens; weights as float32.

    Parameters
    ----------
    state : mapping of str to Tensor
        The model's weights.
    description : mapping
        What ``architecture.build_architecture`` made it from.
    folder : Path
        Made if it does not exist.
    text_folder : Path
        Where the text encoder's tokenizer or vocabulary lies; copied.
    training : mapping
        How the weights came about, plain values.
    """
    import tomli_w
    from safetensors.torch import save_file

    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for name in _TEXT_FILES:
        if (text_folder / name).is_file():
            shutil.copyfile(text_folder / name, folder / name)
    weights = {
        name: tensor.detach().to("cpu", torch.float32).contiguous().clone()
        for name, tensor in state.items()
    }
    part = folder / f"{_WEIGHTS}.part"
    save_file(weights, part, metadata={"format": "pt"})
    os.replace(part, folder / _WEIGHTS)
    text = tomli_w.dumps(
        {"schema_version": SCHEMA_VERSION, **_plain(description), "training": _plain(training)}
    )
    (folder / f"{_MODEL}.part").write_text(text, "utf-8")
    os.replace(folder / f"{_MODEL}.part", folder / _MODEL)


def _read_weights(file: Path) -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return {name: tensor.float() for name, tensor in load_file(file).items()}
    except (SafetensorError, OSError) as error:
        raise CheckpointMismatch(
            f"{file} is damaged or no safetensors file ({error}); copy it again"
        ) from error


def _hash_of(folder: Path) -> str:
    digest = sha256()
    for name in (_WEIGHTS, _MODEL):
        digest.update((folder / name).read_bytes())
    return digest.hexdigest()


def _plain(value: Any) -> Any:
    """Return a value as TOML can hold it: lists for tuples, no None."""
    if isinstance(value, Mapping):
        return {str(key): _plain(entry) for key, entry in value.items() if entry is not None}
    return [_plain(entry) for entry in value] if isinstance(value, (list, tuple)) else value
