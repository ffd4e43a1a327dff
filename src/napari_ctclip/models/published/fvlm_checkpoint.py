"""An FVLM as a folder: what its ``model.toml`` says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from napari_ctclip.models.interface import Calibration
from napari_ctclip.models.published.fvlm import FVLM
from napari_ctclip.models.published.imported_folder import open_imported, write_imported
from napari_ctclip.models.text.bert_text_encoder import FOLDER_FILES, BertTextEncoder
from napari_ctclip.models.towers.vit3d import VisionTransformer3d
from napari_ctclip.preprocessing.specification import Preprocessing

__all__ = ["FVLM_KIND", "load_fvlm", "save_fvlm"]

FVLM_KIND = "fvlm"
"""``architecture.kind`` in ``model.toml``."""


def load_fvlm(folder: Path | str) -> FVLM:
    """Return the model of a folder of :func:`save_fvlm`, as :func:`open_imported` does."""
    return open_imported(folder, _build)


def save_fvlm(
    model: FVLM,
    folder: Path | str,
    *,
    text_folder: Path | str,
    licence: str,
    provenance: Mapping[str, Any],
) -> None:
    """Write a folder that :func:`load_fvlm` opens, as :func:`write_imported` does.

    The model's text encoder is a ``BertTextEncoder``.
    """
    write_imported(
        model,
        folder,
        architecture={"kind": FVLM_KIND, "image": _image_table(model)},
        licence=licence,
        provenance=provenance,
        text_folder=text_folder,
        text_files=FOLDER_FILES,
        what=(
            "fVLM (Shui et al. 2025, arXiv 2501.14548): one embedding an organ of a chest CT, held "
            f"against text about that organ. Organs: {', '.join(model.anatomies)}; organ masks are "
            "needed."
        ),
        more={
            "embedding_width": model.embedding_width,
            "anatomies": model.anatomies,
            "region_readout": model.region_readout,
            "suggested_prompts": model.suggested_prompts,
            "calibration": None if model.calibration is None else asdict(model.calibration),
        },
    )


def _image_table(model: FVLM) -> dict[str, Any]:
    vit: Any = model.image_encoder
    return {
        "in_channels": vit.in_channels,
        "width": vit.width,
        "depth": vit.depth,
        "heads": vit.heads,
        "mlp_width": vit.mlp_width,
        "patch_size": vit.patch_size,
        "position_grid": vit.position_grid,
        "level_blocks": vit.level_blocks,
    }


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
