"""What ran: the runs of an experiment in words, taken from their records."""

from collections.abc import Sequence

from sgdlab.analysis.changes import LENGTHS
from sgdlab.base.formatting import counted, format_value
from sgdlab.records import Run, differing

MOST_VALUES = 6  # of a setting that are listed; more are counted


def extent(runs: Sequence[Run]) -> str:
    """Say what ran.

    Args:
        runs: the runs of an experiment.

    Returns:
        For example `48 runs: 24 values of optimizer; lr 0.001, 0.1; seed 0; 40 updates; 6,000 training
        examples`; empty without runs.
    """
    if not runs:
        return ""
    swept = [key for key in differing(runs) if _differs_within_option(runs, key)]
    parts = [_cases(runs), *(_values(runs, key) for key in swept)]
    if all(run.settings.get("measure") is None for run in runs):
        parts += [_values(runs, "seed"), _length(runs)]
    sizes = dict.fromkeys(run.info.get("train_size") for run in runs)
    numbers = [size for size in sizes if isinstance(size, int) and size > 1]
    parts += [f"{', '.join(f'{size:,}' for size in numbers)} training examples"] if numbers else []
    shown = [part for part in dict.fromkeys(parts) if part]
    count = counted(len({run.folder for run in runs}), "run")
    return f"{count}: {'; '.join(shown)}" if shown else count


def _cases(runs: Sequence[Run]) -> str:
    return ", ".join(dict.fromkeys(run.case for run in runs if run.case is not None))


def _differs_within_option(runs: Sequence[Run], key: str) -> bool:
    """Whether runs with the same optimizer, model, ... differ in a setting of it; true of other settings.

    The settings in which optimizers differ by nature are no choice of the experiment.
    """
    group, dot, _ = key.partition(".")
    values: dict[str, set[str]] = {}
    for run in runs:
        option = str(run.settings.get(group)) if dot else ""
        values.setdefault(option, set()).add(format_value(run.settings.get(key)))
    return any(len(each) > 1 for each in values.values())


def _values(runs: Sequence[Run], key: str) -> str:
    """Return a setting with its values, or with their number where there are many."""
    name = key.rpartition(".")[2] if key != "dataset.seed" else key
    values = list(dict.fromkeys(format_value(run.settings[key]) for run in runs if key in run.settings))
    if not values:
        return ""
    if len(values) <= MOST_VALUES:
        return f"{name} {', '.join(values)}"
    return f"{len(values)} seeds" if key == "seed" else f"{len(values)} values of {name}"


def _length(runs: Sequence[Run]) -> str:
    """Return the length of training, where all runs have the same."""
    lengths = set()
    for run in runs:
        given = [(run.settings.get(key), noun) for key, noun in LENGTHS.items()]
        lengths.add(next(((number, noun) for number, noun in given if number is not None), None))
    length = lengths.pop()
    return counted(int(length[0]), length[1]) if length is not None and not lengths else ""
