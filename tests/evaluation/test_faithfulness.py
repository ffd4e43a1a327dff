"""Faithfulness of many studies as one row."""

from __future__ import annotations

import pytest

from napari_ctclip.evaluation.faithfulness import faithfulness_row
from napari_ctclip.explanation.faithfulness import SHARES, FaithfulnessCurves


def test_rows_hold_own_areas_against_the_null():
    low, high = tuple([0.0] * len(SHARES)), tuple([1.0] * len(SHARES))
    good, bad = FaithfulnessCurves(low, high), FaithfulnessCurves(high, low)
    row = faithfulness_row("a", ["p", "q", "r"], [(good, bad), (good, bad), (bad, good)],
                           replicates=200)  # fmt: skip
    assert row.deletion == pytest.approx(1 / 3)
    assert row.deletion_gain.value == pytest.approx(1 / 3)
    assert row.insertion_gain.low < row.insertion_gain.value < row.insertion_gain.high
