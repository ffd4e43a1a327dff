"""LongformerTextEncoder: a Longformer from a local folder; its first token stands for the text."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch import Tensor, nn
from torch.nn import functional

from napari_ctclip.core.errors import CheckpointMismatch, DataError
from napari_ctclip.models.text.text_batches import in_length_buckets
from napari_ctclip.models.text.text_encoder_folder import (
    require_text_folder,
    require_vocabulary_fits,
)

__all__ = ["CLINICAL_LONGFORMER", "LONGFORMER_FILES", "LongformerTextEncoder"]

CLINICAL_LONGFORMER = "yikuan8/Clinical-Longformer"
"""The text encoder Merlin starts from, on the Hugging Face hub."""

LONGFORMER_FILES = ("config.json", "vocab.json", "merges.txt")
"""What a text encoder folder needs."""

_LONGEST_TEXT = 1024  # tokens
_WORDS = re.compile(r"\w+|[^\w\s]+")
_SPECIAL = {"<s>": "bos_token_id", "</s>": "eos_token_id", "<pad>": "pad_token_id"}


class LongformerTextEncoder(nn.Module):
    """A Longformer without its heads, for lower-case text whose punctuation stands apart.

    Parameters
    ----------
    longformer : transformers.LongformerModel
        Made without pooling layer.
    tokenizer : transformers.RobertaTokenizer
        Splits text into subword tokens.
    """

    def __init__(self, longformer: nn.Module, tokenizer: Any) -> None:
        super().__init__()
        self.longformer = longformer
        self.tokenizer = tokenizer
        config: Any = longformer.config
        self.embedding_width = int(config.hidden_size)
        # positions start behind that of the padding
        room = int(config.max_position_embeddings) - int(config.pad_token_id) - 1
        self.max_tokens = min(_LONGEST_TEXT, room)
        self._widest = tuple(int(width) for width in config.attention_window)

    @classmethod
    def untrained(cls, folder: Path | str) -> LongformerTextEncoder:
        """Return an encoder of the folder's architecture and vocabulary, with random weights.

        Raises
        ------
        CtClipError
            If transformers is not installed.
        CheckpointMismatch
            If the folder lacks a file or holds another kind of model.
        """
        folder = require_text_folder(
            folder,
            architecture="Longformer",
            repository=CLINICAL_LONGFORMER,
            files=LONGFORMER_FILES,
        )
        from transformers import LongformerConfig, LongformerModel, RobertaTokenizer

        try:
            config = LongformerConfig.from_json_file(folder / "config.json")
            if config.model_type != "longformer":
                raise ValueError(f"it is a {config.model_type}")
            model = LongformerModel(config, add_pooling_layer=False)
        except (ValueError, TypeError, OSError, AssertionError) as error:
            raise CheckpointMismatch(
                f"{folder / 'config.json'} describes no Longformer ({error}); "
                f"expected the one of {CLINICAL_LONGFORMER}"
            ) from error
        tokenizer = RobertaTokenizer.from_pretrained(folder, local_files_only=True)
        _require_one_vocabulary(folder, tokenizer, config)
        return cls(model, tokenizer)

    def encode(self, texts: Sequence[str]) -> Tensor:
        """Return (T, embedding_width): the last hidden state of each text's first token.

        Raises
        ------
        DataError
            If a text is empty.
        """
        plain = [" ".join(_WORDS.findall(text.lower())) for text in texts]
        if not all(plain):
            raise DataError("a text to embed is empty; expected at least one word")
        tokens = self.tokenizer(plain, truncation=True, max_length=self.max_tokens)
        return in_length_buckets(tokens["input_ids"], self._first_states)

    def _first_states(self, ids: Tensor, real: Tensor) -> Tensor:
        device = next(self.longformer.parameters()).device
        config: Any = self.longformer.config
        self._look_no_further_than(ids.shape[1])
        # to whole windows, which transformers would do too and warn of
        missing = -ids.shape[1] % max(config.attention_window)
        ids, real = functional.pad(ids, (0, missing)), functional.pad(real, (0, missing))
        ids = ids.masked_fill(~real, int(config.pad_token_id)).to(device)
        states: Tensor = self.longformer(input_ids=ids, attention_mask=real.to(device).long())[0]
        return states[:, 0]

    def _look_no_further_than(self, tokens: int) -> None:
        """Narrow the attention windows to a short text, which they see all of even so.

        A text is padded to a multiple of the window: a prompt of ten tokens would cost 512.
        """
        config: Any = self.longformer.config
        layers: Any = self.longformer.encoder.layer  # type: ignore[union-attr]
        config.attention_window = [min(2 * tokens, width) for width in self._widest]
        for layer, width in zip(layers, config.attention_window, strict=True):
            layer.attention.self.one_sided_attn_window_size = width // 2


def _require_one_vocabulary(folder: Path, tokenizer: Any, config: Any) -> None:
    """Pass a tokenizer that counts tokens as the model does."""
    require_vocabulary_fits(folder, tokenizer, config, file="vocab.json")
    for token, key in _SPECIAL.items():
        found, expected = tokenizer.convert_tokens_to_ids(token), getattr(config, key)
        if found != expected:
            raise CheckpointMismatch(
                f"{folder}: vocab.json gives {token} the id {found}, config.json {expected}; "
                "both must come from the same model"
            )
