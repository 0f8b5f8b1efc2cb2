"""From an optimizer's configuration to a torch.optim.Optimizer, or to the reason why not."""

import importlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sgdlab.base.checks import Check
from sgdlab.base.errors import UsageError, did_you_mean
from sgdlab.base.formatting import format_value
from sgdlab.optim import external
from sgdlab.optim.settings import Optimizer
from sgdlab.optim.table import OPTIMIZERS, Entry

if TYPE_CHECKING:
    import torch


def check(optimizer: Optimizer) -> Optimizer:
    """The optimizer with its hyperparameters in normal form.

    Raises UsageError naming an unknown hyperparameter (with the nearest), an illegal value (with the
    range), or a combination that the formula does not have. Does not import torch.
    """
    if optimizer.name in external.EXTERNAL:
        return external.check(optimizer)
    if optimizer.name not in OPTIMIZERS:
        names = [*OPTIMIZERS, *external.EXTERNAL]
        raise UsageError(
            f"optimizer={optimizer.name}: no such optimizer; {did_you_mean(optimizer.name, names)}"
        )
    entry = OPTIMIZERS[optimizer.name]
    checked = replace(optimizer, hypers=_checked(optimizer, entry.hypers))
    refused = entry.refuse(checked.hypers)
    if refused:
        raise UsageError(refused)
    implementation(checked)
    return checked


def _checked(optimizer: Optimizer, legal: Mapping[str, Check]) -> dict[str, Any]:
    hypers = {}
    for key, value in optimizer.hypers.items():
        if key not in legal:
            raise UsageError(
                f"optimizer.{key}: {optimizer.name} has no such hyperparameter; {did_you_mean(key, legal)}"
            )
        try:
            hypers[key] = legal[key](value)
        except ValueError as err:
            raise UsageError(f"optimizer.{key}={format_value(value)}: {err}") from None
    missing = [key for key in legal if key not in hypers]
    if missing:
        raise UsageError(f"optimizer.{missing[0]} is not set; give it a value")
    return hypers


def implementation(optimizer: Optimizer) -> str:
    """Who computes a checked optimizer, as optimizer.impl asks: `torch`, its own class, or `rule`, ours.

    `auto` is torch's wherever it computes the same. Raises UsageError for one that there is not.
    """
    if optimizer.name in external.EXTERNAL:
        return "torch"
    entry = OPTIMIZERS[optimizer.name]
    why = _not_torch(entry, optimizer.hypers)
    if optimizer.impl == "torch" and why:
        raise UsageError(f"optimizer.impl=torch: {why}; use optimizer.impl=rule or auto")
    if optimizer.impl == "rule" and entry.rule is None:
        raise UsageError(f"optimizer.impl=rule: {optimizer.name} is torch's alone; use optimizer.impl=torch")
    if optimizer.impl == "auto":
        return "rule" if why or entry.torch_inexact else "torch"
    return optimizer.impl


def _not_torch(entry: Entry, hypers: Mapping[str, Any]) -> str:
    """Why torch's class does not compute this; empty when it does."""
    if entry.torch is None:
        return entry.no_torch_reason
    for key, value in entry.torch_only_when.items():
        if hypers[key] != value:
            return f"{entry.torch.replace(':', '.')} has {key}={format_value(value)} only"
    return ""


def refuse_incompatible(optimizer: Optimizer, roles: Sequence[str], weights: int) -> None:
    """Raises UsageError when a checked optimizer is not for a model whose parameters have these roles, and so
    many weights in all."""
    if optimizer.name in external.EXTERNAL:
        external.refuse_incompatible(optimizer, roles)
        return
    why = OPTIMIZERS[optimizer.name].incompatible(optimizer.hypers, roles, weights)
    if why:
        raise UsageError(f"optimizer={optimizer.name}: {why}")


def build(
    optimizer: Optimizer,
    lr: float,
    params: "Iterable[torch.Tensor]",
    *,
    roles: Sequence[str] = (),
    fused: bool = True,
) -> "torch.optim.Optimizer":
    """A checked optimizer over `params`, with torch's fused implementation where there is one.

    roles: what each of the params is (sgdlab.optim.rule.ROLES); only rules for matrices ask.
    Raises UsageError when the optimizer is not for such a model, UserError when a custom class cannot be
    imported or does not take what it is given.
    """
    params = list(params)
    if optimizer.name in external.EXTERNAL:
        return external.build(optimizer, lr, params, roles)
    refuse_incompatible(optimizer, roles, sum(w.numel() for w in params))
    entry = OPTIMIZERS[optimizer.name]
    if implementation(optimizer) == "rule":
        return _ruled(optimizer, lr, params, roles)
    hypers = {
        entry.renamed.get(k, k): v for k, v in optimizer.hypers.items() if k not in entry.torch_only_when
    }
    if entry.fused:
        hypers["fused"] = fused
    assert entry.torch is not None
    module, name = external.split(entry.torch)
    made: torch.optim.Optimizer = getattr(importlib.import_module(module), name)(params, lr=lr, **hypers)
    return made


def _ruled(
    optimizer: Optimizer, lr: float, params: "list[torch.Tensor]", roles: Sequence[str]
) -> "torch.optim.Optimizer":
    from sgdlab.optim.adapter import HessianOptimizer, optimizer_class

    kind: Any = optimizer_class(optimizer.name)
    hypers = {"lr": lr, **optimizer.hypers}
    told: list[str | None] = list(roles) or [None] * len(params)
    groups: list[Any] = [{"params": [w], "role": role} for w, role in zip(params, told, strict=True)]
    if issubclass(kind, HessianOptimizer):
        groups = params
    made: torch.optim.Optimizer = kind(groups, **hypers)
    return made
