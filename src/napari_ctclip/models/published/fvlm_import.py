"""Import of fVLM's released weights from the user's own ``model.pth``: tensors only, strictly."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from torch import Tensor

from napari_ctclip.models.folder.model_folder import write_model_folder
from napari_ctclip.models.fvlm import FVLM, FVLM_ANATOMIES
from napari_ctclip.models.published.release import Release, import_release, length_of
from napari_ctclip.models.text.bert_text_encoder import CXR_BERT, FOLDER_FILES, BertTextEncoder
from napari_ctclip.models.towers.vit3d import VisionTransformer3d

__all__ = ["FVLM_LICENCE", "FVLM_PROMPTS", "import_fvlm", "save_fvlm"]

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
    """Write a model folder from fVLM's released weights, as :func:`import_release` does.

    Parameters
    ----------
    file, folder, text_folder
        As :func:`import_release` takes them.
    anatomies : sequence of str
        What each query of the file is for.
    """
    release = Release(
        file="fVLM's model.pth",
        renamed=_RELEASED_NAMES,
        unread=_UNUSED,
        text_encoder=CXR_BERT,
        text_files=FOLDER_FILES,
        build=lambda state, texts: _matching_model(state, texts, anatomies),
        save=partial(save_fvlm, licence=FVLM_LICENCE),
        plain_name=_plain_name,
    )
    import_release(release, file, folder, text_folder=text_folder)


def save_fvlm(
    model: FVLM,
    folder: Path | str,
    *,
    text_folder: Path | str,
    licence: str,
    provenance: Mapping[str, Any],
) -> None:
    """Write the folder of a model with a ``BertTextEncoder``, as :func:`write_model_folder` does.

    The description is that of a model with organ queries which a recipe trained.
    """
    vit: Any = model.image_encoder
    image = {
        name: getattr(vit, name)
        for name in (
            "width",
            "depth",
            "heads",
            "mlp_width",
            "patch_size",
            "position_grid",
            "level_blocks",
        )
    }
    write_model_folder(
        folder,
        weights=model.state_dict(),
        description={
            "name": model.name,
            "licence": licence,
            "embedding_width": model.embedding_width,
            "anatomies": model.anatomies,
            "suggested_prompts": model.suggested_prompts,
            "calibration": None if model.calibration is None else asdict(model.calibration),
            "architecture": {
                "kind": "organ_query",
                "image": {"kind": "vit", **image},
                "text": {"kind": "bert"},
            },
            "preprocessing": model.preprocessing.to_dict(),
            "training": provenance,
        },
        text_folder=text_folder,
        summary=(
            "fVLM (Shui et al. 2025, arXiv 2501.14548): one embedding per organ of a chest CT, "
            "contrasted with text about that organ. Organs: "
            f"{', '.join(model.anatomies)}; organ masks are needed."
        ),
    )


def _plain_name(name: str) -> str:
    # a masked-language model keeps its BERT one level down
    inner = "text_encoder.bert."
    return "text_encoder." + name.removeprefix(inner) if name.startswith(inner) else name


def _matching_model(
    state: Mapping[str, Tensor], text_folder: Path, anatomies: Sequence[str]
) -> FVLM:
    """Return a model of the release's design, as wide as the file's tensors are."""
    width = length_of(state, "visual_encoder.norm.weight", 768)
    vit = VisionTransformer3d(
        width=width,
        heads=max(1, width // _HEAD_WIDTH),
        mlp_width=length_of(state, "visual_encoder.blocks.0.mlp.linear1.weight", 3072),
    )
    return FVLM(
        vit,
        BertTextEncoder.untrained(text_folder),
        anatomies=anatomies,
        embedding_width=length_of(state, "text_proj.weight", 256),
        suggested_prompts=FVLM_PROMPTS,
    )
