"""The phrasings: enough of them, and the held-out ones stay held out."""

from __future__ import annotations

import numpy as np
import pytest

from napari_ctclip.pretraining.data.sentences import canonical, load_vocabulary
from napari_ctclip.pretraining.starter.distillation import class_batch, distillation_corpus
from napari_ctclip.pretraining.starter.token_targets import TISSUES
from napari_ctclip.simulation import FINDINGS


@pytest.fixture(scope="module")
def vocabulary():
    return load_vocabulary()


def test_findings_and_tissues_are_those_of_the_simulation(vocabulary):
    assert tuple(f.name for f in vocabulary.findings) == FINDINGS
    assert tuple(t.name for t in vocabulary.tissues) == TISSUES
    assert all(f.tissue in TISSUES for f in vocabulary.findings)
    assert all(vocabulary.background_prompts)


def test_every_finding_has_many_phrasings_and_ten_unseen_ones(vocabulary):
    for finding in vocabulary.findings:
        assert len(set(finding.terms + finding.sentences)) >= 25
        assert len(set(map(canonical, finding.unseen))) >= 10


def test_held_out_sentences_never_reach_training(vocabulary):
    rng = np.random.default_rng(0)
    texts = distillation_corpus(vocabulary, ["fissure", "node", "nodule"], size=3000, seed=0)
    texts += class_batch(vocabulary, 3000, rng)[0]
    texts += [text for f in vocabulary.findings for text in f.terms + f.sentences]
    assert not {canonical(text) for text in texts} & vocabulary.held_out


def test_a_held_out_sentence_that_a_template_spells_is_replaced(vocabulary):
    finding = vocabulary.findings[0]
    term = finding.terms[0]
    held = type(vocabulary)(
        (type(finding)(finding.name, (term,), unseen=(term, f"there is {term}"), where=("x",)),),
        (), ("{}",), (), (),
    )  # fmt: skip
    assert held.draw(held.findings[0], np.random.default_rng(0)) == finding.name


def test_a_negated_text_names_the_normal_tissue(vocabulary):
    names = [kind.name for kind in vocabulary.findings + vocabulary.tissues]
    texts, labels = class_batch(vocabulary, 400, np.random.default_rng(1))
    negated = [
        names[label]
        for text, label in zip(texts, labels.tolist(), strict=True)
        if text.lower().startswith(("no ", "without ", "absence of", "there is no "))
    ]
    assert len(negated) > 20
    assert set(negated) <= {f.tissue for f in vocabulary.findings}
