"""BertTextEncoder: a BERT from a local folder; its first token stands for the text."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from napari_ctclip.core.errors import CheckpointMismatch, DataError
from napari_ctclip.models.text.text_batches import packed, padded
from napari_ctclip.models.text.text_encoder_folder import (
    require_text_folder,
    require_vocabulary_fits,
)

__all__ = ["CXR_BERT", "FOLDER_FILES", "BertTextEncoder"]

CXR_BERT = "microsoft/BiomedVLP-CXR-BERT-specialized"
"""The text encoder fVLM starts from, on the Hugging Face hub."""

MAX_TOKENS = 384
FOLDER_FILES = ("config.json", "vocab.txt")
"""What a text encoder folder needs; ``tokenizer_config.json`` is used where there is one."""


class BertTextEncoder(nn.Module):
    """A BERT without its heads.

    Parameters
    ----------
    bert : transformers.BertModel
        Made without pooling layer.
    tokenizer : transformers.BertTokenizer
        Splits text into subword tokens.
    max_tokens : int
        Longer texts are cut.
    """

    def __init__(self, bert: nn.Module, tokenizer: Any, *, max_tokens: int = MAX_TOKENS) -> None:
        super().__init__()
        self.bert = bert
        self.tokenizer = tokenizer
        config: Any = bert.config
        self.embedding_width = int(config.hidden_size)
        self.max_tokens = min(max_tokens, int(config.max_position_embeddings))

    @classmethod
    def untrained(cls, folder: Path | str, *, max_tokens: int = MAX_TOKENS) -> BertTextEncoder:
        """Return an encoder of the folder's architecture and vocabulary, with random weights.

        Raises
        ------
        CtClipError
            If transformers is not installed.
        CheckpointMismatch
            If the folder lacks a file or holds another kind of model.
        """
        folder = _checked(folder)
        from transformers import BertConfig, BertModel

        try:
            bert = BertModel(BertConfig.from_json_file(folder / "config.json"), False)
        except (ValueError, TypeError, OSError) as error:
            raise CheckpointMismatch(
                f"{folder / 'config.json'} describes no BERT ({error}); "
                f"expected the one of {CXR_BERT}"
            ) from error
        return cls(bert, _tokenizer(folder, bert), max_tokens=max_tokens)

    @classmethod
    def pretrained(cls, folder: Path | str, *, max_tokens: int = MAX_TOKENS) -> BertTextEncoder:
        """Return an encoder with the folder's own weights, to start a training from.

        Raises
        ------
        CtClipError
            If transformers is not installed.
        CheckpointMismatch
            If the folder lacks a file or its weights cannot be read.
        """
        folder = _checked(folder)
        from transformers import BertConfig, BertModel

        try:
            bert = BertModel.from_pretrained(
                folder,
                config=BertConfig.from_json_file(folder / "config.json"),
                add_pooling_layer=False,
                local_files_only=True,
            )
        except (ValueError, RuntimeError, OSError) as error:
            raise CheckpointMismatch(
                f"{folder}: the BERT weights cannot be read ({error}); copy the folder again"
            ) from error
        return cls(bert, _tokenizer(folder, bert), max_tokens=max_tokens)

    def encode(self, texts: Sequence[str]) -> Tensor:
        """Return (T, embedding_width): the last hidden state of each text's first token.

        All texts take one pass, several of them in a row; none sees another.

        Raises
        ------
        DataError
            If a text is empty.
        """
        texts_in_rows = packed(self._token_ids(texts), capacity=self.max_tokens)
        device = next(self.bert.parameters()).device
        bert: Any = self.bert
        states = bert.embeddings(
            input_ids=texts_in_rows.ids.to(device), position_ids=texts_in_rows.positions.to(device)
        )
        hidden, mask = texts_in_rows.hidden(), None
        if hidden is not None:
            # the layers take what is added to their scores; whole models differ in masks they take
            mask = torch.zeros(hidden.shape, dtype=states.dtype, device=device)
            mask.masked_fill_(hidden.to(device), torch.finfo(states.dtype).min)
        states = bert.encoder(states, attention_mask=mask).last_hidden_state
        vectors: Tensor = states.flatten(0, 1)[texts_in_rows.first.to(device)]
        return vectors

    def encode_words(self, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Return a vector for each token (T, L, embedding_width), and which are real (T, L)."""
        ids, real = padded(self._token_ids(texts))
        return self._states(ids, real), real.to(next(self.bert.parameters()).device)

    def words_of_tokens(self, text: str) -> tuple[int, ...]:
        """Return which word of a text each token is of (L,); -1 for punctuation and marks."""
        # by counting: not every tokenizer tells characters, but all split at blanks first
        owners = [
            i if any(map(str.isalnum, token)) else -1
            for i, word in enumerate(text.split())
            for token in self.tokenizer.tokenize(word)
        ]
        marks = self.tokenizer.num_special_tokens_to_add()  # one before, the rest after
        return (-1, *owners[: self.max_tokens - marks], *[-1] * (marks - 1))

    def tokenize(self, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Return token ids (T, L), and 1 where there is a token and not padding (T, L).

        Raises
        ------
        DataError
            If a text is empty.
        """
        ids, real = padded(self._token_ids(texts))
        return ids, real.to(torch.long)

    def _token_ids(self, texts: Sequence[str]) -> list[list[int]]:
        if any(not text.strip() for text in texts):
            raise DataError("a text to embed is empty; expected at least one word")
        tokens = self.tokenizer(list(texts), truncation=True, max_length=self.max_tokens)
        rows: list[list[int]] = tokens["input_ids"]
        return rows

    def _states(self, ids: Tensor, real: Tensor) -> Tensor:
        device = next(self.bert.parameters()).device
        # without padding there is nothing to mask, and attention takes its fastest path
        mask = None if bool(real.all()) else real.to(device, torch.long)
        states: Tensor = self.bert(input_ids=ids.to(device), attention_mask=mask).last_hidden_state
        return states


def _checked(folder: Path | str) -> Path:
    return require_text_folder(folder, architecture="BERT", repository=CXR_BERT, files=FOLDER_FILES)


def _tokenizer(folder: Path, bert: nn.Module) -> Any:
    from transformers import BertTokenizer

    tokenizer = BertTokenizer.from_pretrained(folder, local_files_only=True)
    require_vocabulary_fits(folder, tokenizer, bert.config, file="vocab.txt")
    return tokenizer
