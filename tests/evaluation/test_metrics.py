"""Metrics agree with scikit-learn, for one study set and for every resample of it."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics
from sklearn.metrics import average_precision_score, roc_auc_score

from napari_ctclip.core.errors import DataError
from napari_ctclip.evaluation.calibration import fit_platt
from napari_ctclip.evaluation.metrics import (
    auroc,
    average_precision,
    decision_metrics,
    resampled_auroc,
    resampled_average_precision,
)
from napari_ctclip.evaluation.operating_point import choose_threshold, literature_threshold


def test_auroc_equals_scikit_learn_with_ties():
    rng = np.random.default_rng(0)
    labels, scores = rng.random(80) < 0.3, rng.integers(0, 9, 80)
    assert auroc(labels, scores) == pytest.approx(roc_auc_score(labels, scores))


def test_a_class_without_positives_is_not_a_number():
    labels = np.array([[1, 0], [0, 0], [1, 0]])
    scores = np.array([[0.9, 0.1], [0.2, 0.5], [0.8, 0.7]])
    assert np.isnan(auroc(labels[:, 1], scores[:, 1]))
    assert auroc(labels[:, 0], scores[:, 0]) == 1.0


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


@pytest.mark.parametrize("seed", range(6))
def test_decisions_equal_scikit_learn_on_the_drawn_studies(seed):
    rng = np.random.default_rng(seed)
    labels, called = rng.random(50) < 0.3, rng.random(50) < 0.4
    weights = rng.multinomial(50, np.full(50, 0.02), size=4).astype(float)
    found = decision_metrics(labels, called, weights)
    for row, draw in enumerate(weights.astype(int)):
        y, c = np.repeat(labels, draw), np.repeat(called, draw)
        expected = {
            "sensitivity": metrics.recall_score(y, c),
            "specificity": metrics.recall_score(~y, ~c),
            "balanced_accuracy": metrics.balanced_accuracy_score(y, c),
            "accuracy": metrics.accuracy_score(y, c),
            "precision": metrics.precision_score(y, c),
            "f1": metrics.f1_score(y, c),
            "f1_weighted": metrics.f1_score(y, c, average="weighted"),
        }
        assert {name: values[row] for name, values in found.items()} == pytest.approx(expected)


def test_one_class_gives_no_number_where_there_is_none():
    one = np.ones((1, 4))
    none = decision_metrics(np.zeros(4), np.array([0, 0, 0, 1]), one)
    assert np.isnan([none["sensitivity"][0], none["balanced_accuracy"][0], none["f1"][0]]).all()
    assert none["specificity"][0] == 0.75
    silent = decision_metrics(np.array([1, 0, 0, 0]), np.zeros(4), one)
    assert (silent["precision"][0], silent["f1"][0]) == (0.0, 0.0)


def test_rules_pick_the_threshold_of_the_roc_curve():
    rng = np.random.default_rng(0)
    labels = rng.random(200) < 0.3
    scores = rng.normal(size=200) + 1.2 * labels
    fpr, tpr, _ = metrics.roc_curve(labels, scores)
    youden = choose_threshold(labels, scores, rule="youden", split="val")
    called = scores >= youden.threshold
    assert called[labels].mean() - called[~labels].mean() == pytest.approx((tpr - fpr).max())
    corner = choose_threshold(labels, scores, rule="closest-to-corner", split="val")
    called = scores >= corner.threshold
    distance = np.hypot(1 - called[labels].mean(), called[~labels].mean())
    assert distance == pytest.approx(np.hypot(1 - tpr, fpr).min())
    assert youden.origin == "youden on split 'val'"


def test_a_threshold_lies_between_scores_and_not_on_one():
    found = choose_threshold(
        np.array([0, 0, 1, 1]), np.array([0.1, 0.2, 0.6, 0.7]), rule="youden", split="v"
    )
    assert found.threshold == pytest.approx(0.4)


def test_one_class_gives_no_threshold_and_says_so():
    found = choose_threshold(np.zeros(3), np.arange(3.0), rule="youden", split="val")
    assert np.isnan(found.threshold)
    assert "one class only" in found.origin
    assert np.isnan(literature_threshold(np.ones(3), np.ones(3), split="test").threshold)


def test_unknown_rules_are_refused():
    with pytest.raises(DataError, match="closest-to-corner"):
        choose_threshold(np.arange(2), np.arange(2.0), rule="best", split="v")  # type: ignore[arg-type]


def test_the_literature_threshold_flatters_a_model_that_knows_nothing():
    rng = np.random.default_rng(1)
    optimistic, honest = [], []
    for _ in range(200):
        labels, scores = rng.random(40) < 0.5, rng.random(40)
        chosen = literature_threshold(labels, scores, split="test")
        assert "TEST-SET" in chosen.origin
        assert "optimistic" in chosen.origin
        other = choose_threshold(
            rng.random(40) < 0.5, rng.random(40), rule="closest-to-corner", split="v"
        )
        for point, into in ((chosen, optimistic), (other, honest)):
            found = decision_metrics(labels, scores >= point.threshold, np.ones((1, 40)))
            into.append(found["balanced_accuracy"][0])
    # guessing is right half the time; one run's standard deviation is 0.08, the mean's 0.006
    assert np.mean(honest) == pytest.approx(0.5, abs=0.02)
    assert np.mean(optimistic) > 0.54


def test_the_literature_threshold_is_one_of_its_hundred_points():
    labels, scores = np.array([0, 0, 1, 1]), np.array([0.1, 0.2, 0.6, 0.7])
    assert literature_threshold(labels, scores, split="t").threshold * 99 == pytest.approx(20)
