"""The numbers of a run by the names that people read: training loss, test accuracy, or f of a surface."""

from collections.abc import Mapping
from typing import Any

from sgdlab.base.formatting import format_number, format_percent
from sgdlab.records.fields import NAMES as OF_METRICS
from sgdlab.records.fields import name_of

# Key of run.json's metrics -> name. Of keys with one name, the last one that is known counts.
_OF_DATA = {
    key: OF_METRICS[key] for key in ("last_batch_loss", "train_loss", "gap", "test_loss", "test_accuracy")
}
# A surface has no test set: its evaluated losses are f.
_OF_SURFACE = {
    key: name_of(key, surface=True) for key in ("last_batch_loss", "train_loss", "objective", "gap")
}
NAMES = (OF_METRICS["objective"], *_OF_DATA.values())  # in the order in which they are shown


def metric_texts(
    metrics: Mapping[str, Any], *, surface: bool, full_batch: bool | None = None
) -> dict[str, str]:
    """Write the known numbers that are shown. A batch loss stands in for an unknown training loss.

    Args:
        metrics: of run.json, or some of them.
        surface: whether the run minimises a surface.
        full_batch: whether every batch is the whole problem, so that a batch loss of a surface is f. None: it
            is if the run has one update an epoch, by the numbers.

    Returns:
        The texts by name, in the order of `NAMES`.
    """
    names = _OF_SURFACE if surface else _OF_DATA
    if surface and (metrics.get("step") == metrics.get("epoch") if full_batch is None else full_batch):
        names = {**names, "last_batch_loss": "f"}
    known = {name: metrics[key] for key, name in names.items() if metrics.get(key) is not None}
    if "f" in known or "training loss" in known:
        known.pop("batch loss", None)
    percent = ("test accuracy",)
    return {n: (format_percent if n in percent else format_number)(known[n]) for n in NAMES if n in known}
