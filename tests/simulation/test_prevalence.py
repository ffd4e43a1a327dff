"""Drawing findings and lesions over many seeds."""

import numpy as np

from napari_ctclip.simulation import FINDINGS, simulate_study
from napari_ctclip.simulation.study_simulation import draw_findings


def test_findings_are_drawn_at_their_prevalence() -> None:
    drawn = [draw_findings(np.random.default_rng([seed, 0])) for seed in range(2000)]
    normal = np.mean([not findings for findings in drawn])
    assert 0.13 < normal < 0.21
    for finding in FINDINGS:
        assert 0.13 < np.mean([finding in findings for findings in drawn]) < 0.36


def test_nodules_are_of_4_to_30_mm_and_masses_of_30_to_90_mm() -> None:
    forced = ["lung nodule", "lung mass"]
    lesions = [
        lesion
        for seed in range(6)
        for lesion in simulate_study(
            seed, spacing_mm=(5, 5, 5), findings=forced, degrade=False
        ).lesions
    ]
    for lesion in lesions:
        low, high = (4, 30) if lesion.finding == "lung nodule" else (30, 90)
        assert low <= lesion.diameter_mm <= high
