"""Organ classification: fine-tuning of a region model with a head, tower frozen or not."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from napari_ctclip.core.errors import DataError
from napari_ctclip.models.folder.organ_head import OrganHead, save_organ_head
from napari_ctclip.pretraining.data.samples import Need, StudyBatch
from napari_ctclip.pretraining.objectives.objective import Objective, Options, Rows, Setting

__all__ = ["ClassifiedModel", "OrganClassification", "OrganClassificationOptions"]


class OrganClassificationOptions(Options):
    """The ``[objective]`` table.

    Attributes
    ----------
    tower_locked : bool
        Whether the model stays as it is and the head alone is trained (a linear probe).
    positive_weight : float
        Factor on the loss of what is present, against its rarity. Ours: 1.
    """

    tower_locked: bool = True
    positive_weight: float = Field(default=1.0, gt=0)


class ClassifiedModel(nn.Module):
    """A model and the head on its organ embeddings."""

    def __init__(self, model: nn.Module, head: OrganHead) -> None:
        super().__init__()
        self.model: Any = model
        self.head = head


class OrganClassification(Objective):
    """Binary cross-entropy of every abnormality of the dictionary, in its anatomy.

    What is known of an anatomy: it is normal and has none, or it has those its caption names and no
    other. A caption that is abnormal without a name teaches nothing, nor does one about what may be
    there too.

    References
    ----------
    Lin et al. 2024 (CT-GLIP, arXiv 2404.15272), abstract: fine-tuning of the encoder. Ours: head
    and loss.
    """

    options_type = OrganClassificationOptions

    def __init__(self, options: OrganClassificationOptions, setting: Setting) -> None:
        super().__init__(options, setting)
        known = setting.abnormalities or {}
        self._classes = [
            (anatomy, name)
            for anatomy in setting.anatomies
            for name in dict.fromkeys(name for name, _ in known.get(anatomy, ()))
        ]

    @classmethod
    def needs(cls, options: OrganClassificationOptions) -> frozenset[Need]:
        """Return masks, sentences and the findings they name."""
        return frozenset({"masks", "sentences", "findings"})

    def module(self, model: Any, make_another: Callable[[], nn.Module]) -> nn.Module:
        """Return the model with a head.

        Raises
        ------
        DataError
            If the dictionary names no abnormality of the anatomies.
        """
        if not self._classes:
            raise DataError(
                "there is nothing to classify: the dictionary names no abnormality of "
                f"{', '.join(self.setting.anatomies) or 'no anatomy'}; set data.anatomies"
            )
        model.requires_grad_(not self.options.tower_locked)
        head = OrganHead(
            self._classes,
            anatomies=self.setting.anatomies,
            embedding_width=model.embedding_width,
        )
        return ClassifiedModel(model, head)

    def model_of(self, module: nn.Module) -> nn.Module:
        """Return the model without its head."""
        assert isinstance(module, ClassifiedModel)
        kept: nn.Module = module.model
        return kept

    def write_extras(self, trained: nn.Module, weights: Mapping[str, Tensor], folder: Path) -> None:
        """Write the head beside the model."""
        assert isinstance(trained, ClassifiedModel)
        prefix = "trained.head."
        head = {n.removeprefix(prefix): t for n, t in weights.items() if n.startswith(prefix)}
        save_organ_head(trained.head, head, folder)

    def embed(self, model: Any, batch: StudyBatch) -> Rows:
        """Return logits, truth and whether it is known (B, classes)."""
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.options.tower_locked):
            regions = model.model.embed_regions(model.model.encode_image(batch.images), batch.masks)
        numbers = [self.setting.anatomies.index(anatomy) for anatomy, _ in self._classes]
        rows = [
            [(row[number], name) for number, (_, name) in zip(numbers, self._classes, strict=True)]
            for row in batch.captions
        ]
        known = [
            [(c.normal or bool(c.abnormalities)) and name not in c.doubtful for c, name in row]
            for row in rows
        ]
        truth = [[name in c.abnormalities for c, name in row] for row in rows]
        device = batch.images.device
        return {
            "logits": model.head(regions.vectors),
            "known": torch.tensor(known, device=device) & regions.present[:, numbers],
            "truth": torch.tensor(truth, device=device),
        }

    def loss(self, rows: Rows) -> dict[str, Tensor]:
        """Return the mean over what is known."""
        known = rows["known"]
        if not known.any():
            return {"classification": rows["logits"].sum() * 0.0}
        truth = rows["truth"][known].float()
        weight = torch.full_like(truth, self.options.positive_weight)
        loss = functional.binary_cross_entropy_with_logits(
            rows["logits"][known], truth, pos_weight=weight
        )
        return {"classification": loss}
