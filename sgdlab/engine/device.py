"""The device and the settings of torch that a run works under; outside, all is as it was."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from sgdlab.base.errors import UsageError, UserError

# Of the weights: bfloat16 is for products only (sgdlab.problem.Problem.outputs).
DTYPES = {"float32": torch.float32, "float64": torch.float64, "bfloat16": torch.float32}
DIGITS = {"float32": 9, "float64": 17, "bfloat16": 9}  # significant digits that bring a float back exactly


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
def memory_errors() -> Iterator[None]:
    """Inside, a tensor that does not fit into memory is a UserError that says how large it was."""
    try:
        yield
    except (RuntimeError, MemoryError) as err:
        said = str(err)
        # torch's CPU allocator raises plain RuntimeErrors, told apart by their words alone.
        marks = ("allocate memory", "calculation overflowed", "out of memory")
        if not (isinstance(err, MemoryError) or any(mark in said for mark in marks)):
            raise
        size = re.search(r"allocate (\d+) bytes", said)
        wanted = f": it asked for {int(size[1]) / 1e9:,.1f} GB at once" if size else ""
        raise UserError(
            f"not enough memory for this run{wanted}\n"
            f"A smaller model, batch_size or dataset.limit needs less; so does precision=float32"
        ) from None


@contextmanager
def settings(device: str, *, threads: int, seed: int) -> Iterator[None]:
    """Run on a resolved device with so many CPU threads, seeded and with deterministic CUDA kernels;
    restore all at the end."""
    before = torch.get_num_threads()
    deterministic, benchmark = torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark
    gpus = [torch.device(device)] if device.startswith("cuda") else []
    with torch.random.fork_rng(devices=gpus):
        try:
            torch.set_num_threads(threads)
            torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = True, False
            # For a custom optimizer that draws random numbers. torch.manual_seed would seed every GPU.
            torch.default_generator.manual_seed(seed)
            for gpu in gpus:
                with torch.cuda.device(gpu):
                    torch.cuda.manual_seed(seed)
            yield
        finally:
            torch.set_num_threads(before)
            torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = deterministic, benchmark
