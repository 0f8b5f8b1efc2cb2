"""Which examples each update sees: a pure function of seed, epoch and batch, so a resume needs no state."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

Index = Tensor | slice


@dataclass(frozen=True, kw_only=True)
class Batches:
    """The batches of each epoch over `size` examples.

    sampling: shuffle (a new permutation each epoch), sequential (file order, the same every epoch),
    replacement (each example drawn uniformly and independently; an epoch is `size` draws), or independent
    (each batch a random subset of the examples, drawn without a view to the batches before).
    The last batch of an epoch is smaller when batch_size does not divide size, unless drop_last.
    """

    size: int
    batch_size: int
    sampling: str
    drop_last: bool
    seed: int
    device: torch.device

    @property
    def per_epoch(self) -> int:
        """Batches, and so updates, in one epoch."""
        whole, rest = divmod(self.size, self.batch_size)
        return whole if self.drop_last or not rest else whole + 1

    @property
    def samples_per_epoch(self) -> int:
        """Examples used in one epoch."""
        return min(self.per_epoch * self.batch_size, self.size)

    def epoch(self, epoch: int) -> Sequence[Index]:
        """The batches of an epoch, counted from 0: each a slice or int64 indices on the device."""
        if self.size == 1:  # in whatever order
            return [slice(0, 1)]
        if self.sampling == "sequential":
            ends = [min(start + self.batch_size, self.size) for start in self._starts()]
            return [slice(start, end) for start, end in zip(self._starts(), ends, strict=True)]
        order = self.order(epoch).to(self.device)
        return torch.split(order, self.batch_size)[: self.per_epoch]

    def order(self, epoch: int) -> Tensor:
        """The examples of an epoch one batch after the other, on the CPU, int64; of no use for sequential.

        Without drop_last, or where that changes nothing, it has `samples_per_epoch` members; else more.
        """
        random = torch.Generator().manual_seed(_first_seed(self.seed) + epoch)
        if self.sampling == "independent":
            sizes = [min(self.batch_size, self.size - start) for start in self._starts()]
            return torch.cat([torch.randperm(self.size, generator=random)[:n] for n in sizes])
        if self.sampling == "replacement":
            return torch.randint(self.size, (self.size,), generator=random)
        return torch.randperm(self.size, generator=random)

    def samples(self, step: int) -> int:
        """Examples used after `step` updates."""
        epochs, batches = divmod(step, self.per_epoch)
        return epochs * self.samples_per_epoch + batches * self.batch_size

    def _starts(self) -> range:
        return range(0, self.per_epoch * self.batch_size, self.batch_size)


@functools.lru_cache(maxsize=2**16)  # of a batch of runs, as each asks once an epoch
def _first_seed(seed: int) -> int:
    """The seed of epoch 0's sampling; each epoch after it has the next one.

    The weights are drawn from the plain seed, so the sampling must not start from it too: one 63-bit seed
    for each pair (seed, epoch), through the generator's own mixing.
    """
    mix = torch.Generator().manual_seed(seed)
    return int(torch.randint(2**62, (1,), generator=mix))
