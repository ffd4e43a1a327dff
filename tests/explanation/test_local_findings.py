from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from napari_ctclip.core.errors import CtClipError
from napari_ctclip.core.geometry import Geometry
from napari_ctclip.core.prompt import Prompt
from napari_ctclip.core.study import Study
from napari_ctclip.encoding.feature_cache import FeatureCache
from napari_ctclip.encoding.work import Work
from napari_ctclip.explanation.local_findings import local_findings, similar_regions
from napari_ctclip.explanation.reference_distribution import (
    percentile_among,
    placements,
    readout_of,
)
from napari_ctclip.regions.drawn_region import box_region, sphere_region
from napari_ctclip.scoring.encoded_study import EncodedStudy, encode_study
from napari_ctclip.testing import TinyModel
from tests.phantom import BALL_CENTRE, ball_study

ASKED = (Prompt("dark hole"), Prompt("bright spot"))
OTHERS = tuple(Prompt(f"something else {n}") for n in range(30))


@pytest.fixture
def study() -> Study:
    return ball_study()


@pytest.fixture
def encoded(study: Study, tmp_path: Path) -> EncodedStudy:
    return encode_study(TinyModel(), study, work=Work(FeatureCache(tmp_path)))


def test_lesion_is_named_and_stands_out_from_its_organ_its_mirror_and_other_prompts(
    study: Study, encoded: EncodedStudy
) -> None:
    region = sphere_region(study.volume.geometry, BALL_CENTRE, radius_mm=6.0)
    found = local_findings(
        study, encoded, region, prompts=ASKED, others=OTHERS, known=["Bright spot"]
    )
    first, second = found.findings
    assert (first.text, first.known, second.known) == ("bright spot", True, False)
    assert first.organ_percentile is not None
    assert first.organ_percentile > 99
    assert first.prompt_percentile is not None
    assert first.prompt_percentile > 95
    assert second.organ_percentile is not None
    assert second.organ_percentile < 5
    assert found.mirror == "mirrored side: right lung"
    assert first.mirrored is not None
    assert first.mirrored < first.similarity - 0.5
    assert found.organ == "lung_left"
    assert found.prompts == len(ASKED) + len(OTHERS) - 1
    again = local_findings(study, encoded, region, prompts=ASKED, others=OTHERS)
    assert [f.organ_percentile for f in again.findings] == [
        f.organ_percentile for f in found.findings
    ]


def test_ordinary_place_is_not_unusual(study: Study, encoded: EncodedStudy) -> None:
    region = sphere_region(study.volume.geometry, (28, 22, 40), radius_mm=5.0)
    found = local_findings(study, encoded, region, prompts=ASKED)
    for finding in found.findings:
        assert finding.organ_percentile is not None
        assert 10 < finding.organ_percentile < 90
        assert finding.prompt_percentile is None  # two prompts are no null


def test_without_masks_the_body_is_the_null_and_the_mirror_is_said_to_be_unknown(
    study: Study, encoded: EncodedStudy
) -> None:
    bare, tokens = replace(study, organ_masks=None), encoded.with_masks(None)
    region = sphere_region(study.volume.geometry, BALL_CENTRE, radius_mm=6.0)
    found = local_findings(bare, tokens, region, prompts=ASKED)
    assert found.organ == "body"
    assert found.controls > 100
    assert found.findings[0].mirrored is None
    assert "no organ masks" in found.mirror


def test_place_on_the_midline_and_region_as_large_as_the_organ_have_no_null(
    study: Study, encoded: EncodedStudy
) -> None:
    geometry = study.volume.geometry
    central = local_findings(
        study, encoded, sphere_region(geometry, (20, 24, 32), radius_mm=6.0), prompts=ASKED
    )
    assert "midline" in central.mirror
    whole = box_region(geometry, (0, 0, 32), (39, 47, 63))
    found = local_findings(study, encoded, whole, prompts=ASKED)
    assert found.controls == 0
    assert all(f.organ_percentile is None for f in found.findings)


def test_nothing_is_ranked_outside_the_body_or_without_a_prompt(
    study: Study, encoded: EncodedStudy
) -> None:
    region = sphere_region(study.volume.geometry, BALL_CENTRE, radius_mm=6.0)
    scan = encoded.scan.within(np.zeros(encoded.scan.inside.shape, dtype=bool))
    from napari_ctclip.scoring.readout import token_index

    nowhere = replace(encoded, scan=scan, index=token_index(TinyModel(), scan))
    assert local_findings(study, nowhere, region, prompts=ASKED).findings == ()
    with pytest.raises(CtClipError, match="no finding to query"):
        local_findings(study, encoded, region, prompts=())


