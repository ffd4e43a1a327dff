"""TextCache: embeddings of texts seen before, the longest unused ones forgotten."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

__all__ = ["TextCache"]

_MOST_TEXTS = 4096  # Ours: at 256 numbers each, 4 MB


class TextCache:
    """Remembers what a text encoder answered.

    Parameters
    ----------
    most : int
        Texts kept.
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
