"""Whole simulated studies: what every caller relies on."""

from functools import cache

import numpy as np
import pytest

from napari_ctclip.simulation import FINDINGS, SimulatedStudy, simulate_study

COARSE = (4.0, 4.0, 4.0)


@cache
def study_with(findings: tuple[str, ...], seed: int = 7, degrade: bool = False) -> SimulatedStudy:
    return simulate_study(seed, spacing_mm=COARSE, findings=findings, degrade=degrade)


def lung(simulated: SimulatedStudy) -> np.ndarray:
    masks = simulated.study.organ_masks
    assert masks is not None
    return masks.mask("lung")


def test_same_seed_gives_the_same_study_and_another_seed_another_one() -> None:
    first, again, other = (simulate_study(s, spacing_mm=COARSE) for s in (3, 3, 4))
    assert np.array_equal(first.study.volume.voxels, again.study.volume.voxels)
    assert np.array_equal(first.finding_bits, again.finding_bits)
    assert first.lesions == again.lesions
    assert first.study.report == again.study.report
    assert first.study.volume.content_hash() != other.study.volume.content_hash()


@pytest.mark.parametrize("finding", FINDINGS)
def test_a_forced_finding_is_there_and_no_other(finding: str) -> None:
    for seed in (7, 8):
        simulated = study_with((finding,), seed)
        assert simulated.findings_present == {finding}
        assert simulated.finding_mask(finding).any()
        assert not (simulated.finding_bits & ~np.uint16(1 << FINDINGS.index(finding))).any()


def test_a_normal_study_has_no_bits_and_no_lesions() -> None:
    simulated = study_with(())
    assert not simulated.finding_bits.any()
    assert simulated.lesions == ()
    assert simulated.findings_present == frozenset()


def test_the_centre_of_every_lesion_lies_in_its_finding_and_its_organ() -> None:
    simulated = study_with(FINDINGS)
    masks = simulated.study.organ_masks
    assert masks is not None
    assert simulated.lesions
    for lesion in simulated.lesions:
        index = tuple(int(c) for c in lesion.centre)
        assert simulated.finding_mask(lesion.finding)[index]
        if lesion.anatomy.startswith("lung"):
            assert masks.name_at(index).startswith(("lung", "body"))
        assert lesion.volume_ml > 0
        assert lesion.diameter_mm > 0


@pytest.mark.parametrize(
    ("finding", "low", "high"),
    [
        ("lung mass", -60, 160),
        ("pleural effusion", -20, 50),
        ("pneumothorax", -1000, -950),
        ("emphysema", -1000, -900),
        ("ground-glass opacity", -760, -300),
        ("consolidation", -250, 120),
        ("pulmonary fibrosis", -800, -250),
        ("atelectasis", -60, 140),
        ("coronary calcification", 100, 1300),
        ("aortic calcification", 100, 1300),
        ("cardiomegaly", 20, 350),
        ("pericardial effusion", -30, 60),
    ],
)
def test_a_finding_has_its_ct_numbers(finding: str, low: float, high: float) -> None:
    simulated = simulate_study(12, findings=[finding], degrade=False)
    median = np.median(simulated.study.volume.voxels[simulated.finding_mask(finding)])
    assert low < median < high


def test_an_enlarged_heart_is_larger_than_any_normal_one() -> None:
    def width_mm(simulated: SimulatedStudy) -> float:
        masks = simulated.study.organ_masks
        assert masks is not None
        across = masks.mask("heart").any(axis=(0, 1))
        return float(across.sum() * COARSE[2])

    normal = [width_mm(study_with((), seed)) for seed in (1, 2, 3)]
    enlarged = [width_mm(study_with(("cardiomegaly",), seed)) for seed in (1, 2, 3)]
    assert min(enlarged) > max(normal)


