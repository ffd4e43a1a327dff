"""Work reports its steps, stops when it is asked to, and needs no cache."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from napari_ctclip.core.errors import Cancelled
from napari_ctclip.encoding.feature_cache import FeatureCache
from napari_ctclip.encoding.work import PLAIN, Work
from napari_ctclip.models.interface import FeatureMap


def test_steps_report_before_each_and_after_the_last():
    told: list[tuple[int, int]] = []
    work = Work(progress=lambda done, total: told.append((done, total)))
    assert list(work.steps("ab")) == ["a", "b"]
    assert told == [(0, 2), (1, 2), (2, 2)]


def test_a_stop_ends_the_work_before_the_next_step():
    done: list[str] = []
    work = Work(should_stop=lambda: bool(done))
    with pytest.raises(Cancelled, match="the test was cancelled; nothing was changed"):
        done.extend(work.steps("abc", name="the test"))
    assert done == ["a"]


def test_silent_work_reports_nothing_and_still_stops():
    told: list[int] = []
    work = Work(progress=lambda done, total: told.append(done), should_stop=lambda: True).silent()
    with pytest.raises(Cancelled):
        list(work.steps("ab"))
    assert told == []


def test_features_are_stored_where_there_is_a_cache(tmp_path: Path):
    features = FeatureMap((torch.ones(1, 2, 3, 4, 5),))
    work = Work(FeatureCache(tmp_path))
    assert work.store("key", features) == ()
    found, _ = work.cached("key")
    assert torch.equal(found.levels[0], features.levels[0])
    PLAIN.store("key", features)
    assert PLAIN.cached("key") == (None, ())
