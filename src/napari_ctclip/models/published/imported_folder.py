"""An imported model as a folder: safetensors, TOML, its text encoder's files, a card; no pickle."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import torch

from napari_ctclip.core.errors import CheckpointMismatch, DataError
from napari_ctclip.io.files import write_text
from napari_ctclip.models.folder.folder_files import (
    MODEL_FILE,
    WEIGHTS_FILE,
    hash_of_files,
    read_description,
    write_description,
    write_weights,
)
from napari_ctclip.models.folder.folder_weights import FolderWeights
from napari_ctclip.models.folder.strict_state import read_safetensors, require_same_tensors

__all__ = ["SCHEMA_VERSION", "open_imported", "write_imported"]

SCHEMA_VERSION = 1
_TEXT, _CARD = "text_encoder", "MODEL_CARD.md"
_VOCABULARIES = ("vocab.txt", "vocab.json", "merges.txt")
_TOKENIZER_FILES = ("tokenizer_config.json", "special_tokens_map.json")
_AGAIN = "import the model again"

Model = TypeVar("Model", bound=FolderWeights)


def open_imported(folder: Path | str, build: Callable[[Mapping[str, Any], Path], Model]) -> Model:
    """Return the model of a folder, ready for inference.

    Parameters
    ----------
    folder : Path
        Of :func:`write_imported`.
    build : callable
        Description and text encoder's folder -> the model, with any weights.

    Raises
    ------
    CheckpointMismatch
        If a file is missing or damaged, or the weights do not fit the description.
    CtClipError
        If a package that the model needs is not installed.
    """
    folder = Path(folder)
    missing = [name for name in (WEIGHTS_FILE, MODEL_FILE) if not (folder / name).is_file()]
    if missing:
        raise CheckpointMismatch(
            f"{folder}: expected {WEIGHTS_FILE}, {MODEL_FILE} and {_TEXT}/; "
            f"missing {', '.join(missing)}"
        )
    description = read_description(folder)
    try:
        if description.get("schema_version") != SCHEMA_VERSION:
            raise ValueError(
                f"expected schema version {SCHEMA_VERSION}, got {description.get('schema_version')}"
            )
        model = build(description, folder / _TEXT)
    except KeyError as error:
        raise CheckpointMismatch(
            f"{folder / MODEL_FILE} has no {error.args[0]}; {_AGAIN}"
        ) from error
    except (TypeError, ValueError, DataError) as error:
        raise CheckpointMismatch(
            f"{folder / MODEL_FILE} cannot be used: {type(error).__name__}: {error}; {_AGAIN}"
        ) from error
    weights = read_safetensors(folder / WEIGHTS_FILE, advice=_AGAIN)
    expected = model.state_dict()
    require_same_tensors(expected, weights, source=str(folder / WEIGHTS_FILE), advice=_AGAIN)
    model.load_state_dict({name: t.to(expected[name].dtype) for name, t in weights.items()})
    vocabularies = (folder / _TEXT / name for name in _VOCABULARIES)
    model.content_hash = hash_of_files(
        folder / WEIGHTS_FILE, folder / MODEL_FILE, *filter(Path.is_file, vocabularies)
    )
    return model.eval().requires_grad_(False)


def write_imported(
    model: FolderWeights,
    folder: Path | str,
    *,
    architecture: Mapping[str, Any],
    licence: str,
    provenance: Mapping[str, Any],
    text_folder: Path | str,
    text_files: Sequence[str],
    what: str,
    more: Mapping[str, Any] | None = None,
) -> None:
    """Write a folder that :func:`open_imported` opens; weights as float32.

    Parameters
    ----------
    model : FolderWeights
        The model.
    folder : Path
        Made if it does not exist.
    architecture : mapping
        ``kind``, and what the networks are built from.
    licence : str
        Of the weights.
    provenance : mapping
        How the weights came about, plain values.
    text_folder : Path
        Configuration and vocabulary of the text encoder; copied, without weights.
    text_files : sequence of str
        Which.
    what : str
        One or two sentences for the model card.
    more : mapping, optional
        What else ``build`` reads in the description.
    """
    folder, text_folder = Path(folder), Path(text_folder)
    (folder / _TEXT).mkdir(parents=True, exist_ok=True)
    for name in (*text_files, *_TOKENIZER_FILES):
        if (text_folder / name).is_file():
            shutil.copyfile(text_folder / name, folder / _TEXT / name)
    weights = {
        name: tensor.detach().to("cpu", _stored_as(tensor)).contiguous()
        for name, tensor in model.state_dict().items()
    }
    write_weights(weights, folder / WEIGHTS_FILE)
    description = {
        "schema_version": SCHEMA_VERSION,
        "name": model.name,
        **(more or {}),
        "licence": licence,
        "architecture": architecture,
        "preprocessing": model.preprocessing.to_dict(),
        "training": provenance,
    }
    write_description(description, folder)
    write_text(folder / _CARD, _card(description, what))


def _stored_as(tensor: torch.Tensor) -> torch.dtype:
    # a batch normalisation also counts its batches, in whole numbers
    return torch.float32 if tensor.is_floating_point() else tensor.dtype


def _card(description: Mapping[str, Any], what: str) -> str:
    """Return a model card that says what is known of imported weights."""
    preprocessing = description["preprocessing"]
    spacing = " x ".join(f"{s:g}" for s in preprocessing["spacing_mm"])
    windows = ", ".join(f"{low:g}..{high:g}" for low, high in preprocessing["windows_hu"])
    facts = "".join(f"- {key}: {value}\n" for key, value in description["training"].items())
    return (
        f"# {description['name']}\n\n"
        f"{what} Research use only; not a medical device.\n\n"
        f"- licence of the weights: {description['licence']}\n"
        f"- input: axes {preprocessing['orientation']}, {spacing} mm, HU {windows}\n"
        f"{facts}"
    )
