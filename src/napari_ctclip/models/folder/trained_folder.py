"""A model that a recipe trained, as a folder: safetensors, TOML, the text encoder's files."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from napari_ctclip.core.errors import CheckpointMismatch
from napari_ctclip.models.folder.architecture import MODEL_KINDS, TrainableModel, build_architecture
from napari_ctclip.models.folder.folder_files import (
    MODEL_FILE,
    WEIGHTS_FILE,
    described_kind,
    hash_of_files,
    read_description,
    write_description,
    write_weights,
)
from napari_ctclip.models.folder.strict_state import read_safetensors, require_same_tensors

__all__ = ["SCHEMA_VERSION", "is_trained_folder", "load_trained", "save_trained"]

SCHEMA_VERSION = 1
_TEXT_FILES = (
    "tokenizer.json",
    "config.json",
    "vocab.txt",
    "tokenizer_config.json",
    "special_tokens_map.json",
)


def is_trained_folder(folder: Path | str) -> bool:
    """Return whether a folder's ``model.toml`` is one of :func:`save_trained`."""
    return described_kind(folder) in MODEL_KINDS


def load_trained(folder: Path | str) -> TrainableModel:
    """Return the model of a folder, ready for inference.

    Raises
    ------
    CheckpointMismatch
        If a file is missing or damaged, or the weights do not fit the description.
    """
    folder = Path(folder)
    description = read_description(folder)
    if description.get("schema_version") != SCHEMA_VERSION:
        raise CheckpointMismatch(
            f"{folder / MODEL_FILE}: expected schema version {SCHEMA_VERSION}, got "
            f"{description.get('schema_version')}; update napari-ctclip or export the model again"
        )
    model = build_architecture(description, text_folder=folder)
    weights = read_safetensors(folder / WEIGHTS_FILE, advice="copy it again")
    require_same_tensors(
        model.state_dict(),
        weights,
        source=str(folder / WEIGHTS_FILE),
        advice=f"weights and {MODEL_FILE} must come from the same training",
    )
    model.load_state_dict({name: tensor.float() for name, tensor in weights.items()})
    model.content_hash = hash_of_files(folder / WEIGHTS_FILE, folder / MODEL_FILE)
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
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for name in _TEXT_FILES:
        if (text_folder / name).is_file():
            shutil.copyfile(text_folder / name, folder / name)
    weights = {
        name: tensor.detach().to("cpu", torch.float32).contiguous().clone()
        for name, tensor in state.items()
    }
    write_weights(weights, folder / WEIGHTS_FILE)
    told = {"schema_version": SCHEMA_VERSION, **description, "training": training}
    write_description(told, folder)
