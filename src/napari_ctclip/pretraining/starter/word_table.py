"""Word table: the pieces of open_clip's tokenizer, placed as a sentence encoder places words."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["sentence_encoder_words"]

_END = "</w>"  # closes the last piece of a word in CLIP's vocabulary


def sentence_encoder_words(count: int, width: int) -> Tensor:
    """Return (count, width), unit variance: what each piece of CLIP's vocabulary means.

    Every piece is the mean of all-MiniLM-L6-v2's (Apache-2.0) embeddings of its letters, reduced to
    the principal components. So "tumour" and "tumor" are neighbours before any training.

    Raises
    ------
    ImportError
        If the sentence encoder is not installed.
    """
    from open_clip import SimpleTokenizer

    from napari_ctclip.pretraining.starter.distillation import load_teacher

    teacher, pieces, _ = load_teacher()
    decoder = SimpleTokenizer().decoder
    texts = [str(decoder.get(i, "")).removesuffix(_END) for i in range(count)]
    ids = pieces(texts, add_special_tokens=False)["input_ids"]
    table: Tensor = teacher.get_input_embeddings().weight.detach().float()
    means = torch.zeros(count, table.shape[1])
    for row, found in enumerate(ids):
        if found:
            means[row] = table[found].mean(dim=0)
    centred = means - means.mean(dim=0)
    _, _, axes = torch.linalg.svd(centred[:: max(1, count // 8000)], full_matrices=False)
    reduced: Tensor = centred @ axes[:width].T
    return reduced / reduced.std()
