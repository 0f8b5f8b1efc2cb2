"""The batches of many runs that are alike but for their seeds, each run's as it has them alone."""

from collections.abc import Sequence
from dataclasses import replace

import torch

from sgdlab.engine.sampling import Batches, Index


class BatchIndices:
    """The examples of each update of R runs.

    runs: what each of them draws from; they differ in `seed` alone (ValueError otherwise). Runs of one
    seed share their examples, and a batch of all examples needs no order: there the sum is the same.
    """

    def __init__(self, runs: Sequence[Batches]) -> None:
        first = runs[0]
        if any(replace(run, seed=first.seed) != first for run in runs):
            raise ValueError("the runs of a batch must sample alike, but for their seeds")
        self._first = first
        distinct = {run.seed: run for run in runs}
        self._distinct = list(distinct.values())
        places = {seed: place for place, seed in enumerate(distinct)}
        self._place = torch.tensor([places[run.seed] for run in runs], device=first.device)

    def epoch(self, epoch: int) -> Sequence[Index]:
        """The batches of an epoch, counted from 0: each a slice or indices (batch,) that all runs share,
        or one row of indices a run, (R, batch)."""
        first = self._first
        whole = first.batch_size == first.size and first.sampling != "replacement"
        if first.size == 1 or whole:
            return [slice(0, first.size)]
        if len(self._distinct) == 1 or first.sampling == "sequential":
            return first.epoch(epoch)
        orders = torch.stack([run.order(epoch) for run in self._distinct]).to(first.device)
        if len(self._place) > len(orders):
            orders = orders[self._place]
        return torch.split(orders, first.batch_size, dim=1)[: first.per_epoch]
