"""The numbers of a run by the names that people read: training loss and accuracy, or f and gap of a surface."""

from collections.abc import Mapping
from typing import Any

from sgdlab.base.formatting import format_number, format_percent

BATCH_LOSS, TEST_ACCURACY = "batch loss", "test accuracy"
# Key of run.json's metrics -> name. Of keys with one name, the last one that is known counts.
_OF_DATA = {
    "loss": BATCH_LOSS,
    "train_loss": "training loss",
    "gap": "gap",
    "test_loss": "test loss",
    "test_accuracy": TEST_ACCURACY,
}
# A surface has no test set: its evaluated losses are f.
_OF_SURFACE = {"loss": BATCH_LOSS, "train_loss": "f", "objective": "f", "gap": "gap"}
NAMES = ("f", *_OF_DATA.values())  # in the order in which they are shown


def named_metrics(
    metrics: Mapping[str, Any], *, surface: bool, full_batch: bool = False
) -> dict[str, float]:
    """Return the known numbers that are shown, by name. A batch loss stands in for an unknown training loss.

    Args:
        metrics: of run.json, or some of them.
        surface: whether the run minimises a surface.
        full_batch: whether every batch is the whole problem, so that a batch loss of a surface is f.

    Returns:
        The numbers, in the order of `NAMES`.
    """
    keys = _OF_SURFACE if surface else _OF_DATA
    if surface and full_batch:
        keys = {**keys, "loss": "f"}
    known = {name: metrics[key] for key, name in keys.items() if metrics.get(key) is not None}
    if "f" in known or "training loss" in known:
        known.pop(BATCH_LOSS, None)
    return {name: known[name] for name in NAMES if name in known}


def format_metric(name: str, value: float) -> str:
    """Write a number of `named_metrics`: `83.60 %`, `0.4567`."""
    return format_percent(value) if name == TEST_ACCURACY else format_number(value)


def final_texts(metrics: Mapping[str, Any], *, surface: bool) -> dict[str, str]:
    """Write the numbers of a run that has ended.

    Args:
        metrics: of its run.json.
        surface: whether it minimised a surface.

    Returns:
        The texts by name, without what is unknown.
    """
    full_batch = metrics.get("epoch") == metrics.get("step")  # one update an epoch
    named = named_metrics(metrics, surface=surface, full_batch=full_batch)
    return {name: format_metric(name, value) for name, value in named.items()}
