"""An FVLM as a folder: safetensors, TOML and the text encoder's description; no pickle."""

from __future__ import annotations

import shutil
import tomllib
from collections.abc import Mapping
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch

from napari_ctclip.core.errors import CheckpointMismatch, DataError
from napari_ctclip.models.bert_text_encoder import FOLDER_FILES, BertTextEncoder
from napari_ctclip.models.fvlm import FVLM
from napari_ctclip.models.interface import Calibration
from napari_ctclip.models.strict_state import read_safetensors, require_same_tensors
from napari_ctclip.models.vit3d import VisionTransformer3d
from napari_ctclip.preprocessing.specification import Preprocessing

__all__ = ["FVLM_KIND", "is_fvlm_folder", "load_fvlm", "save_fvlm"]

FVLM_KIND = "fvlm"
"""``architecture.kind`` in ``model.toml``."""

_SCHEMA_VERSION = 1
_WEIGHTS, _MODEL, _TEXT = "weights.safetensors", "model.toml", "text_encoder"
_CARD = "MODEL_CARD.md"
_TEXT_FILES = (*FOLDER_FILES, "tokenizer_config.json", "special_tokens_map.json")


def is_fvlm_folder(folder: Path | str) -> bool:
    """Return whether a folder's ``model.toml`` describes an FVLM."""
    try:
        description = tomllib.loads((Path(folder) / _MODEL).read_text("utf-8"))
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError):
        return False
    architecture = description.get("architecture")
    return isinstance(architecture, dict) and architecture.get("kind") == FVLM_KIND


def load_fvlm(folder: Path | str) -> FVLM:
    """Return the model of a folder, ready for inference.

    Raises
    ------
    CheckpointMismatch
        If a file is missing or damaged, or the weights do not fit the description.
    CtClipError
        If transformers is not installed.
    """
    folder = Path(folder)
    missing = [name for name in (_WEIGHTS, _MODEL) if not (folder / name).is_file()]
    if missing:
        raise CheckpointMismatch(
            f"{folder}: expected {_WEIGHTS}, {_MODEL} and {_TEXT}/; missing {', '.join(missing)}"
        )
    try:
        description = tomllib.loads((folder / _MODEL).read_text("utf-8"))
        model = _build(description, folder / _TEXT)
    except KeyError as error:
        raise CheckpointMismatch(
            f"{folder / _MODEL} has no {error.args[0]}; import the model again"
        ) from error
    except (TypeError, ValueError, DataError) as error:
        raise CheckpointMismatch(
            f"{folder / _MODEL} cannot be used: {type(error).__name__}: {error}; "
            "import the model again"
        ) from error
    weights = read_safetensors(folder / _WEIGHTS, advice="import the model again")
    require_same_tensors(
        model.state_dict(), weights, source=str(folder / _WEIGHTS), advice="import the model again"
    )
    model.load_state_dict({name: tensor.float() for name, tensor in weights.items()})
    model.content_hash = _hash_of(folder)
    return model.eval().requires_grad_(False)


def save_fvlm(
    model: FVLM,
    folder: Path | str,
    *,
    text_folder: Path | str,
    licence: str,
    provenance: Mapping[str, Any],
) -> None:
    """Write a folder that :func:`load_fvlm` opens; weights as float32.

    Parameters
    ----------
    model : FVLM
        With a ``BertTextEncoder``.
    folder : Path
        Made if it does not exist.
    text_folder : Path
        Configuration and vocabulary of the text encoder; copied, without weights.
    licence : str
        Of the weights.
    provenance : mapping
        How the weights came about, plain values.
    """
    import tomli_w
    from safetensors.torch import save_file

    folder, text_folder = Path(folder), Path(text_folder)
    (folder / _TEXT).mkdir(parents=True, exist_ok=True)
    for name in _TEXT_FILES:
        if (text_folder / name).is_file():
            shutil.copyfile(text_folder / name, folder / _TEXT / name)
    weights = {
        name: tensor.detach().to("cpu", torch.float32).contiguous()
        for name, tensor in model.state_dict().items()
    }
    save_file(weights, folder / f"{_WEIGHTS}.part", metadata={"format": "pt"})
    (folder / f"{_WEIGHTS}.part").replace(folder / _WEIGHTS)
    description = _description(model) | {"licence": licence, "training": dict(provenance)}
    (folder / _MODEL).write_text(tomli_w.dumps(description), "utf-8")
    (folder / _CARD).write_text(_card(description), "utf-8")


def _card(description: Mapping[str, Any]) -> str:
    """Return a model card that says what is known of imported weights."""
    preprocessing = description["preprocessing"]
    spacing = " x ".join(f"{s:g}" for s in preprocessing["spacing_mm"])
    windows = ", ".join(f"{low:g}..{high:g}" for low, high in preprocessing["windows_hu"])
    facts = "".join(f"- {key}: {value}\n" for key, value in description["training"].items())
    return (
        f"# {description['name']}\n\n"
        "fVLM (Shui et al. 2025, arXiv 2501.14548): one embedding an organ of a chest CT, held "
        "against text about that organ. Research use only; not a medical device.\n\n"
        f"- licence of the weights: {description['licence']}\n"
        f"- organs: {', '.join(description['anatomies'])}; organ masks are needed\n"
        f"- input: axes {preprocessing['orientation']}, {spacing} mm, HU {windows}\n"
        f"{facts}"
    )


def _description(model: FVLM) -> dict[str, Any]:
    vit: Any = model.image_encoder
    image = {
        "in_channels": vit.in_channels,
        "width": vit.width,
        "depth": vit.depth,
        "heads": vit.heads,
        "mlp_width": vit.mlp_width,
        "patch_size": list(vit.patch_size),
        "position_grid": list(vit.position_grid),
        "level_blocks": list(vit.level_blocks),
    }
    description: dict[str, Any] = {
        "schema_version": _SCHEMA_VERSION,
        "name": model.name,
        "embedding_width": model.embedding_width,
        "anatomies": list(model.anatomies),
        "region_readout": model.region_readout,
        "suggested_prompts": list(model.suggested_prompts),
        "architecture": {"kind": FVLM_KIND, "image": image},
        "preprocessing": model.preprocessing.to_dict(),
    }
    if model.calibration is not None:
        description["calibration"] = asdict(model.calibration)
    return description


def _build(description: Mapping[str, Any], text_folder: Path) -> FVLM:
    if description.get("schema_version") != _SCHEMA_VERSION:
        raise ValueError(
            f"expected schema version {_SCHEMA_VERSION}, got {description.get('schema_version')}"
        )
    image = dict(description["architecture"]["image"])
    for name in ("patch_size", "position_grid", "level_blocks"):
        image[name] = tuple(int(n) for n in image[name])
    calibration = description.get("calibration")
    return FVLM(
        VisionTransformer3d(**image),
        BertTextEncoder.untrained(text_folder),
        name=str(description["name"]),
        anatomies=tuple(description["anatomies"]),
        embedding_width=int(description["embedding_width"]),
        preprocessing=Preprocessing.from_dict(description["preprocessing"]),
        suggested_prompts=tuple(description["suggested_prompts"]),
        calibration=None if calibration is None else Calibration(**calibration),
    )


def _hash_of(folder: Path) -> str:
    digest = sha256()
    for file in (folder / _WEIGHTS, folder / _MODEL, folder / _TEXT / "vocab.txt"):
        with file.open("rb") as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()