def test_placements_are_all_those_that_looking_at_each_place_would_find() -> None:
    grid = Geometry.from_spacing((9, 8, 7), (4.0, 4.0, 4.0))
    rng = np.random.default_rng(3)
    organ = np.flatnonzero(rng.random(grid.shape) < 0.6)
    region = np.ravel_multi_index(np.array([[4, 4, 3], [4, 5, 3], [5, 4, 3]]).T, grid.shape)
    found = placements(region, organ, grid, rng=rng, most=1000)
    shape = np.stack(np.unravel_index(region, grid.shape), axis=1) - (4, 4, 3)
    kept = set()
    for centre in np.stack(np.unravel_index(organ, grid.shape), axis=1):
        at = centre + shape
        at = at[((at >= 0) & (at < grid.shape)).all(axis=1)]
        flat = np.ravel_multi_index(tuple(at.T), grid.shape)
        held = flat[np.isin(flat, organ)]
        if len(held) >= 2 and not np.isin(flat, region).any():
            kept.add(tuple(sorted(held)))
    listed = {tuple(sorted(found.tokens[m[m >= 0]].tolist())) for m in found.members}
    assert listed == kept
    assert len(placements(region, np.empty(0, dtype=np.intp), grid, rng=rng)) == 0


def test_a_large_place_is_moved_to_fewer_others() -> None:
    grid = Geometry.from_spacing((40, 40, 40), (4.0, 4.0, 4.0))
    whole = np.arange(40**3)
    box = np.zeros(grid.shape, dtype=bool)
    box[:12, :12, :12] = True
    found = placements(np.flatnonzero(box), whole, grid, rng=np.random.default_rng(0))
    assert len(found) == 400_000 // 12**3


def test_placements_keep_the_shape_stay_in_the_organ_and_off_the_region() -> None:
    grid = Geometry.from_spacing((12, 12, 12), (4.0, 4.0, 4.0))
    organ = np.flatnonzero(np.indices(grid.shape)[2].ravel() < 6)
    region = np.ravel_multi_index(np.array([[2, 3, 3], [2, 3, 4], [2, 4, 3]]).T, grid.shape)
    found = placements(region, organ, grid, rng=np.random.default_rng(1), most=60)
    assert len(found) == 60
    assert np.isin(found.tokens, organ).all()
    assert not np.isin(found.tokens, region).any()
    whole = found.members[(found.members >= 0).all(axis=1)]
    at = np.stack(np.unravel_index(found.tokens[whole], grid.shape), axis=-1)
    assert np.array_equal(
        at - at[:, :1], np.broadcast_to([[0, 0, 0], [0, 0, 1], [0, 1, 0]], at.shape)
    )
    assert len({tuple(row) for row in found.members.tolist()}) == 60


def test_place_is_read_out_by_its_highest_third_of_a_millilitre() -> None:
    grid = Geometry.from_spacing((4, 4, 4), (5.0, 5.0, 4.0))  # 0.1 ml a token: three decide
    values = np.array([[1, 5, 3, np.nan, 4, 0]], dtype=np.float32)
    assert readout_of(values, grid)[0, 0] == pytest.approx(4.0)
    members = np.array([[0, 2, 5, -1], [3, -1, -1, -1]])
    found = readout_of(values, grid, members)
    assert found[0, 0] == pytest.approx(4 / 3)
    assert np.isnan(found[0, 1])


def test_percentile_needs_enough_others_and_halves_ties() -> None:
    assert percentile_among(1.0, np.zeros(19)) is None
    assert percentile_among(0.0, np.zeros(20)) == 50
    assert percentile_among(0.5, np.r_[np.zeros(15), np.ones(5), np.nan]) == 75


def test_similar_places_are_apart_and_the_second_ball_is_the_first_of_them(tmp_path: Path) -> None:
    study = ball_study()
    voxels = study.volume.voxels.copy()
    other = sphere_region(study.volume.geometry, (12, 20, 16), radius_mm=6.0)
    voxels[other.box][other.mask] = 700
    study = replace(study, volume=replace(study.volume, voxels=voxels))
    encoded = encode_study(TinyModel(), study, work=Work(FeatureCache(tmp_path)))
    tokens = np.flatnonzero(encoded.scan.inside)[:0]
    assert similar_regions(encoded.index, tokens) == ()
    region = sphere_region(study.volume.geometry, BALL_CENTRE, radius_mm=7.0)
    found = local_findings(study, encoded, region, prompts=ASKED).similar
    at = np.array([place.world_mm for place in found])
    centre = study.volume.geometry.index_to_world((12, 20, 16))
    assert np.linalg.norm(at[0] - centre) < 8
    assert [p.cosine for p in found] == sorted((p.cosine for p in found), reverse=True)
    distances = np.linalg.norm(at[:, None] - at[None], axis=2)
    assert distances[~np.eye(len(at), dtype=bool)].min() > 15
