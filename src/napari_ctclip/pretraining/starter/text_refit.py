"""Text refit: after training, every wording of a thing is drawn to what the wordings share."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from napari_ctclip.models.dual_encoder import DualEncoder
from napari_ctclip.models.folder.checkpoint import load_checkpoint, replace_weights
from napari_ctclip.pretraining.data.sentences import TextClass, Vocabulary

__all__ = ["refit_checkpoint", "refit_text_projection"]

_WORDINGS = 150  # of each finding and tissue; half as many of each negated finding
_KEEP = 0.1  # Ours: weight of the trained projection against the fit; on validation studies


@torch.no_grad()
def refit_text_projection(
    model: DualEncoder, vocabulary: Vocabulary, rng: np.random.Generator, *, keep: float = _KEEP
) -> None:
    """Replace the text projection by the ridge regression of wordings on their class means.

    The image encoder learned to meet the mean of what it was told; a single wording lies beside
    that mean by as much as two findings lie apart. Solves
    ``min_P sum_c mean_{x in c} |P x - a_c|^2 + keep |P - P_trained|^2`` in closed form, where x are
    text encoder outputs and a_c the unit mean of class c under the trained projection.
    """
    texts, labels = _wordings(vocabulary, rng)
    inputs = functional.normalize(model.text_encoder.encode(texts), dim=-1)
    trained = model.text_projection.weight
    outputs = inputs @ trained.T
    unit = functional.normalize(outputs, dim=-1)
    count = int(labels.max()) + 1
    total = torch.zeros(count, unit.shape[1]).index_add_(0, labels, unit)
    target = functional.normalize(total, dim=-1)[labels] * outputs.norm(dim=1).mean()
    weight = torch.bincount(labels).float().reciprocal()[labels, None]
    gram = (inputs * weight).T @ inputs + keep * torch.eye(inputs.shape[1])
    moment = (inputs * weight).T @ target + keep * trained.T
    trained.copy_(torch.linalg.solve(gram, moment).T)


def refit_checkpoint(folder: Path, vocabulary: Vocabulary, rng: np.random.Generator) -> None:
    """Refit the text projection of a model folder in place."""
    model = load_checkpoint(folder)
    refit_text_projection(model, vocabulary, rng)
    replace_weights(folder, {"text_projection.weight": model.text_projection.weight})


def _wordings(vocabulary: Vocabulary, rng: np.random.Generator) -> tuple[list[str], Tensor]:
    """Return distinct training wordings and their class; negated findings are classes too."""
    texts: list[str] = []
    labels: list[int] = []

    def add(drawn: set[str]) -> None:
        number = labels[-1] + 1 if labels else 0
        texts.extend(sorted(drawn))
        labels.extend([number] * len(drawn))

    kinds: tuple[TextClass, ...] = vocabulary.findings + vocabulary.tissues
    for kind in kinds:
        add({vocabulary.draw(kind, rng) for _ in range(_WORDINGS)})
    for finding in vocabulary.findings:
        add({vocabulary.draw_negated(finding, rng) for _ in range(_WORDINGS // 2)})
    return texts, torch.tensor(labels)
