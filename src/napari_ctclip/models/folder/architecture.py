"""Architecture: the models that can be trained here, from the description in their folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from napari_ctclip.core.errors import CheckpointMismatch, DataError
from napari_ctclip.models.dual_encoder import DualEncoder
from napari_ctclip.models.folder.files import (
    WEIGHTS_FILE,
    read_description,
    read_safetensors,
    require_same_tensors,
    text_files_folder,
)
from napari_ctclip.models.folder.model_folder import open_model_folder
from napari_ctclip.models.fvlm import FVLM
from napari_ctclip.models.interface import Calibration, CropProtocol
from napari_ctclip.models.local_regions import LocalRegions
from napari_ctclip.models.text.bert_text_encoder import BertTextEncoder
from napari_ctclip.models.text.text_encoders import WordPieceTransformer, load_tokenizer
from napari_ctclip.models.towers.image_encoders import ResidualPyramid3d
from napari_ctclip.models.towers.locked_tower import LockedTower3d
from napari_ctclip.models.towers.vit3d import TokenVit3d, VisionTransformer3d
from napari_ctclip.preprocessing.specification import Preprocessing

__all__ = [
    "MODEL_KINDS",
    "TrainableModel",
    "build_architecture",
    "load_trainable",
    "start_locked_tower",
    "start_model",
    "start_text_encoder",
    "text_table_of",
]

TrainableModel = DualEncoder | FVLM | LocalRegions
"""What the recipes train."""

MODEL_KINDS = ("towers", "organ_query", "local_regions")
"""``architecture.kind``: a dual encoder, fVLM, LRCLR."""

_TRIPLES = ("patch_size", "position_grid", "level_blocks")


def build_architecture(description: Mapping[str, Any], *, text_folder: Path) -> TrainableModel:
    """Return an untrained model.

    Parameters
    ----------
    description : mapping
        As ``model.toml`` holds it: ``name``, ``embedding_width``, ``preprocessing``, prompts,
        ``anatomies`` and ``crop`` of a model with organ queries (without the latter organs are
        cropped as in fVLM's CT-RATE release), ``organ_names`` of a dual encoder that was trained
        with the names of organs, and ``architecture`` with ``kind`` (one of
        ``MODEL_KINDS``), ``image``, ``text`` and, where the kind has more options, ``head``.
    text_folder : Path
        Holds the text encoder's tokenizer or vocabulary.

    Raises
    ------
    CheckpointMismatch
        If a part is missing, unknown or does not fit another.
    """
    try:
        return _build(description, text_files_folder(text_folder))
    except (KeyError, TypeError, ValueError, DataError) as error:
        raise CheckpointMismatch(
            f"the model description cannot be used: {type(error).__name__}: {error}; fix the "
            "[model] table of the recipe"
        ) from error


def load_trainable(folder: Path | str) -> TrainableModel:
    """Return the model of a folder, ready for inference; see :func:`open_model_folder`."""
    model = open_model_folder(folder, _build)
    for part in model.modules():
        if isinstance(part, ResidualPyramid3d):
            part.fold()
    return model


def start_model(model: TrainableModel, folder: Path) -> None:
    """Give a whole model the weights of a model folder.

    Raises
    ------
    CheckpointMismatch
        If the folder has no weights, or those of another architecture.
    """
    _start_part(
        model,
        "",
        folder,
        missing="give another model.start",
        other="the [model] table must describe the model that model.start names",
    )


def start_text_encoder(encoder: nn.Module, folder: Path) -> None:
    """Give a text encoder the weights its folder holds.

    Parameters
    ----------
    encoder : WordPieceTransformer or BertTextEncoder
        An encoder of the folder's architecture.
    folder : Path
        A model folder of this package with a word-piece encoder, or that of a BERT.

    Raises
    ------
    CheckpointMismatch
        If the folder has no weights, or those of another architecture.
    """
    if isinstance(encoder, BertTextEncoder):
        encoder.load_state_dict(BertTextEncoder.pretrained(folder).state_dict())
        return
    _start_part(
        encoder,
        "text_encoder",
        folder,
        missing='set model.text_start = "random" or give another model.text_folder',
        other="take its model.text as it is",
    )


def start_locked_tower(encoder: nn.Module, folder: Path) -> None:
    """Give a locked tower the weights of a dual encoder's image encoder.

    Raises
    ------
    CheckpointMismatch
        If the encoder has no locked tower, or the folder has no weights or those of another one.
    """
    if not isinstance(encoder, LockedTower3d):
        raise CheckpointMismatch(
            'model.image_start needs model.image.kind "locked"; model.start takes a whole model'
        )
    _start_part(
        encoder.tower,
        "image_encoder",
        folder,
        missing="give another model.image_start",
        other="model.image.tower must be that model's architecture.image",
    )


def text_table_of(folder: Path) -> dict[str, Any]:
    """Return the ``architecture.text`` table that a text encoder's folder implies."""
    if (text_files_folder(folder) / "vocab.txt").is_file():
        return {"kind": "bert"}
    try:
        return {"kind": "word_piece", **read_description(folder)["architecture"]["text"]}
    except (KeyError, TypeError, CheckpointMismatch) as error:
        raise CheckpointMismatch(
            f"{folder} holds no text encoder ({type(error).__name__}: {error}); expected vocab.txt "
            "and config.json, or model.toml and tokenizer.json"
        ) from error


def _build(description: Mapping[str, Any], text_folder: Path) -> TrainableModel:
    """Return an untrained model; raise what Python raises where the description has an error."""
    architecture = description["architecture"]
    kind, head = architecture["kind"], dict(architecture.get("head", {}))
    preprocessing = Preprocessing.from_dict(description["preprocessing"])
    calibration = description.get("calibration")
    common: dict[str, Any] = {
        "name": str(description["name"]),
        "preprocessing": preprocessing,
        "embedding_width": int(description["embedding_width"]),
        "suggested_prompts": tuple(description.get("suggested_prompts", ())),
        "calibration": None if calibration is None else Calibration(**calibration),
    }
    image = _image_encoder(architecture["image"], kind, len(preprocessing.windows_hu))
    text = _text_encoder(architecture["text"], text_folder)
    if kind == "organ_query":
        crop = description.get("crop")
        common["crop_protocol"] = None if crop is None else CropProtocol.from_dict(crop)
        return FVLM(image, text, anatomies=tuple(description["anatomies"]), **common, **head)
    common["background_prompts"] = tuple(description.get("background_prompts", ()))
    if kind == "local_regions":
        return LocalRegions(image, text, **common, **head)
    common["organ_names"] = tuple(description.get("organ_names", ()))
    return DualEncoder(image, text, **common, **head)


def _start_part(part: nn.Module, name: str, folder: Path, *, missing: str, other: str) -> None:
    """Load the part ``name`` of a folder's model; the whole of it if the name is empty."""
    file, prefix = folder / WEIGHTS_FILE, f"{name}." if name else ""
    if not file.is_file():
        raise CheckpointMismatch(f"{folder} has no {WEIGHTS_FILE} to start from; {missing}")
    weights: dict[str, Tensor] = {
        key.removeprefix(prefix): tensor
        for key, tensor in read_safetensors(file, advice="copy the folder again").items()
        if key.startswith(prefix)
    }
    require_same_tensors(part.state_dict(), weights, source=str(file), advice=other)
    part.load_state_dict(weights)


def _image_encoder(table: Mapping[str, Any], model_kind: str, channels: int) -> Any:
    options = {key: value for key, value in table.items() if key != "kind"}
    if model_kind not in MODEL_KINDS:
        raise ValueError(f"architecture.kind is {model_kind!r}, expected one of {MODEL_KINDS}")
    if table["kind"] == "cnn" and model_kind == "towers":
        return ResidualPyramid3d(channels, **options)
    if table["kind"] == "locked":
        tower = ResidualPyramid3d(channels, **options.pop("tower"))
        return LockedTower3d(tower, channels=channels, **options)
    if table["kind"] != "vit":
        allowed = "'cnn', 'locked' or 'vit'" if model_kind == "towers" else "'locked' or 'vit'"
        raise ValueError(f"image.kind is {table['kind']!r}; {model_kind} takes {allowed}")
    for name in _TRIPLES:
        if name in options:
            options[name] = tuple(int(n) for n in options[name])
    if model_kind == "organ_query":
        return VisionTransformer3d(in_channels=channels, **options)
    return TokenVit3d(in_channels=channels, level_blocks=(), **options)


def _text_encoder(table: Mapping[str, Any], folder: Path) -> nn.Module:
    options = {key: value for key, value in table.items() if key != "kind"}
    if "max_pieces" in options:  # its name in earlier folders
        options["max_tokens"] = options.pop("max_pieces")
    if table["kind"] == "bert":
        return BertTextEncoder.untrained(folder, **options)
    if table["kind"] == "word_piece":
        return WordPieceTransformer(load_tokenizer(folder), **options)
    raise ValueError(f"text.kind is {table['kind']!r}, expected 'word_piece' or 'bert'")
