"""The vocabulary agrees with TotalSegmentator's two numberings and with fVLM's groups."""

from __future__ import annotations

import numpy as np
import pytest

from napari_ctclip.core.anatomy import (
    COARSE_ANATOMIES,
    MAJOR_ANATOMIES,
    TOTALSEGMENTATOR_V1,
    TOTALSEGMENTATOR_V2,
    anatomy_in_text,
    anatomy_label,
    coarse_anatomy,
    colour_of,
    major_anatomy,
    members,
)
from napari_ctclip.core.geometry import Geometry
from napari_ctclip.core.organ_masks import OrganMasks

# Published label numbers of the 36 major anatomies, in alphabetical order of fVLM's names.
V1_IDS = {
    "adrenal_gland": [11, 12], "aorta": [7], "erector_spinae": [100, 101], "brain": [50],
    "clavicle": [86, 87], "colon": [57], "duodenum": [56], "esophagus": [42], "face": [93],
    "femur": [88, 89], "gallbladder": [4], "gluteus": range(94, 100), "heart": range(44, 49),
    "hip": [90, 91], "humerus": [82, 83], "iliac_artery": [51, 52], "iliac_vein": [53, 54],
    "iliopsoas": [102, 103], "inferior_vena_cava": [8], "kidney": [2, 3], "liver": [5],
    "lung": range(13, 18), "pancreas": [10], "portal_and_splenic_vein": [9],
    "pulmonary_artery": [49], "rib": range(58, 82), "sacrum": [92], "scapula": [84, 85],
    "small_bowel": [55], "spleen": [1], "stomach": [6], "trachea": [43], "urinary_bladder": [104],
    "vertebrae_cervical": range(35, 42), "vertebrae_lumbar": range(18, 23),
    "vertebrae_thoracic": range(23, 35),
}  # fmt: skip
V2_IDS = {
    "adrenal_gland": [8, 9], "aorta": [52], "erector_spinae": [86, 87], "brain": [90],
    "clavicle": [73, 74], "colon": [20], "duodenum": [19], "esophagus": [15], "face": [],
    "femur": [75, 76], "gallbladder": [4], "gluteus": range(80, 86), "heart": [51, 61],
    "hip": [77, 78], "humerus": [69, 70], "iliac_artery": [65, 66], "iliac_vein": [67, 68],
    "iliopsoas": [88, 89], "inferior_vena_cava": [63], "kidney": [2, 3, 23, 24], "liver": [5],
    "lung": range(10, 15), "pancreas": [7], "portal_and_splenic_vein": [64],
    "pulmonary_artery": [], "rib": range(92, 116), "sacrum": [25, 26], "scapula": [71, 72],
    "small_bowel": [18], "spleen": [1], "stomach": [6], "trachea": [16], "urinary_bladder": [21],
    "vertebrae_cervical": range(44, 51), "vertebrae_lumbar": range(27, 32),
    "vertebrae_thoracic": range(32, 44),
}  # fmt: skip


@pytest.mark.parametrize(
    ("table", "ids", "count"),
    [(TOTALSEGMENTATOR_V1, V1_IDS, 104), (TOTALSEGMENTATOR_V2, V2_IDS, 117)],
    ids=["v1", "v2"],
)
def test_both_numberings_give_the_published_groups(table, ids, count: int):
    assert list(table) == list(range(1, count + 1))
    assert len(set(table.values())) == count
    assert set(ids) == set(MAJOR_ANATOMIES)
    for group, numbers in ids.items():
        found = [label for label, name in table.items() if major_anatomy(name) == group]
        assert found == list(numbers), group


def test_all_of_version_1_belongs_to_a_major_anatomy():
    assert all(major_anatomy(name) for name in TOTALSEGMENTATOR_V1.values())
    assert major_anatomy("thyroid_gland") == ""
    assert major_anatomy("lung_right") == "lung"


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("lung_upper_lobe_left", "left upper lobe"),
        ("lung_right", "right lung"),
        ("kidney_right", "right kidney"),
        ("vertebrae_L1", "L1 vertebra"),
        ("rib_left_4", "left rib 4"),
        ("iliac_vena_left", "left iliac vein"),
        ("autochthon_right", "right deep back muscle"),
        ("trachea_and_airways", "trachea and airways"),
        ("liver", "liver"),
    ],
)
def test_names_for_people(name: str, label: str):
    assert anatomy_label(name) == label


