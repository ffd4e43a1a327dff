"""CLIP-ILD-DAPT: a 2D CLIP is trained further on montages of lung patches and lung sections."""

from __future__ import annotations

import re
from typing import Any, Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from napari_ctclip.core.errors import DataError
from napari_ctclip.models.published.slice_model import SliceModel
from napari_ctclip.pretraining.data.samples import Need, StudyBatch
from napari_ctclip.pretraining.losses import contrastive_loss
from napari_ctclip.pretraining.objectives.objective import (
    Objective,
    Options,
    Rows,
    Setting,
    scale_rows,
)

__all__ = ["ClipIldDapt", "ClipIldDaptOptions", "Tower", "report_view"]

Arm = Literal["image+text", "image", "text"]
Tower = Literal["image", "text"]
_VIEWS = 13  # a stream of random numbers
_SENTENCE = re.compile(r"(?<=[.!?])\s+")


class ClipIldDaptOptions(Options):
    """The ``[objective]`` table.

    Attributes
    ----------
    arm : {"image+text", "image", "text"}
        Montage against report; two montages of one patient; two views of one report.
    locked : list of {"image", "text"}
        Towers whose weights stay; a locked image tower is what LiT does.
    keep_sentences : float
        Share of a report's sentences in each view of the ``text`` arm. Ours.
    """

    arm: Arm = "image+text"
    locked: tuple[Tower, ...] = ()
    keep_sentences: float = Field(default=0.7, gt=0, le=1)


class ClipIldDapt(Objective):
    """Domain-adaptive pretraining of a 2D model, in one of three arms.

    References
    ----------
    Van Uden et al. 2023 (arXiv 2306.01111), abstract: montages of patches, lung sections of the
    reports, zero-shot classification of interstitial lung disease; Zhai et al. 2022 (LiT) on locked
    towers. The single-tower arms' losses were not published: contrast of two views is ours.
    """

    options_type = ClipIldDaptOptions

    def __init__(self, options: ClipIldDaptOptions, setting: Setting) -> None:
        super().__init__(options, setting)
        self._step = 0

    @classmethod
    def needs(cls, options: ClipIldDaptOptions) -> frozenset[Need]:
        """Return what the arm makes its pairs of."""
        by_arm: dict[Arm, frozenset[Need]] = {
            "image+text": frozenset({"lung mask", "lung sentences"}),
            "image": frozenset({"lung mask", "second view"}),
            "text": frozenset({"lung sentences"}),
        }
        return by_arm[options.arm]

    def module(self, model: nn.Module, make_another: Any) -> nn.Module:
        """Return the model with its locked towers, and those the arm leaves out, frozen.

        Raises
        ------
        DataError
            If nothing is left to train, or the model is none of open_clip's.
        """
        if not isinstance(model, SliceModel):
            raise DataError(
                f"clip_ild_dapt trains a 2D CLIP, got {type(model).__name__}; set model.kind = "
                '"open_clip"'
            )
        idle = {"image": "text", "text": "image"}.get(self.options.arm)
        frozen = set(self.options.locked) | ({idle} if idle else set())
        if frozen == {"image", "text"}:
            raise DataError(
                f"arm {self.options.arm!r} with {sorted(self.options.locked)} locked trains "
                "nothing; take a tower out of objective.locked"
            )
        for name, parameter in model.clip.named_parameters():
            tower = "image" if name.startswith("visual.") else "text"
            if tower in frozen and name not in ("logit_scale", "logit_bias"):
                parameter.requires_grad_(False)
        return model

    def start_step(self, module: nn.Module, step: int) -> None:
        """Take the step's number: views of reports are drawn from it."""
        self._step = step

    def embed(self, model: Any, batch: StudyBatch) -> Rows:
        """Return two vectors a sample (B, E), of which the arm makes a pair.

        Raises
        ------
        DataError
            If the image arm gets samples without a second montage.
        """
        rows = {"scale": scale_rows(model, len(batch))}
        if self.options.arm == "text":
            views = [
                [self._view(batch, number, which) for number in range(len(batch))]
                for which in (0, 1)
            ]
            return rows | {
                "first": model.embed_text(views[0]),
                "second": model.embed_text(views[1]),
            }
        rows["first"] = model.embed_patches(batch.images[:, :, 0])
        if self.options.arm == "image":
            if batch.second_views is None:
                raise DataError("the image arm needs two montages a patient; the data has one")
            rows["second"] = model.embed_patches(batch.second_views[:, :, 0])
        else:
            rows["second"] = model.embed_text(batch.reports)
        return rows

    def loss(self, rows: Rows) -> dict[str, Tensor]:
        """Return the contrast of the pairs."""
        targets = torch.eye(len(rows["first"]), device=rows["first"].device)
        similarity = rows["first"] @ rows["second"].T
        return {"contrast": contrastive_loss(similarity, targets, rows["scale"].mean())}

    def _view(self, batch: StudyBatch, row: int, which: int) -> str:
        # by study and not by position in the batch: chunks and ranks must not change it
        name = list(batch.study_ids[row].encode())
        rng = np.random.default_rng([self.setting.seed, _VIEWS, self._step, which, *name])
        return report_view(batch.reports[row], rng, keep=self.options.keep_sentences)


def report_view(report: str, rng: np.random.Generator, *, keep: float) -> str:
    """Return some sentences of a report, at least one, in another order."""
    sentences = _SENTENCE.split(report.strip())
    count = max(1, round(keep * len(sentences)))
    return " ".join(sentences[n] for n in rng.permutation(len(sentences))[:count])
