"""From an optimizer's settings to a torch.optim.Optimizer."""

import pkgutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sgdlab.base.checks import Check, sweep_hint
from sgdlab.base.errors import UsageError, did_you_mean
from sgdlab.base.formatting import format_value
from sgdlab.optim import external, origin
from sgdlab.optim.settings import Optimizer
from sgdlab.optim.table import OPTIMIZERS, Entry

if TYPE_CHECKING:
    import torch


def check_optimizer(optimizer: Optimizer) -> Optimizer:
    """Check an optimizer's hyperparameters, without importing torch.

    Returns the optimizer with its hyperparameters in normal form (floats, tuples).

    Raises:
        UsageError: a hyperparameter is unknown (with the nearest name) or its value is illegal (with the
            range), or values do not go together.
    """
    if optimizer.name in external.EXTERNAL:
        return external.check_external(optimizer)
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
    resolve_impl(checked)
    return checked


def _checked(optimizer: Optimizer, legal: Mapping[str, Check]) -> dict[str, Any]:
    hypers = {}
    for key, value in optimizer.hypers.items():
        if key not in legal:
            instead = f"write lr={format_value(value)}" if key == "lr" else did_you_mean(key, legal)
            raise UsageError(f"optimizer.{key}: {optimizer.name} has no such hyperparameter; {instead}")
        try:
            hypers[key] = legal[key](value)
        except ValueError as err:
            why = f"{err}{sweep_hint(legal[key], value)}"
            raise UsageError(f"optimizer.{key}={format_value(value)}: {why}") from None
    missing = [key for key in legal if key not in hypers]
    if missing:
        raise UsageError(f"optimizer.{missing[0]} is not set; give it a value")
    return hypers


def resolve_impl(optimizer: Optimizer) -> str:
    """Resolve optimizer.impl: `torch` (a class of torch or of a library) or `rule` (of sgdlab).

    `auto` is torch wherever that computes the same.

    Raises:
        UsageError: the implementation that is asked for does not exist.
    """
    if optimizer.name in external.EXTERNAL:
        return "torch"
    entry = OPTIMIZERS[optimizer.name]
    why = _not_torch(entry, optimizer.hypers)
    if optimizer.impl == "torch" and why:
        raise UsageError(f"optimizer.impl=torch: {why}; use optimizer.impl=rule or auto")
    if optimizer.impl == "rule" and entry.rule is None:
        raise UsageError(
            f"optimizer.impl=rule: {optimizer.name} has no rule in sgdlab; use optimizer.impl=torch"
        )
    if optimizer.impl == "auto":
        return "rule" if why or entry.torch_inexact else "torch"
    return optimizer.impl


def implementation(optimizer: Optimizer) -> dict[str, Any]:
    """Describe what computes the updates, for a run's record; imports torch.

    Args:
        optimizer: checked.

    Returns:
        `impl`, and of a class of torch's `defaults`, the arguments that our settings do not name. They say
        how torch computes, not what, so they are no part of the run's hash.
    """
    impl = resolve_impl(optimizer)
    if optimizer.name in external.EXTERNAL or impl == "rule":
        return {"impl": impl}
    entry = OPTIMIZERS[optimizer.name]
    assert entry.torch is not None
    known = origin.arguments(pkgutil.resolve_name(entry.torch)) | ({"fused": True} if entry.fused else {})
    defaults = {key: value for key, value in known.items() if key not in optimizer.hypers}
    return {"impl": impl} | ({"defaults": defaults} if defaults else {})


def _not_torch(entry: Entry, hypers: Mapping[str, Any]) -> str:
    """Return why torch's class does not compute the same; empty when it does."""
    if entry.torch is None:
        return entry.no_torch_reason
    for key, value in entry.torch_only_when.items():
        if hypers[key] != value:
            return f"{entry.torch.replace(':', '.')} has {key}={format_value(value)} only"
    return ""


def refuse_incompatible(optimizer: Optimizer, roles: Sequence[str], weights: int) -> None:
    """Refuse an optimizer that cannot train a model.

    Args:
        optimizer: checked.
        roles: of each parameter of the model (sgdlab.optim.rule.ROLES).
        weights: numbers in all parameters together.

    Raises:
        UsageError: says why, and what to use.
    """
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
    """Build a torch.optim.Optimizer.

    Args:
        optimizer: checked.
        lr: learning rate.
        params: the model's parameters.
        roles: of each parameter (sgdlab.optim.rule.ROLES); only rules for matrices need them.
        fused: use torch's fused implementation where there is one.

    Returns:
        torch's own class where it computes the same, else the adapter of sgdlab's rule.

    Raises:
        UsageError: the optimizer cannot train such a model, or a custom class cannot be imported.
        UserError: a custom class refuses its arguments.
    """
    params = list(params)
    if optimizer.name in external.EXTERNAL:
        return external.build(optimizer, lr, params, roles)
    refuse_incompatible(optimizer, roles, sum(w.numel() for w in params))
    entry = OPTIMIZERS[optimizer.name]
    if resolve_impl(optimizer) == "rule":
        return _adapter(optimizer, lr, params, roles)
    hypers = {key: value for key, value in optimizer.hypers.items() if key not in entry.torch_only_when}
    if entry.fused:
        hypers["fused"] = fused
    assert entry.torch is not None
    built: torch.optim.Optimizer = pkgutil.resolve_name(entry.torch)(params, lr=lr, **hypers)
    return built


def _adapter(
    optimizer: Optimizer, lr: float, params: "list[torch.Tensor]", roles: Sequence[str]
) -> "torch.optim.Optimizer":
    from sgdlab.optim.adapter import HessianOptimizer, optimizer_class

    adapter: Any = optimizer_class(optimizer.name)
    groups: list[Any] = params
    if not issubclass(adapter, HessianOptimizer):
        of_each: list[str | None] = list(roles) or [None] * len(params)
        groups = [{"params": [w], "role": role} for w, role in zip(params, of_each, strict=True)]
    built: torch.optim.Optimizer = adapter(groups, lr=lr, **optimizer.hypers)
    return built
