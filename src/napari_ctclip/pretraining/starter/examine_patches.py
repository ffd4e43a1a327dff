"""Examination of a 2D model on simulated patches that no training saw."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from napari_ctclip.evaluation.metrics import auroc
from napari_ctclip.models.published.slice_model import SliceModel
from napari_ctclip.pretraining.data.sentences import load_vocabulary
from napari_ctclip.pretraining.starter.patch_batches import PatchSampler
from napari_ctclip.pretraining.starter.patch_pool import PATCH_FINDINGS, make_pool
from napari_ctclip.pretraining.starter.token_targets import TISSUES
from napari_ctclip.scoring.patch_scores import PatchPrompts, patch_scores

__all__ = ["FIRST_EXAMINED_SEED", "PatchRow", "examine_patches", "markdown_rows"]

FIRST_EXAMINED_SEED = 100_000
_BATCH = 64
_CONTROL = "normal lung"


@dataclass(frozen=True)
class PatchRow:
    """How well patches with a finding are told from those of normal lung.

    Attributes
    ----------
    finding : str
        One of ``PATCH_FINDINGS``.
    count, normal : int
        Patches with it, and patches of normal lung.
    auroc : float
        The AUROC of the finding's name against "normal lung".
    unseen : float
        The mean over its held-out wordings.
    """

    finding: str
    count: int
    normal: int
    auroc: float
    unseen: float


@torch.inference_mode()
def examine_patches(
    model: SliceModel, *, slices: int = 600, patches: int = 1200, seed: int = FIRST_EXAMINED_SEED
) -> tuple[PatchRow, ...]:
    """Return one row a finding that at least ten patches show.

    Parameters
    ----------
    model : SliceModel
        Asked with each finding against "normal lung".
    slices, patches : int
        Simulated slices of lung, and patches (one in eight a montage) cut from them.
    seed : int
        The seed of both.
    """
    pool = make_pool(slices=slices, chests=0, per_chest=0, seed=seed)
    sampler = PatchSampler(
        pool, windows_hu=model.preprocessing.windows_hu, image_size=model.image_size[0]
    )
    rng = np.random.default_rng([seed, 1])
    vectors, seen = [], []
    for _ in range(-(-patches // _BATCH)):
        batch = sampler.draw(_BATCH, rng)
        vectors.append(model.embed_patches(batch.image).float())
        seen.append(batch.seen)
    embedded, shown = torch.cat(vectors), torch.cat(seen).numpy()
    normal = shown[:, len(PATCH_FINDINGS) + TISSUES.index("lung")] == 1
    rows = []
    for finding in load_vocabulary().findings:
        if finding.name not in PATCH_FINDINGS:
            continue
        sick = shown[:, PATCH_FINDINGS.index(finding.name)] == 1
        if sick.sum() < 10 or normal.sum() < 10:
            continue
        used = torch.from_numpy(sick | normal)
        values = [
            auroc(sick[used.numpy()], _scores(model, embedded[used], text))
            for text in (finding.name, *finding.unseen)
        ]
        rows.append(
            PatchRow(
                finding.name,
                int(sick.sum()),
                int(normal.sum()),
                values[0],
                float(np.mean(values[1:])),
            )
        )
    return tuple(rows)


def markdown_rows(rows: tuple[PatchRow, ...]) -> str:
    """Return the rows as a table."""
    lines = ["| finding | patches with / normal | AUROC | unseen wordings |", "|---|---|---|---|"]
    lines += [
        f"| {r.finding} | {r.count} / {r.normal} | {r.auroc:.3f} | {r.unseen:.3f} |" for r in rows
    ]
    mean = (np.mean([r.auroc for r in rows]), np.mean([r.unseen for r in rows]))
    return "\n".join([*lines, f"| **mean** | | **{mean[0]:.3f}** | **{mean[1]:.3f}** |"])


def _scores(model: SliceModel, vectors: torch.Tensor, text: str) -> np.ndarray:
    prompts = PatchPrompts((text,), (_CONTROL,))
    embedded = model.embed_text([text, _CONTROL])
    scale = float(model.logit_scale.exp())
    scores = patch_scores(vectors, embedded[:1], embedded[1:], scale=scale, prompts=prompts)
    return np.asarray(scores.numpy())
