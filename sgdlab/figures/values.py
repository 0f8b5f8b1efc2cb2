"""One number of a run, for figures that set it against the run's settings."""

import csv
import math
from collections.abc import Sequence

import pandas as pd

from sgdlab.analysis.theory import contraction_factor
from sgdlab.base.errors import UsageError, UserError, did_you_mean
from sgdlab.figures.keys import PERCENT, SOURCES
from sgdlab.figures.labels import resolve_setting
from sgdlab.figures.series import TABLES, source
from sgdlab.figures.titles import axis_title
from sgdlab.records import Run, differing

RATE = "rate"
RATE_TITLE = "Factor of |w - w*| a step"
X_TITLES = {"lr": "Learning rate", "batch_size": "Batch size"}


def number(run: Run, name: str, tail: float | None = None) -> float:
    """The run's final number `name`, or the mean of its column over the last part of the run.

    inf for a run that diverged, NaN for one that has no such number.
    """
    if run.status == "diverged":
        return math.inf
    if name == RATE:
        frame = run.trajectory()
        known = frame["distance"].notna().to_numpy()
        return contraction_factor(frame["step"][known].tolist(), frame["distance"][known].tolist())
    scale = 100 if name in PERCENT else 1
    if tail is not None:
        return scale * _mean_of_tail(run, name, tail)
    if run.metrics.get(name) is not None:
        return scale * float(run.metrics[name] or 0)
    if is_column(name):
        values = _column(run, name)
        return scale * float(values.iloc[-1]) if len(values) else math.nan
    return measured(run, name).get(None, math.nan)


def is_column(name: str) -> bool:
    """Whether `name` is a recorded column, or a weight."""
    return name in SOURCES or (name[:1] == "w" and name[1:].isdigit())


def _mean_of_tail(run: Run, name: str, tail: float) -> float:
    values = _column(run, name)
    if values.empty:
        return math.nan
    last = float(values.index[-1])
    return float(values[values.index >= (1 - tail) * last].mean())


def _column(run: Run, name: str) -> "pd.Series[float]":
    """The values of a column by step, without those that are not known."""
    frame = TABLES[source(name)](run)
    if name not in frame:
        return pd.Series(dtype="float64")
    return frame.set_index("step")[name].dropna()


def measured(run: Run, quantity: str) -> dict[float | None, float]:
    """What measure.csv has of a quantity: x -> value; None for the x of a quantity that is one number."""
    frame = _measure(run)
    rows = frame[frame["quantity"] == quantity]
    return {
        None if math.isnan(x) else float(x): float(value)
        for x, value in zip(rows["x"], rows["value"], strict=True)
    }


def how_to_draw(run: Run) -> str:
    """The options that draw a quantity of measure.csv; empty where the run measured nothing."""
    frame = _measure(run)
    if frame.empty:
        return ""
    curves = frame[frame["x"].notna()]  # a number of its own at each x
    quantity = (frame if curves.empty else curves)["quantity"].iloc[0]
    return f"--kind sweep --value {quantity}" + (" --x batch_size" if curves.empty else "")


def _measure(run: Run) -> pd.DataFrame:
    """The rows of measure.csv; none where the run measured nothing."""
    path = run.folder / "measure.csv"
    texts = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    rows = [
        (row["quantity"], float(row["x"] or math.nan), float(row["value"])) for row in csv.DictReader(texts)
    ]
    return pd.DataFrame(rows, columns=["quantity", "x", "value"])


def check_known(names: Sequence[str], runs: Sequence[Run], found: bool) -> None:
    """Raise when no run has a value: UsageError for a name that none of them can have, else UserError."""
    if found:
        return
    if not runs:
        raise UserError("nothing to draw: no run was recorded")
    quantities = {str(each) for run in runs for each in _measure(run)["quantity"]}
    known = {RATE, *SOURCES, *quantities, *(key for run in runs for key in run.metrics)}
    for name in names:
        if name not in known and not is_column(name):
            raise UsageError(f"value={name}: no such number of a run; {did_you_mean(name, known)}")
    who = f"{runs[0].folder} ({runs[0].status})" if len(runs) == 1 else f"any of {len(runs)} runs"
    needs = "; it needs trajectory_every=1 and a known minimum" if RATE in names else ""
    raise UserError(f"nothing to draw: no value of {', '.join(names)} of {who}{needs}")


def setting_key(name: str | None, runs: Sequence[Run], *, key: str, kind: str) -> str:
    """The setting that an axis shows. Raises UsageError when none is named, or none is meant."""
    if name is None:
        keys = ", ".join(each for each in differing(runs) if each != "seed") or "no setting"
        raise UsageError(f"{key}: a figure of kind {kind} needs a setting here; these runs differ in: {keys}")
    return resolve_setting(name, runs, said=f"{key}={name}")


def place(run: Run, key: str, *, said: str) -> float:
    """A setting's value on an axis. Raises UsageError when it is no number.

    batch_size=full is the number of training examples.
    """
    value = run.settings.get(key)
    if value == "full" and key == "batch_size":
        value = run.info.get("train_size")
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise UsageError(f"{said}: {key} is {value} in {run.folder.name}, and an axis needs numbers")
    return float(value)


def value_title(names: Sequence[str], tail: float | None) -> str:
    """What an axis of these numbers says."""
    titles = [
        RATE_TITLE if name == RATE else axis_title(name) if is_column(name) else _words(name)
        for name in names
    ]
    when = "" if tail is None else f",\nmean of the last {100 * tail:g} %"
    at_end = ", at the end" if tail is None and all(is_column(name) for name in names) else ""
    return f"{' / '.join(titles)}{at_end}{when}"


def _value_title(name: str) -> str:
    if name == RATE:
        return RATE_TITLE
    return axis_title(name) if is_column(name) else _words(name)


def setting_title(key: str) -> str:
    """What an axis of a setting says."""
    return X_TITLES.get(key) or _words(key.rpartition(".")[2])


def _words(name: str) -> str:
    return name.replace("_", " ").capitalize()
