"""One rule for a batch of runs, whose hyperparameters have a value for each run."""

from collections.abc import Sequence
from typing import Any

import torch

from sgdlab.optim.external import EXTERNAL
from sgdlab.optim.rule import Hyper, Rule
from sgdlab.optim.settings import Optimizer
from sgdlab.optim.table import OPTIMIZERS


def not_batched_reason(optimizer: Optimizer) -> str:
    """Return why the batched engine cannot run this checked optimizer; empty when it can."""
    if optimizer.name in EXTERNAL:
        return f"optimizer={optimizer.name}: a custom or library class updates one run at a time"
    entry = OPTIMIZERS[optimizer.name]
    if entry.not_batched_reason:
        return f"optimizer={optimizer.name}: {entry.not_batched_reason}"
    if optimizer.impl == "torch":
        return "optimizer.impl=torch: the batched engine computes the rule"
    return ""


def common_settings(optimizer: Optimizer) -> dict[str, Any]:
    """Return the settings that runs of one batch must share: the name and all hyperparameters but floats.

    A float stands as "...", which no flag and no null equals.
    """
    return {"name": optimizer.name, **{key: _masked(value) for key, value in optimizer.hypers.items()}}


def _masked(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_masked(member) for member in value]
    return "..." if isinstance(value, float) else value


def build_batched_rule(optimizers: Sequence[Optimizer], lrs: Sequence[float], device: torch.device) -> Rule:
    """Build one rule for a batch of runs.

    Args:
        optimizers: of each run, checked; their `common_settings` agree.
        lrs: the learning rate of each run, before its schedule.
        device: of the runs.

    Returns:
        A rule. Its hyperparameters are numbers where all runs agree, else float64 tensors (runs,).

    Raises:
        ValueError: the common settings differ.
    """
    from sgdlab.optim.adapter import rule_class

    first = optimizers[0]
    if any(common_settings(optimizer) != common_settings(first) for optimizer in optimizers):
        raise ValueError("the optimizers of a batch may differ in floats only")
    hypers = {
        key: _column([optimizer.hypers[key] for optimizer in optimizers], device) for key in first.hypers
    }
    rule: Rule = rule_class(OPTIMIZERS[first.name])(lr=_column(lrs, device), **hypers)
    return rule


def _column(values: Sequence[Any], device: torch.device) -> Hyper | Any:
    """Return one value if all agree, else a tensor of them; tuples member by member."""
    first = values[0]
    if all(value == first for value in values):
        return first
    if isinstance(first, tuple):
        return tuple(_column(members, device) for members in zip(*values, strict=True))
    return torch.tensor(values, dtype=torch.float64, device=device)
