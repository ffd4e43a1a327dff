"""Sections and sentences: where a report is cut."""

from __future__ import annotations

import pytest

from napari_ctclip.core.report import Report
from napari_ctclip.reports import Section, decompose
from napari_ctclip.reports.sentences import sentence_spans


def sentences(text: str) -> list[str]:
    return [text[a:b] for a, b in sentence_spans(text, 0, len(text))]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("One. Two.", ["One.", "Two."]),
        ("A nodule of 1.5 cm. The heart.", ["A nodule of 1.5 cm.", "The heart."]),
        ("Mass.Nodule.", ["Mass.", "Nodule."]),
        ("Seen in segment. no effusion.", ["Seen in segment.", "no effusion."]),
        ("Image No. 12 shows it.", ["Image No. 12 shows it."]),
        ("Seen by Dr. Miller.", ["Seen by Dr. Miller."]),
        ("• First item\n• Second item", ["First item", "Second item"]),
        ("1. First.\n2) Second.", ["First.", "Second."]),
        ("Cardiomegaly\nPleural effusion", ["Cardiomegaly", "Pleural effusion"]),
        ("a nodule\nof 4 mm.", ["a nodule\nof 4 mm."]),
        ("Infection?. Next.", ["Infection?.", "Next."]),
        ("...", []),
        ("", []),
    ],
)
def test_sentences_end_where_a_reader_ends_them(text, expected):
    assert sentences(text) == expected


@pytest.mark.parametrize("run", [" ", "\n", ".", '"', ". ", "\n.", "a", "1. A 2. "])
def test_a_long_run_of_anything_is_read(run):
    text = run * 20_000
    assert decompose(f"{text} The heart is normal. {text}").text.count("heart") == 1


def test_headers_part_the_sections():
    report = decompose(
        "TECHNIQUE: Chest CT.\nCOMPARISON: None.\n"
        "FINDINGS: The heart is normal.\nIMPRESSION: No pneumonia."
    )
    assert [s.section for s in report.sentences] == [
        Section.TECHNIQUE,
        Section.COMPARISON,
        Section.FINDINGS,
        Section.IMPRESSION,
    ]


def test_history_is_not_read_for_findings():
    report = decompose("CLINICAL INFORMATION: Pneumothorax.\nFINDINGS: The heart is normal.")
    assert "pneumothorax" not in report.finding_certainties


def test_a_list_at_the_end_is_the_impression():
    for mark in ('"', "•"):
        report = decompose(f"The lungs are clear. The heart is normal. {mark} Normal chest CT.")
        assert [s.section for s in report.sentences][-1] is Section.IMPRESSION
        assert report.sentences[0].section is Section.FINDINGS


def test_a_numbered_list_at_the_end_is_the_impression():
    report = decompose("There is an effusion. 1. Pleural effusion. 2. No pneumonia.")
    kinds = [s.section for s in report.sentences]
    assert kinds == [Section.FINDINGS, Section.IMPRESSION, Section.IMPRESSION]


def test_a_report_in_two_parts_keeps_them():
    report = decompose(Report(findings="The heart is normal.", impression="Normal chest CT."))
    assert [s.section for s in report.sentences] == [Section.FINDINGS, Section.IMPRESSION]
    only = decompose(Report(impression="Cardiomegaly."))
    assert [s.section for s in only.sentences] == [Section.IMPRESSION]


def test_a_text_says_what_each_anatomy_is_said_to_be():
    report = decompose(
        Report(
            findings="The heart is enlarged. The liver is normal.",
            impression="Cardiomegaly.",
        )
    )
    heart, liver = report.anatomy_texts["heart"], report.anatomy_texts["liver"]
    assert (heart.findings, heart.impression) == ("The heart is enlarged.", "Cardiomegaly.")
    assert not heart.normal
    assert heart.in_impression
    assert liver.normal
    assert not liver.in_impression
    assert report.captions["liver"].startswith("liver shows no significant abnormalities.")


def test_an_anatomy_beside_an_abnormal_one_stays_normal():
    report = decompose("There is a pericardial effusion and no nodule in the lung.")
    assert report.normal_flags == {"lung": True, "heart": False}


def test_a_report_that_begins_with_its_comparison_is_read_from_the_next_sentence() -> None:
    report = decompose("Comparison: none available. There is a nodule in the right upper lobe.")
    assert [s.section for s in report.sentences] == [Section.COMPARISON, Section.FINDINGS]
    assert "lung_nodule" in {name.replace(" ", "_") for name in report.present_findings}


def test_a_report_of_a_history_alone_has_no_findings() -> None:
    assert not decompose("History: nodule seen elsewhere.").present_findings
