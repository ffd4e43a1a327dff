from __future__ import annotations

from napari_ctclip.explanation.vocabulary import (
    dictionary_anatomies,
    finding_prompts,
    shipped_dictionary,
    synonyms_of,
)


def test_organ_of_a_label_map_gets_the_findings_of_its_anatomy() -> None:
    assert dictionary_anatomies("lung_upper_lobe_left") == ("lung",)
    assert "heart" in dictionary_anatomies("mediastinum")
    assert {"rib", "vertebrae_thoracic", "bone"} <= set(dictionary_anatomies("bone"))
    assert "lung" not in dictionary_anatomies("bone")
    assert "rib" in dictionary_anatomies("rib_left_4")
    assert len(dictionary_anatomies("body")) == len(dictionary_anatomies(""))


def test_every_finding_is_asked_once_and_the_model_s_own_come_first() -> None:
    own, others = finding_prompts(
        "lung_left", suggested=("pulmonary nodule", "cardiomegaly", "emphysema")
    )
    texts = [prompt.positive for prompt in own]
    assert texts[:2] == ["pulmonary nodule", "emphysema"]
    assert "lung nodule" not in texts  # the same finding by another name
    assert "pneumonia" in texts
    assert not set(texts) & {prompt.positive for prompt in others}
    assert len(own) + len(others) == len(shipped_dictionary().entries)


def test_synonyms_leave_the_text_itself_out() -> None:
    found = synonyms_of("pulmonary nodule")
    assert "lung nodule" in found
    assert "pulmonary nodule" not in found
    assert synonyms_of("a purple elephant") == ()
