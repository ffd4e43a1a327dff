"""Present, absent or uncertain: a sentence of our own wording for every rule."""

from __future__ import annotations

import pytest

from napari_ctclip.reports import Certainty, decompose

PRESENT, ABSENT, UNCERTAIN = Certainty.PRESENT, Certainty.ABSENT, Certainty.UNCERTAIN


def said(text: str) -> dict[str, Certainty]:
    return dict(decompose(text).finding_certainties)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # asserted
        ("There is a nodule in the right lung.", {"lung nodule": PRESENT}),
        ("Cardiomegaly.", {"cardiomegaly": PRESENT}),
        # denied forwards
        ("There is no pleural effusion.", {"pleural effusion": ABSENT}),
        ("The lungs are free of emphysema.", {"emphysema": ABSENT}),
        ("The scan is negative for pulmonary embolism.", {"pulmonary embolism": ABSENT}),
        ("The patient has no evidence of pneumothorax.", {"pneumothorax": ABSENT}),
        # "no X or Y", "no X, Y, or Z"
        (
            "There is no consolidation, atelectasis or bronchiectasis.",
            {"consolidation": ABSENT, "atelectasis": ABSENT, "bronchiectasis": ABSENT},
        ),
        # denied backwards
        ("Hiatal hernia was not observed.", {"hiatal hernia": ABSENT}),
        ("Emphysema is not clearly seen.", {"emphysema": ABSENT}),
        ("Pleural effusion is absent.", {"pleural effusion": ABSENT}),
        ("The heart is not enlarged.", {"cardiomegaly": ABSENT}),
        (
            "Emphysema is not extensive, bronchiectasis seen.",
            {"emphysema": PRESENT, "bronchiectasis": PRESENT},
        ),
        # a "no" in the middle of a short list
        (
            "Pneumothorax, no consolidation was seen.",
            {"pneumothorax": ABSENT, "consolidation": ABSENT},
        ),
        # the clause ends a negation
        (
            "No pleural effusion but there is a nodule in the left lung.",
            {"pleural effusion": ABSENT, "lung nodule": PRESENT},
        ),
        (
            "Bronchiectasis is seen in the lower lobes and consolidation was not detected.",
            {"bronchiectasis": PRESENT, "consolidation": ABSENT},
        ),
        (
            "The lungs are normal, pleural effusion and pneumothorax were not detected.",
            {"pleural effusion": ABSENT, "pneumothorax": ABSENT},
        ),
        (
            "No abnormality apart from a nodule in the right lung.",
            {"lung nodule": PRESENT},
        ),
        (
            "Emphysema is seen, without pneumothorax.",
            {"emphysema": PRESENT, "pneumothorax": ABSENT},
        ),
        # a relative clause interrupts: the main verb denies what stands before it
        (
            "The consolidation, which was seen last year, was not observed.",
            {"consolidation": ABSENT},
        ),
        ("There is no density that could suggest consolidation.", {"consolidation": ABSENT}),
        # neutral: a negation that denies nothing
        ("No change in the nodule of the right lung.", {"lung nodule": PRESENT}),
        (
            "A lymph node that does not reach pathological size is seen in the axilla.",
            {"lymph node": PRESENT},
        ),
        (
            "The heart could not be evaluated for lack of contrast, and emphysema is seen.",
            {"emphysema": PRESENT},
        ),
        # doubt
        ("Consolidation cannot be excluded.", {"consolidation": UNCERTAIN}),
        ("Findings may represent consolidation.", {"consolidation": UNCERTAIN}),
        ("A density in the left lung (atelectasis?).", {"atelectasis": UNCERTAIN}),
        ("Suspicious for pulmonary embolism.", {"pulmonary embolism": UNCERTAIN}),
        # gone since the prior examination
        ("The pleural effusion has resolved.", {"pleural effusion": ABSENT}),
        ("The chest tube has been removed.", {"medical device": ABSENT}),
    ],
)
def test_certainty_follows_the_rule(text, expected):
    found = said(text)
    assert {name: found.get(name) for name in expected} == expected


def test_the_surest_mention_decides_for_the_report():
    found = said("No emphysema in the left lung. Possible emphysema. Emphysema of the right lung.")
    assert found["emphysema"] is PRESENT


def test_every_mention_says_why():
    (mention,) = decompose("No emphysema is seen.").sentences[0].findings
    assert "emphysema" in mention.reason
    assert "denied by 'no'" in mention.reason
