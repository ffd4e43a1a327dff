"""What a model calls a region, and whether that is what its mask says."""

from __future__ import annotations

import pytest

from napari_ctclip.core.organ_naming import OrganNaming, organ_sentence


def test_organ_sentence_is_what_a_person_says() -> None:
    assert organ_sentence("lung_upper_lobe_left") == "This is the left upper lobe."


@pytest.mark.parametrize(
    ("region", "called"),
    [
        ("lung_left", "lung"),
        ("lung_upper_lobe_left", "lung"),
        ("trachea_and_airways", "trachea"),
        ("bone", "rib"),
        ("mediastinum", "aorta"),
        ("kidney_cyst_left", "kidney"),
        ("thyroid", "thyroid"),
    ],
)
def test_an_organ_its_parts_and_what_it_is_part_of_agree(region: str, called: str) -> None:
    assert OrganNaming(region, ((called, 0.9), ("face", 0.1))).agrees is True


def test_another_organ_does_not_agree() -> None:
    naming = OrganNaming("lung_left", (("heart", 0.6), ("lung", 0.5)))
    assert naming.called == "heart"
    assert naming.agrees is False


@pytest.mark.parametrize("region", ["liver", ""])
def test_nobody_is_wrong_about_an_organ_that_has_no_name(region: str) -> None:
    assert OrganNaming(region, (("heart", 0.6), ("lung", 0.5))).agrees is None
