"""Anatomy contrast: every anatomy against its own description, across patients (fVLM)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from napari_ctclip.core.errors import DataError
from napari_ctclip.models.fvlm import FVLM
from napari_ctclip.models.organ_query import intact_organs
from napari_ctclip.pretraining.captions import OrganCaption, read_caption
from napari_ctclip.pretraining.losses import contrastive_loss
from napari_ctclip.pretraining.targets import PairCalibration, anatomy_targets

__all__ = ["AnatomyBatch", "AnatomyContrast", "anatomy_loss"]


@dataclass(frozen=True)
class AnatomyBatch:
    """Crops with their anatomies and what is said of each.

    Attributes
    ----------
    images : Tensor (B, C, D, H, W) float32
        Prepared crops.
    masks : Tensor (B, R, D, H, W) bool
        One mask an anatomy, in the model's order.
    captions : sequence of sequence of str, B x R
        As ``captions.organ_caption`` makes them.
    """

    images: Tensor
    masks: Tensor
    captions: Sequence[Sequence[str]]


class AnatomyContrast:
    """Objective of fVLM, as its release trains it.

    Anatomies cut by the crop are left out; the rest compete with the same anatomy of the other
    patients only. Equal texts are encoded once (ours: the release encodes each).

    Parameters
    ----------
    calibration : {"normal-pairs", "none"}
        How false negatives are mended, see ``targets.anatomy_targets``.

    References
    ----------
    Shui et al. 2025 (arXiv 2501.14548), section 3.
    """

    def __init__(self, *, calibration: PairCalibration = "normal-pairs") -> None:
        self.calibration = calibration

    def __call__(self, model: FVLM, batch: AnatomyBatch) -> dict[str, Tensor]:
        """Return the named terms; their sum is the loss.

        Raises
        ------
        DataError
            If there is not one caption an anatomy and crop.
        """
        B, R = batch.masks.shape[:2]
        if len(batch.captions) != B or any(len(row) != R for row in batch.captions):
            raise DataError(
                f"expected {B} x {R} captions, one a crop and anatomy, got "
                f"{len(batch.captions)} x {sorted({len(row) for row in batch.captions})}"
            )
        regions = model.embed_regions(model.encode_image(batch.images), batch.masks)
        usable = intact_organs(batch.masks) & regions.present
        crop, anatomy = usable.nonzero(as_tuple=True)
        captions = [
            read_caption(batch.captions[b][r], model.anatomies[r])
            for b, r in zip(crop.tolist(), anatomy.tolist(), strict=True)
        ]
        if not captions:
            return {"anatomy_contrast": regions.vectors.sum() * 0.0}
        loss = anatomy_loss(
            regions.vectors[crop, anatomy],
            _embed_once(model, [caption.text for caption in captions]),
            model.logit_scale.exp(),
            anatomy=anatomy,
            captions=captions,
            calibration=self.calibration,
        )
        return {"anatomy_contrast": loss}


def anatomy_loss(
    images: Tensor,
    texts: Tensor,
    scale: Tensor,
    *,
    anatomy: Tensor,
    captions: Sequence[OrganCaption],
    calibration: PairCalibration = "normal-pairs",
) -> Tensor:
    """Return the sum over anatomies of the contrast between their samples' images and texts.

    An anatomy adds nothing if none of its samples is abnormal, or if all of them are each other's
    positives: there is nothing to tell apart.

    Parameters
    ----------
    images, texts : Tensor (N, E)
        Unit norm; row n of both is one anatomy of one patient.
    scale : Tensor ()
        Factor on a cosine.
    anatomy : Tensor (N,) int
        Which anatomy each row is.
    captions : sequence of OrganCaption, N of them
        What is said of each row.
    calibration : {"normal-pairs", "none"}
        See ``targets.anatomy_targets``.

    References
    ----------
    Shui et al. 2025 (arXiv 2501.14548), section 3, on fine-grained contrast and false negatives.
    """
    normal = torch.tensor([caption.normal for caption in captions], device=images.device)
    targets = anatomy_targets(
        [caption.text for caption in captions], normal, anatomy=anatomy, calibration=calibration
    )
    keep = _tells_apart(targets, normal, anatomy)
    if not keep.any():
        return (images.sum() + texts.sum()) * 0.0
    return contrastive_loss(
        images[keep] @ texts[keep].T,
        targets[keep][:, keep],
        scale,
        group=anatomy[keep],
        reduction="group_sum",
    )


def _tells_apart(targets: Tensor, normal: Tensor, anatomy: Tensor) -> Tensor:
    """Return (N,) bool: rows whose anatomy has an abnormal sample, and a pair that is none."""
    same = anatomy[:, None] == anatomy[None, :]
    has_negative = targets.sum(dim=1) < same.sum(dim=1)
    return (same & has_negative[None, :]).any(dim=1) & (same & ~normal[None, :]).any(dim=1)


def _embed_once(model: FVLM, texts: Sequence[str]) -> Tensor:
    places = {text: place for place, text in enumerate(dict.fromkeys(texts))}
    vectors = model.embed_text(list(places))
    return vectors[[places[text] for text in texts]]
