"""Many tests: p-values that stay honest when several questions are asked."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

__all__ = ["holm_adjusted"]


def holm_adjusted(p_values: Sequence[float]) -> list[float]:
    """Return p-values corrected for being many; NaN stays and does not count.

    References
    ----------
    Holm 1979, the step-down procedure.
    """
    adjusted = [float("nan")] * len(p_values)
    known = sorted((p, i) for i, p in enumerate(p_values) if np.isfinite(p))
    highest = 0.0
    for rank, (p, i) in enumerate(known):
        highest = max(highest, min(1.0, (len(known) - rank) * p))
        adjusted[i] = highest
    return adjusted