@pytest.mark.parametrize(
    ("name", "coarse"),
    [
        ("lung_middle_lobe_right", "lung_right"),
        ("vertebrae_L1", "vertebrae"),
        ("rib_left_4", "ribs"),
        ("femur_left", "bone"),
        ("heart_atrium_left", "heart"),
        ("trachea", "trachea_and_airways"),
        ("kidney_cyst_left", "kidney_left"),
        ("gallbladder", ""),
    ],
)
def test_the_narrowest_coarse_anatomy_is_found(name: str, coarse: str):
    assert coarse_anatomy(name) == coarse


def test_every_name_has_a_colour_and_sides_differ():
    names = {*TOTALSEGMENTATOR_V1.values(), *TOTALSEGMENTATOR_V2.values(), *COARSE_ANATOMIES}
    for name in [*names, "something_else"]:
        assert all(0 <= part <= 255 for part in colour_of(name))
        assert colour_of(name) == colour_of(name)
    assert colour_of("kidney_left") != colour_of("kidney_right")
    assert colour_of("vertebrae_L1") != colour_of("vertebrae_L2")
    assert len({colour_of(n) for n in COARSE_ANATOMIES}) == len(COARSE_ANATOMIES)


def test_groups_find_their_members_in_any_legend():
    v2 = list(TOTALSEGMENTATOR_V2.values())
    assert len(members("ribs", v2)) == 24
    assert len(members("vertebrae", v2)) == 25
    assert len(members("lung_left", v2)) == 2
    assert "sternum" in members("bone", v2)
    assert members("lung", ["lung_right", "lung_left", "liver"]) == ("lung_right", "lung_left")
    assert members("bone", ["vertebrae", "ribs", "bone", "liver"]) == ("vertebrae", "ribs", "bone")
    assert members("heart", ["heart"]) == ("heart",)
    assert members("spleen", ["liver"]) == ()


def test_masks_are_found_by_group():
    labels = np.array([[[10, 12, 13, 92, 27, 5]]], dtype=np.uint8)
    legend = {TOTALSEGMENTATOR_V2[n]: n for n in labels.ravel().tolist()}
    masks = OrganMasks(labels, legend, Geometry.from_spacing((1, 1, 6), (1, 1, 1)))
    assert masks.mask("lung").ravel().tolist() == [True, True, True, False, False, False]
    assert masks.mask("lung_right").ravel().tolist() == [False, True, True, False, False, False]
    assert masks.mask("bone").ravel().tolist() == [False, False, False, True, True, False]
    assert masks.mask("ribs").sum() == 1
    with pytest.raises(KeyError, match="no anatomy 'spleen'"):
        masks.mask("spleen")


@pytest.mark.parametrize(
    ("text", "anatomy"),
    [
        ("lung nodule", "lung"),
        ("A small ground-glass opacity", "lung"),
        ("pneumothorax", "lung"),
        ("left pleural effusion", "thoracic_cavity"),
        ("pericardial effusion", "heart"),
        ("coronary artery calcification", "heart"),
        ("aortic aneurysm", "aorta"),
        ("Arterial wall calcification", "aorta"),
        ("Mosaic attenuation pattern", "lung"),
        ("Interlobular septal thickening", "lung"),
        ("pulmonary artery", "lung"),
        ("hiatal hernia", "esophagus"),
        ("rib fracture", "bone"),
        ("renal cyst", "kidney"),
        ("something odd", ""),
        ("illustration of aplomb", ""),
    ],
)
def test_prompt_is_sent_to_the_anatomy_it_speaks_of(text: str, anatomy: str) -> None:
    assert anatomy_in_text(text) == anatomy
