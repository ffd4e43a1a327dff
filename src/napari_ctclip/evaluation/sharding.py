"""Sharding: which studies are this process's own, by the variables its launcher sets."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from napari_ctclip.core.errors import DataError

__all__ = ["Share", "share_of_launcher"]

T = TypeVar("T")

_LAUNCHERS = (
    ("RANK", "WORLD_SIZE", "LOCAL_RANK"),  # torchrun
    ("SLURM_PROCID", "SLURM_NTASKS", "SLURM_LOCALID"),  # srun
)


@dataclass(frozen=True)
class Share:
    """One process among several that do the same work.

    Attributes
    ----------
    rank, processes : int
        Its number, from 0, and how many there are.
    local_rank : int
        Its number on its own machine: which GPU it takes.
    """

    rank: int = 0
    processes: int = 1
    local_rank: int = 0

    def of(self, items: Sequence[T]) -> list[T]:
        """Return this process's own items: every ``processes``-th, so that long ones spread."""
        return list(items[self.rank :: self.processes])

    def device(self, wanted: str) -> str:
        """Return the device for "auto": this process's GPU where there are any."""
        import torch

        if wanted != "auto":
            return wanted
        if not torch.cuda.is_available():
            return "cpu"
        return f"cuda:{self.local_rank % torch.cuda.device_count()}"


def share_of_launcher(environment: Mapping[str, str] = os.environ) -> Share:
    """Return this process's share under torchrun or srun; all of the work where there is neither.

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
            return Share(int(rank), int(size), int(local))
    return Share()
