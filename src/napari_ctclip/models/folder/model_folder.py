"""A model as a folder: weights, description, the text encoder's files, a card; read strictly."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor

from napari_ctclip.core.errors import CheckpointMismatch, DataError
from napari_ctclip.io.files import write_bytes, write_text
from napari_ctclip.models.folder.files import (
    CARD_FILE,
    MODEL_FILE,
    TEXT_FOLDER,
    WEIGHTS_FILE,
    hash_of_files,
    read_description,
    read_safetensors,
    require_same_tensors,
    text_files_folder,
    write_description,
    write_weights,
)
from napari_ctclip.models.runtime.weights_hash import HashedWeights

__all__ = [
    "SCHEMA_VERSION",
    "hash_of_folder",
    "kind_of_folder",
    "open_model_folder",
    "write_model_folder",
]

SCHEMA_VERSION = 2
"""Of ``model.toml``. Version 1 kept the text encoder's files beside it for models trained here, and
had no ``architecture.kind`` for the starter."""

_TEXT_FILES = (
    *("tokenizer.json", "vocab.txt", "vocab.json", "merges.txt", "config.json"),
    *("tokenizer_config.json", "special_tokens_map.json"),
)
_HASHED_TEXT_FILES = _TEXT_FILES[:4]
"""What turns a text into numbers, and so belongs to the weights."""

_COPY_AGAIN = "copy or write the model folder again"

Model = TypeVar("Model", bound=HashedWeights)


def kind_of_folder(folder: Path) -> str:
    """Return the ``architecture.kind`` of a folder's ``model.toml``.

    Raises
    ------
    CheckpointMismatch
        If the folder has no description, or one that cannot be read.
    """
    if not (folder / MODEL_FILE).is_file():
        _require_files(folder)
    return str(_current(read_description(folder), folder)["architecture"].get("kind"))


def open_model_folder(
    folder: Path | str, build: Callable[[Mapping[str, Any], Path], Model]
) -> Model:
    """Return the model of a folder, ready for inference.

    Parameters
    ----------
    folder : Path
        A folder that :func:`write_model_folder` wrote, of this or an earlier version.
    build : callable
        Description and folder of the text encoder's files -> the model, with any weights.

    Raises
    ------
    CheckpointMismatch
        If a file is missing or damaged, or the weights do not fit the description; every missing,
        unexpected and mis-shaped tensor is named.
    CtClipError
        If a package that the model needs is not installed.
    """
    folder = Path(folder)
    _require_files(folder)
    file = folder / MODEL_FILE
    description = _current(read_description(folder), folder)
    try:
        model = build(description, text_files_folder(folder))
    except KeyError as error:
        raise CheckpointMismatch(
            f"{file} has no {error.args[0]}, without which nobody knows how to use the weights; "
            f"{_COPY_AGAIN}"
        ) from error
    except (TypeError, ValueError, DataError) as error:
        raise CheckpointMismatch(
            f"{file} cannot be used: {type(error).__name__}: {error}; {_COPY_AGAIN}"
        ) from error
    weights = read_safetensors(folder / WEIGHTS_FILE, advice=_COPY_AGAIN)
    require_same_tensors(
        model.state_dict(),
        weights,
        source=str(folder / WEIGHTS_FILE),
        advice=f"weights and {MODEL_FILE} must come from the same training",
    )
    model.load_state_dict(weights)  # into the precision that the model was built in
    model.content_hash = hash_of_folder(folder)
    return model.eval().requires_grad_(False)


def hash_of_folder(folder: Path) -> str:
    """Return the hash (hex) of the files of a model folder that its answers depend on."""
    texts = (folder / TEXT_FOLDER / name for name in _HASHED_TEXT_FILES)
    return hash_of_files(folder / WEIGHTS_FILE, folder / MODEL_FILE, *filter(Path.is_file, texts))


def write_model_folder(
    folder: Path | str,
    *,
    weights: Mapping[str, Tensor],
    description: Mapping[str, Any],
    text_folder: Path | str,
    summary: str = "",
    precision: torch.dtype = torch.float32,
) -> None:
    """Write a folder that :func:`open_model_folder` opens.

    Parameters
    ----------
    folder : Path
        Made if it does not exist.
    weights : mapping of str to Tensor
        The model's state dict.
    description : mapping
        ``name``, ``licence``, ``architecture`` with its ``kind``, ``preprocessing``, ``training``
        (how the weights came about), and what else the kind needs; plain values.
    text_folder : Path
        Where the text encoder's tokenizer or vocabulary lies; copied, without weights.
    summary : str
        One or two sentences for a model card; without it no card is written.
    precision : torch.dtype
        The type of the stored weights.
    """
    folder = Path(folder)
    texts = folder / TEXT_FOLDER
    texts.mkdir(parents=True, exist_ok=True)
    source = text_files_folder(Path(text_folder))
    for name in _TEXT_FILES:
        if (source / name).is_file():
            write_bytes(texts / name, (source / name).read_bytes())
    stored = {
        # a batch normalisation also counts its batches, in integers
        name: tensor.to(precision) if tensor.is_floating_point() else tensor
        for name, tensor in weights.items()
    }
    write_weights(stored, folder / WEIGHTS_FILE)
    write_description({"schema_version": SCHEMA_VERSION, **description}, folder)
    if summary:
        write_text(folder / CARD_FILE, _card(description, summary))


def _require_files(folder: Path) -> None:
    missing = [name for name in (WEIGHTS_FILE, MODEL_FILE) if not (folder / name).is_file()]
    if missing:
        raise CheckpointMismatch(
            f"{folder}: expected {WEIGHTS_FILE}, {MODEL_FILE} and {TEXT_FOLDER}/; "
            f"missing {', '.join(missing)}; {_COPY_AGAIN}"
        )


def _current(description: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Return a description as the current version has it."""
    version, architecture = description.get("schema_version"), description.get("architecture")
    if version not in (1, SCHEMA_VERSION):
        raise CheckpointMismatch(
            f"{folder / MODEL_FILE}: expected schema version 1 or {SCHEMA_VERSION}, got {version}; "
            "update napari-ctclip or export the model again"
        )
    if not isinstance(architecture, dict):
        raise CheckpointMismatch(f"{folder / MODEL_FILE} has no architecture; {_COPY_AGAIN}")
    if "kind" not in architecture:  # the starter's
        parts = {"image": "cnn", "text": "word_piece"}
        tables = {
            part: {"kind": kind, **architecture.get(part, {})} for part, kind in parts.items()
        }
        width = architecture.get("embedding_width", description.get("embedding_width"))
        description |= {"architecture": {"kind": "towers", **tables}, "embedding_width": width}
    elif architecture["kind"] == "fvlm":  # imported, now described as what is trained here
        image = {k: v for k, v in architecture.get("image", {}).items() if k != "in_channels"}
        tables = {"image": {"kind": "vit", **image}, "text": {"kind": "bert"}}
        description |= {"architecture": {"kind": "organ_query", **tables}}
    return description


def _card(description: Mapping[str, Any], summary: str) -> str:
    """Return a model card that says what is known of imported weights."""
    preprocessing = description["preprocessing"]
    spacing = " x ".join(f"{s:g}" for s in preprocessing["spacing_mm"])
    windows = ", ".join(f"{low:g}..{high:g}" for low, high in preprocessing["windows_hu"])
    facts = "".join(f"- {key}: {value}\n" for key, value in description["training"].items())
    return (
        f"# {description['name']}\n\n"
        f"{summary} Research use only; not a medical device.\n\n"
        f"- licence of the weights: {description['licence']}\n"
        f"- input: axes {preprocessing['orientation']}, {spacing} mm, HU {windows}\n"
        f"{facts}"
    )
