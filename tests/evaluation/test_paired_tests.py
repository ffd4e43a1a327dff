"""DeLong's variance against its definition over all pairs, and its test against simulation."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from napari_ctclip.core.errors import DataError
from napari_ctclip.evaluation.paired_tests import delong_covariance, delong_test


def _by_all_pairs(labels, scores):
    """Return DeLong et al. 1988, equations 4 to 8, as written: every positive with every other."""
    high, low = scores[:, labels], scores[:, ~labels]
    wins = (high[:, :, None] > low[:, None, :]) + 0.5 * (high[:, :, None] == low[:, None, :])
    areas = wins.mean(axis=(1, 2))
    v10, v01 = wins.mean(axis=2) - areas[:, None], wins.mean(axis=1) - areas[:, None]
    m, n = high.shape[1], low.shape[1]
    return areas, v10 @ v10.T / (m - 1) / m + v01 @ v01.T / (n - 1) / n


@pytest.mark.parametrize("distinct", [5, 10_000])
@pytest.mark.parametrize("seed", range(4))
def test_areas_and_covariance_equal_the_definition(seed, distinct):
    rng = np.random.default_rng(seed)
    labels = rng.random(70) < 0.4
    scores = rng.integers(0, distinct, (3, 70)) + 3 * labels
    areas, covariance = delong_covariance(labels, scores)
    expected_areas, expected_covariance = _by_all_pairs(labels, scores)
    assert areas == pytest.approx(expected_areas)
    assert covariance == pytest.approx(expected_covariance, abs=1e-12)
    assert areas == pytest.approx([roc_auc_score(labels, row) for row in scores])


def test_p_values_are_uniform_where_two_models_are_equally_good():
    rng = np.random.default_rng(0)
    labels = np.arange(120) < 40
    p = []
    for _ in range(600):
        common = rng.normal(size=120) + labels
        a, b = common + rng.normal(size=120), common + rng.normal(size=120)
        p.append(delong_test(labels, a, b).p_value)
    # 600 runs: standard errors 0.9 % and 2 %; bounds are three of them
    assert np.mean(np.array(p) < 0.05) == pytest.approx(0.05, abs=0.027)
    assert np.mean(np.array(p) < 0.5) == pytest.approx(0.5, abs=0.061)


def test_a_clearly_better_model_is_told_apart_with_the_right_sign():
    rng = np.random.default_rng(0)
    labels = np.arange(200) < 100
    found = delong_test(labels, rng.normal(size=200), rng.normal(size=200) + 2 * labels)
    assert found.p_value < 1e-6
    assert 0.2 < found.low < found.difference < found.high
    assert found.auroc_b > found.auroc_a


def test_equal_rankings_do_not_differ():
    labels, scores = np.arange(10) < 5, np.arange(10.0)
    found = delong_test(labels, scores, 2 * scores + 1)
    assert (found.difference, found.p_value) == (0.0, 1.0)


def test_one_positive_is_too_few():
    with pytest.raises(DataError, match="two positives"):
        delong_covariance(np.arange(5) == 0, np.ones((1, 5)))
