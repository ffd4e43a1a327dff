"""Operating point: the threshold a study is called positive at, and where it comes from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from napari_ctclip.core.errors import DataError

__all__ = [
    "EVEN_ODDS",
    "RULES",
    "OperatingPoint",
    "Rule",
    "choose_threshold",
    "literature_threshold",
]

Rule = Literal["youden", "closest-to-corner"]
RULES: tuple[Rule, ...] = get_args(Rule)

_LITERATURE_POINTS = 100


@dataclass(frozen=True)
class OperatingPoint:
    """A threshold and its origin.

    Attributes
    ----------
    threshold : float
        Scores at or above it are called positive; NaN if none could be chosen.
    origin : str
        How and on what it was chosen, in the words that every output repeats.
    of : {"similarity", "probability"}
        Which of the model's two answers it is compared with; both rank alike.
    """

    threshold: float
    origin: str
    of: Literal["similarity", "probability"] = "similarity"

    def calls(
        self, similarity: npt.NDArray[np.float64], probability: npt.NDArray[np.float64]
    ) -> npt.NDArray[np.bool_]:
        """Return which studies (N,) are called positive."""
        score = similarity if self.of == "similarity" else probability
        return np.asarray(score >= self.threshold)


EVEN_ODDS = OperatingPoint(0.5, "probability 0.5 of the model, chosen on no data", "probability")
"""The zero-shot rule itself: the prompt is likelier than what it is contrasted with."""


def choose_threshold(
    labels: npt.NDArray[Any], scores: npt.NDArray[Any], *, rule: Rule, split: str
) -> OperatingPoint:
    """Return the threshold that a rule picks on studies (N,) kept apart from the evaluated ones.

    Candidates lie half-way between neighbouring scores, so that nothing hangs on one study's last
    digit; among equals the middle one is taken. NaN if the studies lack one of the classes.

    Parameters
    ----------
    labels, scores : ndarray, shape (N,)
        Truth and score.
    rule : {"youden", "closest-to-corner"}
        Largest sensitivity + specificity, or least distance to sensitivity = specificity = 1.
    split : str
        Name of the split they belong to, for the origin.

    Raises
    ------
    DataError
        If the rule is unknown.

    References
    ----------
    Youden 1950; Perkins and Schisterman 2006 (how the two rules differ).
    """
    if rule not in RULES:
        raise DataError(f"no threshold rule {rule!r}; expected one of {', '.join(RULES)}")
    origin = f"{rule} on split {split!r}"
    values = np.unique(scores)
    if len(np.unique(np.asarray(labels, dtype=bool))) < 2:
        return OperatingPoint(float("nan"), f"{origin}: one class only, no threshold")
    between = (values[1:] + values[:-1]) / 2
    candidates = np.r_[values[0] - 1e-9, between, np.nextafter(values[-1], np.inf)]
    sensitivity, specificity = _rates(labels, scores, candidates)
    cost = _distance(sensitivity, specificity)
    if rule == "youden":
        cost = 2 - sensitivity - specificity
    best = np.flatnonzero(cost <= cost.min() + 1e-12)
    return OperatingPoint(float(candidates[best[len(best) // 2]]), origin)


def literature_threshold(
    labels: npt.NDArray[Any], probabilities: npt.NDArray[Any], *, split: str
) -> OperatingPoint:
    """Return the literature's threshold, chosen on the evaluated labels themselves.

    Of 100 evenly spaced points between 0 and 1 the one closest to the corner of the ROC curve.
    Optimistic by construction; it serves only to repeat published tables.

    References
    ----------
    Evaluation scripts of CT-CLIP (arXiv 2403.17834) and fVLM (arXiv 2501.14548).
    """
    origin = f"TEST-SET threshold: closest-to-corner on the evaluated split {split!r} (optimistic)"
    if len(np.unique(np.asarray(labels, dtype=bool))) < 2:
        nothing = f"{origin}: one class only, no threshold"
        return OperatingPoint(float("nan"), nothing, "probability")
    candidates = np.linspace(0.0, 1.0, _LITERATURE_POINTS)
    cost = _distance(*_rates(labels, probabilities, candidates))
    return OperatingPoint(float(candidates[int(np.argmin(cost))]), origin, "probability")


def _rates(
    labels: npt.NDArray[Any], scores: npt.NDArray[Any], thresholds: npt.NDArray[np.float64]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return sensitivity and specificity at each threshold."""
    positive = np.asarray(labels, dtype=bool)
    high, low = np.sort(scores[positive]), np.sort(scores[~positive])
    sensitivity = 1 - np.searchsorted(high, thresholds, side="left") / len(high)
    specificity = np.searchsorted(low, thresholds, side="left") / len(low)
    return sensitivity, specificity


def _distance(
    sensitivity: npt.NDArray[np.float64], specificity: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    return np.hypot(1 - sensitivity, 1 - specificity)
