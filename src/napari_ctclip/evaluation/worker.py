"""Worker: one process of several that share an evaluation, by the variables its launcher sets."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from napari_ctclip.core.errors import DataError

__all__ = ["Worker", "worker_of_launcher"]

T = TypeVar("T")

_LAUNCHERS = (
    ("RANK", "WORLD_SIZE", "LOCAL_RANK"),  # torchrun
    ("SLURM_PROCID", "SLURM_NTASKS", "SLURM_LOCALID"),  # srun
)


@dataclass(frozen=True)
class Worker:
    """One process among several that do the same work.

    Attributes
    ----------
    rank, world_size : int
        Its number, from 0, and the number of processes.
    local_rank : int
        Its number on its own machine: it selects the GPU.
    """

    rank: int = 0
    world_size: int = 1
    local_rank: int = 0

    def own(self, items: Sequence[T]) -> list[T]:
        """Return this worker's items: every ``world_size``-th, so that long ones spread."""
        return list(items[self.rank :: self.world_size])

    def device(self, wanted: str) -> str:
        """Return the device for "auto": this worker's GPU where there are any."""
        import torch

        if wanted != "auto":
            return wanted
        if not torch.cuda.is_available():
            return "cpu"
        return f"cuda:{self.local_rank % torch.cuda.device_count()}"


def worker_of_launcher(environment: Mapping[str, str] = os.environ) -> Worker:
    """Return this worker under torchrun or srun; the only one where there is neither.

    Raises
    ------
    DataError
        If the variables contradict each other.
    """
    for rank_name, size_name, local_name in _LAUNCHERS:
        if rank_name in environment and size_name in environment:
            rank, size, local = (
                environment[rank_name],
                environment[size_name],
                environment.get(local_name, "0"),
            )
            if not (
                rank.isdigit() and size.isdigit() and local.isdigit() and int(rank) < int(size)
            ):
                raise DataError(
                    f"expected {rank_name} below {size_name}, both whole numbers; got {rank!r} and "
                    f"{size!r}"
                )
            return Worker(int(rank), int(size), int(local))
    return Worker()
