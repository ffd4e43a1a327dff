"""Merlin as a folder, and its import from the released file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from napari_ctclip.models.imported_folder import open_imported, write_imported
from napari_ctclip.models.longformer_text_encoder import (
    CLINICAL_LONGFORMER,
    LONGFORMER_FILES,
    LongformerTextEncoder,
)
from napari_ctclip.models.merlin import Merlin
from napari_ctclip.models.merlin_network import MerlinNetwork
from napari_ctclip.models.released_file import (
    length_of,
    load_released,
    origin_of,
    read_released,
    released_text_folder,
    without_unread,
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
    """Return the model of a folder, ready for inference.

    Raises
    ------
    CheckpointMismatch
        If a file is missing or damaged, or the weights do not fit the description.
    CtClipError
        If transformers is not installed.
    """
    return open_imported(folder, _build)


def save_merlin(
    model: Merlin, folder: Path | str, *, text_folder: Path | str, provenance: Mapping[str, Any]
) -> None:
    """Write a folder that :func:`load_merlin` opens; weights as float32.

    Parameters
    ----------
    model : Merlin
        The model.
    folder : Path
        Made if it does not exist.
    text_folder : Path
        Configuration and vocabulary of the text encoder; copied, without weights.
    provenance : mapping
        How the weights came about, plain values.
    """
    network = model.image_encoder
    image = {
        "layers": list(network.layers),
        "planes": list(network.planes),
        "embedding_width": network.embedding_width,
    }
    write_imported(
        model,
        folder,
        description={
            "name": model.name,
            "licence": _LICENCE,
            "architecture": {"kind": MERLIN_KIND, "image": image},
            "preprocessing": model.preprocessing.to_dict(),
            "training": dict(provenance),
        },
        text_folder=text_folder,
        text_files=LONGFORMER_FILES,
        what=(
            "Merlin (Blankemeier et al. 2024, arXiv 2406.06512): a 3D ResNet trained on abdominal "
            "CT with reports and diagnosis codes. Its makers average many sentences for a finding "
            "and many against it; a single one is weak."
        ),
    )


def import_merlin(
    file: Path | str, folder: Path | str, *, text_folder: Path | str | None = None
) -> None:
    """Write a model folder from released weights; ``load_model`` opens it.

    Parameters
    ----------
    file : Path
        The release's file of image and text encoder, or one of the same names.
    folder : Path
        Made if it does not exist.
    text_folder : Path, optional
        With ``config.json``, ``vocab.json`` and ``merges.txt`` of the text encoder; the Hugging
        Face cache is looked in where it is not given. Nothing is downloaded.

    Raises
    ------
    CheckpointMismatch
        If the file holds anything but tensors and plain values (a pickle can run code; it is not
        run), or tensors that are missing, unexpected or of another shape; each is named.
    CtClipError
        If transformers is not installed.
    """
    file = Path(file)
    state = without_unread(read_released(file, advice=f"give Merlin's {MERLIN_FILE}"), _UNUSED)
    texts = released_text_folder(
        text_folder, repository=CLINICAL_LONGFORMER, files=LONGFORMER_FILES
    )
    model = Merlin(_matching_network(state), LongformerTextEncoder.untrained(texts))
    load_released(
        model,
        state,
        renamed=_RELEASED_NAMES,
        source=file,
        advice=f"give Merlin's {MERLIN_FILE} and the text encoder {CLINICAL_LONGFORMER}",
    )
    save_merlin(model, folder, text_folder=texts, provenance=origin_of(file))


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
