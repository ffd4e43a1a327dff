from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import napari_ctclip as ctclip
from napari_ctclip.testing import TinyModel
from tests.phantom import BALL_CENTRE, ball_study


@pytest.fixture(scope="module")
def encoded(tmp_path_factory: pytest.TempPathFactory) -> ctclip.EncodedVolume:
    cache = ctclip.FeatureCache(tmp_path_factory.mktemp("cache"))
    return ctclip.encode(ball_study(), TinyModel(), device="cpu", cache=cache)


def test_probe_measures_a_sphere_and_ranks_findings(encoded: ctclip.EncodedVolume) -> None:
    geometry = encoded.study.volume.geometry
    at_mm = geometry.index_to_world(BALL_CENTRE).tolist()
    reading = ctclip.probe(encoded, at_mm=at_mm, radius_mm=4.0, prompts=["bright spot"])
    assert reading.local is not None
    assert "bright spot" in {finding.text for finding in reading.local.findings}
    unencoded = ctclip.probe(encoded.study, at_mm=at_mm, radius_mm=4.0)
    assert unencoded.local is None
    assert unencoded.statistics == reading.statistics


def test_probe_takes_an_organ_or_a_region(encoded: ctclip.EncodedVolume) -> None:
    lung = ctclip.probe(encoded, ctclip.Roi.organ("lung"))
    assert set(lung.statistics.organs) == {"lung_right", "lung_left"}
    cube = ctclip.Region.of(np.ones((3, 3, 3), dtype=bool), start=BALL_CENTRE)
    assert ctclip.probe(encoded.study.volume, cube).statistics.voxels == 27


def test_probe_needs_one_region(encoded: ctclip.EncodedVolume) -> None:
    with pytest.raises(ctclip.DataError, match="give one"):
        ctclip.probe(encoded)


def test_report_is_read_sentence_by_sentence(encoded: ctclip.EncodedVolume) -> None:
    read = ctclip.read_report(encoded, "There is a lung nodule. No pleural effusion.")
    assert [line.finding for line in read.lines] == ["lung nodule", "pleural effusion"]


def test_words_of_a_prompt_have_a_map(encoded: ctclip.EncodedVolume) -> None:
    words = ctclip.read_words(encoded, "bright lung nodule", [0])
    assert words.phrase.said == "bright"


def test_patches_are_the_tiles_of_the_montage(encoded: ctclip.EncodedVolume) -> None:
    found = ctclip.patches(encoded, "bright spot", count=4, size_mm=16.0)
    picture = ctclip.montage(encoded, ["bright spot", "bright ball"], count=4, size_mm=16.0)
    assert 1 <= len(found) <= 4
    assert [patch.score for patch in found] == sorted((p.score for p in found), reverse=True)
    assert len(picture.patches) == len(found)


def test_finding_of_the_heatmap_holds_the_peak_and_can_be_drawn_anew(
    encoded: ctclip.EncodedVolume,
) -> None:
    answer = encoded.ask("bright spot")
    finding = ctclip.heatmap_finding(answer)
    assert finding.region is not None
    assert finding.region.contains(finding.index)
    assert finding.similarity is not None
    region = ctclip.Region.of(np.ones((2, 2, 2), dtype=bool), start=finding.index)
    drawn = ctclip.drawn_finding(finding, encoded, region)
    assert drawn.state is ctclip.FindingState.EDITED
    assert drawn.similarity is None  # of another region it would mislead
    assert ctclip.drawn_finding(finding, encoded, region, answer=answer).similarity is not None


def test_point_finding_has_a_score_only_where_a_prompt_was_asked(
    encoded: ctclip.EncodedVolume,
) -> None:
    alone = ctclip.point_finding(encoded.study.volume, BALL_CENTRE)
    scored = ctclip.point_finding(encoded, BALL_CENTRE, answer=encoded.ask("bright spot"))
    assert alone.similarity is None
    assert scored.similarity is not None
    assert alone.mean_hounsfield == scored.mean_hounsfield


def test_notices_of_a_file_are_warnings(tmp_path: Path) -> None:
    import nibabel

    path = tmp_path / "scan.nii.gz"
    voxels = np.full((8, 8, 8), -1000, dtype=np.int16)
    image = nibabel.Nifti1Image(voxels, np.diag([2.0, 2.0, 2.0, 1.0]))
    image.to_filename(path)
    with pytest.warns(ctclip.ScanWarning):
        ctclip.read_volume(path, accept_suspicious=True)
