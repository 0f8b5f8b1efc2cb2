"""The device and the settings of torch that a run works under; outside, all is as it was."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from sgdlab.errors import UsageError

DTYPES = {"float32": torch.float32, "float64": torch.float64}
DIGITS = {"float32": 9, "float64": 17}  # significant digits that bring a float back exactly


def resolve(name: str) -> str:
    """`auto` as cpu or cuda; any other name as it is, once it is certain that the device is there.

    Raises UsageError for an unknown name or a CUDA device that this machine does not have.
    """
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if name == "auto":
        return "cuda" if count else "cpu"
    kind, colon, index = name.partition(":")
    if name != "cpu" and not (kind == "cuda" and (not colon or index.isdecimal())):
        raise UsageError(f"device={name}: must be auto, cpu, cuda or cuda:N")
    if kind == "cuda" and int(index or 0) >= count:
        there = f"the CUDA devices here are 0 to {count - 1}" if count else "no CUDA device is available here"
        raise UsageError(f"device={name}: {there}; use device=auto or device=cpu")
    return name


@contextmanager
def settings(*, threads: int, seed: int) -> Iterator[None]:
    """Run with so many CPU threads, seeded and with deterministic CUDA kernels; restore all at the end."""
    before = torch.get_num_threads()
    deterministic, benchmark = torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark
    with torch.random.fork_rng():
        try:
            torch.set_num_threads(threads)
            torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = True, False
            torch.manual_seed(seed)  # for a custom optimizer that draws random numbers
            yield
        finally:
            torch.set_num_threads(before)
            torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = deterministic, benchmark
