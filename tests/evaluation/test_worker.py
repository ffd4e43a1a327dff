"""Workers: every study has one owner, under torchrun and under srun."""

from __future__ import annotations

import pytest

from napari_ctclip.core.errors import DataError
from napari_ctclip.evaluation.worker import Worker, worker_of_launcher


def test_workers_cover_everything_once():
    items = list(range(11))
    parts = [Worker(rank, 3).own(items) for rank in range(3)]
    assert sorted(i for part in parts for i in part) == items
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


def test_launchers_are_known_by_their_variables():
    assert worker_of_launcher({}) == Worker(0, 1, 0)
    torchrun = {"RANK": "5", "WORLD_SIZE": "8", "LOCAL_RANK": "1"}
    assert worker_of_launcher(torchrun) == Worker(5, 8, 1)
    srun = {"SLURM_PROCID": "2", "SLURM_NTASKS": "4", "SLURM_LOCALID": "0"}
    assert worker_of_launcher(srun) == Worker(2, 4, 0)
    assert worker_of_launcher(torchrun | srun).rank == 5


def test_a_rank_that_cannot_be_is_refused():
    with pytest.raises(DataError, match="RANK below WORLD_SIZE"):
        worker_of_launcher({"RANK": "8", "WORLD_SIZE": "8"})


def test_a_device_that_was_named_is_kept():
    assert Worker(1, 2, 1).device("cpu") == "cpu"
