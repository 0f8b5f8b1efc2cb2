"""Selection of the runs at the best value of a setting, such as each optimizer at its best learning rate."""

from collections.abc import Sequence

from sgdlab.analysis.selection import SELECT_BY, BestValue, criterion, select
from sgdlab.base.errors import UsageError, UserError
from sgdlab.base.formatting import format_value
from sgdlab.figures.labels import Labels, resolve_setting, settings_text
from sgdlab.records import Run
from sgdlab.records.fields import is_surface


def best_values(runs: Sequence[Run], name: str, select_by: str = SELECT_BY) -> list[BestValue]:
    """Select the best value of a setting in each group of runs that differ in it and the seed alone.

    Args:
        runs: the runs of a figure.
        name: the setting.
        select_by: the final number that selects.

    Returns:
        The best value of each group, with its runs, in the order of the groups.

    Raises:
        UsageError: none of the runs has the setting, or none differ in it alone.
        UserError: none of the runs can be compared.
    """
    key = resolve_setting(name, runs, said=f"best={name}")
    groups: dict[str, list[Run]] = {}
    for run in runs:
        groups.setdefault(settings_text(run, without=(key, "seed")), []).append(run)
    best = [select(group, key, select_by) for group in groups.values()]
    if all(each.tried == 1 for each in best):
        raise UsageError(f"best={name}: no two of these runs differ in {key} alone")
    if not any(each.comparable for each in best):
        by = criterion(select_by, surface=all(map(is_surface, runs)))
        raise UserError(
            f"best={name}: no run has a {by}: a run that selects is done, and its numbers are evaluated"
        )
    return best


def selected(runs: Sequence[Run], best: Sequence[BestValue]) -> list[Run]:
    """Keep the runs at the best values.

    Args:
        runs: the runs of a figure.
        best: the best values.

    Returns:
        The runs at one of them, in their order.
    """
    kept = {id(run) for each in best for run in each.runs}
    return [run for run in runs if id(run) in kept]


def selection_notes(best: Sequence[BestValue], select_by: str) -> list[str]:
    """Say by what values were selected.

    Args:
        best: the best values.
        select_by: the final number that selected.

    Returns:
        A line for the figure.
    """
    name = best[0].setting.rpartition(".")[2]
    seeds = any(len({run.settings.get("seed") for run in each.runs}) > 1 for each in best)
    mean = " (mean over the seeds)" if seeds else ""
    alone = f"best {name}, {format_value(best[0].value)}" if len(best) == 1 else f"each at its best {name}"
    surface = all(is_surface(run) for each in best for run in each.runs)
    return [f"{alone}: selected by {criterion(select_by, surface=surface)}{mean}"]


def selection_details(best: Sequence[BestValue], named: Sequence[str]) -> list[str]:
    """Say which values were selected.

    Args:
        best: the best values.
        named: the settings that the legend names; empty: all.

    Returns:
        A line for each value at the edge of its grid, and for each that was not compared.
    """
    labels = Labels([run for each in best for run in each.runs], skip=[best[0].setting], only=named)
    lines = []
    for each in best:
        label = labels.text(each.runs[0], seed=False)
        if each.edge or not each.comparable:
            lines.append(f"{label}: {each.note}" if label else each.note)
    return lines


def edge_notes(best: Sequence[BestValue], labels: Labels) -> dict[str, str]:
    """Return the notes of a legend on values at the edge of their grid.

    Args:
        best: the best values.
        labels: of the runs of the figure.

    Returns:
        Label of a line -> its note.
    """
    return {
        labels.text(run, seed=seed): each.edge
        for each in best
        if each.edge
        for run in each.runs
        for seed in (True, False)
    }
