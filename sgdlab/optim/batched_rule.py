"""The rules of many runs as one, with hyperparameters of a value a run; and why some have none to stack."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from sgdlab.optim.external import EXTERNAL
from sgdlab.optim.rule import Hyper, Rule
from sgdlab.optim.settings import Optimizer
from sgdlab.optim.table import OPTIMIZERS


def why_serial(optimizer: Optimizer) -> str:
    """Why the batched engine cannot run this checked optimizer; empty when it can."""
    if optimizer.name in EXTERNAL:
        return f"optimizer={optimizer.name}: a class of one's own or of a library updates one run at a time"
    entry = OPTIMIZERS[optimizer.name]
    if entry.serial:
        return f"optimizer={optimizer.name}: {entry.serial}"
    if entry.rule is None:
        return f"optimizer={optimizer.name}: torch's class updates one run at a time, and sgdlab has no rule"
    if optimizer.impl == "torch":
        return "optimizer.impl=torch: the batched engine computes the rule"
    return ""


def shared(optimizer: Optimizer) -> dict[str, Any]:
    """What runs must have in common of their optimizers to share a batch: all but numbers with a fraction.

    A number that may differ stands as ..., so that it is not mistaken for null or a flag.
    """
    return {"name": optimizer.name, **{key: _kind(value) for key, value in optimizer.hypers.items()}}


def _kind(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_kind(member) for member in value]
    return "..." if isinstance(value, float) else value


def stack(optimizers: Sequence[Optimizer], lrs: Sequence[float], device: torch.device) -> Rule:
    """One rule for runs with these optimizers, alike in what is `shared`, and base learning rates.

    A hyperparameter is a number where all runs agree, else a float64 tensor (runs,) on the device.
    """
    from sgdlab.optim.adapter import rule_class

    first = optimizers[0]
    if any(shared(optimizer) != shared(first) for optimizer in optimizers):
        raise ValueError("the optimizers of a batch must be alike, but for numbers with a fraction")
    hypers: Mapping[str, Any] = {
        key: _column([optimizer.hypers[key] for optimizer in optimizers], device) for key in first.hypers
    }
    made: Rule = rule_class(OPTIMIZERS[first.name])(lr=_column(lrs, device), **hypers)
    return made


def _column(values: Sequence[Any], device: torch.device) -> Hyper | Any:
    first = values[0]
    if all(value == first for value in values):
        return first
    if isinstance(first, tuple):
        return tuple(_column(members, device) for members in zip(*values, strict=True))
    return torch.tensor(values, dtype=torch.float64, device=device)
