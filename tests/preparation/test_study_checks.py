from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from napari_ctclip.core.anatomy_table import read_anatomy_table
from napari_ctclip.core.errors import DataError
from napari_ctclip.core.geometry import Geometry
from napari_ctclip.core.organ_masks import OrganMasks
from napari_ctclip.io.store.manifest_entry import ManifestEntry
from napari_ctclip.preparation.masks import join_masks
from napari_ctclip.preparation.organ_texts import described
from napari_ctclip.preparation.preparation import draw_split, with_splits
from napari_ctclip.preparation.study_checks import check_report


def entry(study: str = "s", patient: str = "p", **values: object) -> ManifestEntry:
    return ManifestEntry.model_validate(
        {"study_id": study, "patient_id": patient, "image": "s.nii.gz", **values}
    )


# --- reports --------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["", "  ", "n/a", "Not given.", "-"])
def test_a_report_that_says_nothing_is_empty(text: str) -> None:
    rejection = check_report(entry(findings=text))
    assert rejection is not None
    assert rejection.code == "empty-report"


@pytest.mark.parametrize(
    "text",
    [
        "Keine Rundherde. Kein Pleuraerguss. Das Herz ist normal groß.",
        "Pas de nodule pulmonaire. Pas d'épanchement pleural.",
        "Akciğerde nodül izlenmedi. Plevral efüzyon yok.",
        "双肺未见结节。未见胸腔积液。",
    ],
)
def test_a_report_in_another_language_is_set_aside_unless_wanted(text: str) -> None:
    rejection = check_report(entry(report=text))
    assert rejection is not None
    assert rejection.code == "foreign-report"
    assert check_report(entry(report=text), any_language=True) is None


@pytest.mark.parametrize("text", ["Normal.", "Clear lungs.", "No acute cardiopulmonary process."])
def test_a_short_english_report_is_kept(text: str) -> None:
    assert check_report(entry(report=text)) is None


def test_organ_sentences_alone_are_a_report() -> None:
    assert check_report(entry(organ_sentences={"lung": "A nodule."})) is None


def test_given_organ_sentences_stay_as_they_are() -> None:
    given = entry(report="A lung nodule.", organ_sentences={"liver": "Cyst."})
    assert described(given).entry.organ_sentences == {"liver": "Cyst."}
    assert described(given).findings == ("lung nodule",)


# --- splits ---------------------------------------------------------------------------------------


def test_the_split_of_a_patient_does_not_depend_on_the_others() -> None:
    many = [entry(f"s{n}", f"p{n}") for n in range(50)]
    alone = with_splits(many[7:8], valid=0.3, test=0.2, seed=1)
    assert with_splits(many, valid=0.3, test=0.2, seed=1)[7] == alone[0]


def test_shares_are_met_and_change_with_the_seed() -> None:
    drawn = [draw_split(f"p{n}", valid=0.2, test=0.1, seed=0) for n in range(5000)]
    assert drawn.count("valid") / 5000 == pytest.approx(0.2, abs=0.02)
    assert drawn.count("test") / 5000 == pytest.approx(0.1, abs=0.02)
    assert drawn != [draw_split(f"p{n}", valid=0.2, test=0.1, seed=1) for n in range(5000)]


def test_a_patients_studies_follow_the_one_that_has_a_split() -> None:
    studies = [entry("a", "p"), entry("b", "p", split="test"), entry("c", "p")]
    found = with_splits(studies, valid=0.0, test=0.0, seed=0)
    assert [study.split for study in found] == ["test"] * 3


def test_shares_that_leave_nothing_to_train_on_are_refused() -> None:
    with pytest.raises(DataError, match="no training studies"):
        with_splits([entry()], valid=0.6, test=0.4, seed=0)


# --- anatomies ------------------------------------------------------------------------------------


def masks(legend: dict[str, int]) -> OrganMasks:
    labels = np.arange(8, dtype=np.uint8).reshape(2, 2, 2)
    return OrganMasks(labels, legend, Geometry.from_spacing((2, 2, 2), (1, 1, 1)))


def table(folder: Path, text: str) -> Path:
    path = folder / "anatomies.toml"
    path.write_text(text, "utf-8")
    return path


def test_a_table_of_ones_own_joins_its_names(tmp_path: Path) -> None:
    own = read_anatomy_table(
        table(tmp_path, 'chest_bone = ["rib_*", "sternum"]\nlung = ["lung_*"]')
    )
    legend = {"rib_left_1": 1, "sternum": 2, "lung_upper_lobe_left": 3, "liver": 4}
    joined = join_masks(masks(legend), own)
    assert joined.labels.ravel().tolist() == [0, 1, 1, 2, 0, 0, 0, 0]
    assert joined.legend == {"chest_bone": 1, "lung": 2}


def test_a_name_that_two_anatomies_claim_is_refused(tmp_path: Path) -> None:
    text = 'kidney = ["kidney_*"]\nright_side = ["kidney_right"]'
    with pytest.raises(DataError, match="'kidney_right' belongs to kidney and right_side"):
        read_anatomy_table(table(tmp_path, text))


@pytest.mark.parametrize("text", ["", "lung = 3", "lung = [", "lung = [1]"])
def test_a_table_that_is_none_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(DataError, match=r"anatomies\.toml"):
        read_anatomy_table(table(tmp_path, text))


def test_some_of_a_table_keep_its_order() -> None:
    assert tuple(read_anatomy_table().only(["lung", "aorta"]).parts) == ("aorta", "lung")
    with pytest.raises(DataError, match="lacks thyroid"):
        read_anatomy_table().only(["thyroid"])


def test_neither_the_command_line_nor_the_viewers_session_loads_the_store_or_the_cluster() -> None:
    code = (
        "import sys, napari_ctclip.cli.train, napari_ctclip.session.session;"
        "import napari_ctclip.io.store.study_store;"
        "sys.exit(bool({'zarr', 'distributed'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
