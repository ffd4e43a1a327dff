"""TextCache: embeddings of texts seen before, the longest unused ones forgotten."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any, Self

import torch
from torch import Tensor, nn

__all__ = ["CachesTexts", "TextCache"]

_MOST_TEXTS = 16384  # Ours: all findings in an ensemble; at 256 numbers each, 16 MB


class TextCache:
    """Remembers what a text encoder answered.

    Parameters
    ----------
    most : int
        The most texts that are cached.
    """

    def __init__(self, most: int = _MOST_TEXTS) -> None:
        self._most = most
        self._vectors: OrderedDict[str, Tensor] = OrderedDict()

    def embed(self, texts: Sequence[str], compute: Callable[[Sequence[str]], Tensor]) -> Tensor:
        """Return (T, E); ``compute`` is called once, with the new texts only."""
        new = [text for text in dict.fromkeys(texts) if text not in self._vectors]
        if new:
            self._vectors.update(zip(new, compute(new), strict=True))
        for text in texts:
            self._vectors.move_to_end(text)
        rows = torch.stack([self._vectors[text] for text in texts])
        while len(self._vectors) > self._most:
            self._vectors.popitem(last=False)
        return rows

    def clear(self) -> None:
        """Forget everything, as after a change of weights or device."""
        self._vectors.clear()


class CachesTexts(nn.Module):
    """The part of a model that embeds a text once; a model adds ``_embed_texts``."""

    def __init__(self) -> None:
        super().__init__()
        self._texts = TextCache()

    def embed_text(self, texts: Sequence[str]) -> Tensor:
        """Return (T, E), unit norm; texts seen before come from a cache when nothing is trained."""
        if torch.is_grad_enabled() or self.training:
            return self._embed_texts(texts)
        return self._texts.embed(texts, self._embed_texts)

    def train(self, mode: bool = True) -> Self:
        """Switch between training and inference; weights may change, so texts are forgotten."""
        self._texts.clear()
        return super().train(mode)

    def _apply(self, fn: Callable[..., Any], recurse: bool = True) -> Self:
        # .to(device) and .half() come through here: cached texts would stay behind
        self._texts.clear()
        moved: Self = super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        return moved

    def _embed_texts(self, texts: Sequence[str]) -> Tensor:
        """Return (T, E), unit norm."""
        raise NotImplementedError
