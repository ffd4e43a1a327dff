"""Merlin as a folder, and its import from the released file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from napari_ctclip.models.folder.model_folder import open_model_folder, write_model_folder
from napari_ctclip.models.published.merlin import Merlin
from napari_ctclip.models.published.merlin_network import MerlinNetwork
from napari_ctclip.models.published.release import Release, import_release, length_of
from napari_ctclip.models.text.longformer_text_encoder import (
    CLINICAL_LONGFORMER,
    LONGFORMER_FILES,
    LongformerTextEncoder,
)
from napari_ctclip.preprocessing.specification import Preprocessing

__all__ = ["MERLIN_FILE", "MERLIN_KIND", "import_merlin", "load_merlin", "save_merlin"]

MERLIN_KIND = "merlin"
"""``architecture.kind`` in ``model.toml``."""

MERLIN_FILE = "i3_resnet_clinical_longformer_best_clip_04-02-2024_23-21-36_epoch_99.pt"
"""The released file of image and text encoder."""

_LICENCE = "MIT"
_NETWORK = "encode_image.i3_resnet."
_RELEASED_NAMES = {
    "image_encoder.": _NETWORK,
    "text_encoder.longformer.": "encode_text.text_encoder.",
    "text_projection.": "encode_text.linear_layer.",
    "logit_scale": "logit_scale",
}
_UNUSED = (f"{_NETWORK}classifier.", "encode_text.text_encoder.pooler.")
"""The head for diagnosis codes, and a layer of the text encoder that Merlin never reads."""


def load_merlin(folder: Path | str) -> Merlin:
    """Return the model of a folder of :func:`save_merlin`, as :func:`open_model_folder` does."""
    return open_model_folder(folder, _build)


def save_merlin(
    model: Merlin, folder: Path | str, *, text_folder: Path | str, provenance: Mapping[str, Any]
) -> None:
    """Write a folder that :func:`load_merlin` opens, as :func:`write_model_folder` does."""
    network = model.image_encoder
    image = {
        "layers": network.layers,
        "planes": network.planes,
        "embedding_width": network.embedding_width,
    }
    write_model_folder(
        folder,
        weights=model.state_dict(),
        description={
            "name": model.name,
            "licence": _LICENCE,
            "architecture": {"kind": MERLIN_KIND, "image": image},
            "preprocessing": model.preprocessing.to_dict(),
            "training": provenance,
        },
        text_folder=text_folder,
        summary=(
            "Merlin (Blankemeier et al. 2024, arXiv 2406.06512): a 3D ResNet trained on abdominal "
            "CT with reports and diagnosis codes. Its makers average many sentences for a finding "
            "and many against it; a single one is weak."
        ),
    )


def import_merlin(
    file: Path | str, folder: Path | str, *, text_folder: Path | str | None = None
) -> None:
    """Write a model folder from Merlin's released weights, as :func:`import_release` does."""
    release = Release(
        file=f"Merlin's {MERLIN_FILE}",
        renamed=_RELEASED_NAMES,
        unread=_UNUSED,
        text_encoder=CLINICAL_LONGFORMER,
        text_files=LONGFORMER_FILES,
        build=lambda state, texts: Merlin(
            _matching_network(state), LongformerTextEncoder.untrained(texts)
        ),
        save=save_merlin,
    )
    import_release(release, file, folder, text_folder=text_folder)


def _matching_network(state: Mapping[str, Tensor]) -> MerlinNetwork:
    """Return a network of the release's design, as deep and wide as the file's tensors are."""
    layers, planes = [], []
    for number, default in enumerate((64, 128, 256, 512), start=1):
        layer = f"{_NETWORK}layer{number}."
        blocks = {
            name.removeprefix(layer).split(".")[0] for name in state if name.startswith(layer)
        }
        layers.append(max(len(blocks), 1))
        planes.append(length_of(state, f"{layer}0.conv1.weight", default))
    width = length_of(state, f"{_NETWORK}contrastive_head.weight", 512)
    return MerlinNetwork(layers=layers, planes=planes, embedding_width=width)


def _build(description: Mapping[str, Any], text_folder: Path) -> Merlin:
    image = description["architecture"]["image"]
    network = MerlinNetwork(
        layers=[int(n) for n in image["layers"]],
        planes=[int(n) for n in image["planes"]],
        embedding_width=int(image["embedding_width"]),
    )
    return Merlin(
        network,
        LongformerTextEncoder.untrained(text_folder),
        name=str(description["name"]),
        preprocessing=Preprocessing.from_dict(description["preprocessing"]),
    )
