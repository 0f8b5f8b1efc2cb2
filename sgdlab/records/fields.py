"""A run as one flat row of fields, and the names of fields as people write them."""

from collections.abc import Iterable
from typing import Any

from sgdlab.base.errors import UsageError, nearest
from sgdlab.records.reader import Run

# What `fields` says of a run apart from its settings; the metrics are in the order of a table's columns.
INFO = ("hash", "name", "status", "reason", "experiment", "started", "finished", "seconds", "parameters")
METRICS = (
    *("step", "epoch", "samples", "loss"),
    *("train_loss", "train_accuracy", "test_loss", "test_accuracy"),
    *("objective", "gap", "distance"),
)


def resolve(name: str, names: Iterable[str], *, said: str) -> str:
    """The one of `names` that `name` means: itself, or the only one whose last part it is.

    A group's own name means the setting that chooses from it: `init` is `model.init.name`. `said` is what
    the person wrote, for the UsageError when none or several of `names` are meant.
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
    """All that is known of a run, flat: of run.json, its settings, and `metrics.NAME` for its numbers."""
    info = {key: run.info.get(key) for key in INFO} | {"status": run.status, "reason": run.reason}
    info |= {} if run.case is None else {"case": run.case}
    metrics = {f"metrics.{key}": run.metrics.get(key) for key in METRICS}
    return {**info, **run.settings, **metrics, "folder": str(run.folder)}
