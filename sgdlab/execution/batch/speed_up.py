"""How much faster a batch is than its runs one after another. Does not import torch, which planning does."""

from collections.abc import Iterable

# Up to FEW_WEIGHTS, a batch is about runs**SPEED_UP times as fast as its runs one after another, or more:
# measured on problems of 2 and 10 weights, 2.4 times (4 runs), 3.9 (8), 6.8 (16), 16 (64), 1600 (10,000). For
# networks it is hardly faster than processes on two cores: 2.1 times at 7,850 weights and 1.2 at 25,450, with
# 64 runs.
FEW_WEIGHTS = 1000
SPEED_UP = 2 / 3


def speed_up(runs: int, weights: int) -> float:
    """Estimate the speed of a batch.

    Args:
        runs: of the batch.
        weights: of each run's model.

    Returns:
        How many times as fast it is as its runs one after another on one core.
    """
    return float(runs**SPEED_UP) if weights <= FEW_WEIGHTS else 1.0


def may_pay(weights: Iterable[int], parallel: int) -> bool:
    """Decide whether to plan batches at all.

    Args:
        weights: of the model of each run.
        parallel: the number of processes.

    Returns:
        Whether a batch of some of the runs may be faster than the processes.
    """
    few = sum(count <= FEW_WEIGHTS for count in weights)
    return parallel == 1 or speed_up(few, FEW_WEIGHTS) > parallel
