"""Refuses a problem that cannot fit into this machine's memory, before anything of it is allocated.

A system may promise more memory than it has, and then fill it for minutes before it kills the process.
"""

import math
import os
from contextlib import suppress
from pathlib import Path

from sgdlab.base.errors import UserError
from sgdlab.problem.settings import GeneratedData, ImageData, ProblemSettings
from sgdlab.problem.spec import Spec

FLOAT32, FLOAT64 = 4, 8  # bytes; data sets are generated in the latter
# Files in which Linux states the memory that a container may use, of cgroups 2 and 1.
_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


def refuse_too_large(config: ProblemSettings, spec: Spec, itemsize: int) -> None:
    """Refuse a problem whose weights, gradient and examples need more memory than there is.

    Args:
        config: the settings of the problem.
        spec: its sizes.
        itemsize: bytes of a weight.

    Raises:
        UserError: says how much is needed and how much there is.
    """
    needed, available = _least_bytes(config, spec, itemsize), total_memory()
    if available is not None and needed > available:
        halved = "; so does precision=float32" if itemsize > FLOAT32 else ""
        raise UserError(
            f"not enough memory for this run: it asked for at least {needed / 1e9:,.1f} GB, and this machine "
            f"has {available / 1e9:,.1f} GB\n"
            f"A smaller model or data set needs less{halved}"
        )


def _least_bytes(config: ProblemSettings, spec: Spec, itemsize: int) -> int:
    """Return a lower bound of the memory of a run: what must be there at the same time."""
    examples = (spec.train_size + spec.test_size) * math.prod(spec.features)
    data = examples * (1 if isinstance(config.dataset, ImageData) else FLOAT64)
    if isinstance(config.dataset, GeneratedData):
        data += FLOAT64 * config.dataset.features**2  # the rotation of the inputs
    return data + 2 * itemsize * spec.weights


def total_memory() -> int | None:
    """Return the bytes of memory that this process may use at most; None where the system does not say."""
    sizes = []
    with suppress(AttributeError, ValueError, OSError):  # Windows has no sysconf
        sizes.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    for name in _LIMITS:
        with suppress(OSError, ValueError):  # ValueError: `max`, no limit
            sizes.append(int(Path(name).read_text(encoding="ascii")))
    return min((size for size in sizes if size > 0), default=None)
