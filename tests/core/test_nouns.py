"""Volume, OrganMasks, Study, Prompt, Report, SimilarityMap: what each promises."""

from __future__ import annotations

import numpy as np
import pytest

from napari_ctclip.core.errors import DataError, GeometryMismatch, UnknownLabelScheme
from napari_ctclip.core.geometry import Geometry
from napari_ctclip.core.notice import Notice, Severity
from napari_ctclip.core.organ_masks import OrganMasks
from napari_ctclip.core.prompt import Prompt, automatic_negative, slug
from napari_ctclip.core.report import Report
from napari_ctclip.core.similarity_map import SimilarityMap
from napari_ctclip.core.study import Study
from napari_ctclip.core.volume import WINDOWS, Volume, Window

GRID = Geometry.from_spacing((3, 4, 5), (2.0, 1.0, 1.0))


def volume() -> Volume:
    return Volume(np.zeros((3, 4, 5), np.int16), GRID)


def test_a_volume_wants_int16_its_own_shape_and_ipl():
    with pytest.raises(DataError, match="int16"):
        Volume(np.zeros((3, 4, 5), np.float32), GRID)
    with pytest.raises(GeometryMismatch, match=r"expected voxels of shape \(3, 4, 5\)"):
        Volume(np.zeros((4, 3, 5), np.int16), GRID)
    with pytest.raises(GeometryMismatch, match="expected axes IPL, got RAS"):
        Volume(
            np.zeros((3, 4, 5), np.int16),
            Geometry.from_spacing((3, 4, 5), (1, 1, 1), codes="RAS"),
        )


def test_the_same_scan_has_one_hash_and_another_has_another():
    voxels = np.arange(60, dtype=np.int16).reshape(3, 4, 5)
    one = Volume(voxels, GRID, source_path="a.nii")
    assert one.content_hash() == Volume(voxels.copy(), GRID, source_path="b.nii").content_hash()
    assert one.content_hash() != Volume(voxels + np.int16(1), GRID).content_hash()
    moved = Geometry.from_spacing((3, 4, 5), (2.0, 1.0, 1.0), origin_ras=(0, 0, 1))
    assert one.content_hash() != Volume(voxels, moved).content_hash()


def test_from_stored_copies_no_voxel_wrong():
    stored = np.arange(60, dtype=np.int16).reshape(5, 4, 3)
    made = Volume.from_stored(
        stored, Geometry.from_spacing((5, 4, 3), (1.0, 1.0, 2.0), codes="RAS")
    )
    np.testing.assert_array_equal(made.voxels, stored.transpose(2, 1, 0)[::-1, ::-1, ::-1])
    assert made.stored_geometry.axis_codes == "RAS"


def test_windows_have_limits():
    assert Window(40, 400).limits == (-160, 240)
    assert WINDOWS["Lung"].limits == (-1350, 150)


def test_organ_masks_want_a_clear_legend():
    labels = np.zeros((3, 4, 5), np.uint8)
    for legend in ({"a": 1, "b": 1}, {"a": 0}):
        with pytest.raises(UnknownLabelScheme, match="own label"):
            OrganMasks(labels, legend, GRID)
    with pytest.raises(UnknownLabelScheme, match="unsigned"):
        OrganMasks(labels.astype(np.int16), {"a": 1}, GRID)
    with pytest.raises(GeometryMismatch):
        OrganMasks(labels[:2], {"a": 1}, GRID)


def test_organ_masks_measure_and_name():
    labels = np.zeros((3, 4, 5), np.uint8)
    labels[0], labels[1, 0] = 1, 2
    masks = OrganMasks(labels, {"lung_right": 1, "liver": 2, "spleen": 7}, GRID)
    assert masks.volumes_ml() == pytest.approx({"lung_right": 0.04, "liver": 0.01, "spleen": 0})
    assert masks.name_at((1, 0, 0)) == "liver"
    assert masks.name_at((2, 0, 0)) == ""
    assert masks.mask("body").sum() == 25
    assert not masks.mask("spleen").any()
    assert list(masks) == ["lung_right", "liver", "spleen"]


def test_a_study_refuses_masks_of_another_grid():
    labels = np.zeros((3, 4, 5), np.uint8)
    other = Geometry.from_spacing((3, 4, 5), (2.0, 1.0, 1.1))
    with pytest.raises(GeometryMismatch, match=r"2\.00 x 1\.00 x 1\.10 mm"):
        Study(volume(), OrganMasks(labels, {"a": 1}, other))
    study = Study(volume()).with_masks(OrganMasks(labels, {"a": 1}, GRID))
    assert study.organ_masks is not None
    assert study.with_masks(None).organ_masks is None


@pytest.mark.parametrize(
    ("positive", "negative"),
    [
        ("lung nodule", "no lung nodule"),
        ("A nodule.", "no nodule"),
        ("No effusion", "effusion"),
        ("GGO", "no GGO"),
        ("Emphysema", "no emphysema"),
    ],
)
def test_the_automatic_negative_is_the_plain_opposite(positive: str, negative: str):
    assert automatic_negative(positive) == negative


def test_a_prompt_is_trimmed_and_never_empty():
    prompt = Prompt("  lung \n nodule ", anatomy="lung")
    assert prompt.positive == "lung nodule"
    assert prompt.negative == "no lung nodule"
    assert Prompt("a", negative="clear lungs").negative == "clear lungs"
    with pytest.raises(DataError, match="at least one word"):
        Prompt("  ")


def test_slugs_are_file_name_parts():
    assert slug("Ground-glass opacity, 5 mm!") == "ground-glass-opacity-5-mm"
    assert slug("???") == "prompt"
    assert len(slug("word " * 40)) <= 60


def test_report_sentences_keep_decimals_together():
    report = Report("Nodule of 1.5 cm. No effusion.", "Follow up.")
    assert report.sentences == ("Nodule of 1.5 cm.", "No effusion.", "Follow up.")


def test_the_peak_is_found_around_nan_and_inside_a_region():
    values = np.full((3, 4, 5), np.nan, np.float32)
    similarity = SimilarityMap(values, GRID, Prompt("x"))
    assert similarity.peak() is None
    values = values.copy()
    values[1, 2, 3], values[2, 0, 0] = 0.5, 0.9
    similarity = SimilarityMap(values, GRID, Prompt("x"))
    peak = similarity.peak()
    assert peak is not None
    assert peak.index == (2, 0, 0)
    assert peak.world_mm == tuple(GRID.index_to_world((2, 0, 0)).tolist())
    region = np.zeros((3, 4, 5), bool)
    region[1] = True
    within = similarity.peak(region)
    assert within is not None
    assert within.index == (1, 2, 3)


def test_a_notice_reads_as_a_line():
    notice = Notice(Severity.WARNING, "units", "Lengths are in metres.", "ct.nii")
    assert str(notice) == "warning: Lengths are in metres. [ct.nii]"
