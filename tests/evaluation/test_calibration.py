"""Reliability: known miscalibration is measured and mended."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit, logit
from sklearn.metrics import brier_score_loss

from napari_ctclip.core.errors import DataError
from napari_ctclip.evaluation.calibration import (
    brier_score,
    expected_calibration_error,
    fit_temperature,
    reliability_bins,
    tempered,
)


def test_the_calibration_error_is_the_distance_that_was_put_in():
    rng = np.random.default_rng(0)
    truth = rng.uniform(0.3, 0.6, 200_000)
    labels = rng.random(200_000) < truth
    assert expected_calibration_error(labels, truth) < 0.01
    assert expected_calibration_error(labels, truth + 0.2) == pytest.approx(0.2, abs=0.01)


def test_bins_hold_what_lies_in_them():
    labels, p = np.array([0, 1, 1, 1]), np.array([0.05, 0.07, 0.95, 1.0])
    low, high = reliability_bins(labels, p)
    assert (low.probability, low.observed, low.studies) == (pytest.approx(0.06), 0.5, 2)
    assert (high.probability, high.observed, high.studies) == (pytest.approx(0.975), 1.0, 2)
    assert expected_calibration_error(labels, p) == pytest.approx((0.44 + 0.025) / 2)


def test_brier_equals_scikit_learn():
    rng = np.random.default_rng(0)
    labels, p = rng.random(50) < 0.5, rng.random(50)
    assert brier_score(labels, p) == pytest.approx(brier_score_loss(labels, p))


def test_the_temperature_that_was_put_in_comes_back():
    rng = np.random.default_rng(0)
    truth = rng.uniform(0.05, 0.95, 50_000)
    labels = rng.random(50_000) < truth
    overconfident = 3.0 * logit(truth)
    found = fit_temperature(labels, overconfident)
    assert found == pytest.approx(3.0, rel=0.05)
    assert expected_calibration_error(labels, tempered(overconfident, found)) < 0.01
    assert expected_calibration_error(labels, expit(overconfident)) > 0.05


def test_nothing_to_measure_is_not_a_number_and_one_class_fits_no_temperature():
    assert np.isnan(expected_calibration_error(np.array([]), np.array([])))
    assert np.isnan(brier_score(np.array([]), np.array([])))
    with pytest.raises(DataError, match="one class"):
        fit_temperature(np.ones(4), np.arange(4.0))
