"""The fields of a run as one flat row, and the short names by which users refer to them."""

from collections.abc import Iterable
from typing import Any

from sgdlab.base.errors import UsageError, nearest
from sgdlab.records.reader import Run

# The fields of a run apart from its settings; metrics are in the order of a table's columns.
INFO = ("hash", "name", "status", "reason", "experiment", "started", "finished", "seconds", "parameters")
METRICS = (
    *("step", "epoch", "samples", "evaluations"),
    *("train_loss", "train_accuracy", "test_loss", "test_accuracy", "last_batch_loss"),
    *("objective", "gap", "distance"),
)
# What the numbers are called wherever people read them; a surface's evaluated loss is f.
NAMES = {
    "last_batch_loss": "batch loss",
    "train_loss": "training loss",
    "train_accuracy": "training accuracy",
    "test_loss": "test loss",
    "test_accuracy": "test accuracy",
    "objective": "f",
    "gap": "gap",
    "distance": "distance",
}
# Where a number is wanted, `loss` alone does not say which.
AMBIGUOUS = ("loss", "metrics.loss")
WHICH_LOSS = (
    "which loss is meant? train_loss and test_loss are evaluated at the last weights, "
    "last_batch_loss is one mini-batch's, before its update"
)


def is_surface(run: Run) -> bool:
    """Return whether a run minimises a surface: it has no examples to train on or to test with."""
    return run.settings.get("loss") == "value"


def name_of(metric: str, *, surface: bool) -> str:
    """Return what a number is called.

    Args:
        metric: a key of NAMES.
        surface: whether it is that of a surface, or of surfaces alone.

    Returns:
        The name: `training loss`, or `f` for a surface.
    """
    return NAMES["objective" if surface and metric == "train_loss" else metric]


def resolve(name: str, names: Iterable[str], *, said: str) -> str:
    """Resolve a short name: `momentum` to `optimizer.momentum`.

    Args:
        name: a full name, or the last part of exactly one. A group means its field `name`: `init` is
            `model.init.name`.
        names: all full names.
        said: what the user typed, for the error.

    Returns:
        The full name.

    Raises:
        UsageError: no or several names match.
    """
    names = list(dict.fromkeys(names))
    if name in names:
        return name
    ends = [full for full in names if f".{full.removesuffix('.name')}".endswith(f".{name}")]
    if len(ends) == 1:
        return ends[0]
    if ends:
        raise UsageError(f"{said}: which one is meant, {' or '.join(ends)}?")
    match = nearest(name, [*names, *(full.rpartition(".")[2] for full in names)])
    hint = f"did you mean {match}?" if match else "sgdlab runs --csv lists them"
    if name == "problem":
        hint = "a problem is recorded as its model, dataset and loss"
    raise UsageError(f"{said}: these runs have no {name}; {hint}")


def fields(run: Run) -> dict[str, Any]:
    """Return the fields of a run, flat: from run.json, its settings, and its numbers as `metrics.NAME`."""
    info = {key: run.info.get(key) for key in INFO} | {"status": run.status, "reason": run.reason}
    info |= {} if run.case is None else {"case": run.case}
    metrics = {f"metrics.{key}": run.metrics.get(key) for key in METRICS}
    return {**info, **run.settings, **metrics, "folder": str(run.folder)}
