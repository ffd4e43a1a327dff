"""Data order: which study is drawn when, and every chance with it, from (seed, step) alone."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import torch

from napari_ctclip.pretraining.data.samples import (
    SampleSource,
    StudyBatch,
    TrainingSample,
    collate_samples,
)

__all__ = ["DataOrder", "batches_of", "collate_draws", "reseed"]

_SAMPLES, _TORCH = 1, 2  # streams of chance
_AHEAD = 2  # batches: more would only take memory, 4 GB each at fVLM's batch and crop


@dataclass(frozen=True)
class DataOrder:
    """Epochs of shuffled studies, cut into steps.

    Nothing of it needs saving: a run that goes on at step n sees what it would have seen.

    Attributes
    ----------
    studies : int
        How many there are.
    batch : int
        Samples a step, of all processes together.
    seed : int
        Of the run.
    """

    studies: int
    batch: int
    seed: int

    def draws(self, step: int) -> list[tuple[int, np.random.Generator]]:
        """Return study index and generator for each sample of a step, all processes together."""
        drawn = []
        for number in range(step * self.batch, (step + 1) * self.batch):
            epoch, place = divmod(number, self.studies)
            order = _shuffled(self.seed, epoch, self.studies)
            chance = np.random.default_rng([self.seed, _SAMPLES, number])
            drawn.append((int(order[place]), chance))
        return drawn


def batches_of(
    source: SampleSource,
    order: DataOrder,
    *,
    steps: range,
    share: tuple[int, int] = (0, 1),
    workers: int = 2,
) -> Iterator[StudyBatch]:
    """Yield one batch a step, made ahead of time in threads, each sample by one of them.

    Parameters
    ----------
    source : SampleSource
        Of the samples.
    order : DataOrder
        What each step draws.
    steps : range
        The steps to make.
    share : (process, processes)
        Each process gets its part of the step's samples, the first process the first.
    workers : int
        Threads. Two batches are made ahead, or more where that leaves threads without work.

    Raises
    ------
    DataError
        Whatever the source says of a study.
    """
    pool = ThreadPoolExecutor(workers, thread_name_prefix="training-batches")
    waiting: deque[Future[StudyBatch]] = deque()
    ahead = max(_AHEAD, -(-workers * share[1] // order.batch))
    try:
        for step in steps:
            while len(waiting) <= ahead and step + len(waiting) < steps.stop:
                draws = _own_draws(order, step + len(waiting), share)
                samples = [pool.submit(source.sample, index, rng) for index, rng in draws]
                # tasks start in the order they are given: its samples are under way when it waits
                waiting.append(pool.submit(_collate_made, samples))
            yield waiting.popleft().result()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def collate_draws(
    source: SampleSource, order: DataOrder, step: int, *, share: tuple[int, int] = (0, 1)
) -> StudyBatch:
    """Return one process's part of a step's batch; arguments as of :func:`batches_of`."""
    return collate_samples([source.sample(i, rng) for i, rng in _own_draws(order, step, share)])


def _own_draws(
    order: DataOrder, step: int, share: tuple[int, int]
) -> list[tuple[int, np.random.Generator]]:
    process, processes = share
    own = slice(process * order.batch // processes, (process + 1) * order.batch // processes)
    return order.draws(step)[own]


def _collate_made(samples: list[Future[TrainingSample]]) -> StudyBatch:
    return collate_samples([sample.result() for sample in samples])


@lru_cache(maxsize=4)
def _shuffled(seed: int, epoch: int, studies: int) -> npt.NDArray[np.int64]:
    return np.random.default_rng([seed, epoch]).permutation(studies)


def reseed(part: int, *, seed: int, step: int, process: int) -> None:
    """Set the generators of torch, numpy and python for one part of one step's batch.

    Dropout and its like then depend on nothing that a stop could lose, and a part of a batch that
    is encoded twice meets the same chance twice.
    """
    state = np.random.SeedSequence([seed, _TORCH, step, process, part]).generate_state(2)
    torch.manual_seed(int(state[0]))
    np.random.seed(int(state[1]))  # what code of others may draw from
    random.seed(int(state[1]))
