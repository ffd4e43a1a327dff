"""Where: sentence to anatomies, general words to findings, sides and levels."""

from __future__ import annotations

import pytest

from napari_ctclip.core.anatomy import MAJOR_ANATOMIES
from napari_ctclip.reports import Certainty, decompose, load_lexicon


def first(text: str):
    return decompose(text).sentences[0]


@pytest.mark.parametrize(
    ("text", "anatomies"),
    [
        ("The lungs are clear.", {"lung"}),
        ("Pleural effusion on the right.", {"lung"}),
        ("Pericardial thickening is seen.", {"heart"}),
        ("Calcified plaques of the coronary arteries.", {"heart"}),
        ("Both hilar regions are normal.", {"mediastinum"}),
        ("Hiatal hernia is seen.", {"esophagus"}),
        ("The oesophagus is normal.", {"esophagus"}),
        ("The aortic arch is normal.", {"aorta"}),
        ("The common bile duct is dilated.", {"gallbladder"}),
        ("The splenic vein is patent.", {"portal_and_splenic_vein"}),
        ("The appendix is normal.", {"colon"}),
        ("The rectum is unremarkable.", {"colon"}),
        ("The terminal ileum is thickened.", {"small_bowel"}),
        ("No stone in the ureter.", {"kidney"}),
        ("Height of the thoracic vertebrae is preserved.", {"vertebrae_thoracic"}),
        ("The lumbar spine is unremarkable.", {"vertebrae_lumbar"}),
        ("The cervical spine is normal.", {"vertebrae_cervical"}),
        ("The inferior vena cava is patent.", {"inferior_vena_cava"}),
        ("The psoas muscle is normal.", {"iliopsoas"}),
        ("Liver, spleen and pancreas are normal.", {"liver", "spleen", "pancreas"}),
        ("No pleural or pericardial effusion.", {"lung", "heart"}),
    ],
)
def test_a_sentence_goes_to_its_anatomies(text, anatomies):
    assert set(first(text).anatomies) == anatomies


@pytest.mark.parametrize("anatomy", sorted(MAJOR_ANATOMIES))
def test_every_major_anatomy_has_words(anatomy):
    assert any(anatomy in site.anatomies for site in load_lexicon().sites.values())


def test_a_place_that_is_only_beside_is_no_subject():
    assert first("A nodule in the left lung adjacent to the aorta.").anatomies == ("lung",)


def test_a_sentence_goes_on_about_the_one_before():
    second = decompose("The spleen is normal. The contour is irregular.").sentences[1]
    assert second.anatomies == ("spleen",)
    assert "sentence before" in second.reasons[0]


def test_a_new_heading_ends_the_subject_before():
    second = decompose("Spleen: Normal. Soft things: Normal.").sentences[1]
    assert second.anatomies == ()


@pytest.mark.parametrize(
    ("text", "finding"),
    [
        ("A nodule in the left thyroid lobe.", "thyroid nodule"),
        ("A nodule in the left adrenal gland.", "adrenal nodule"),
        ("A nodule of 4 mm.", "lung nodule"),
        ("A cyst in the right kidney.", "renal cyst"),
        ("A cyst in the liver.", "liver cyst"),
        ("Dilatation of the bronchi.", "bronchiectasis"),
        ("Dilatation of the ascending aorta.", "aortic dilatation"),
        ("Stones in the gallbladder.", "gallstone"),
        ("Stones in the left kidney.", "kidney stone"),
        ("Minimal fluid in the pericardial space.", "pericardial effusion"),
        ("Thickening of the interlobular septa.", "interlobular septal thickening"),
        ("Thickened walls of the bronchi.", "peribronchial thickening"),
    ],
)
def test_a_general_word_means_the_finding_of_its_place(text, finding):
    assert [m.name for m in first(text).findings] == [finding]


def test_one_word_may_be_findings_of_two_joined_places():
    found = {
        m.name for m in first("Calcified plaques in the aorta and coronary arteries.").findings
    }
    assert found == {"aortic calcification", "coronary artery calcification"}


@pytest.mark.parametrize(
    "text",
    ["No pleural or pericardial effusion.", "Pericardial and pleural effusion was not seen."],
)
def test_a_term_shares_its_head_with_a_joined_place(text):
    found = {m.name: m.certainty for m in first(text).findings}
    assert found == dict.fromkeys(("pleural effusion", "pericardial effusion"), Certainty.ABSENT)


def test_each_word_takes_its_nearest_place():
    found = {m.name for m in first("A nodule in the right lung and a cyst in the liver.").findings}
    assert found == {"lung nodule", "liver cyst"}


def test_a_vague_word_yields_to_a_named_finding():
    both = first("Density increase in the left lung consistent with atelectasis.")
    alone = first("Density increase in the left lung.")
    assert [m.name for m in both.findings] == ["atelectasis"]
    assert [m.name for m in alone.findings] == ["lung opacity"]


@pytest.mark.parametrize(
    ("text", "structures"),
    [
        ("Nodule in the left upper lobe.", ("lung_upper_lobe_left",)),
        ("Opacity in the right middle lobe.", ("lung_middle_lobe_right",)),
        ("Nodule in the RUL.", ("lung_upper_lobe_right",)),
        ("Nodule in the lingula.", ("lung_upper_lobe_left",)),
        (
            "Atelectasis in the lower lobes of both lungs.",
            ("lung_lower_lobe_right", "lung_lower_lobe_left"),
        ),
        ("Cyst of the left kidney.", ("kidney_left",)),
        ("Fracture of the right 5th and 6th ribs.", ("rib_right_5", "rib_right_6")),
        ("Hemangioma of the T8 vertebra.", ("vertebrae_T8",)),
        ("Fusion of the vertebrae T11-L1.", ("vertebrae_T11", "vertebrae_T12", "vertebrae_L1")),
        ("Collapse of the D12 vertebra.", ("vertebrae_T12",)),
        ("The vertebra T88 is odd.", ()),
    ],
)
def test_sides_lobes_and_levels_are_read(text, structures):
    assert first(text).structures == structures


@pytest.mark.parametrize(
    "text",
    [
        "CENTRILOBULAR EMPHYSEMA OF BOTH LUNGS.",
        "centrilobular emphysematous changes of both lungs",
        "Centrilobular\nemphysema of\nboth lungs.",
        "Centri-lobular emphysaema of both lungs.",
    ],
)
def test_case_spelling_and_line_breaks_do_not_matter(text):
    assert "emphysema" in decompose(text).present_findings
