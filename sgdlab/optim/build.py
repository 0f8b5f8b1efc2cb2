"""From an optimizer's configuration to a torch.optim.Optimizer, or to the reason why not."""

import importlib
import inspect
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sgdlab.checks import Check
from sgdlab.config import Optimizer, show
from sgdlab.errors import UsageError, UserError, did_you_mean
from sgdlab.optim.table import OPTIMIZERS, Entry

if TYPE_CHECKING:
    import torch

CUSTOM = "custom"


def check(optimizer: Optimizer) -> Optimizer:
    """The optimizer with its hyperparameters in normal form.

    Raises UsageError naming an unknown hyperparameter (with the nearest), an illegal value (with the
    range), or a combination that the formula does not have. Does not import torch.
    """
    if optimizer.name == CUSTOM:
        _split(optimizer.hypers.get("target"))
        for key in ("lr", "params"):
            if key in optimizer.hypers:
                how = "write lr=VALUE" if key == "lr" else "the engine gives it"
                raise UsageError(f"optimizer.{key}: is not a keyword argument to pass on; {how}")
        return optimizer
    if optimizer.name not in OPTIMIZERS:
        names = [*OPTIMIZERS, CUSTOM]
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
            raise UsageError(f"optimizer.{key}={show(value)}: {err}") from None
    missing = [key for key in legal if key not in hypers]
    if missing:
        raise UsageError(f"optimizer.{missing[0]} is not set; give it a value")
    return hypers


def implementation(optimizer: Optimizer) -> str:
    """Who computes a checked optimizer, as optimizer.impl asks: `torch`, its own class, or `rule`, ours.

    `auto` is torch's wherever it computes the same. Raises UsageError for one that there is not.
    """
    if optimizer.name == CUSTOM:
        return "torch"
    entry = OPTIMIZERS[optimizer.name]
    why = _not_torch(entry, optimizer.hypers)
    if optimizer.impl == "torch" and why:
        raise UsageError(f"optimizer.impl=torch: {why}; use optimizer.impl=rule or auto")
    if optimizer.impl == "rule" and entry.rule is None:
        raise UsageError(f"optimizer.impl=rule: {optimizer.name} is torch's alone; use optimizer.impl=torch")
    if optimizer.impl == "auto":
        return "rule" if why or entry.rounds else "torch"
    return optimizer.impl


def _not_torch(entry: Entry, hypers: Mapping[str, Any]) -> str:
    """Why torch's class does not compute this; empty when it does."""
    if entry.torch is None:
        return "torch.optim has no such optimizer"
    for key, value in entry.only.items():
        if hypers[key] != value:
            return f"{entry.torch.replace(':', '.')} has {key}={show(value)} only"
    return ""


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
    if optimizer.name == CUSTOM:
        return _custom(optimizer, lr, params)
    entry = OPTIMIZERS[optimizer.name]
    unfit = entry.unfit(optimizer.hypers, roles, sum(w.numel() for w in params))
    if unfit:
        raise UsageError(f"optimizer={optimizer.name}: {unfit}")
    if implementation(optimizer) == "rule":
        return _ruled(optimizer, lr, params, roles)
    hypers = {entry.renamed.get(k, k): v for k, v in optimizer.hypers.items() if k not in entry.only}
    if entry.fused:
        hypers["fused"] = fused
    assert entry.torch is not None
    module, name = _split(entry.torch)
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


def _custom(optimizer: Optimizer, lr: float, params: "Iterable[torch.Tensor]") -> "torch.optim.Optimizer":
    hypers = dict(optimizer.hypers)
    target = hypers.pop("target")
    kind = custom_class(target)
    try:
        made = kind(params, **{"lr": lr, **hypers})
    except (TypeError, ValueError) as err:
        given = ", ".join(["lr", *hypers])
        raise UserError(
            f"optimizer.target={target}: refuses the arguments {given}: {err}\nIt takes {_arguments(kind)}"
        ) from None
    if any("lr" not in group for group in made.param_groups):
        raise UserError(
            f"optimizer.target={target}: keeps lr to itself; "
            f"hand it on with super().__init__(params, dict(lr=lr))"
        )
    return made


def _arguments(kind: type) -> str:
    return ", ".join(name for name in inspect.signature(kind).parameters if name != "params")


def custom_class(target: str) -> "type[torch.optim.Optimizer]":
    """The class that `package.module:Class` names, imported: this runs the user's module.

    Raises UsageError when there is no such class or it is not an optimizer that the engine can call.
    """
    import torch

    module, name = _split(target)
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())  # a user's own file beside the command is what `target` is for
    try:
        found = importlib.import_module(module)
    except Exception as err:  # whatever the user's module raises
        why = str(err) if isinstance(err, ImportError) else f"{type(err).__name__}: {err}"
        raise UsageError(f"optimizer.target={target}: cannot import {module}: {why}") from None
    if name not in dir(found):
        raise UsageError(f"optimizer.target={target}: {module} has no {name}; {_like(name, found)}")
    kind = getattr(found, name)
    if not (inspect.isclass(kind) and issubclass(kind, torch.optim.Optimizer)):
        raise UsageError(f"optimizer.target={target}: is not a class of torch.optim.Optimizer")
    if len(inspect.signature(kind.step).parameters) < 2:
        raise UsageError(f"optimizer.target={target}: its step must take a closure: def step(self, closure)")
    return kind


def _split(target: Any) -> tuple[str, str]:
    module, colon, name = str(target).partition(":")
    if not (module and colon and name.isidentifier()):
        raise UsageError(
            f"optimizer.target={target}: write it as package.module:Class, like torch.optim:NAdam"
        )
    return module, name


def _like(name: str, module: Any) -> str:
    classes = [key for key, value in vars(module).items() if inspect.isclass(value)]
    return did_you_mean(name, classes)
