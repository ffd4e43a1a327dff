"""Draws: which samples a step sees, and every random number with them, from the step alone."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import lru_cache, partial
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch

from napari_ctclip.pretraining.data.samples import (
    Batch,
    SampleSource,
    StudyBatch,
    TrainingSample,
    collate_samples,
)

__all__ = ["BatchDraws", "StudyDraws", "batches_of", "collate_draws", "reseed"]

_SAMPLES, _TORCH = 1, 2  # streams of random numbers
_AHEAD = 2  # batches: more would only take memory, 4 GB each at fVLM's batch and crop


class BatchDraws(Protocol):
    """What each step draws.

    Nothing of it needs saving: a run that resumes at step n sees what it would have seen.
    """

    def __len__(self) -> int:
        """Return the number of studies to draw from."""
        ...

    def draws(self, step: int) -> Sequence[Callable[[], Any]]:
        """Return a function that makes each sample of a step, of all ranks together."""
        ...

    def collate(self, samples: Sequence[Any]) -> Batch:
        """Return samples as a batch."""
        ...


class StudyDraws:
    """Epochs of shuffled studies, cut into steps.

    Parameters
    ----------
    source : SampleSource
        Makes the samples.
    batch : int
        The samples of a step, of all ranks together.
    seed : int
        The seed of the run.
    """

    def __init__(self, source: SampleSource, batch: int, *, seed: int) -> None:
        self._source, self._batch, self._seed = source, batch, seed

    def __len__(self) -> int:
        return len(self._source)

    def draws(self, step: int) -> list[Callable[[], TrainingSample]]:
        """Return a function that makes each sample of a step, of all ranks together."""
        makers: list[Callable[[], TrainingSample]] = []
        for number in range(step * self._batch, (step + 1) * self._batch):
            epoch, position = divmod(number, len(self))
            order = _shuffled(self._seed, epoch, len(self))
            rng = np.random.default_rng([self._seed, _SAMPLES, number])
            makers.append(partial(self._source.sample, int(order[position]), rng))
        return makers

    def collate(self, samples: Sequence[TrainingSample]) -> StudyBatch:
        """Return samples as a batch."""
        return collate_samples(samples)


def batches_of(
    draws: BatchDraws,
    *,
    steps: range,
    rank: int = 0,
    world_size: int = 1,
    workers: int = 2,
) -> Iterator[Batch]:
    """Yield one batch a step, made ahead of time in threads, each sample by one of them.

    Parameters
    ----------
    draws : BatchDraws
        What each step draws.
    steps : range
        The steps to make.
    rank, world_size : int
        Each rank gets its part of the step's samples, the first rank the first.
    workers : int
        The threads. Two batches are made ahead, or more where that leaves threads without work.

    Raises
    ------
    DataError
        Whatever the source says of a study.
    """
    pool = ThreadPoolExecutor(workers, thread_name_prefix="training-batches")
    waiting: deque[Future[Batch]] = deque()
    ahead = _AHEAD
    try:
        for step in steps:
            while len(waiting) <= ahead and step + len(waiting) < steps.stop:
                makers = _of_rank(draws.draws(step + len(waiting)), rank, world_size)
                ahead = max(_AHEAD, -(-workers // len(makers)))
                samples = [pool.submit(make) for make in makers]
                # tasks start in the order they are given: its samples are under way when it waits
                waiting.append(pool.submit(_collated, draws, samples))
            yield waiting.popleft().result()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def collate_draws(draws: BatchDraws, step: int, *, rank: int = 0, world_size: int = 1) -> Batch:
    """Return one rank's part of a step's batch."""
    return draws.collate([make() for make in _of_rank(draws.draws(step), rank, world_size)])


def reseed(part: int, *, seed: int, step: int, rank: int) -> None:
    """Set the generators of torch, numpy and python for one part of one step's batch.

    Dropout and its like then depend on nothing that a stop could lose, and a part of a batch that
    is encoded twice meets the same random numbers twice.
    """
    state = np.random.SeedSequence([seed, _TORCH, step, rank, part]).generate_state(2)
    torch.manual_seed(int(state[0]))
    np.random.seed(int(state[1]))  # what code of others may draw from
    random.seed(int(state[1]))


def _of_rank(
    makers: Sequence[Callable[[], Any]], rank: int, world_size: int
) -> Sequence[Callable[[], Any]]:
    return makers[rank * len(makers) // world_size : (rank + 1) * len(makers) // world_size]


def _collated(draws: BatchDraws, samples: list[Future[Any]]) -> Batch:
    return draws.collate([sample.result() for sample in samples])


@lru_cache(maxsize=4)
def _shuffled(seed: int, epoch: int, studies: int) -> npt.NDArray[np.int64]:
    return np.random.default_rng([seed, epoch]).permutation(studies)
