"""An imported model as a folder: safetensors, TOML, its text encoder's files, a card; no pickle."""

from __future__ import annotations

import shutil
import tomllib
from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import nn

from napari_ctclip.core.errors import CheckpointMismatch, DataError
from napari_ctclip.models.folder_weights import FolderWeights
from napari_ctclip.models.strict_state import read_safetensors, require_same_tensors

__all__ = ["SCHEMA_VERSION", "described_kind", "open_imported", "write_imported"]

SCHEMA_VERSION = 1
_WEIGHTS, _MODEL, _TEXT = "weights.safetensors", "model.toml", "text_encoder"
_CARD = "MODEL_CARD.md"
_VOCABULARIES = ("vocab.txt", "vocab.json", "merges.txt")
_TOKENIZER_FILES = ("tokenizer_config.json", "special_tokens_map.json")
_AGAIN = "import the model again"

Model = TypeVar("Model", bound=FolderWeights)


def described_kind(folder: Path | str) -> str:
    """Return ``architecture.kind`` of a folder's ``model.toml``; empty where there is none."""
    try:
        description = tomllib.loads((Path(folder) / _MODEL).read_text("utf-8"))
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError):
        return ""
    architecture = description.get("architecture")
    return str(architecture.get("kind", "")) if isinstance(architecture, dict) else ""


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
    missing = [name for name in (_WEIGHTS, _MODEL) if not (folder / name).is_file()]
    if missing:
        raise CheckpointMismatch(
            f"{folder}: expected {_WEIGHTS}, {_MODEL} and {_TEXT}/; missing {', '.join(missing)}"
        )
    try:
        description = tomllib.loads((folder / _MODEL).read_text("utf-8"))
        if description.get("schema_version") != SCHEMA_VERSION:
            raise ValueError(
                f"expected schema version {SCHEMA_VERSION}, got {description.get('schema_version')}"
            )
        model = build(description, folder / _TEXT)
    except KeyError as error:
        raise CheckpointMismatch(f"{folder / _MODEL} has no {error.args[0]}; {_AGAIN}") from error
    except (TypeError, ValueError, DataError) as error:
        raise CheckpointMismatch(
            f"{folder / _MODEL} cannot be used: {type(error).__name__}: {error}; {_AGAIN}"
        ) from error
    weights = read_safetensors(folder / _WEIGHTS, advice=_AGAIN)
    expected = model.state_dict()
    require_same_tensors(expected, weights, source=str(folder / _WEIGHTS), advice=_AGAIN)
    model.load_state_dict({name: t.to(expected[name].dtype) for name, t in weights.items()})
    model.content_hash = _hash_of(folder)
    return model.eval().requires_grad_(False)


def write_imported(
    model: nn.Module,
    folder: Path | str,
    *,
    description: Mapping[str, Any],
    text_folder: Path | str,
    text_files: Sequence[str],
    what: str,
) -> None:
    """Write a folder that :func:`open_imported` opens; weights as float32.

    Parameters
    ----------
    model : nn.Module
        The model.
    folder : Path
        Made if it does not exist.
    description : mapping
        ``name``, ``licence``, ``architecture`` with its ``kind``, ``preprocessing``, ``training``
        (how the weights came about) and what else ``build`` needs; plain values.
    text_folder : Path
        Configuration and vocabulary of the text encoder; copied, without weights.
    text_files : sequence of str
        Which.
    what : str
        One or two sentences for the model card.
    """
    import tomli_w
    from safetensors.torch import save_file

    folder, text_folder = Path(folder), Path(text_folder)
    (folder / _TEXT).mkdir(parents=True, exist_ok=True)
    for name in (*text_files, *_TOKENIZER_FILES):
        if (text_folder / name).is_file():
            shutil.copyfile(text_folder / name, folder / _TEXT / name)
    weights = {
        name: tensor.detach().to("cpu", _stored_as(tensor)).contiguous()
        for name, tensor in model.state_dict().items()
    }
    save_file(weights, folder / f"{_WEIGHTS}.part", metadata={"format": "pt"})
    (folder / f"{_WEIGHTS}.part").replace(folder / _WEIGHTS)
    whole = {"schema_version": SCHEMA_VERSION, **description}
    (folder / _MODEL).write_text(tomli_w.dumps(whole), "utf-8")
    (folder / _CARD).write_text(_card(whole, what), "utf-8")


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


def _hash_of(folder: Path) -> str:
    digest = sha256()
    vocabularies = [folder / _TEXT / name for name in _VOCABULARIES]
    for file in (folder / _WEIGHTS, folder / _MODEL, *filter(Path.is_file, vocabularies)):
        with file.open("rb") as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()
