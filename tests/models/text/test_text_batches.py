"""Texts packed into rows: the same vectors as one by one."""

from __future__ import annotations

import pytest
import torch

from napari_ctclip.models.text.bert_text_encoder import BertTextEncoder
from napari_ctclip.models.text.text_batches import packed
from napari_ctclip.models.text.text_encoders import WordPieceTransformer
from tests.models.small_fvlm import write_text_folder
from tests.models.small_model import ARCHITECTURE, small_tokenizer

TEXTS = ["lung clear", "heart", "aorta calcified and the heart large", "lung", "heart clear"]


def test_every_piece_of_every_text_stands_once_where_it_is_said_to():
    rows = [[5, 6, 7], [1], [2, 3, 4, 8], [9, 9], [4]]
    found = packed(rows, capacity=5)
    assert found.ids.shape == (3, 5)  # 4 + 1, 3 + 2, 1
    for text, pieces in enumerate(rows):
        mine = found.owner == text
        assert found.ids[mine].tolist() == pieces
        assert found.positions[mine].tolist() == list(range(len(pieces)))
        assert found.ids.flatten()[found.first[text]] == pieces[0]
        assert found.owner.flatten()[found.first[text]] == text
    assert int((found.owner >= 0).sum()) == sum(map(len, rows))


def test_nobody_looks_at_another_text_and_everybody_at_something():
    found = packed([[1, 2], [3, 4, 5], [6]], capacity=5)
    hidden = found.hidden()
    assert hidden is not None
    same = found.owner[:, :, None] == found.owner[:, None, :]
    assert torch.equal(hidden[:, 0], ~same)
    assert not hidden.all(dim=-1).any()


def test_texts_of_equal_length_need_no_mask():
    assert packed([[1, 2, 3], [4, 5, 6]], capacity=4).hidden() is None


def test_a_text_longer_than_a_row_has_one_of_its_own():
    assert packed([[1] * 7, [2], [3]], capacity=4).ids.shape == (2, 7)


def test_vectors_and_gradients_equal_those_of_each_text_alone(tmp_path):
    pytest.importorskip("transformers", reason="a BERT text encoder needs transformers")
    encoder = BertTextEncoder.untrained(write_text_folder(tmp_path / "bert"), max_tokens=64)
    encoder.eval()
    factors = torch.randn(len(TEXTS), encoder.embedding_width)
    found = []
    for encode in (
        lambda: encoder.encode(TEXTS),
        lambda: torch.cat([encoder.encode([text]) for text in TEXTS]),
        lambda: torch.stack([encoder.encode_words([text])[0][0, 0] for text in TEXTS]),
    ):
        encoder.zero_grad()
        vectors = encode()
        (vectors * factors).sum().backward()
        gradients = [p.grad.clone() for p in encoder.parameters()]
        found.append((vectors.detach(), gradients))
    (together, gradients), *others = found
    for vectors, expected in others:
        assert torch.allclose(together, vectors, atol=1e-5)
        for one, other in zip(gradients, expected, strict=True):
            assert torch.allclose(one, other, rtol=1e-3, atol=1e-4)


def test_every_piece_knows_its_word_in_both_text_encoders(tmp_path):
    pytest.importorskip("transformers", reason="a BERT text encoder needs transformers")
    bert = BertTextEncoder.untrained(write_text_folder(tmp_path / "bert"), max_tokens=8)
    small = WordPieceTransformer(small_tokenizer(), **ARCHITECTURE["text"], max_tokens=8)
    for encoder in (bert.eval(), small.eval()):
        for text in ("lung clear, heart.", "a lung " * 8):
            words = encoder.words_of_tokens(text)
            assert encoder.encode_words([text])[0].shape[1] == len(words)
            seen = [word for word in words if word >= 0]
            assert sorted(set(seen)) == list(range(max(seen) + 1))
    assert small.words_of_tokens("lung, a small.") == (0, -1, 1, 2, -1)
    first, *_, last = bert.words_of_tokens("lung heart")
    assert first == last == -1
