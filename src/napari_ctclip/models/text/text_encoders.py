"""Text encoders: sentences to vectors, before the projection into the shared space."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from napari_ctclip.core.errors import CheckpointMismatch, DataError
from napari_ctclip.core.prompt import words_at

__all__ = ["WordPieceTransformer", "load_tokenizer"]


class WordPieceTransformer(nn.Module):
    """A small sentence encoder that imitates a large one.

    A factorised word table (rank ``word_width``) feeds a few transformer layers; beside them runs a
    weighted bag of words, so that a word no training sentence held still lands near its synonyms.

    Parameters
    ----------
    tokenizer : tokenizers.Tokenizer
        Splits text into subword tokens; travels with the weights as ``tokenizer.json``.
    word_width, width, layers, heads : int
        The sizes of the word table and of the transformer.
    embedding_width : int
        The width of the vector that a sentence becomes.
    max_tokens : int
        Longer texts are cut.
    """

    def __init__(
        self,
        tokenizer: Any,
        *,
        word_width: int = 128,
        width: int = 192,
        layers: int = 2,
        heads: int = 6,
        embedding_width: int = 384,
        max_tokens: int = 64,
    ) -> None:
        super().__init__()
        self.tokenizer = tokenizer
        self.embedding_width = embedding_width
        self.max_tokens = max_tokens
        self.words = nn.Embedding(tokenizer.get_vocab_size(), word_width)
        self.word_weight = nn.Embedding(tokenizer.get_vocab_size(), 1)
        nn.init.zeros_(self.word_weight.weight)
        self.positions = nn.Parameter(torch.zeros(max_tokens, width))
        self.widen = nn.Linear(word_width, width)
        self.blocks = nn.ModuleList(_Block(width, heads) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        self.out = nn.Linear(width, embedding_width)
        self.bag = nn.Linear(word_width, embedding_width, bias=False)

    def tokenize(self, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Return token ids (T, L) and which of them are real (T, L) bool.

        Raises
        ------
        DataError
            If a text is empty.
        """
        if any(not text.strip() for text in texts):
            raise DataError("a text to embed is empty; expected at least one word")
        rows = [e.ids[: self.max_tokens] for e in self.tokenizer.encode_batch(list(texts))]
        length = max(len(row) for row in rows)
        ids = np.zeros((len(rows), length), dtype=np.int64)
        for filled, row in zip(ids, rows, strict=True):
            filled[: len(row)] = row
        lengths = np.array([len(row) for row in rows])
        return torch.from_numpy(ids), torch.from_numpy(np.arange(length) < lengths[:, None])

    def forward(self, ids: Tensor, real: Tensor) -> Tensor:
        """Return (T, embedding_width), not normalised, of tokenised texts."""
        words = self.words(ids)
        x = self._contextual(words, real)
        mean = _masked_mean(x, real, torch.ones_like(real, dtype=x.dtype))
        bag = _masked_mean(words, real, self.word_weight(ids).squeeze(-1).exp())
        out: Tensor = self.out(mean) + self.bag(bag)
        return out

    def encode(self, texts: Sequence[str]) -> Tensor:
        """Return (T, embedding_width) of texts."""
        ids, real = self.tokenize(texts)
        device = self.positions.device
        out: Tensor = self(ids.to(device), real.to(device))
        return out

    def encode_words(self, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Return a vector for each token (T, L, embedding_width), and which are real (T, L)."""
        ids, real = (t.to(self.positions.device) for t in self.tokenize(texts))
        words = self.words(ids)
        return self.out(self._contextual(words, real)) + self.bag(words), real

    def words_of_tokens(self, text: str) -> tuple[int, ...]:
        """Return which word of a text each token is of (L,); -1 for punctuation and marks."""
        offsets = self.tokenizer.encode(text).offsets[: self.max_tokens]
        words = words_at(text, (start for start, _ in offsets))
        return tuple(
            word if any(map(str.isalnum, text[start:stop])) else -1
            for word, (start, stop) in zip(words, offsets, strict=True)
        )

    def _contextual(self, words: Tensor, real: Tensor) -> Tensor:
        x = self.widen(words) + self.positions[: words.shape[1]]
        for block in self.blocks:
            x = block(x, real)
        normed: Tensor = self.norm(x)
        return normed


def load_tokenizer(path: Path | str) -> Any:
    """Return the tokenizer of a checkpoint folder or a ``tokenizer.json``.

    Raises
    ------
    CheckpointMismatch
        If there is none or it cannot be read.
    """
    from tokenizers import Tokenizer

    path = Path(path)
    file = path / "tokenizer.json" if path.is_dir() else path
    if not file.is_file():
        raise CheckpointMismatch(
            f"{file.parent}: expected a tokenizer; missing {file.name}; copy the whole model "
            "folder again"
        )
    try:
        tokenizer = Tokenizer.from_file(str(file))
    except Exception as error:  # tokenizers raises bare Exception for a damaged file
        raise CheckpointMismatch(
            f"{file}: expected a tokenizer written by the tokenizers library ({error}); "
            "copy the whole model folder again"
        ) from error
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer


class _Block(nn.Module):
    """Pre-norm transformer layer."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm_attention = nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.attention_out = nn.Linear(width, width)
        self.norm_mlp = nn.LayerNorm(width)
        self.mlp = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)
        )

    def forward(self, x: Tensor, real: Tensor) -> Tensor:
        """Return x (T, L, width) after attention among real tokens and a perceptron."""
        T, L, width = x.shape
        qkv = self.qkv(self.norm_attention(x)).view(T, L, 3, self.heads, width // self.heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)
        # written out: for a dozen tokens the fused kernel costs more than it saves on a CPU
        scores = (q @ k.transpose(-1, -2)) * (width // self.heads) ** -0.5
        mixed = scores.masked_fill(~real[:, None, None, :], -torch.inf).softmax(dim=-1) @ v
        x = x + self.attention_out(mixed.transpose(1, 2).reshape(T, L, width))
        out: Tensor = x + self.mlp(self.norm_mlp(x))
        return out


def _masked_mean(x: Tensor, real: Tensor, weight: Tensor) -> Tensor:
    weight = (weight * real).unsqueeze(-1)
    mean: Tensor = (x * weight).sum(dim=1) / weight.sum(dim=1).clamp_min(1e-6)
    return mean
