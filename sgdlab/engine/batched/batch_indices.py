"""The training examples of each update of a batch of runs, drawn as each run draws them on its own."""

from collections.abc import Sequence
from dataclasses import replace

import torch

from sgdlab.engine.sampling import Batches, Index


class BatchIndices:
    """The examples of each update of R runs.

    Args:
        runs: the batches of each run; they differ in `seed` alone. Runs of one seed share their examples.

    Raises:
        ValueError: the runs differ in more than their seeds.
    """

    def __init__(self, runs: Sequence[Batches]) -> None:
        first = runs[0]
        if any(replace(run, seed=first.seed) != first for run in runs):
            raise ValueError("the runs of a batch must sample alike, but for their seeds")
        self._first = first
        distinct = {run.seed: run for run in runs}
        self._distinct = list(distinct.values())
        positions = {seed: position for position, seed in enumerate(distinct)}
        self._positions = torch.tensor([positions[run.seed] for run in runs], device=first.device)

    def epoch(self, epoch: int) -> Sequence[Index]:
        """Draw the batches of an epoch, counted from 0.

        Each is a slice or indices (batch,) for all runs, or has one row of indices a run, (R, batch).
        """
        first = self._first
        full_batch = first.batch_size == first.size and first.sampling != "replacement"
        if first.size == 1 or full_batch:  # the order of a sum over all examples does not matter
            return [slice(0, first.size)]
        if len(self._distinct) == 1 or first.sampling == "sequential":
            return first.epoch(epoch)
        orders = torch.stack([run.order(epoch) for run in self._distinct]).to(first.device)
        if len(self._positions) > len(orders):
            orders = orders[self._positions]
        return torch.split(orders, first.batch_size, dim=1)[: first.per_epoch]
