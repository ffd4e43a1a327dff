"""OrganHead: probabilities of abnormalities from organ embeddings, beside a model's folder."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from torch import Tensor, nn

from napari_ctclip.core.errors import CheckpointMismatch
from napari_ctclip.models.folder.files import write_weights
from napari_ctclip.models.interface import RegionEmbeddings

__all__ = ["OrganHead", "load_organ_head", "save_organ_head"]

_FILE = "head.safetensors"


class OrganHead(nn.Module):
    """One logistic regression for each (anatomy, abnormality), on the anatomy's embedding.

    Parameters
    ----------
    classes : sequence of (anatomy, abnormality)
        What is distinguished, in the order of the outputs.
    anatomies : sequence of str
        Order of the regions it is given.
    embedding_width : int
        E.

    Raises
    ------
    CheckpointMismatch
        If a class is of an anatomy that is not among the regions.
    """

    def __init__(
        self,
        classes: Sequence[tuple[str, str]],
        *,
        anatomies: Sequence[str],
        embedding_width: int,
    ) -> None:
        super().__init__()
        unknown = sorted({anatomy for anatomy, _ in classes} - set(anatomies))
        if unknown or not classes:
            raise CheckpointMismatch(
                f"expected classes of the anatomies {', '.join(anatomies)}; got none of them or "
                f"unknown ones {unknown}"
            )
        self.classes, self.anatomies = tuple(classes), tuple(anatomies)
        self._regions = [self.anatomies.index(anatomy) for anatomy, _ in self.classes]
        self.linear = nn.Linear(embedding_width, len(self.classes))

    def forward(self, vectors: Tensor) -> Tensor:
        """Return logits (B, classes) of region vectors (B, R, E)."""
        own = vectors[:, self._regions]  # (B, classes, E)
        return (own * self.linear.weight).sum(dim=-1) + self.linear.bias

    def probabilities(self, regions: RegionEmbeddings) -> list[dict[tuple[str, str], float]]:
        """Return, for each image, the probability of every class whose anatomy is there."""
        values = self(regions.vectors).sigmoid()
        return [
            {
                key: float(value)
                for key, region, value in zip(self.classes, self._regions, row, strict=True)
                if present[region]
            }
            for row, present in zip(values, regions.present, strict=True)
        ]


def save_organ_head(head: OrganHead, weights: Mapping[str, Tensor], folder: Path) -> None:
    """Write a head beside a model, with the given weights."""
    names = {"classes": json.dumps(head.classes), "anatomies": json.dumps(head.anatomies)}
    write_weights(weights, folder / _FILE, metadata=names)


def load_organ_head(folder: Path | str) -> OrganHead:
    """Return the head of a model's folder.

    Raises
    ------
    CheckpointMismatch
        If there is none, or it is damaged.
    """
    from safetensors import SafetensorError, safe_open

    file = Path(folder) / _FILE
    try:
        with safe_open(file, framework="pt") as stored:
            names = stored.metadata()
            weights = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118
        head = OrganHead(
            [(anatomy, name) for anatomy, name in json.loads(names["classes"])],
            anatomies=json.loads(names["anatomies"]),
            embedding_width=weights["linear.weight"].shape[1],
        )
        head.load_state_dict(weights)
    except (SafetensorError, OSError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise CheckpointMismatch(
            f"{file} holds no classification head ({error}); write one with "
            "napari-ctclip-train ct_glip_finetune"
        ) from error
    return head.eval().requires_grad_(False)
