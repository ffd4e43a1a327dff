"""Thresholds from another split, and what they make of studies, against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics

from napari_ctclip.core.errors import DataError
from napari_ctclip.evaluation.decisions import decision_metrics
from napari_ctclip.evaluation.operating_point import choose_threshold, literature_threshold


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
