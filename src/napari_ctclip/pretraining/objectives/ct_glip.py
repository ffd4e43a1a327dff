"""CT-GLIP: organs against their names, and against what is said of them among other findings."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from napari_ctclip.core.organ_naming import organ_sentence
from napari_ctclip.pretraining.data.samples import Need, StudyBatch
from napari_ctclip.pretraining.losses import contrastive_loss
from napari_ctclip.pretraining.objectives.objective import (
    Objective,
    Options,
    Rows,
    Setting,
    scale_rows,
)
from napari_ctclip.pretraining.objectives.organ_texts import embed_once, organ_phrasings
from napari_ctclip.pretraining.targets import anatomy_targets

__all__ = ["CtGlip", "CtGlipOptions"]

_NEGATIVES = 11  # a stream of random numbers


class CtGlipOptions(Options):
    """The ``[objective]`` table of CT-GLIP.

    Attributes
    ----------
    negatives : int
        The texts of the abnormality dictionary that a step is contrasted with; 0 for in-batch
        negatives only. Ours: 512, all where the dictionary is smaller.
    abnormality_weight : float
        Of the abnormality term beside the organ-name term. Ours: 1.
    """

    negatives: int = Field(default=512, ge=0)
    abnormality_weight: float = Field(default=1.0, ge=0)


class CtGlip(Objective):
    """Objective of CT-GLIP: ``L_organ + weight * L_abnormality``.

    The organ term contrasts every organ of the batch with the sentences that name organs; the same
    organ of another patient is a positive too. The abnormality term contrasts an organ with its own
    caption, the captions of the same organ in other patients (equal texts, and normal with normal,
    are positives) and texts of the abnormality dictionary that are not true of it.

    References
    ----------
    Lin et al. 2024 (CT-GLIP, arXiv 2404.15272), abstract: organ-level pairs, an abnormality
    dictionary for contrast. Neither code nor constants were published: the formula is ours.
    """

    options_type = CtGlipOptions
    names_organs = True

    def __init__(self, options: CtGlipOptions, setting: Setting) -> None:
        super().__init__(options, setting)
        self._names = [organ_sentence(anatomy) for anatomy in setting.anatomies]
        entries = [
            (number, name, text)
            for number, anatomy in enumerate(setting.anatomies)
            for name, text in (setting.abnormalities or {}).get(anatomy, ())
        ]
        numbers = {name: number for number, name in enumerate(dict.fromkeys(e[1] for e in entries))}
        self._numbers = numbers
        self._texts = [text for _, _, text in entries]
        self._anatomy_of = np.array([number for number, _, _ in entries], dtype=np.int64)
        self._abnormality_of = np.array([numbers[name] for _, name, _ in entries], dtype=np.int64)
        self._drawn = np.arange(0)

    @classmethod
    def needs(cls, options: CtGlipOptions) -> frozenset[Need]:
        """Return masks, which have names in any case, and the findings of the sentences."""
        return frozenset({"masks", "findings"})

    def start_step(self, module: torch.nn.Module, step: int) -> None:
        """Draw the dictionary's texts of this step, the same on every rank."""
        count = min(self.options.negatives, len(self._texts))
        rng = np.random.default_rng([self.setting.seed, _NEGATIVES, step])
        self._drawn = np.sort(rng.choice(len(self._texts), count, replace=False))

    def embed(self, model: Any, batch: StudyBatch) -> Rows:
        """Return organ, caption and name vectors (B, R, E), and cosines with dictionary texts.

        The latter are (B, R, M), with ``untrue`` (B, R, M) saying which of them are negatives.

        Raises
        ------
        DataError
            If there is not one caption an anatomy and crop.
        """
        rows = organ_phrasings(batch)
        regions = model.embed_regions(model.encode_image(batch.images), batch.masks)
        names = model.embed_text(self._names)
        rows["present"] = regions.present
        rows["usable"] &= regions.present
        rows["image"] = regions.vectors
        rows["text"] = embed_once(model.embed_text, batch, rows["usable"])
        rows["name"] = names.expand(len(batch), -1, -1)
        rows["scale"] = scale_rows(model, len(batch))
        if len(self._drawn):
            texts = model.embed_text([self._texts[n] for n in self._drawn])
            rows["negatives"] = regions.vectors @ texts.T
            rows["untrue"] = self._untrue(batch)
        return rows

    def loss(self, rows: Rows) -> dict[str, Tensor]:
        """Return both terms."""
        present, usable = rows["present"], rows["usable"]
        anatomies = torch.arange(present.shape[1], device=present.device).expand_as(present)
        scale = rows["scale"].mean()
        nothing = (rows["image"].sum() + rows["text"].sum() + rows["name"].sum()) * 0.0
        terms = {"organ_name": nothing, "abnormality": nothing}
        if present.any():
            anatomy = anatomies[present]
            terms["organ_name"] = contrastive_loss(
                rows["image"][present] @ rows["name"][present].T,
                (anatomy[:, None] == anatomy[None, :]).float(),
                scale,
            )
        if usable.any():
            anatomy = anatomies[usable]
            negatives = None
            if "negatives" in rows:
                untrue = rows["untrue"][usable]
                negatives = rows["negatives"][usable].masked_fill(~untrue, -torch.inf)
            targets = anatomy_targets(
                rows["phrasing"][usable], rows["normal"][usable], anatomy=anatomy
            )
            loss = contrastive_loss(
                rows["image"][usable] @ rows["text"][usable].T,
                targets,
                scale,
                group=anatomy,
                negatives=negatives,
            )
            terms["abnormality"] = self.options.abnormality_weight * loss
        return terms

    def _untrue(self, batch: StudyBatch) -> Tensor:
        """Return (B, R, M) bool: drawn texts about this organ whose abnormality it does not have.

        Where a caption is abnormal but nobody knows which, no text is surely untrue; nor
        is one of what may be there too.
        """
        B, R = batch.masks.shape[:2]
        maybe = np.zeros((B, R, len(self._numbers)), dtype=bool)
        known = np.zeros((B, R, 1), dtype=bool)
        for b, row in enumerate(batch.captions):
            for r, caption in enumerate(row):
                known[b, r] = caption.normal or bool(caption.abnormalities)
                names = caption.abnormalities | caption.doubtful
                maybe[b, r, [self._numbers[name] for name in names if name in self._numbers]] = True
        about = self._anatomy_of[self._drawn] == np.arange(R)[:, None]  # (R, M)
        untrue = about & known & ~maybe[:, :, self._abnormality_of[self._drawn]]
        return torch.from_numpy(untrue).to(batch.images.device)
