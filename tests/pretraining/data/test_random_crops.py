"""Random crops lie where they should."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from napari_ctclip.pretraining.data.random_crops import draw_start

side = st.integers(1, 40)


@given(
    shape=st.tuples(side, side, side),
    crop=st.tuples(side, side, side),
    ends=st.tuples(*[st.tuples(st.integers(-9, 45), st.integers(-9, 45))] * 3),
    seed=st.integers(0, 999),
)
def test_a_crop_lies_in_the_scan_and_in_the_box_or_holds_it(shape, crop, ends, seed):
    ends = [sorted(pair) for pair in ends]
    box = (tuple(a for a, _ in ends), tuple(b + 1 for _, b in ends))
    start = draw_start(shape, crop, np.random.default_rng(seed), box=box)
    for n, size, first, low, high in zip(shape, crop, start, *box, strict=True):
        assert 0 <= first <= max(0, n - size)
        low, high = max(low, 0), min(high, n)
        if low >= high or size > n:
            continue
        own = range(first, first + size)
        inside = low <= first and first + size <= high
        holds = low in own and high - 1 in own
        assert inside or holds or first in (0, n - size)


def test_every_place_in_the_box_is_drawn():
    rng = np.random.default_rng(0)
    box = ((2, 0, 0), (8, 9, 9))
    starts = {draw_start((20, 9, 9), (4, 9, 9), rng, box=box)[0] for _ in range(200)}
    assert starts == {2, 3, 4}
