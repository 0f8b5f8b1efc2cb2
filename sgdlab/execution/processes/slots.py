"""Which jobs of a sweep may run at once: as many as there are cores for, and on each GPU a given number."""

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

VISIBLE = "CUDA_VISIBLE_DEVICES"


@dataclass(frozen=True, kw_only=True)
class Slot:
    """A job's place: `cores` of them are its own, as is a share of the GPU at place `gpu` among the visible.

    environment: what the job's process must find there before CUDA starts.
    """

    cores: int
    gpu: int | None = None
    environment: Mapping[str, str] = field(default_factory=dict)


class Slots:
    """Gives places to jobs and takes them back.

    cores: of the machine; a job takes as many as it has threads. jobs: at once, whatever their threads;
    None: as many as there are cores for. gpus: the visible ones, as CUDA_VISIBLE_DEVICES names them.
    """

    def __init__(self, *, cores: int, jobs: int | None, gpus: Sequence[str] = (), per_gpu: int = 1) -> None:
        self._cores, self._jobs = cores, jobs
        self._gpus, self._per_gpu = tuple(gpus), per_gpu
        self._running = self._taken = 0
        self._on: Counter[int] = Counter()

    def take(self, device: str, threads: int) -> Slot | None:
        """A place for a job on a resolved device, or None while there is none.

        `cuda` is the GPU with the fewest jobs, and the only one that the job sees; `cuda:N` is the Nth
        visible one, as asked.
        """
        cores = min(threads, self._cores)
        if self.full() or (self._jobs is None and self._taken + cores > self._cores):
            return None
        slot = self._on_gpu(device, cores) if device.startswith("cuda") else Slot(cores=cores)
        if slot is not None:
            self._running += 1
            self._taken += slot.cores
            self._on[-1 if slot.gpu is None else slot.gpu] += 1
        return slot

    def full(self) -> bool:
        """Whether there is no place for any job."""
        return self._running >= self._jobs if self._jobs is not None else self._taken >= self._cores

    def give(self, slot: Slot) -> None:
        """The job that had this place is over."""
        self._running -= 1
        self._taken -= slot.cores
        self._on[-1 if slot.gpu is None else slot.gpu] -= 1

    def _on_gpu(self, device: str, cores: int) -> Slot | None:
        _, colon, index = device.partition(":")
        pinned = int(index) if colon else None
        places = range(len(self._gpus)) if pinned is None else [pinned]
        free = [place for place in places if self._on[place] < self._per_gpu]
        if not free:
            return None
        gpu = min(free, key=lambda place: self._on[place])
        environment = {VISIBLE: self._gpus[gpu]} if pinned is None else {}
        return Slot(cores=cores, gpu=gpu, environment=environment)


def at_once(jobs: int | None, threads: int) -> int:
    """How many jobs of so many threads run at once, if no GPU is what they wait for."""
    return jobs or max(1, cores() // threads)


def visible_gpus(count: int) -> list[str]:
    """The names of `count` visible GPUs: those that CUDA_VISIBLE_DEVICES lists, else their numbers."""
    listed = os.environ.get(VISIBLE)
    names = [name.strip() for name in listed.split(",")] if listed else [str(n) for n in range(count)]
    return names[:count]


def cores(quota: Path = Path("/sys/fs/cgroup/cpu.max")) -> int:
    """How many cores this process may use: by its affinity, and by its control group's quota, rounded up."""
    try:
        count = len(os.sched_getaffinity(0))
    except AttributeError:  # macOS
        count = os.cpu_count() or 1
    try:
        granted, period = quota.read_text(encoding="ascii").split()
        return max(1, min(count, -(-int(granted) // int(period))))
    except (OSError, ValueError):  # no such group, or `max`
        return count
