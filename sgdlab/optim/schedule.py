"""Learning-rate schedules in closed form: the factor on lr after t units (epochs or updates)."""

import math
from collections.abc import Callable

from sgdlab.optim.settings import Constant, Cosine, InverseSqrt, LinearDecay, Step


def factor(scheduler: Constant, total: int) -> Callable[[int], float]:
    """Return the factor on the learning rate as a function of t = 0, 1, ... units.

    The warm-up rises linearly from `warmup_start` at t = 0 to 1 at t = warmup, where the main schedule
    starts. Values agree with torch.optim.lr_scheduler's LinearLR, StepLR, CosineAnnealingLR and LinearLR
    joined by SequentialLR, except that cosine and linear stay at their final value. torch has no
    inverse_sqrt, which is 1/sqrt(t + 1), counted from the end of the warm-up.

    Args:
        scheduler: settings of the schedule.
        total: units in the whole run.

    Returns:
        The factor, a function of t.
    """
    main = _main(scheduler, total - scheduler.warmup)
    warmup, start = scheduler.warmup, scheduler.warmup_start
    return lambda t: start + (1 - start) * t / warmup if t < warmup else main(t - warmup)


def _main(scheduler: Constant, rest: int) -> Callable[[int], float]:
    if isinstance(scheduler, Step):
        size, gamma = scheduler.step_size, scheduler.gamma
        return lambda t: gamma ** (t // size)
    if isinstance(scheduler, Cosine):
        length, low = scheduler.length or max(rest, 1), scheduler.min_factor
        return lambda t: low + (1 - low) * (1 + math.cos(math.pi * min(t / length, 1))) / 2
    if isinstance(scheduler, LinearDecay):
        length, end = scheduler.length or max(rest, 1), scheduler.end_factor
        return lambda t: 1 + (end - 1) * min(t / length, 1)
    if isinstance(scheduler, InverseSqrt):
        return lambda t: 1 / math.sqrt(t + 1)
    return lambda t: 1.0