def test_pericardial_fluid_surrounds_the_heart_and_counts_as_heart() -> None:
    simulated = study_with(("pericardial effusion",))
    masks = simulated.study.organ_masks
    assert masks is not None
    fluid = simulated.finding_mask("pericardial effusion")
    named = {masks.name_at(tuple(voxel)) for voxel in np.argwhere(fluid)}
    assert masks.mask("heart")[fluid].mean() > 0.85
    # the rest is what runs through the sac: vessels at the base, painted after it
    assert named <= {"heart", "aorta", "body", "esophagus", "trachea_and_airways"}
    heart = np.argwhere(masks.mask("heart"))
    inner = np.abs(heart - heart.mean(axis=0)).max(axis=1) < 4
    assert not fluid[tuple(heart[inner].T)].any()


def test_fluid_compresses_the_lung_beside_it() -> None:
    from scipy import ndimage

    simulated = study_with(("pleural effusion", "atelectasis"))
    fluid = ndimage.binary_dilation(simulated.finding_mask("pleural effusion"), iterations=2)
    assert (simulated.finding_mask("atelectasis") & fluid).any()
    assert any(lesion.description == "compressive" for lesion in simulated.lesions)


def test_organs_have_their_ct_numbers() -> None:
    simulated = study_with(())
    masks = simulated.study.organ_masks
    assert masks is not None
    hu = {name: float(np.median(simulated.study.volume.voxels[masks.mask(name)]))
          for name in ("lung", "liver", "heart", "vertebrae", "trachea_and_airways")}  # fmt: skip
    assert -930 < hu["lung"] < -740
    assert 30 < hu["liver"] < 140
    assert 20 < hu["heart"] < 350
    assert 100 < hu["vertebrae"] < 600
    assert hu["trachea_and_airways"] < -500  # thin bronchi at 4 mm hold much wall
    assert np.median(simulated.study.volume.voxels[:, 0, 0]) < -950


def test_axes_point_inferior_posterior_left() -> None:
    simulated = study_with(())
    masks = simulated.study.organ_masks
    assert masks is not None
    assert simulated.study.volume.geometry.axis_codes == "IPL"

    def middle(name: str) -> np.ndarray:
        return np.argwhere(masks.mask(name)).mean(axis=0)

    assert middle("heart")[2] > middle("vertebrae")[2] + 2  # to the patient's left
    assert middle("lung_left")[2] > middle("heart")[2] > middle("lung_right")[2]
    assert middle("vertebrae")[1] > middle("heart")[1] + 5  # behind
    assert middle("liver")[0] > middle("heart")[0] > middle("trachea_and_airways")[0]  # below
    assert middle("liver")[2] < middle("spleen")[2]


def test_the_same_body_and_lesions_are_seen_at_another_spacing() -> None:
    forced = ["lung mass", "pleural effusion"]
    coarse = simulate_study(5, spacing_mm=(4.0, 4.0, 4.0), findings=forced, degrade=False)
    fine = simulate_study(5, spacing_mm=(2.5, 3.0, 2.0), findings=forced, degrade=False)
    assert len(coarse.lesions) == len(fine.lesions)
    for one, two in zip(coarse.lesions, fine.lesions, strict=True):
        here = coarse.study.volume.geometry.index_to_world(one.centre)
        there = fine.study.volume.geometry.index_to_world(two.centre)
        assert np.linalg.norm(here - there) < 12
        assert one.volume_ml == pytest.approx(two.volume_ml, rel=0.12)
    litres = [lung(s).sum() * s.study.volume.geometry.voxel_volume_ml for s in (coarse, fine)]
    assert litres[0] == pytest.approx(litres[1], rel=0.05)


def test_ground_truth_does_not_depend_on_the_scanner() -> None:
    clean, scanned = study_with(FINDINGS), study_with(FINDINGS, degrade=True)
    assert np.array_equal(clean.finding_bits, scanned.finding_bits)
    assert not np.array_equal(clean.study.volume.voxels, scanned.study.volume.voxels)


def test_the_report_names_what_is_there() -> None:
    report = study_with(("pneumothorax",)).study.report
    assert report is not None
    assert "pneumothorax" in report.impression
    assert "No pneumothorax" not in report.findings


def test_an_unknown_finding_is_refused() -> None:
    with pytest.raises(KeyError, match="broken rib"):
        simulate_study(1, findings=["broken rib"])
