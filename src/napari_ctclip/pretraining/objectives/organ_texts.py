"""Organ texts: what is said of each anatomy of a batch, as rows that can be compared."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from napari_ctclip.core.errors import DataError
from napari_ctclip.pretraining.data.samples import StudyBatch
from napari_ctclip.pretraining.objectives.objective import Rows, phrasing_numbers

__all__ = ["embed_once", "organ_phrasings"]


def organ_phrasings(batch: StudyBatch) -> Rows:
    """Return ``usable`` and ``normal`` (B, R) bool and ``phrasing`` (B, R) int of the captions.

    An anatomy is usable if something is said of it.

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
    flat = [caption for row in batch.captions for caption in row]
    device = batch.masks.device
    said = torch.tensor([bool(caption.text.strip()) for caption in flat], device=device)
    normal = torch.tensor([caption.normal for caption in flat], device=device)
    phrasing = phrasing_numbers([caption.text for caption in flat], batch.masks)
    return {
        "usable": said.view(B, R),
        "normal": normal.view(B, R),
        "phrasing": phrasing.view(B, R),
    }


def embed_once(embed: Callable[[list[str]], Tensor], batch: StudyBatch, usable: Tensor) -> Tensor:
    """Return text vectors (B, R, E) of the usable captions, zero elsewhere.

    All texts of the batch go through the encoder together, equal ones once.
    """
    B, R = usable.shape
    flags = usable.flatten().tolist()
    texts = [caption.text for row in batch.captions for caption in row]
    said = [text for text, flag in zip(texts, flags, strict=True) if flag]
    index = {text: number for number, text in enumerate(dict.fromkeys(said))}
    if not index:  # any text tells the width, and lets the encoder take part with a gradient of 0
        vectors = embed([next((text for text in texts if text.strip()), "none")])
        return vectors.new_zeros(B, R, vectors.shape[1]) + 0.0 * vectors.sum()
    vectors = embed(list(index))
    numbers = torch.tensor(
        [index[t] if u else 0 for t, u in zip(texts, flags, strict=True)], device=vectors.device
    )
    rows = vectors[numbers].view(B, R, -1)
    return rows * usable.to(rows.device, rows.dtype).unsqueeze(-1)
