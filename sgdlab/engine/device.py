"""The device of a run, its number types, and torch's global settings while it trains."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from sgdlab.base.errors import UsageError, UserError

# Types of the weights. With precision=bfloat16 only products are rounded (sgdlab.problem.Problem.outputs).
DTYPES = {"float32": torch.float32, "float64": torch.float64, "bfloat16": torch.float32}
DIGITS = {"float32": 9, "float64": 17, "bfloat16": 9}  # significant digits that restore a float exactly


def resolve(name: str) -> str:
    """Return the device that a name means: cpu or cuda for `auto`, else the name itself.

    Raises:
        UsageError: the name is unknown, or this machine has no such CUDA device.
    """
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if name == "auto":
        return "cuda" if count else "cpu"
    kind, colon, index = name.partition(":")
    if name != "cpu" and not (kind == "cuda" and (not colon or index.isdecimal())):
        raise UsageError(f"device={name}: must be auto, cpu, cuda or cuda:N")
    if kind == "cuda" and int(index or 0) >= count:
        available = (
            f"the CUDA devices here are 0 to {count - 1}" if count else "no CUDA device is available here"
        )
        raise UsageError(f"device={name}: {available}; use device=auto or device=cpu")
    return name


@contextmanager
def memory_errors() -> Iterator[None]:
    """Turn the error of a tensor that does not fit into memory into a UserError that states its size."""
    try:
        yield
    except (RuntimeError, MemoryError) as err:
        message = str(err)
        # torch's CPU allocator raises RuntimeError, so only the text says that memory ran out.
        marks = ("allocate memory", "calculation overflowed", "out of memory")
        if not (isinstance(err, MemoryError) or any(mark in message for mark in marks)):
            raise
        size = re.search(r"allocate (\d+) bytes", message)
        requested = f": it asked for {int(size[1]) / 1e9:,.1f} GB at once" if size else ""
        raise UserError(
            f"not enough memory for this run{requested}\n"
            f"A smaller model, batch_size or dataset.limit needs less; so does precision=float32"
        ) from None


@contextmanager
def settings(device: str, *, threads: int, seed: int) -> Iterator[None]:
    """Set torch's threads, seeds and deterministic CUDA kernels, and restore everything at the end.

    Args:
        device: a name that `resolve` returned.
        threads: CPU threads.
        seed: of torch's generators on the CPU and on this device; their states are restored, too.

    Yields:
        Nothing.
    """
    threads_before = torch.get_num_threads()
    deterministic, benchmark = torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark
    gpus = [torch.device(device)] if device.startswith("cuda") else []
    with torch.random.fork_rng(devices=gpus):
        try:
            torch.set_num_threads(threads)
            torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = True, False
            # For custom optimizers that draw random numbers. torch.manual_seed would seed every GPU.
            torch.default_generator.manual_seed(seed)
            for gpu in gpus:
                with torch.cuda.device(gpu):
                    torch.cuda.manual_seed(seed)
            yield
        finally:
            torch.set_num_threads(threads_before)
            torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = deterministic, benchmark
