"""HLIP as a folder, and its import from the released file of the chest CT model."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from napari_ctclip.models.folder.model_folder import open_model_folder, write_model_folder
from napari_ctclip.models.published.hlip import HLIP_PREPROCESSING, Hlip
from napari_ctclip.models.published.hlip_network import HlipNetwork
from napari_ctclip.models.published.release import Release, import_release, length_of
from napari_ctclip.models.text.bert_text_encoder import CXR_BERT, FOLDER_FILES, BertTextEncoder
from napari_ctclip.preprocessing.specification import Preprocessing

__all__ = ["HLIP_FILE", "HLIP_KIND", "import_hlip", "load_hlip", "save_hlip"]

HLIP_KIND = "hlip"
"""``architecture.kind`` in ``model.toml``."""

HLIP_FILE = "chestct_clip_vit_base_singlescan_h2_token2744.pt"
"""The released file of the chest CT model."""

_LICENCE = "MIT (code); none stated for the weights"
_LONGEST_TEXT = 512  # tokens
_HEAD_WIDTH = 64  # of ViT-B: 768 over 12 heads
_RELEASED_NAMES = {
    "image_encoder.": "visual.trunk.",
    "image_projection.": "visual.head.proj.",
    "text_encoder.bert.": "text.transformer.",
    "text_projection.": "text.proj.",
    "logit_scale": "logit_scale",
}
_UNUSED = ("text.transformer.pooler.",)


def load_hlip(folder: Path | str) -> Hlip:
    """Return the model of a folder of :func:`save_hlip`, as :func:`open_model_folder` does."""
    return open_model_folder(folder, _build)


def save_hlip(
    model: Hlip, folder: Path | str, *, text_folder: Path | str, provenance: Mapping[str, Any]
) -> None:
    """Write a folder that :func:`load_hlip` opens, as :func:`write_model_folder` does."""
    network = model.image_encoder
    image = {
        "width": network.width,
        "depth": network.depth,
        "heads": network.heads,
        "mlp_width": network.mlp_width,
        "patch_size": network.patch_size,
        "grid": network.grid,
        "scan_blocks": network.scan_blocks,
        "embedding_width": network.embedding_width,
    }
    write_model_folder(
        folder,
        weights=model.state_dict(),
        description={
            "name": model.name,
            "licence": _LICENCE,
            "architecture": {"kind": HLIP_KIND, "image": image},
            "preprocessing": model.preprocessing.to_dict(),
            "training": provenance,
        },
        text_folder=text_folder,
        summary=(
            "HLIP (Zhao et al. 2025, arXiv 2505.21862): a 3D ViT with hierarchical attention, "
            "trained on the chest CT and reports of CT-RATE. It was queried with sentences such as "
            "'The volume shows: Emphysema.' against 'The volume shows: Not emphysema.'"
        ),
    )


def import_hlip(
    file: Path | str, folder: Path | str, *, text_folder: Path | str | None = None
) -> None:
    """Write a model folder from HLIP's released weights, as :func:`import_release` does.

    Models of several scans a study (brain MRI, head CT) are refused: their tensors differ.
    """
    release = Release(
        file=f"HLIP's {HLIP_FILE}",
        renamed=_RELEASED_NAMES,
        unread=_UNUSED,
        text_encoder=CXR_BERT,
        text_files=FOLDER_FILES,
        build=lambda state, texts: _model(_matching_network(state), texts),
        save=save_hlip,
    )
    import_release(release, file, folder, text_folder=text_folder)


def _matching_network(state: Mapping[str, Tensor]) -> HlipNetwork:
    """Return a network of the release's design, as wide as the file's tensors are."""
    width = length_of(state, "visual.trunk.norm.weight", 768)
    return HlipNetwork(
        width=width,
        heads=max(1, width // _HEAD_WIDTH),
        mlp_width=length_of(state, "visual.trunk.blocks.0.mlp.fc1.weight", 3072),
        embedding_width=length_of(state, "visual.head.proj.weight", 512),
    )


def _model(
    network: HlipNetwork,
    text_folder: Path,
    *,
    name: str = "hlip",
    preprocessing: Preprocessing = HLIP_PREPROCESSING,
) -> Hlip:
    text_encoder = BertTextEncoder.untrained(text_folder, max_tokens=_LONGEST_TEXT)
    return Hlip(network, text_encoder, name=name, preprocessing=preprocessing)


def _build(description: Mapping[str, Any], text_folder: Path) -> Hlip:
    image = dict(description["architecture"]["image"])
    for name in ("patch_size", "grid", "scan_blocks"):
        image[name] = tuple(int(n) for n in image[name])
    return _model(
        HlipNetwork(**image),
        text_folder,
        name=str(description["name"]),
        preprocessing=Preprocessing.from_dict(description["preprocessing"]),
    )
