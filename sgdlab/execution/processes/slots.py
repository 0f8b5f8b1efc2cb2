"""How many jobs of a sweep run in parallel: as many as there are cores for, and some on each GPU."""

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

VISIBLE = "CUDA_VISIBLE_DEVICES"


@dataclass(frozen=True, kw_only=True)
class Slot:
    """A running job's share of the machine.

    cores: reserved for the job. gpu: its index among the visible ones; None without. environment: variables
    that the job's process must have before CUDA starts.
    """

    cores: int
    gpu: int | None = None
    environment: Mapping[str, str] = field(default_factory=dict)


class Slots:
    """Hands out slots to jobs.

    cores: of the machine; a job takes as many as it has threads. jobs: the number in parallel, whatever their
    threads; None: as many as there are cores for. gpus: the visible ones, as CUDA_VISIBLE_DEVICES names them.
    per_gpu: the number of jobs in parallel on each.
    """

    def __init__(self, *, cores: int, jobs: int | None, gpus: Sequence[str] = (), per_gpu: int = 1) -> None:
        self._cores, self._jobs = cores, jobs
        self._gpus, self._per_gpu = tuple(gpus), per_gpu
        self._acquired: list[Slot] = []

    def acquire(self, device: str, threads: int) -> Slot | None:
        """Take a slot for a job.

        Args:
            device: resolved. `cuda` takes the GPU with the fewest jobs, the only one that the job will see;
                `cuda:N` takes the Nth visible one.
            threads: of the job.

        Returns:
            The slot; None while none is free.
        """
        cores = min(threads, self._cores)
        if self.full() or (self._jobs is None and self._taken() + cores > self._cores):
            return None
        slot = self._on_gpu(device, cores) if device.startswith("cuda") else Slot(cores=cores)
        self._acquired += [] if slot is None else [slot]
        return slot

    def full(self) -> bool:
        """Return whether no job of any kind can get a slot."""
        return self._taken() >= self._cores if self._jobs is None else len(self._acquired) >= self._jobs

    def release(self, slot: Slot) -> None:
        """Take back the slot of a job that has ended."""
        self._acquired.remove(slot)

    def _taken(self) -> int:
        return sum(slot.cores for slot in self._acquired)

    def _on_gpu(self, device: str, cores: int) -> Slot | None:
        _, colon, index = device.partition(":")
        pinned = int(index) if colon else None
        jobs_on = Counter(slot.gpu for slot in self._acquired)
        indices = range(len(self._gpus)) if pinned is None else [pinned]
        gpu = min(indices, key=lambda index: jobs_on[index], default=None)
        if gpu is None or jobs_on[gpu] >= self._per_gpu:
            return None
        environment = {VISIBLE: self._gpus[gpu]} if pinned is None else {}
        return Slot(cores=cores, gpu=gpu, environment=environment)


def parallel_jobs(jobs: int | None, threads: int) -> int:
    """Return how many jobs run in parallel where GPUs set no limit.

    Args:
        jobs: `hydra.launcher.jobs`.
        threads: of each job.

    Returns:
        The number, at least 1.
    """
    return jobs or max(1, cores() // threads)


def visible_gpus(count: int) -> list[str]:
    """Return the names of `count` visible GPUs: those in CUDA_VISIBLE_DEVICES, else their numbers."""
    listed = os.environ.get(VISIBLE)
    names = [name.strip() for name in listed.split(",")] if listed else [str(n) for n in range(count)]
    return names[:count]


def cores(quota: Path = Path("/sys/fs/cgroup/cpu.max")) -> int:
    """Return how many cores this process may use, by its affinity and its control group's quota, rounded up.

    quota: a file with the granted and the full microseconds of a period.
    """
    try:
        count = len(os.sched_getaffinity(0))
    except AttributeError:  # macOS
        count = os.cpu_count() or 1
    try:
        granted, period = quota.read_text(encoding="ascii").split()
        return max(1, min(count, -(-int(granted) // int(period))))
    except (OSError, ValueError):  # no such group, or `max`: no limit
        return count
