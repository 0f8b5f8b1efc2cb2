"""Averages over seeds, some of which may have diverged: their numbers are not finite.

The mean is that of the seeds that did not diverge, and is called so: `mean of 6 of 8 seeds`. The median is
that of all seeds, and one that diverged is worse than any other.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray


def average(values: ArrayLike, how: str = "mean") -> NDArray[np.float64]:
    """Average over seeds.

    Args:
        values: (seeds, ...), inf where a seed diverged, or -inf where that is the worst.
        how: mean or median.

    Returns:
        The averages, (...): means of the finite values, not finite where there are none; medians of all.
    """
    numbers = np.asarray(values, dtype=np.float64)
    if how == "median":
        return np.asarray(np.median(numbers, axis=0))
    finite = np.isfinite(numbers)
    if finite.all():
        return np.asarray(numbers.mean(axis=0))
    count = finite.sum(axis=0)
    total = np.where(finite, numbers, 0.0).sum(axis=0)
    return np.asarray(np.where(count > 0, total / np.maximum(count, 1), numbers[0]))


def seeds_text(how: str, finite: int, count: int) -> str:
    """Say what an average is of.

    Args:
        how: mean or median.
        finite: the number of seeds that did not diverge.
        count: the number of seeds.

    Returns:
        For example `mean of 6 of 8 seeds`, or `median of 8 seeds, 2 diverged counted as worst`.
    """
    if how == "median":
        lost = f", {count - finite} diverged counted as worst" if finite < count else ""
        return f"median of {count} seeds{lost}"
    part = f"{finite} of {count}" if finite < count else str(count)
    return f"mean of {part} seeds"
