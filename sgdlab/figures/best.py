"""Of runs at several values of a setting, those at the best one: each optimizer at its best learning rate."""

import math
from collections.abc import Sequence

from sgdlab.base.errors import UsageError
from sgdlab.base.formatting import format_value
from sgdlab.figures.labels import resolve_setting
from sgdlab.figures.values import number
from sgdlab.records import Run

JUDGE = "test_loss"  # the final number by which values are compared, as a mean over the seeds


def best_of(runs: Sequence[Run], name: str) -> list[Run]:
    """The runs, in their order, that have the best value of the setting `name` among runs like them.

    Runs are alike when they differ in that setting and the seed alone. A diverged run is worse than any
    other. Raises UsageError for a setting that none of the runs has, or in which none differ.
    """
    key = resolve_setting(name, runs, said=f"best={name}")
    groups: dict[str, dict[str, list[Run]]] = {}
    for run in runs:
        alike = {k: format_value(v) for k, v in run.settings.items() if k not in (key, "seed")}
        values = groups.setdefault(f"{run.case} {sorted(alike.items())}", {})
        values.setdefault(format_value(run.settings.get(key)), []).append(run)
    if all(len(values) == 1 for values in groups.values()):
        raise UsageError(f"best={name}: no two of these runs differ in {key} alone")
    kept = {id(run) for values in groups.values() for run in min(values.values(), key=_mean)}
    return [run for run in runs if id(run) in kept]


def _mean(runs: Sequence[Run]) -> float:
    numbers = [number(run, JUDGE) for run in runs]
    return math.inf if any(math.isnan(each) for each in numbers) else sum(numbers) / len(numbers)
