"""Anatomy contrast: every anatomy against its own description, across patients (fVLM)."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from napari_ctclip.models.towers.organ_query import intact_organs
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
from napari_ctclip.pretraining.targets import (
    PairCalibration,
    anatomy_targets,
    momentum_targets,
    partner_targets,
)

__all__ = ["AnatomyContrast", "AnatomyContrastOptions", "MomentumText", "TwinModels"]

Calibration = Literal["none", "normal-pairs", "co-teaching", "momentum-text"]
"""How false negatives are corrected; each one after ``none`` adds to ``normal-pairs``."""


class AnatomyContrastOptions(Options):
    """The ``[objective]`` table of fVLM.

    Attributes
    ----------
    calibration : {"none", "normal-pairs", "co-teaching", "momentum-text"}
        ``normal-pairs`` is what fVLM released, ``co-teaching`` what its paper adds,
        ``momentum-text`` what its successor has instead.
    partner_share : float
        The share of the partner's opinion in co-teaching.
    warm_up : int
        Steps with ``normal-pairs`` before the other two begin. Ours.
    interval : int
        Steps until the two models of co-teaching change roles. Ours.
    momentum : float
        The momentum of the slow text encoder.
    """

    calibration: Calibration = "normal-pairs"
    partner_share: float = Field(default=0.5, ge=0, le=1)
    warm_up: int = Field(default=0, ge=0)
    interval: int = Field(default=1, ge=1)
    momentum: float = Field(default=0.995, ge=0, lt=1)


class AnatomyContrast(Objective):
    """Objective of fVLM.

    Anatomies cut by the crop are left out; the rest compete with the same anatomy of the other
    patients only. An anatomy adds nothing if none of its samples is abnormal, or if all of them are
    each other's positives: there is nothing to separate. Equal texts are encoded once (ours: the
    release encodes each).

    References
    ----------
    Shui et al. 2025 (arXiv 2501.14548), section 3.
    """

    options_type = AnatomyContrastOptions

    def __init__(
        self,
        options: AnatomyContrastOptions | None = None,
        setting: Setting | None = None,
    ) -> None:
        super().__init__(options or AnatomyContrastOptions(), setting or Setting(()))
        self._soft = False

    @classmethod
    def needs(cls, options: AnatomyContrastOptions) -> frozenset[Need]:
        """Return masks and sentences."""
        return frozenset({"masks", "sentences"})

    # --- EMA teacher and partner ------------------------------------------------------------------

    def module(self, model: nn.Module, make_another: Callable[[], nn.Module]) -> nn.Module:
        """Return the model, with its partner or its EMA teacher where it has one."""
        if self.options.calibration == "co-teaching":
            return TwinModels(model, make_another(), interval=self.options.interval)
        if self.options.calibration == "momentum-text":
            return MomentumText(model, momentum=self.options.momentum)
        return model

    def model_of(self, module: nn.Module) -> nn.Module:
        """Return the model to keep; of two that taught each other the first (ours)."""
        if isinstance(module, TwinModels):
            return module.first
        return module.model if isinstance(module, MomentumText) else module

    def start_step(self, module: nn.Module, step: int) -> None:
        """Set the roles; soft targets begin after the warm-up."""
        self._soft = step >= self.options.warm_up
        if isinstance(module, TwinModels):
            module.swap_roles(step)

    def end_step(self, module: nn.Module) -> None:
        """Update the EMA teacher."""
        if isinstance(module, MomentumText):
            module.update_ema()

    # --- the two halves ---------------------------------------------------------------------------

    def embed(self, model: Any, batch: StudyBatch) -> Rows:
        """Return image and text vectors of each anatomy (B, R, E), and what is known of it.

        Raises
        ------
        DataError
            If there is not one caption an anatomy and crop.
        """
        learner: Any = model.learner if isinstance(model, TwinModels) else self.model_of(model)
        rows = organ_phrasings(batch)
        regions = learner.embed_regions(learner.encode_image(batch.images), batch.masks)
        rows["usable"] &= intact_organs(batch.masks) & regions.present
        rows["image"] = regions.vectors
        rows["text"] = embed_once(learner.embed_text, batch, rows["usable"])
        rows["scale"] = scale_rows(learner, len(batch))
        if self._soft and not isinstance(model, type(learner)):
            rows |= _opinions(model, batch, rows["usable"])
        return rows

    def loss(self, rows: Rows) -> dict[str, Tensor]:
        """Return the sum over anatomies of the contrast between images and texts."""
        usable, R = rows["usable"], rows["usable"].shape[1]
        anatomy = torch.arange(R, device=usable.device).expand_as(usable)[usable]
        normal, scale = rows["normal"][usable], rows["scale"].mean()
        images, texts = rows["image"][usable], rows["text"][usable]
        known: PairCalibration = "none" if self.options.calibration == "none" else "normal-pairs"
        targets = anatomy_targets(
            rows["phrasing"][usable], normal, anatomy=anatomy, calibration=known
        )
        keep = _has_contrast(targets, normal, anatomy)
        if not keep.any():
            return {"anatomy_contrast": (rows["image"].sum() + rows["text"].sum()) * 0.0}
        if "partner_image" in rows:
            logits = scale.detach() * rows["partner_image"][usable] @ rows["partner_text"][usable].T
            targets = partner_targets(
                targets,
                logits,
                normal=normal,
                anatomy=anatomy,
                partner_share=self.options.partner_share,
            )
        if "slow_text" in rows:
            slow = rows["slow_text"][usable]
            logits = scale.detach() * slow @ slow.T
            targets = momentum_targets(targets, logits, normal=normal, anatomy=anatomy)
        return {
            "anatomy_contrast": contrastive_loss(
                images[keep] @ texts[keep].T,
                targets[keep][:, keep],
                scale,
                group=anatomy[keep],
                reduction="group_sum",
            )
        }


@torch.no_grad()
def _opinions(model: Any, batch: StudyBatch, usable: Tensor) -> Rows:
    """Return what the partner, or the slow text encoder, makes of the batch."""
    if isinstance(model, MomentumText):

        def slow(texts: list[str]) -> Tensor:
            return functional.normalize(
                model.slow_projection(model.slow_encoder.encode(texts)), dim=-1
            )

        return {"slow_text": embed_once(slow, batch, usable)}
    teacher = model.teacher
    regions = teacher.embed_regions(teacher.encode_image(batch.images), batch.masks)
    return {
        "partner_image": regions.vectors,
        "partner_text": embed_once(teacher.embed_text, batch, usable),
    }


def _has_contrast(targets: Tensor, normal: Tensor, anatomy: Tensor) -> Tensor:
    """Return (N,) bool: rows whose anatomy has an abnormal sample, and a pair that is none."""
    same = anatomy[:, None] == anatomy[None, :]
    has_negative = targets.sum(dim=1) < same.sum(dim=1)
    return (same & has_negative[None, :]).any(dim=1) & (same & ~normal[None, :]).any(dim=1)


class TwinModels(nn.Module):
    """Two models of one architecture that swap roles: one learns, the other gives soft targets.

    Parameters
    ----------
    first, second : nn.Module
        Alike but for their random start; the first is the result (ours).
    interval : int
        Steps until they change roles.

    References
    ----------
    Shui et al. 2025 (arXiv 2501.14548), section 3: two models teach each other. Ours: the interval;
    they see different data because each learns from every other batch only.
    """

    def __init__(self, first: nn.Module, second: nn.Module, *, interval: int = 1) -> None:
        super().__init__()
        self.first, self.second, self.interval = first, second, interval
        self._second_learns = False

    def swap_roles(self, step: int) -> None:
        """Set the roles of a step."""
        self._second_learns = (step // self.interval) % 2 == 1

    @property
    def learner(self) -> Any:
        """The model whose weights this step changes."""
        return self.second if self._second_learns else self.first

    @property
    def teacher(self) -> Any:
        """The other one."""
        return self.first if self._second_learns else self.second


class MomentumText(nn.Module):
    """A model with an EMA teacher: a moving average of its text half.

    Parameters
    ----------
    model : nn.Module
        With ``text_encoder`` and ``text_projection``.
    momentum : float
        The share of the teacher that stays at every step; 0.995 is DAMO-RADAR's.
    """

    def __init__(self, model: nn.Module, *, momentum: float = 0.995) -> None:
        super().__init__()
        self.model: Any = model
        self.momentum = momentum
        self.slow_encoder: Any = copy.deepcopy(self.model.text_encoder).requires_grad_(False)
        self.slow_projection: Any = copy.deepcopy(self.model.text_projection).requires_grad_(False)

    @torch.no_grad()
    def update_ema(self) -> None:
        """Move the teacher towards the model's text half after a step."""
        pairs = (
            (self.slow_encoder, self.model.text_encoder),
            (self.slow_projection, self.model.text_projection),
        )
        for slow, fast in pairs:
            for held, moved in zip(slow.parameters(), fast.parameters(), strict=True):
                held.lerp_(moved, 1 - self.momentum)
