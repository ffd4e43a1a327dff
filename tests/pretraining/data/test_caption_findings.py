"""Captions know which findings they tell of, and which they leave open."""

from __future__ import annotations

import pytest

from napari_ctclip.io.store.manifest_entry import ManifestEntry
from napari_ctclip.pretraining.data.caption_findings import CaptionReader, dictionary_texts
from napari_ctclip.reports.abnormality_dictionary import (
    AbnormalityDictionary,
    default_dictionary,
)

DICTIONARY = default_dictionary()


def entry(findings: str, **sentences: str) -> ManifestEntry:
    return ManifestEntry(
        study_id="s",
        patient_id="p",
        image="s.nii.gz",
        findings=findings,
        organ_sentences=sentences,
        organ_normal=dict.fromkeys(sentences, False),
    )


def lung(findings: str, dictionary: AbnormalityDictionary | None = DICTIONARY):
    (caption,) = CaptionReader(("lung",), dictionary).captions(entry(findings, lung=findings))
    return caption


def test_a_finding_that_is_there_is_true_with_what_is_wider():
    (caption,) = CaptionReader(("liver",), DICTIONARY).captions(
        entry("There is a cyst in the liver.", liver="There is a cyst in the liver.")
    )
    assert caption.abnormalities == {"liver cyst", "liver lesion"}
    assert "hydatid cyst" in caption.doubtful
    assert "liver hemangioma" not in caption.abnormalities | caption.doubtful


def test_a_possible_finding_is_neither_true_nor_untrue():
    caption = lung("Possible consolidation in the right lower lobe.")
    assert "consolidation" in caption.doubtful
    assert "consolidation" not in caption.abnormalities


def test_a_finding_that_is_denied_or_elsewhere_is_not_there():
    caption = lung("No pleural effusion. There is a cyst in the liver. Emphysema in both lungs.")
    assert "emphysema" in caption.abnormalities
    assert not {"pleural effusion", "liver cyst"} & (caption.abnormalities | caption.doubtful)


def test_a_rare_finding_that_a_dictionary_lacks_still_bars_its_kin():
    small = AbnormalityDictionary({"liver lesion": DICTIONARY.entries["liver lesion"]})
    (caption,) = CaptionReader(("liver",), small).captions(
        entry("There is a cyst in the liver.", liver="A cyst.")
    )
    assert "liver lesion" in caption.abnormalities


def test_without_a_dictionary_no_report_is_read():
    assert not lung("Emphysema in both lungs.", None).abnormalities


def test_organ_sentences_are_read_where_there_is_no_report():
    (caption,) = CaptionReader(("lung",), DICTIONARY).captions(entry("", lung="Lung emphysema."))
    assert caption.abnormalities == {"emphysema"}


@pytest.mark.parametrize("group", ["lung", "lung_right"])
def test_texts_of_the_dictionary_reach_an_anatomy_and_its_parts(group):
    texts = dictionary_texts(DICTIONARY, [group, "aorta"])
    assert ("pleural effusion", "hydrothorax") in texts[group]
    assert all(name != "pleural effusion" for name, _ in texts["aorta"])
