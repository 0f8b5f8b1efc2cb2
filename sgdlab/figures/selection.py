"""Selection of the runs at the best value of a setting, such as each optimizer at its best learning rate."""

import math
from collections.abc import Sequence

from sgdlab.base.errors import UsageError
from sgdlab.base.formatting import format_value
from sgdlab.figures.labels import resolve_setting, settings_text
from sgdlab.figures.run_values import run_value
from sgdlab.records import Run

CRITERION = "test_loss"  # the final number by which values are compared, as a mean over the seeds


def best_runs(runs: Sequence[Run], name: str) -> list[Run]:
    """Select the runs at the best value of a setting among runs that differ in it and the seed alone.

    Args:
        runs: the runs of a figure.
        name: the setting.

    Returns:
        The selected runs, in their order. A diverged run is worse than any other.

    Raises:
        UsageError: none of the runs has the setting, or none differ in it alone.
    """
    key = resolve_setting(name, runs, said=f"best={name}")
    groups: dict[str, dict[str, list[Run]]] = {}
    for run in runs:
        values = groups.setdefault(settings_text(run, without=(key, "seed")), {})
        values.setdefault(format_value(run.settings.get(key)), []).append(run)
    if all(len(values) == 1 for values in groups.values()):
        raise UsageError(f"best={name}: no two of these runs differ in {key} alone")
    kept = {id(run) for values in groups.values() for run in min(values.values(), key=_mean)}
    return [run for run in runs if id(run) in kept]


def _mean(runs: Sequence[Run]) -> float:
    numbers = [run_value(run, CRITERION) for run in runs]
    return math.inf if any(math.isnan(value) for value in numbers) else sum(numbers) / len(numbers)
