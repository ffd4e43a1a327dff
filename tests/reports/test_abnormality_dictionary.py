"""The abnormality dictionary: synonyms, wider and narrower findings are never negatives."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_ctclip.core.errors import DataError
from napari_ctclip.reports import decompose, load_lexicon
from napari_ctclip.reports.abnormality_dictionary import (
    Abnormality,
    AbnormalityDictionary,
    build_dictionary,
    default_dictionary,
    findings_by_anatomy,
)
from napari_ctclip.reports.corpus import unnamed_phrases

DICTIONARY = default_dictionary()


def rng() -> np.random.Generator:
    return np.random.default_rng(7)


def every_negative(anatomy: str, *true: str) -> set[str]:
    return set(DICTIONARY.negatives(anatomy, true, count=10_000, rng=rng()))


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(sorted(DICTIONARY.entries)), st.integers(1, 8))
def test_kin_of_a_true_finding_are_never_drawn(name, count):
    entry, lexicon = DICTIONARY.entries[name], load_lexicon()
    drawn = DICTIONARY.negatives(entry.anatomy, [name], count=count, rng=rng())
    assert len(set(drawn)) == len(drawn) <= count
    assert name not in drawn
    for other in drawn:
        assert DICTIONARY.entries[other].anatomy == entry.anatomy
        assert other not in lexicon.ancestors(name)
        assert name not in lexicon.ancestors(other)
        assert other not in entry.related


def test_a_synonym_of_a_true_finding_bars_it():
    assert DICTIONARY.canonical("Gallstones") == DICTIONARY.canonical("cholelithiasis")
    negatives = every_negative("gallbladder", "cholelithiasis")
    assert "gallstone" not in negatives
    assert "cholecystitis" in negatives


def test_wider_and_narrower_findings_are_barred():
    assert "liver lesion" not in every_negative("liver", "liver cyst")
    assert "liver cyst" not in every_negative("liver", "liver lesion")
    assert "liver hemangioma" in every_negative("liver", "liver cyst")


def test_the_same_generator_draws_the_same():
    draws = [DICTIONARY.negatives("liver", ["cirrhosis"], count=4, rng=rng()) for _ in range(2)]
    assert draws[0] == draws[1]
    other = DICTIONARY.negatives("liver", ["cirrhosis"], count=4, rng=np.random.default_rng(8))
    assert other != draws[0]


def test_entries_that_share_a_synonym_bar_each_other():
    shared = AbnormalityDictionary(
        {
            "a": Abnormality("a", "lung", ("same words",)),
            "b": Abnormality("b", "lung", ("Same word",)),
            "c": Abnormality("c", "lung"),
        }
    )
    assert shared.negatives("lung", ["a"], count=5, rng=rng()) == ("c",)


def test_a_corpus_gives_frequencies_and_drops_rare_findings():
    texts = ["Emphysema is seen."] * 3 + ["Gallstones are seen. No emphysema."] * 2 + ["Cirrhosis."]
    built = build_dictionary((decompose(text) for text in texts), least=2)
    assert {name: entry.frequency for name, entry in built.entries.items()} == {
        "emphysema": 3,
        "gallstone": 2,
    }
    largest = build_dictionary((decompose(text) for text in texts), least=1, largest=1)
    assert set(largest.entries) == {"emphysema"}


def test_it_survives_the_disk(tmp_path):
    file = tmp_path / "dictionary.toml"
    DICTIONARY.save(file)
    assert AbnormalityDictionary.load(file).entries == DICTIONARY.entries


@pytest.mark.parametrize("text", ["[lung", 'lung = "x"', '[lung]\n"x" = 3'])
def test_a_file_that_is_none_is_refused(tmp_path, text):
    file = tmp_path / "dictionary.toml"
    file.write_text(text, "utf-8")
    with pytest.raises(DataError, match="not an abnormality dictionary"):
        AbnormalityDictionary.load(file)


def test_findings_are_listed_by_anatomy_for_a_menu():
    listed = findings_by_anatomy()
    assert "emphysema" in listed["lung"]
    assert "body" not in listed  # devices are no abnormality
    assert all(len(names) <= 3 for names in findings_by_anatomy(most=3).values())


def test_what_the_lexicon_lacks_is_counted():
    reports = [decompose("There is a striped deformity of the liver.")] * 2
    assert unnamed_phrases(reports) == {("liver", "striped deformity"): 2}
