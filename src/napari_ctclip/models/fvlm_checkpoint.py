"""An FVLM as a folder: what its ``model.toml`` says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from napari_ctclip.models.bert_text_encoder import FOLDER_FILES, BertTextEncoder
from napari_ctclip.models.fvlm import FVLM
from napari_ctclip.models.imported_folder import open_imported, write_imported
from napari_ctclip.models.interface import Calibration
from napari_ctclip.models.vit3d import VisionTransformer3d
from napari_ctclip.preprocessing.specification import Preprocessing

__all__ = ["FVLM_KIND", "load_fvlm", "save_fvlm"]

FVLM_KIND = "fvlm"
"""``architecture.kind`` in ``model.toml``."""


def load_fvlm(folder: Path | str) -> FVLM:
    """Return the model of a folder, ready for inference.

    Raises
    ------
    CheckpointMismatch
        If a file is missing or damaged, or the weights do not fit the description.
    CtClipError
        If transformers is not installed.
    """
    return open_imported(folder, _build)


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
    write_imported(
        model,
        folder,
        description=_description(model) | {"licence": licence, "training": dict(provenance)},
        text_folder=text_folder,
        text_files=FOLDER_FILES,
        what=(
            "fVLM (Shui et al. 2025, arXiv 2501.14548): one embedding an organ of a chest CT, held "
            f"against text about that organ. Organs: {', '.join(model.anatomies)}; organ masks are "
            "needed."
        ),
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
