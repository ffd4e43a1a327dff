"""Resampled ranking metrics against scikit-learn, with ties and with weights."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from napari_ctclip.evaluation.auroc import auroc
from napari_ctclip.evaluation.ranking import (
    average_precision,
    resampled_auroc,
    resampled_average_precision,
)


@pytest.mark.parametrize("distinct", [4, 1000])
@pytest.mark.parametrize("seed", range(5))
def test_every_resample_equals_scikit_learn_on_the_drawn_studies(seed, distinct):
    rng = np.random.default_rng(seed)
    labels, scores = rng.random(60) < 0.3, rng.integers(0, distinct, 60) / 7
    weights = rng.multinomial(60, np.full(60, 1 / 60), size=8).astype(float)
    areas = resampled_auroc(labels, scores, weights)
    precisions = resampled_average_precision(labels, scores, weights)
    for row, area, precision in zip(weights.astype(int), areas, precisions, strict=True):
        drawn = np.repeat(np.arange(60), row)
        assert area == pytest.approx(roc_auc_score(labels[drawn], scores[drawn]))
        assert precision == pytest.approx(average_precision_score(labels[drawn], scores[drawn]))


def test_weights_of_one_give_the_plain_metrics():
    rng = np.random.default_rng(0)
    labels, scores = rng.random(40) < 0.5, rng.integers(0, 6, 40)
    assert resampled_auroc(labels, scores, np.ones((1, 40)))[0] == pytest.approx(
        auroc(labels, scores)
    )
    assert average_precision(labels, scores) == pytest.approx(
        average_precision_score(labels, scores)
    )


def test_one_class_has_no_area_and_no_positive_has_no_precision():
    ones, none = np.ones(5, dtype=bool), np.zeros(5, dtype=bool)
    weights = np.ones((3, 5))
    assert np.isnan(resampled_auroc(ones, np.arange(5.0), weights)).all()
    assert np.isnan(resampled_average_precision(none, np.arange(5.0), weights)).all()
    assert resampled_average_precision(ones, np.arange(5.0), weights).tolist() == [1, 1, 1]
