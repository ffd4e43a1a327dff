"""Import of fVLM's released weights from the user's own ``model.pth``: tensors only, strictly."""

from __future__ import annotations

import pickle
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from napari_ctclip.core.errors import CheckpointMismatch
from napari_ctclip.models.bert_text_encoder import (
    CXR_BERT,
    BertTextEncoder,
    cached_text_encoder_folder,
)
from napari_ctclip.models.fvlm import FVLM, FVLM_ANATOMIES
from napari_ctclip.models.fvlm_checkpoint import save_fvlm
from napari_ctclip.models.strict_state import require_same_tensors
from napari_ctclip.models.vit3d import VisionTransformer3d

__all__ = ["FVLM_LICENCE", "FVLM_PROMPTS", "import_fvlm"]

FVLM_LICENCE = "none published; derived from CT-RATE (CC-BY-NC-SA-4.0): research use only"

FVLM_PROMPTS = (
    "Emphysema.", "Atelectatic.", "Nodule.", "Opacity.", "Pulmonary fibrotic.",
    "Pleural effusion.", "Mosaic attenuation pattern.", "Peribronchial thickening.",
    "Consolidation.", "Bronchiectasis.", "Interlobular septal thickening.", "Cardiomegaly.",
    "Pericardial effusion.", "Coronary artery wall calcification.", "Hiatal hernia.",
    "Arterial wall calcification.",
)  # fmt: skip
"""The findings of fVLM's CT-RATE evaluation, in its words."""

_RELEASED_NAMES = {
    "image_encoder.": "visual_encoder.",
    "text_encoder.bert.": "text_encoder.",
    "text_projection.": "text_proj.",
    "organ_query.attention.": "attention.",
    "organ_query.projections.": "vision_projs.",
    "organ_query.queries": "query_tokens",
    "temperature": "temp",
}
_UNUSED = ("text_encoder.cls.", "text_encoder.cls_projection_head.", "text_encoder.pooler.")
_HEAD_WIDTH = 64  # of ViT-B: 768 over 12 heads


def import_fvlm(
    file: Path | str,
    folder: Path | str,
    *,
    text_folder: Path | str | None = None,
    anatomies: Sequence[str] = FVLM_ANATOMIES,
) -> None:
    """Write a model folder from released weights; ``load_model`` opens it.

    Parameters
    ----------
    file : Path
        The release's ``model.pth``, or a file of the same names.
    folder : Path
        Made if it does not exist.
    text_folder : Path, optional
        With ``config.json`` and ``vocab.txt`` of the text encoder; the Hugging Face cache is looked
        in where it is not given. Nothing is downloaded.
    anatomies : sequence of str
        What each query of the file is for.

    Raises
    ------
    CheckpointMismatch
        If the file holds anything but tensors and plain values (a pickle can run code; it is not
        run), or tensors that are missing, unexpected or of another shape; each is named.
    CtClipError
        If transformers is not installed.
    """
    file = Path(file)
    state = _released_state(file)
    texts = _text_folder(text_folder)
    model = _matching_model(state, texts, anatomies)
    own = {_released_name(name): name for name in model.state_dict()}
    expected = {released: model.state_dict()[name] for released, name in own.items()}
    require_same_tensors(
        expected,
        state,
        source=str(file),
        advice="give fVLM's model.pth and the text encoder it was trained with",
    )
    model.load_state_dict({own[released]: tensor.float() for released, tensor in state.items()})
    save_fvlm(
        model,
        folder,
        text_folder=texts,
        licence=FVLM_LICENCE,
        provenance={"imported_from": file.name, "sha256": _hash_of(file)},
    )


def _released_state(file: Path) -> dict[str, Tensor]:
    """Return the tensors of the file by the release's names, without what fVLM never reads."""
    if not file.is_file():
        raise CheckpointMismatch(f"no file {file}; give the path of fVLM's model.pth")
    content = _read_tensors(file)
    state = content.get("model", content) if isinstance(content, Mapping) else None
    if not isinstance(state, Mapping) or not all(isinstance(v, Tensor) for v in state.values()):
        raise CheckpointMismatch(
            f"{file}: expected a dictionary of tensors, or one under the key 'model', got "
            f"{type(state if state is not None else content).__name__}; give fVLM's model.pth"
        )
    named = {_plain_name(str(name)): tensor for name, tensor in state.items()}
    return {
        name: tensor
        for name, tensor in named.items()
        if not name.startswith(_UNUSED) and not name.endswith("position_ids")
    }


def _read_tensors(file: Path) -> Any:
    try:
        return torch.load(file, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError, ValueError) as error:
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise CheckpointMismatch(
            f"{file} is refused: it is damaged, or holds Python objects beside tensors, which "
            f"could run code when opened ({reason[0]}); nothing of it was run. Give the file as "
            "published, or ask its author for a plain state dict"
        ) from error


def _plain_name(name: str) -> str:
    # saved from DistributedDataParallel; and a masked-language model keeps its BERT one level down
    name = name.removeprefix("module.")
    inner = "text_encoder.bert."
    return "text_encoder." + name.removeprefix(inner) if name.startswith(inner) else name


def _released_name(own: str) -> str:
    for prefix, released in _RELEASED_NAMES.items():
        if own.startswith(prefix):
            return released + own.removeprefix(prefix)
    raise AssertionError(f"no released name for {own}")


def _text_folder(given: Path | str | None) -> Path:
    folder = cached_text_encoder_folder() if given is None else Path(given)
    if folder is None:
        raise CheckpointMismatch(
            f"the text encoder {CXR_BERT} is not in the Hugging Face cache; download its "
            "config.json and vocab.txt and give their folder with --text-encoder"
        )
    return folder


def _matching_model(
    state: Mapping[str, Tensor], text_folder: Path, anatomies: Sequence[str]
) -> FVLM:
    """Return a model of the release's design, as wide as the file's tensors are."""
    width = _length(state, "visual_encoder.norm.weight", 768)
    vit = VisionTransformer3d(
        width=width,
        heads=max(1, width // _HEAD_WIDTH),
        mlp_width=_length(state, "visual_encoder.blocks.0.mlp.linear1.weight", 3072),
    )
    return FVLM(
        vit,
        BertTextEncoder.untrained(text_folder),
        anatomies=anatomies,
        embedding_width=_length(state, "text_proj.weight", 256),
        suggested_prompts=FVLM_PROMPTS,
    )


def _length(state: Mapping[str, Tensor], name: str, default: int) -> int:
    """Return the first axis of a tensor; a missing or scalar one is named later, by comparison."""
    tensor = state.get(name)
    return default if tensor is None or tensor.ndim == 0 else tensor.shape[0]


def _hash_of(file: Path) -> str:
    with file.open("rb") as stream:
        digest = sha256()
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
