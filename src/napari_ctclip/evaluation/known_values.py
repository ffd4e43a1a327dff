"""Known values: quotients and means where some of the numbers do not exist."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["mean_of_known", "quotient"]

Floats = npt.NDArray[np.float64]


def quotient(part: Floats, whole: Floats, *, otherwise: float = float("nan")) -> Floats:
    """Return part / whole, and ``otherwise`` where the whole is 0."""
    result = np.full(np.broadcast_shapes(part.shape, whole.shape), otherwise)
    np.divide(part, whole, out=result, where=whole > 0)
    return result


def mean_of_known(rows: Floats) -> Floats:
    """Return the mean over rows (K, B) of what is finite, (B,); NaN where nothing is."""
    known = np.isfinite(rows)
    return quotient(np.where(known, rows, 0.0).sum(axis=0), known.sum(axis=0).astype(np.float64))
