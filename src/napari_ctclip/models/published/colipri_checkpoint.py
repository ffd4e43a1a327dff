"""COLIPRI from files: the released weights, or a folder written here; never from the network."""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Mapping
from dataclasses import replace
from importlib.metadata import requires, version
from pathlib import Path
from typing import Any

from torch import Tensor

from napari_ctclip.core.errors import CheckpointMismatch, CtClipError
from napari_ctclip.models.folder.folder_files import (
    MODEL_FILE,
    described_kind,
    hash_of_files,
    read_description,
    write_description,
    write_weights,
)
from napari_ctclip.models.folder.strict_state import read_safetensors, require_same_tensors
from napari_ctclip.models.published.colipri import COLIPRI_PREPROCESSING, Colipri
from napari_ctclip.models.text.bert_text_encoder import CXR_BERT, FOLDER_FILES, BertTextEncoder
from napari_ctclip.models.text.text_encoder_folder import cached_text_folder

__all__ = [
    "COLIPRI",
    "COLIPRI_REPOSITORY",
    "is_colipri_folder",
    "load_colipri",
    "save_colipri",
    "untrained_colipri",
]

COLIPRI = "colipri"
"""Its name, and ``architecture.kind`` in ``model.toml``."""

COLIPRI_REPOSITORY = "microsoft/colipri"
"""Of the released weights, on the Hugging Face hub; MIT."""

_WEIGHTS, _TEXT = "model.safetensors", "text_encoder"
_SIGN = "image_encoder.backbone.eva."  # names that every COLIPRI checkpoint has
_LONGEST_TEXT = 512  # pieces; the package's processor
_SIZES = {
    "input_size": "input_size",
    "image_width": "image_embed_dim",
    "image_depth": "model.image_encoder.backbone.eva_depth",
    "image_heads": "model.image_encoder.backbone.eva_numheads",
    "embedding_width": "projection_dim",
    "image_pooling_heads": "model.image_encoder.pooler.num_heads",
    "text_pooling_heads": "model.text_encoder.pooler.num_heads",
}
"""Numbers of ``architecture`` that may differ, and what the shipped configuration calls them."""


def is_colipri_folder(folder: Path | str) -> bool:
    """Return whether a folder holds COLIPRI: its ``model.toml`` says so, or its weights' names."""
    from safetensors import SafetensorError, safe_open

    folder = Path(folder)
    if (folder / MODEL_FILE).is_file():
        return described_kind(folder) == COLIPRI
    try:
        with safe_open(folder / _WEIGHTS, framework="pt") as file:
            return any(name.startswith(_SIGN) for name in file.keys())  # noqa: SIM118
    except (SafetensorError, OSError):
        return False


def load_colipri(folder: Path | str) -> Colipri:
    """Return COLIPRI, ready for inference.

    Parameters
    ----------
    folder : Path
        With ``model.safetensors``, and ``text_encoder/`` with the configuration and vocabulary of
        its BERT unless the Hugging Face cache holds them.

    Raises
    ------
    CtClipError
        If the package or the text encoder is not on this machine, with the command that gets it.
    CheckpointMismatch
        If a file is damaged or the weights do not fit.
    """
    folder = Path(folder)
    settings = read_description(folder) if (folder / MODEL_FILE).is_file() else {}
    sizes = {k: v for k, v in settings.get("architecture", {}).items() if k != "kind"}
    name = str(settings.get("name", COLIPRI))
    text_folder = _text_folder(folder)
    model = untrained_colipri(text_folder, sizes=sizes, name=name)
    weights = _read_weights(folder / _WEIGHTS, expected=model.network.state_dict())
    model.network.load_state_dict(weights)
    model.content_hash = hash_of_files(
        folder / _WEIGHTS, text_folder / "vocab.txt", extra=f"{sizes}"
    )
    return model.eval().requires_grad_(False)


