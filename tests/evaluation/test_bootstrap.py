"""Bootstrap: patients stay together, intervals cover what they promise."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm

from napari_ctclip.evaluation.bootstrap import bootstrap_p_value, draw_weights, interval_of
from napari_ctclip.evaluation.metrics import resampled_auroc


def test_the_scans_of_a_patient_are_drawn_together():
    patients = ["a", "a", "a", "b", "c", "c"]
    weights = draw_weights(patients, np.array([1, 0, 0, 0, 0, 0]), replicates=200)
    assert (weights[:, 0] == weights[:, 1]).all()
    assert (weights[:, 0] == weights[:, 2]).all()
    assert (weights[:, 4] == weights[:, 5]).all()


def test_strata_keep_their_number_of_patients():
    patients = [f"p{i}" for i in range(20)]
    positive = np.arange(20) < 3
    weights = draw_weights(patients, positive, replicates=300)
    assert (weights[:, positive].sum(axis=1) == 3).all()
    assert (weights[:, ~positive].sum(axis=1) == 17).all()
    assert len(np.unique(weights[:, 0])) > 2


def test_the_same_seed_gives_the_same_draw_and_another_does_not():
    patients, strata = [f"p{i}" for i in range(9)], np.arange(9) < 4
    first = draw_weights(patients, strata, replicates=20, seed=1)
    assert (first == draw_weights(patients, strata, replicates=20, seed=1)).all()
    assert (first != draw_weights(patients, strata, replicates=20, seed=2)).any()


def test_resamples_that_never_differ_give_no_interval():
    labels = np.arange(10) >= 5
    weights = draw_weights([f"p{i}" for i in range(10)], labels)
    found = interval_of(lambda w: resampled_auroc(labels, np.arange(10.0), w), weights)
    assert found.value == 1.0
    assert np.isnan([found.low, found.high]).all()


def _coverage(*, cluster: bool, by_patient: bool) -> float:
    """Return how often the 95 % interval holds the true AUROC, in 300 simulated data sets.

    60 patients with and 60 without, 3 scans each. With ``cluster`` the scans of a patient share
    half of their variance, so that 3 scans are worth 1.5 (design effect 1 + 2 x 0.5 = 2).
    """
    rng = np.random.default_rng(2)
    truth = norm.cdf(1.0 / np.sqrt(2))
    patients = [f"p{i}" for i in range(120) for _ in range(3)]
    labels = np.repeat(np.arange(120) < 60, 3)
    units = patients if by_patient else [str(i) for i in range(360)]
    share = 0.5 if cluster else 0.0
    held = 0
    for run in range(300):
        common = np.repeat(rng.normal(size=120), 3)
        scores = labels + np.sqrt(share) * common + np.sqrt(1 - share) * rng.normal(size=360)
        weights = draw_weights(units, labels, replicates=300, seed=run)
        found = interval_of(lambda w, s=scores: resampled_auroc(labels, s, w), weights)
        held += found.low <= truth <= found.high
    return held / 300


@pytest.mark.parametrize("cluster", [False, True])
def test_intervals_over_patients_cover_95_percent(cluster):
    # 300 runs: the standard error of the coverage is 1.3 %, three of them are 3.8 %; percentile
    # intervals of 300 resamples are known to be short by about a percent
    assert 0.91 < _coverage(cluster=cluster, by_patient=True) < 0.99


def test_intervals_over_scans_of_the_same_patients_cover_too_little():
    # design effect 2: intervals are short by a factor of 1.41, which covers 83 %
    assert _coverage(cluster=True, by_patient=False) < 0.90


def test_p_values_are_even_without_a_difference_and_small_with_one():
    rng = np.random.default_rng(0)
    assert bootstrap_p_value(rng.normal(0.0, 1.0, 5000)) > 0.9
    assert bootstrap_p_value(rng.normal(1.96, 1.0, 50_000)) == pytest.approx(0.05, rel=0.05)
    assert bootstrap_p_value(np.zeros(100)) == 1.0
    assert bootstrap_p_value(np.ones(999)) == pytest.approx(0.002)
    assert np.isnan(bootstrap_p_value(np.full(3, np.nan)))
