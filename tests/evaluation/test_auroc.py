"""AUROC and calibration against cases worked by hand and by scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from napari_ctclip.core.errors import DataError
from napari_ctclip.evaluation.auroc import auroc, macro_auroc
from napari_ctclip.evaluation.calibration import fit_platt


def test_auroc_equals_scikit_learn_with_ties():
    rng = np.random.default_rng(0)
    labels, scores = rng.random(80) < 0.3, rng.integers(0, 9, 80)
    assert auroc(labels, scores) == pytest.approx(roc_auc_score(labels, scores))


def test_a_class_without_positives_is_not_a_number_and_not_in_the_mean():
    labels = np.array([[1, 0], [0, 0], [1, 0]])
    scores = np.array([[0.9, 0.1], [0.2, 0.5], [0.8, 0.7]])
    assert np.isnan(auroc(labels[:, 1], scores[:, 1]))
    assert macro_auroc(labels, scores) == 1.0


def test_calibration_recovers_the_curve_that_made_the_labels():
    rng = np.random.default_rng(0)
    scores = rng.normal(0.1, 0.3, 20000)
    labels = rng.random(20000) < 1 / (1 + np.exp(-(8 * scores - 2)))
    fitted = fit_platt(labels, scores, source="a test")
    assert fitted.slope == pytest.approx(8, rel=0.06)
    assert fitted.intercept == pytest.approx(-2, rel=0.06)


def test_calibration_of_separable_scores_stays_finite():
    fitted = fit_platt(np.arange(20) >= 10, np.arange(20) / 20, source="a test")
    assert 0 < fitted.slope < 1e3


def test_calibration_of_one_class_is_refused():
    with pytest.raises(DataError, match="both classes"):
        fit_platt(np.ones(5), np.arange(5.0), source="a test")
