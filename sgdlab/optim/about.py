"""What there is to say of an optimizer besides its formula: who computes it, how much it remembers."""

import functools
import importlib
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from sgdlab.base.checks import Bool, Choice
from sgdlab.base.formatting import format_value
from sgdlab.optim.table import OPTIMIZERS, Entry

if TYPE_CHECKING:
    import torch

SAMPLE = (64, 64)  # of the matrix whose state is counted
_UPDATES = 50  # after which a class of torch's without a rule has filled its state


def computed_by(entry: Entry) -> list[str]:
    """`torch`, `rule`, or both, beginning with the one that optimizer.impl=auto takes for the defaults."""
    who = ["torch"] * (entry.torch is not None) + ["rule"] * (entry.rule is not None)
    return who[::-1] if entry.torch_inexact else who


@functools.cache
def state_per_weight(name: str) -> dict[str, float]:
    """How many numbers are kept for each weight of a matrix of SAMPLE size, besides weight and gradient.

    Under "" for the defaults; under `amsgrad=true` and the like where one setting changes it. Imports torch.
    """
    entry = OPTIMIZERS[name]
    if entry.rule is None:
        return {"": _measured(entry)} if entry.torch else {}
    from sgdlab.optim.adapter import rule_class

    defaults = {field: value for field, value in vars(rule_class(entry)()).items() if field != "lr"}
    found = {"": _counted(entry, defaults)}
    for key, value in _changes(entry, defaults):
        number = _counted(entry, {**defaults, key: value})
        if number != found[""] and not entry.refuse({**defaults, key: value}):
            found[f"{key}={format_value(value)}"] = number
    return found


def _changes(entry: Entry, defaults: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for key, check in entry.hypers.items():
        others = (
            check.names if isinstance(check, Choice) else (True, False) if isinstance(check, Bool) else ()
        )
        yield from ((key, value) for value in others if value != defaults[key])


def _counted(entry: Entry, hypers: Mapping[str, Any]) -> float:
    import torch

    from sgdlab.optim.adapter import rule_class
    from sgdlab.optim.rule import Parameter, Rule

    rule = rule_class(entry)(**hypers)
    if not isinstance(rule, Rule):  # it is a function of all weights and keeps nothing
        return 0.0
    state = Parameter.of(rule, "matrix", SAMPLE).init(torch.zeros(SAMPLE))
    return round(sum(value.numel() for value in state.values()) / (SAMPLE[0] * SAMPLE[1]), 2)


def _measured(entry: Entry) -> float:
    """Of a class of torch's with its own defaults, after updates along random gradients."""
    import torch

    assert entry.torch is not None
    module, _, kind = entry.torch.partition(":")
    random = torch.Generator().manual_seed(0)
    weight = torch.nn.Parameter(torch.randn(SAMPLE, generator=random))
    made: torch.optim.Optimizer = getattr(importlib.import_module(module), kind)([weight])

    def closure() -> float:
        weight.grad = weight.detach() + torch.randn(SAMPLE, generator=random) / 100
        return float(weight.detach().square().sum())

    for _ in range(_UPDATES):
        made.step(closure)
    sizes = {id(found): found.numel() for found in _tensors(made.state[weight])}
    return round(sum(sizes.values()) / weight.numel(), 2)


def _tensors(value: Any) -> "Iterator[torch.Tensor]":
    import torch

    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, Mapping):
        for member in value.values():
            yield from _tensors(member)
    elif isinstance(value, list | tuple):
        for member in value:
            yield from _tensors(member)
