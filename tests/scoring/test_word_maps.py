"""Word maps: a word finds the region it means; a prompt without words keeps all else."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_ctclip.core.errors import DataError
from napari_ctclip.core.geometry import Geometry
from napari_ctclip.core.prompt import Phrase, Prompt
from napari_ctclip.encoding.encoding import EncodedScan
from napari_ctclip.models.interface import FeatureMap
from napari_ctclip.models.local_regions import LocalRegions
from napari_ctclip.scoring.answer import without_words
from napari_ctclip.scoring.significant_regions import attention_map, even_share
from tests.models.towers.test_local_regions import GRID, model

NODULE, EFFUSION = (0, 1, 1), (1, 2, 3)
TEXT = "small nodule effusion"


@pytest.fixture
def planted() -> tuple[LocalRegions, EncodedScan]:
    """A model whose words "nodule" and "effusion" mean one token each of a scan."""
    local, features = model(), torch.zeros(1, 16, *GRID)
    features[:, 8:] = torch.rand(1, 8, *GRID, generator=torch.Generator().manual_seed(3))
    text, pieces = local.text_encoder, local.text_encoder.tokenizer
    with torch.no_grad():
        for part in (text.out, local.word_projection, local.region_projection, text.bag):
            for values in part.parameters():
                values.zero_()
        text.bag.weight[:8, :8] = torch.eye(8)
        local.word_projection.weight[:, :8] = torch.eye(8)
        local.region_projection.weight[:, :8] = torch.eye(8)
        local.region_projection.bias[7] = 0.5  # what no word means
        local.selection.gate[1].weight.zero_()
        local.selection.gate[1].weight[0, :2] = 1.0
        text.words.weight.zero_()
        text.words.weight[:, 6] = 1.0
        for axis, (word, token) in enumerate([("nodule", NODULE), ("effusion", EFFUSION)]):
            text.words.weight[pieces.token_to_id(word)] = torch.eye(16)[axis]
            features[(0, axis, *token)] = 4.0
    geometry = Geometry(GRID, np.diag([8.0, 8.0, 8.0, 1.0]))
    scan = EncodedScan(FeatureMap((features,)), geometry, geometry, np.ones(GRID, dtype=bool))
    return local, scan


@pytest.mark.parametrize(("word", "token"), [(1, NODULE), (2, EFFUSION)])
def test_a_planted_word_lights_its_region_and_no_other(planted, word, token) -> None:
    local, scan = planted
    found = attention_map(local, scan, Phrase(TEXT, (word,)))
    even = even_share(local, scan)
    assert even == pytest.approx(1 / 5)
    assert found.values.sum() == pytest.approx(1.0)
    assert found.peak().index == token
    others = np.delete(found.values.ravel(), np.ravel_multi_index(token, GRID))
    assert found.peak().value > 2 * even
    assert others.max() < even


def test_a_word_that_means_none_of_the_regions_looks_at_all_alike(planted) -> None:
    local, scan = planted
    found = attention_map(local, scan, Phrase(TEXT, (0,)))
    looked_at = found.values[found.values > 0]
    assert looked_at == pytest.approx(even_share(local, scan))


def test_a_phrase_is_the_mean_of_its_words_and_all_words_the_interpretation(planted) -> None:
    local, scan = planted
    maps = [attention_map(local, scan, Phrase(TEXT, (word,))).values for word in range(3)]
    both = attention_map(local, scan, Phrase(TEXT, (1, 2))).values
    np.testing.assert_allclose(both, (maps[1] + maps[2]) / 2, atol=1e-6)
    assert set(np.flatnonzero(both > 0.2)) == {
        np.ravel_multi_index(token, GRID) for token in (NODULE, EFFUSION)
    }
    with torch.inference_mode():
        whole = local.interpretation_map(scan.features, TEXT)[0].numpy()
    np.testing.assert_allclose(np.mean(maps, axis=0), whole, atol=1e-6)


def test_words_beyond_what_the_model_reads_are_refused(planted) -> None:
    local, scan = planted
    text = "a " * local.text_encoder.max_tokens + "nodule"
    with pytest.raises(DataError, match=r"reads the first 64 of 65 words"):
        attention_map(local, scan, Phrase(text, (64,)))


def test_punctuation_is_no_word(planted) -> None:
    local, scan = planted
    with_stop = attention_map(local, scan, Phrase("small nodule, effusion .", (1, 2))).values
    without = attention_map(local, scan, Phrase(TEXT, (1, 2))).values
    np.testing.assert_allclose(with_stop, without, atol=1e-6)
    with pytest.raises(DataError, match="neither letters nor digits"):
        attention_map(local, scan, Phrase("nodule . effusion", (1,)))
    with pytest.raises(DataError, match="reads no word"):
        local.interpretation_map(scan.features, "...")


def test_words_are_left_out_and_the_negative_stays() -> None:
    prompt = Prompt("calcified left lung nodule", "quiet lung")
    shorter = without_words(prompt, Phrase(prompt.positive, (0, 1)))
    assert shorter.positive == "lung nodule"
    assert shorter.negative == "quiet lung"


def test_the_organ_stays_though_its_word_goes() -> None:
    shorter = without_words(Prompt("spleen cyst"), Phrase("spleen cyst", (0,)))
    assert shorter.anatomy == "spleen"
    assert shorter.negative == "no spleen cyst"


def test_all_words_cannot_be_left_out() -> None:
    with pytest.raises(DataError, match="nothing is left"):
        without_words(Prompt("lung nodule"), Phrase("lung nodule", (0, 1)))
