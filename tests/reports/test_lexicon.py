"""The lexicon: every entry can be found, and a wrong file is refused with its reason."""

from __future__ import annotations

import shutil
import tomllib
from importlib.resources import files
from pathlib import Path

import pytest

from napari_ctclip.core.errors import DataError
from napari_ctclip.reports import decompose, findings_of_labels, load_lexicon
from napari_ctclip.reports.folding import Folding
from tests.paths import DATA

_FILE = DATA / "organ_findings.toml"
_EXPECTED = tomllib.loads(_FILE.read_text("utf-8"))


@pytest.mark.parametrize("anatomy", _EXPECTED)
def test_the_findings_of_an_organ_are_named(anatomy):
    organ = _EXPECTED[anatomy]["organ"]
    for phrase in _EXPECTED[anatomy]["findings"]:
        (sentence,) = decompose(f"{phrase} of the {organ} is seen.").sentences
        named = [m.name for m in sentence.findings if m.anatomies == (anatomy,)]
        assert named, f"{phrase} of the {organ}"


def test_every_term_finds_its_finding():
    lexicon = load_lexicon()
    lost = [
        (entry.name, term)
        for entry in lexicon.findings.values()
        for term in entry.terms
        if not lexicon.is_place_and_head(entry, term)
        and not any(
            ("term", entry.name) in hit.values
            for hit in lexicon.finding_matcher.find(lexicon.folding.tokens(term))
        )
    ]
    assert not lost


def test_a_term_that_is_a_place_and_a_head_is_still_found():
    lexicon = load_lexicon()
    split = [
        (entry.name, term)
        for entry in lexicon.findings.values()
        for term in entry.terms
        if lexicon.is_place_and_head(entry, term)
    ]
    assert ("pericardial effusion", "pericardial effusion") in split
    lost = [
        (name, term)
        for name, term in split
        if name not in decompose(f"There is {term} on this scan.").finding_certainties
    ]
    assert not lost


def test_parents_make_no_circle():
    lexicon = load_lexicon()
    assert all(name not in lexicon.ancestors(name) for name in lexicon.findings)


@pytest.mark.parametrize(
    ("spellings", "folded"),
    [
        (("oesophageal", "Esophageal"), "esophageal"),
        (("tumours", "tumor"), "tumor"),
        (("vertebrae", "Vertebra"), "vertebra"),
        (("metastases", "metastatic"), "metastasis"),
        (("Crohn's", "crohn"), "crohn"),
        (("oedema",), "edema"),
        (("İZLENMEDİ",), None),
    ],
)
def test_spellings_of_a_word_become_one(spellings, folded):
    forms = {load_lexicon().folding.fold(word) for word in spellings}
    assert forms == {folded} if folded else len(forms) == 1


def test_folding_keeps_the_place_of_every_token():
    text = "İki, ß — Ground-glass: 1,5 mm"
    for token in Folding({}, {}).tokens(text):
        assert text[token.start : token.end].strip()


@pytest.fixture
def lexicon_copy(tmp_path: Path) -> Path:
    source = Path(str(files("napari_ctclip.reports") / "lexicon"))
    return Path(shutil.copytree(source, tmp_path / "lexicon"))


def test_an_edited_lexicon_is_used(lexicon_copy):
    own = '[heart."odd heart"]\nterms = ["odd heart"]\n'
    (lexicon_copy / "findings_own.toml").write_text(own, "utf-8")
    report = decompose("An odd heart is seen.", lexicon=load_lexicon(lexicon_copy))
    assert report.present_findings == ("odd heart",)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('[heart."odd heart"]\nterm = ["odd heart"]\n', "unknown field 'term'"),
        ('[heart."odd heart"]\nsites = ["nowhere"]\n', "unknown site 'nowhere'"),
        ('[heart."odd heart"]\nparents = ["nothing"]\n', "unknown finding 'nothing'"),
        ("[heart", "not valid TOML"),
    ],
)
def test_a_wrong_entry_is_refused_by_name(lexicon_copy, text, told):
    (lexicon_copy / "findings_own.toml").write_text(text, "utf-8")
    with pytest.raises(DataError, match=told):
        load_lexicon(lexicon_copy)


def test_a_missing_file_is_told(lexicon_copy):
    (lexicon_copy / "sites.toml").unlink()
    with pytest.raises(DataError, match=r"sites\.toml"):
        load_lexicon(lexicon_copy)


def test_labels_follow_findings_and_their_narrower_ones():
    report = decompose("There is honeycombing. A possible consolidation. No emphysema.")
    labels = findings_of_labels(report)
    assert len(labels) == 18
    assert labels["Pulmonary fibrotic sequela"]
    assert labels["Consolidation"]
    assert not labels["Emphysema"]
    assert not findings_of_labels(report, uncertain=False)["Consolidation"]
    assert findings_of_labels(report, {"scar": ("pulmonary fibrosis",)}) == {"scar": True}


def test_an_unknown_label_set_or_finding_is_refused():
    report = decompose("The heart is normal.")
    with pytest.raises(DataError, match="no label set"):
        findings_of_labels(report, "nothing")
    with pytest.raises(DataError, match="unknown finding"):
        findings_of_labels(report, {"label": ("nothing",)})
