"""Tests that share a display or ports run in one worker: a group that is lost fails here."""

from __future__ import annotations

import pytest


@pytest.mark.xdist_group("kept together")
def test_a_group_reaches_the_scheduler(request: pytest.FixtureRequest, worker_id: str) -> None:
    if worker_id == "master":
        pytest.skip("one process runs all tests")
    assert request.node.nodeid.endswith("@kept together")