def untrained_colipri(
    text_folder: Path | str,
    *,
    sizes: Mapping[str, int] | None = None,
    name: str = "colipri (random weights)",
) -> Colipri:
    """Return COLIPRI as its package's configuration describes it, with random weights.

    Parameters
    ----------
    text_folder : Path
        ``config.json`` and ``vocab.txt`` of the text encoder's BERT.
    sizes : mapping of str to int, optional
        Numbers that differ from the shipped configuration: ``input_size`` (voxels),
        ``image_width``, ``image_depth``, ``image_heads``, ``embedding_width``,
        ``image_pooling_heads``, ``text_pooling_heads``.
    name : str
        What the user calls it.

    Raises
    ------
    CtClipError
        If the package is not installed.
    CheckpointMismatch
        If a size is unknown or no whole number, or sizes do not fit each other.
    """
    _require_package()
    from colipri.checkpoint import load_model_config
    from colipri.model.multimodal import Model
    from colipri.model.text import TextEncoder
    from hydra.errors import InstantiationException
    from hydra.utils import instantiate

    text = BertTextEncoder.untrained(text_folder, max_pieces=_LONGEST_TEXT)
    config = load_model_config(overrides=_overrides(sizes or {}))
    try:
        image_encoder = instantiate(config.image_encoder)
        text_encoder = TextEncoder(text.bert, instantiate(config.text_encoder.pooler))
    except (InstantiationException, AssertionError, ValueError) as error:
        raise CheckpointMismatch(f"COLIPRI cannot have the sizes {sizes}: {error}") from error
    side = int(config.image_encoder.backbone.input_shape[0])
    return Colipri(
        Model(image_encoder, text_encoder),
        text,
        name=name,
        preprocessing=replace(COLIPRI_PREPROCESSING, shape=(side, side, side)),
    ).eval()


def save_colipri(
    model: Colipri,
    folder: Path | str,
    *,
    text_folder: Path | str,
    sizes: Mapping[str, int] | None = None,
) -> None:
    """Write a folder that :func:`load_colipri` opens; weights under the names of the release.

    Parameters
    ----------
    model : Colipri
        The model.
    folder : Path
        Made if it does not exist.
    text_folder : Path
        Configuration and vocabulary of the text encoder; copied.
    sizes : mapping, optional
        As given to :func:`untrained_colipri`.
    """
    folder = Path(folder)
    (folder / _TEXT).mkdir(parents=True, exist_ok=True)
    for file in (*FOLDER_FILES, "tokenizer_config.json"):
        if (Path(text_folder) / file).is_file():
            shutil.copyfile(Path(text_folder) / file, folder / _TEXT / file)
    weights = {
        name: tensor.detach().to("cpu").contiguous()
        for name, tensor in model.network.state_dict().items()
    }
    write_weights(weights, folder / _WEIGHTS)
    description = {
        "schema_version": 1,
        "name": model.name,
        "architecture": {"kind": COLIPRI, **(sizes or {})},
        "preprocessing": model.preprocessing.to_dict(),
    }
    write_description(description, folder)


def _require_package() -> None:
    install = 'install it with: pip install "napari-ctclip[colipri]"'
    if importlib.util.find_spec("colipri") is None:
        raise CtClipError(f"COLIPRI needs its package; {install}")
    from packaging.requirements import Requirement

    wanted = [Requirement(line) for line in requires("colipri") or ()]
    timm = next((w.specifier for w in wanted if w.name == "timm"), None)
    # later ones fail in the position embedding of a volume, with shapes that tell nobody why
    if timm is not None and version("timm") not in timm:
        raise CtClipError(f"COLIPRI's package needs timm{timm}, got {version('timm')}; {install}")


def _overrides(sizes: Mapping[str, Any]) -> list[str]:
    """Return settings in the package's own words; anything but numbers could name code to run."""
    wrong = {k: v for k, v in sizes.items() if k not in _SIZES or type(v) is not int}
    if wrong:
        raise CheckpointMismatch(
            f"COLIPRI's architecture cannot be {wrong}; expected whole numbers for any of "
            f"{', '.join(_SIZES)}"
        )
    return [f"{_SIZES[name]}={value}" for name, value in sizes.items()]


def _text_folder(folder: Path) -> Path:
    if (folder / _TEXT).is_dir():
        return folder / _TEXT
    found = cached_text_folder(CXR_BERT, FOLDER_FILES)
    if found is None:
        raise CtClipError(
            f"COLIPRI's text encoder is not on this machine; get its configuration and vocabulary "
            f"with: hf download {CXR_BERT} {' '.join(FOLDER_FILES)}, or copy them into "
            f"{folder / _TEXT}"
        )
    return found


def _read_weights(file: Path, *, expected: Mapping[str, Tensor]) -> dict[str, Tensor]:
    weights = read_safetensors(file, advice="copy or download it again")
    # tables that some versions of transformers and timm store and others compute
    computed = [n for n in weights if n not in expected and (".rope." in n or "position_ids" in n)]
    for name in computed:
        del weights[name]
    advice = f"expected the release of {COLIPRI_REPOSITORY} or a folder written here"
    require_same_tensors(expected, weights, source=str(file), advice=advice)
    return weights
