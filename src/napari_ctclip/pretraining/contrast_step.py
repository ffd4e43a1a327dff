"""One step's gradients: embed in chunks, join what all ranks embedded, compare, go back.

The loss needs every embedding of the batch at once, but the activations behind them need not be
there at once: each chunk is embedded without a graph first, and again with one when the gradient
that reaches its embeddings is known. So the batch that competes may exceed memory, and spans all
ranks.

References
----------
Gao et al. 2021 (GradCache, arXiv 2101.06983), section 3.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from napari_ctclip.pretraining.data.samples import Batch
from napari_ctclip.pretraining.objectives.objective import Objective, Rows

__all__ = ["EmbeddingModule", "SealedBatch", "accumulate_gradients"]


class SealedBatch:
    """A batch that wrappers of modules pass on as it is.

    Fabric and DDP take apart and rebuild the containers they know, at the cost of copies.
    """

    __slots__ = ("batch",)

    def __init__(self, batch: Batch) -> None:
        self.batch = batch


class EmbeddingModule(nn.Module):
    """The first half of an objective as a module: what DDP and FSDP wrap."""

    def __init__(self, trained: nn.Module, objective: Objective) -> None:
        super().__init__()
        self.trained = trained
        self._objective = objective

    def forward(self, sealed: SealedBatch) -> Rows:
        """Return the rows of a batch."""
        return self._objective.embed(self.trained, sealed.batch)


def accumulate_gradients(
    fabric: Fabric,
    module: Any,
    objective: Objective,
    batch: Batch,
    *,
    chunk: int | None = None,
    reseed: Callable[[int], None] = lambda part: None,
    weight: float = 1.0,
    is_last: bool = True,
) -> dict[str, Tensor]:
    """Add the gradient of a batch's loss to the parameters; return its terms, detached.

    Parameters
    ----------
    fabric : Fabric
        Knows the ranks and the precision.
    module : EmbeddingModule
        As Fabric set it up.
    objective : Objective
        The objective of the module.
    batch : Batch
        This rank's part of the batch; the same number of samples on each.
    chunk : int, optional
        Samples whose activations are in memory at once; all when not given.
    reseed : callable
        Called with the number of a chunk before it is embedded, each time: dropout must be the
        same twice.
    weight : float
        The factor on the loss, for batches that are accumulated.
    is_last : bool
        Whether ranks exchange gradients now; not before the last of several batches.
    """
    parts = list(batch.chunks(chunk or len(batch)))
    is_cached = len(parts) > 1
    with fabric.no_backward_sync(module, enabled=not is_last) if not is_cached else nullcontext():
        embedded = []
        for number, part in enumerate(parts):
            reseed(number)
            with torch.set_grad_enabled(not is_cached):
                embedded.append(module(SealedBatch(part)))
        terms, gradients = _loss_gradients(fabric, objective, embedded, weight)
        if not is_cached:
            fabric.backward(_pull(embedded[0], gradients, slice(0, len(batch))))
            return terms
    start = 0
    for number, part in enumerate(parts):
        own = slice(start, start + len(part))
        waits = not (is_last and number == len(parts) - 1)
        with fabric.no_backward_sync(module, enabled=waits):
            reseed(number)
            fabric.backward(_pull(module(SealedBatch(part)), gradients, own))
        start = own.stop
    return terms


def _loss_gradients(
    fabric: Fabric, objective: Objective, embedded: list[Rows], weight: float
) -> tuple[dict[str, Tensor], Rows]:
    """Return the terms of all ranks' rows, and the gradient at this rank's rows.

    Every rank computes the same loss; each needs the gradient at its own rows only, so none is
    sent. The exchange of parameter gradients averages over ranks: the factor undoes that.
    """
    own = {name: torch.cat([rows[name].detach() for rows in embedded]) for name in embedded[0]}
    count = len(next(iter(own.values())))
    leaves = {name: _joined(fabric, rows) for name, rows in own.items()}
    for rows in leaves.values():
        rows.requires_grad_(rows.is_floating_point())
    terms = objective.loss(leaves)
    total = torch.stack(list(terms.values())).sum()
    total.backward()  # type: ignore[no-untyped-call]
    mine = slice(fabric.global_rank * count, (fabric.global_rank + 1) * count)
    gradients = {
        name: rows.grad[mine] * (weight * fabric.world_size)
        for name, rows in leaves.items()
        if rows.grad is not None
    }
    return {name: term.detach() for name, term in terms.items()}, gradients


def _joined(fabric: Fabric, rows: Tensor) -> Tensor:
    """Return the rows of all ranks, in their order."""
    if fabric.world_size == 1:
        return rows
    flags = rows.dtype == torch.bool  # not every backend sends bool
    gathered = fabric.all_gather(rows.to(torch.uint8) if flags else rows)
    assert isinstance(gathered, Tensor)
    joined = gathered.flatten(0, 1)
    return joined.bool() if flags else joined.clone()


def _pull(rows: Rows, gradients: Rows, own: slice) -> Tensor:
    """Return a number whose gradient at each row is the one given."""
    pulled = [
        (rows[name].float() * gradient[own]).sum()
        for name, gradient in gradients.items()
        if rows[name].requires_grad
    ]
    return torch.stack(pulled).sum()
