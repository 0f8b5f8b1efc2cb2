"""Sampling: which training examples each update uses.

A batch is a pure function of seed, epoch and its number in the epoch, so a resumed run needs no sampler
state.
"""

import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

Index = Tensor | slice


@dataclass(frozen=True, kw_only=True)
class Batches:
    """The batches of each epoch over `size` examples.

    sampling: shuffle (a new permutation each epoch), sequential (file order, the same every epoch),
    replacement (each example drawn uniformly and independently; an epoch is `size` draws), or independent
    (each batch a random subset of all examples, whatever the batches before it).
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
        full, rest = divmod(self.size, self.batch_size)
        return full if self.drop_last or not rest else full + 1

    @property
    def samples_per_epoch(self) -> int:
        """Examples used in one epoch."""
        return min(self.per_epoch * self.batch_size, self.size)

    def epoch(self, epoch: int) -> Sequence[Index]:
        """Draw the batches of an epoch, counted from 0: slices, or int64 indices (batch,) on the device."""
        if self.size == 1:  # every order is the same
            return [slice(0, 1)]
        if self.sampling == "sequential":
            return [slice(start, min(start + self.batch_size, self.size)) for start in self._starts()]
        order = self.order(epoch).to(self.device)
        return torch.split(order, self.batch_size)[: self.per_epoch]

    def order(self, epoch: int) -> Tensor:
        """Draw the examples of an epoch, one batch after the other: int64 on the CPU; not for sequential.

        May exceed `samples_per_epoch` with drop_last, as the last batch is included.
        """
        random = torch.Generator().manual_seed(_first_seed(self.seed) + epoch)
        if self.sampling == "independent":
            sizes = [min(self.batch_size, self.size - start) for start in self._starts()]
            return torch.cat([torch.randperm(self.size, generator=random)[:n] for n in sizes])
        if self.sampling == "replacement":
            return torch.randint(self.size, (self.size,), generator=random)
        return torch.randperm(self.size, generator=random)

    def samples(self, step: int) -> int:
        """Count the examples of the batches of `step` updates."""
        epochs, batches = divmod(step, self.per_epoch)
        return epochs * self.samples_per_epoch + batches * self.batch_size

    def _starts(self) -> range:
        return range(0, self.per_epoch * self.batch_size, self.batch_size)


def examples(index: Index) -> int:
    """Count the examples of an update: of a slice, or of indices (..., batch)."""
    return index.stop - index.start if isinstance(index, slice) else index.shape[-1]


def split(index: Index, size: int) -> Iterator[tuple[Index, float]]:
    """Split the examples of an update into parts, to bound the memory that their activations take.

    Args:
        index: a slice, or indices (..., batch).
        size: examples in a part, at most.

    Yields:
        Each part, and its share of the examples.
    """
    count = examples(index)
    if count <= size:
        yield index, 1.0
        return
    for start in range(0, count, size):
        end = min(start + size, count)
        if isinstance(index, slice):
            yield slice(index.start + start, index.start + end), (end - start) / count
        else:
            yield index[..., start:end], (end - start) / count


@functools.lru_cache(maxsize=2**16)  # as many as a batch of runs has seeds: each is asked for once an epoch
def _first_seed(seed: int) -> int:
    """Return the seed of epoch 0's sampling; each later epoch has the next one.

    The seed itself draws the weights, so sampling must not start from it too. The generator's own mixing
    makes a 62-bit seed, so that no two pairs (seed, epoch) share one in practice.
    """
    mix = torch.Generator().manual_seed(seed)
    return int(torch.randint(2**62, (1,), generator=mix))
