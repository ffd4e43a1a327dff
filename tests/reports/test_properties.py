"""Properties that hold for any text (hypothesis)."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from napari_ctclip.core.report import Report
from napari_ctclip.reports import Certainty, decompose, load_lexicon

FINDINGS = sorted(
    entry.name for entry in load_lexicon().findings.values() if entry.name in entry.terms
)
SENTENCES = (
    "The heart is enlarged.",
    "No pleural effusion was seen.",
    "There is a nodule of 4 mm in the left upper lobe.",
    "The liver is normal.",
    "Emphysema is seen in both lungs.",
    "A cyst is seen in the right kidney.",
)
odd_text = st.text(
    st.sampled_from('aeinorst AEINT .,;:?!()"“”•-\n\t0123456789xİıß½\u0000é') | st.characters(),
    max_size=200,
)
words = st.sampled_from(
    ["no", "not", "which", "(", ")", "and", ",", "nodule", "lung", "is", "?", "."]
)


@settings(max_examples=100, deadline=None)
@given(st.one_of(odd_text, st.lists(words, max_size=25).map(" ".join)))
def test_no_text_raises_and_every_span_lies_in_it(text):
    report = decompose(text)
    last = 0
    for sentence in report.sentences:
        start, end = sentence.span
        assert last <= start < end <= len(report.text)
        assert report.text[start:end] == sentence.text
        last = end
        for part in (*sentence.findings, *sentence.measurements):
            assert start <= part.span[0] < part.span[1] <= end


@settings(max_examples=30, deadline=None)
@given(odd_text, odd_text)
def test_no_two_part_report_raises(findings, impression):
    report = decompose(Report(findings, impression))
    assert all(report.text[slice(*s.span)] == s.text for s in report.sentences)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(FINDINGS))
def test_negating_a_sentence_flips_every_finding(name):
    stated = decompose(f"There is evidence of {name} on this scan.").finding_certainties
    denied = decompose(f"There is no evidence of {name} on this scan.").finding_certainties
    after = decompose(f"On this scan {name} was not seen.").finding_certainties
    doubted = decompose(f"There is possible {name} on this scan.").finding_certainties
    assert stated[name] is Certainty.PRESENT
    assert denied[name] is after[name] is Certainty.ABSENT
    assert doubted[name] is Certainty.UNCERTAIN


@settings(max_examples=20, deadline=None)
@given(st.permutations(SENTENCES), st.permutations(SENTENCES))
def test_the_order_of_sentences_does_not_matter(one, other):
    read_one, read_other = decompose(" ".join(one)), decompose(" ".join(other))
    assert dict(read_one.finding_certainties) == dict(read_other.finding_certainties)
    assert dict(read_one.normal_flags) == dict(read_other.normal_flags)


@settings(max_examples=10, deadline=None)
@given(st.permutations(["FINDINGS", "IMPRESSION", "TECHNIQUE"]))
def test_the_order_of_sections_does_not_matter(order):
    parts = {
        "FINDINGS": "The heart is enlarged.",
        "IMPRESSION": "Cardiomegaly.",
        "TECHNIQUE": "Chest CT without contrast.",
    }
    report = decompose("\n".join(f"{name}: {parts[name]}" for name in order))
    heart = report.anatomy_texts["heart"]
    assert (heart.findings, heart.impression) == ("The heart is enlarged.", "Cardiomegaly.")


@settings(max_examples=20, deadline=None)
@given(st.sampled_from(SENTENCES), st.sampled_from([str.upper, str.lower, str.title]))
def test_the_case_of_letters_does_not_matter(sentence, change):
    assert dict(decompose(change(sentence)).finding_certainties) == dict(
        decompose(sentence).finding_certainties
    )


@settings(max_examples=20, deadline=None)
@given(st.sampled_from(SENTENCES), st.integers(0, 40))
def test_a_wrapped_line_does_not_matter(sentence, at):
    blanks = [i for i, c in enumerate(sentence) if c == " " and sentence[i + 1].islower()]
    cut = blanks[at % len(blanks)]
    wrapped = sentence[:cut] + "\n" + sentence[cut + 1 :]
    assert dict(decompose(wrapped).finding_certainties) == dict(
        decompose(sentence).finding_certainties
    )
