"""Faithfulness rows: the curves of many studies against their null."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_ctclip.evaluation.bootstrap import Interval, draw_weights, interval_of
from napari_ctclip.explanation.faithfulness import FaithfulnessCurves, area

__all__ = ["FaithfulnessRow", "faithfulness_row"]


@dataclass(frozen=True)
class FaithfulnessRow:
    """Deletion and insertion of a label's heatmaps.

    Attributes
    ----------
    label : str
        The finding.
    studies : int
        Positive studies that were tested.
    deletion, insertion : float
        Mean area under the curves.
    reference_deletion, reference_insertion : float
        The same with the tokens ranked by another label's map.
    deletion_gain, insertion_gain : Interval
        Null less own, own less null: above 0 where the heatmap points to what decides better than
        a heatmap of something else does.
    """

    label: str
    studies: int
    deletion: float
    insertion: float
    reference_deletion: float
    reference_insertion: float
    deletion_gain: Interval
    insertion_gain: Interval


def faithfulness_row(
    label: str,
    patients: Sequence[str],
    pairs: Sequence[tuple[FaithfulnessCurves, FaithfulnessCurves]],
    *,
    replicates: int,
    seed: int = 0,
) -> FaithfulnessRow:
    """Return one label's row from own and null curves of at least one study."""
    table = np.array(
        [
            [area(curve) for pair in (own, null) for curve in (pair.deletion, pair.insertion)]
            for own, null in pairs
        ]
    )
    weights = draw_weights(patients, np.ones(len(patients)), replicates=replicates, seed=seed)

    def gain(values: npt.NDArray[np.float64]) -> Interval:
        return interval_of(lambda drawn: (drawn @ values) / drawn.sum(axis=1), weights)

    deletion, insertion, reference_deletion, reference_insertion = table.mean(axis=0).tolist()
    return FaithfulnessRow(
        label,
        len(pairs),
        deletion,
        insertion,
        reference_deletion,
        reference_insertion,
        gain(table[:, 2] - table[:, 0]),
        gain(table[:, 1] - table[:, 3]),
    )
