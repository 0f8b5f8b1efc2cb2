"""Numbers of a run, for figures that show them against the run's settings."""

import math
from collections.abc import Sequence

import numpy as np

from sgdlab.analysis.theory import contraction_factor
from sgdlab.base.errors import UsageError, UserError, did_you_mean
from sgdlab.figures.columns import PERCENT, SOURCES, axis_title, is_column, read_columns
from sgdlab.figures.labels import resolve_setting
from sgdlab.figures.panels import subject
from sgdlab.figures.series import Values
from sgdlab.records import AMBIGUOUS, Run, differing

RATE = "rate"
RATE_TITLE = "Factor of |w - w*| a step"
X_TITLES = {"lr": "Learning rate", "batch_size": "Batch size"}


def run_value(run: Run, name: str, tail: float | None = None) -> float:
    """Compute a number of a run.

    Args:
        run: a recorded run.
        name: `rate`, a metric of run.json, a column, or a quantity of measure.csv.
        tail: average the column over this last part of the run, in (0, 1]; None: its end.

    Returns:
        The number; inf for a run that diverged, NaN for one without such a number.
    """
    if run.status == "diverged":
        return math.inf
    if name == RATE:
        steps, distances = _column(run, "distance")
        return contraction_factor(steps.tolist(), distances.tolist())
    scale = 100 if name in PERCENT else 1
    if tail is not None:
        return scale * _mean_of_tail(run, name, tail)
    if run.metrics.get(name) is not None:
        return scale * float(run.metrics[name] or 0)
    if is_column(name):
        _, values = _column(run, name)
        return scale * float(values[-1]) if len(values) else math.nan
    return measured_values(run, name).get(None, math.nan)


def _mean_of_tail(run: Run, name: str, tail: float) -> float:
    steps, values = _column(run, name)
    return float(values[steps >= (1 - tail) * steps[-1]].mean()) if len(values) else math.nan


def _column(run: Run, name: str) -> tuple[Values, Values]:
    """Return the steps at which a column is known, and its values there: (points,) each."""
    table = read_columns(run, name)
    if name not in table:
        return np.empty(0), np.empty(0)
    known = ~np.isnan(table[name])
    return table["step"][known], table[name][known]


def measured_values(run: Run, quantity: str) -> dict[float | None, float]:
    """Read a quantity of measure.csv.

    Args:
        run: a recorded run.
        quantity: its name.

    Returns:
        x -> value; the x of a quantity that is a single number is None.
    """
    rows = run.measurements()
    return {None if math.isnan(x) else x: value for name, x, value in rows if name == quantity}


def plot_options(run: Run) -> str:
    """Return the options that draw a quantity of measure.csv; empty if the run has no measurements."""
    rows = run.measurements()
    if not rows:
        return ""
    curves = [row for row in rows if not math.isnan(row[1])]
    return f"--kind sweep --value {(curves or rows)[0][0]}" + ("" if curves else " --x batch_size")


def check_values(names: Sequence[str], runs: Sequence[Run], found: bool) -> None:
    """Refuse a figure without any value.

    Args:
        names: the numbers to draw.
        runs: the runs of the figure.
        found: whether any run has a finite value.

    Raises:
        UsageError: no run can have a number of this name.
        UserError: these runs do not have it.
    """
    if found:
        return
    quantities = {quantity for run in runs for quantity, _, _ in run.measurements()}
    known = {RATE, *SOURCES, *quantities, *(key for run in runs for key in run.metrics)} - {*AMBIGUOUS}
    for name in names:
        if name not in known and not is_column(name):
            raise UsageError(f"value={name}: no such number of a run; {did_you_mean(name, known)}")
    needs = "; it needs trajectory_every=1 and a known minimum" if RATE in names else ""
    raise UserError(f"nothing to draw: no value of {', '.join(names)} of {subject(runs)}{needs}")


def setting_key(name: str | None, runs: Sequence[Run], *, key: str, kind: str) -> str:
    """Find the setting that an axis shows.

    Args:
        name: as the user wrote it, or None.
        runs: the runs of the figure.
        key: the axis.
        kind: the kind of the figure, for the error.

    Returns:
        The setting's full name.

    Raises:
        UsageError: no setting is named, or none of that name exists.
    """
    if name is None:
        keys = ", ".join(each for each in differing(runs) if each != "seed") or "no setting"
        raise UsageError(f"{key}: a figure of kind {kind} needs a setting here; these runs differ in: {keys}")
    return resolve_setting(name, runs, said=f"{key}={name}")


def axis_value(run: Run, key: str, *, said: str) -> float:
    """Return the position of a run on an axis of a setting.

    batch_size=full is the number of training examples.

    Args:
        run: a run.
        key: the setting's full name.
        said: what the user wrote, for the error.

    Returns:
        The setting's value.

    Raises:
        UsageError: it is no number.
    """
    value = run.settings.get(key)
    if value == "full" and key == "batch_size":
        value = run.info.get("train_size")
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise UsageError(f"{said}: {key} is {value} in {run.folder.name}, and an axis needs numbers")
    return float(value)


def value_title(names: Sequence[str], tail: float | None) -> str:
    """Return the title of an axis that shows numbers of runs.

    Args:
        names: the numbers.
        tail: the last part of the run over which they are averaged, or None.

    Returns:
        The numbers' names with units, and which part of the run they describe.
    """
    titles = [
        RATE_TITLE if name == RATE else axis_title(name) if is_column(name) else _capitalised(name)
        for name in names
    ]
    when = "" if tail is None else f",\nmean of the last {100 * tail:g} %"
    at_end = ", at the end" if tail is None and all(is_column(name) for name in names) else ""
    return f"{' / '.join(titles)}{at_end}{when}"


def setting_title(key: str) -> str:
    """Return the title of an axis that shows a setting."""
    return X_TITLES.get(key) or _capitalised(key.rpartition(".")[2])


def _capitalised(name: str) -> str:
    return name.replace("_", " ").capitalize()
