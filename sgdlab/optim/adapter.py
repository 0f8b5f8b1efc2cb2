"""Any rule as an ordinary torch.optim.Optimizer, for somebody's own training loop and the serial engine.

>>> import torch
>>> from sgdlab.optim import SGD
>>> w = torch.nn.Parameter(torch.tensor([1.0, 2.0]))
>>> optimizer = SGD([w], lr=0.5, momentum=0.9)
>>> def closure():
...     optimizer.zero_grad()
...     loss = w.square().sum() / 2
...     loss.backward()
...     return loss
>>> [round(optimizer.step(closure).item(), 4) for _ in range(3)]
[2.5, 0.625, 0.1]
"""

import functools
import importlib
import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields
from typing import Any

import torch
from torch import Tensor

from sgdlab.base.checks import Check, Number
from sgdlab.base.errors import did_you_mean
from sgdlab.base.formatting import format_value
from sgdlab.optim.rule import HessianRule, LookAheadRule, Parameter, Rule
from sgdlab.optim.table import OPTIMIZERS, Entry

_OWN = ("params", "role")  # keys of a parameter group that are no hyperparameters
_ROWS = 64  # of a Hessian at once: each needs the memory of one more backward pass


class RuleOptimizer(torch.optim.Optimizer):
    """The update of `rule`, a parameter after the other, without `foreach` and fused variants.

    A parameter group may have hyperparameters of its own, and a `role` that says what its parameters are
    (one of sgdlab.optim.rule.ROLES); rules for matrices must be told it. Learning-rate schedulers change
    group["lr"]; state_dict and load_state_dict go round. Subclasses are made by `optimizer_class`.

    Raises ValueError for an unknown hyperparameter, an illegal value, or a role that is missing.
    """

    entry: Entry
    rule: type[Rule]

    def __init__(self, params: Iterable[Any], **hypers: Any) -> None:
        defaults = {field.name: field.default for field in fields(self.rule)}
        super().__init__(params, {"role": None, **defaults, **hypers})

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add parameters, with hyperparameters and a role of their own where given."""
        _check(type(self).__name__, self.entry, {**self.defaults, **param_group})
        super().add_param_group(param_group)
        try:
            for w in self.param_groups[-1]["params"]:
                if w.is_complex():
                    raise ValueError("a parameter is complex: give its real and imaginary part apart")
                self._parameter(self.param_groups[-1], w)
        except ValueError:
            self.param_groups.pop()
            raise

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on where `state_dict` was taken, with the same bits: torch would cast all of the state to the
        parameter's dtype, a rule's counts and products keep theirs."""
        super().load_state_dict(state_dict)
        numbers = [number for group in state_dict["param_groups"] for number in group["params"]]
        owners = [(group, w) for group in self.param_groups for w in group["params"]]
        for number, (group, w) in zip(numbers, owners, strict=True):
            saved = state_dict["state"].get(number, {})
            for key, fresh in self._parameter(group, w).init(w).items() if saved else ():
                self.state[w][key] = saved[key].to(device=fresh.device, dtype=fresh.dtype, copy=True)

    @torch.no_grad()
    def step(self, closure: Callable[[], Tensor] | None = None) -> Tensor | None:  # type: ignore[override]
        """One update. The closure clears the gradients, computes the loss and calls backward; it is
        needed by rules that look ahead, which have it called at that point. Returns the closure's loss.

        Raises ValueError when a closure is needed and not given.
        """
        loss = self._evaluate(closure)
        for group in self.param_groups:
            for w in group["params"]:
                if w.grad is None:
                    continue
                if w.grad.layout is not torch.strided:
                    raise ValueError(f"{type(self).__name__}.step: a gradient is sparse; make it dense")
                parameter = self._parameter(group, w)
                state = self._state(parameter, w)
                new, state = parameter.update(w.grad, state, w)
                w.copy_(new)
                self.state[w].update(state)
        return loss

    def _evaluate(self, closure: Callable[[], Tensor] | None) -> Tensor | None:
        if not issubclass(self.rule, LookAheadRule):
            if closure is None:
                return None
            with torch.enable_grad():
                return closure()
        if closure is None:
            raise ValueError(f"{type(self).__name__}.step: needs a closure, as its gradient is taken ahead")
        kept = [(w, w.clone()) for group in self.param_groups for w in group["params"]]
        try:
            for group in self.param_groups:
                for w in group["params"]:
                    parameter = self._parameter(group, w)
                    w.copy_(parameter.point(self._state(parameter, w), w))
            with torch.enable_grad():
                return closure()
        finally:
            for w, before in kept:
                w.copy_(before)

    def _state(self, parameter: Parameter, w: Tensor) -> dict[str, Tensor]:
        if not self.state[w]:
            self.state[w].update(parameter.init(w))
        state: dict[str, Tensor] = self.state[w]
        return state

    def _parameter(self, group: dict[str, Any], w: Tensor) -> Parameter:
        hypers = tuple((key, _hashable(value)) for key, value in group.items() if key not in _OWN)
        names = {field.name for field in fields(self.rule)}
        used = tuple((key, value) for key, value in hypers if key in names)
        return _made(self.rule, used, group["role"], tuple(w.shape))


class HessianOptimizer(torch.optim.Optimizer):
    """The update of `rule`, a HessianRule, on all weights as one vector.

    It takes one group of parameters, of at most LARGEST_HESSIAN weights. A learning-rate scheduler changes
    group["lr"]; there is no state. Subclasses are made by `optimizer_class`.

    Raises ValueError for an unknown hyperparameter, an illegal value, too many weights or several groups.
    """

    entry: Entry
    rule: type[HessianRule]

    def __init__(self, params: Iterable[Any], **hypers: Any) -> None:
        defaults = {field.name: field.default for field in fields(self.rule)}
        super().__init__(params, {**defaults, **hypers})

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Set the parameters; only the constructor can, as all weights share one Hessian."""
        _check(type(self).__name__, self.entry, {**self.defaults, **param_group})
        if self.param_groups:
            raise ValueError(f"{type(self).__name__}: takes one group of parameters")
        super().add_param_group(param_group)
        incompatible = self.entry.incompatible({}, (), sum(w.numel() for w in self.param_groups[0]["params"]))
        if incompatible:
            raise ValueError(incompatible)

    @torch.no_grad()
    def step(self, closure: Callable[[], Tensor] | None = None) -> Tensor:  # type: ignore[override]
        """One update. The closure returns the loss with its graph: it must not call backward, as the loss is
        differentiated here, twice. Returns the loss, without its graph.

        Raises ValueError when there is no closure or its loss has no graph, UserError where the rule does.
        """
        if closure is None:
            raise ValueError(f"{type(self).__name__}.step: needs a closure that returns the loss")
        with torch.enable_grad():
            loss = closure()
        (group,) = self.param_groups
        weights: list[Tensor] = group["params"]
        gradient, hessian = gradient_and_hessian(loss, weights)
        names = {field.name for field in fields(self.rule)}
        rule = self.rule(**{key: value for key, value in group.items() if key in names})
        new = rule.update(gradient, hessian, torch.cat([w.flatten() for w in weights]))
        for w, part in zip(weights, torch.split(new, [w.numel() for w in weights]), strict=True):
            w.copy_(part.view_as(w))
        return loss.detach()


@torch.enable_grad()
def gradient_and_hessian(loss: Tensor, weights: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """First (n,) and second (n, n) derivatives of a scalar by all weights as one vector.

    Raises ValueError when the loss has no graph, or has lost it in a call of backward.
    """
    try:
        first = torch.autograd.grad(loss, weights, create_graph=True, allow_unused=True)
    except RuntimeError as err:
        raise ValueError(
            f"the closure must return the loss with its graph, backward not called: {err}"
        ) from None
    gradient = _flat(first, weights, ())
    size = len(gradient)
    if not gradient.requires_grad:  # a linear function
        return gradient, gradient.new_zeros(size, size)
    rows = []
    for some in torch.split(torch.eye(size, dtype=gradient.dtype, device=gradient.device), _ROWS):
        second = torch.autograd.grad(
            gradient, weights, some, retain_graph=True, allow_unused=True, is_grads_batched=True
        )
        rows.append(_flat(second, weights, (len(some),)))
    return gradient.detach(), torch.cat(rows).detach()


def _flat(parts: Sequence[Tensor | None], weights: Sequence[Tensor], lead: tuple[int, ...]) -> Tensor:
    """Derivatives (*lead, *shape of the weight) as one tensor (*lead, n); None is a derivative of zero."""
    known = [w.new_zeros(*lead, *w.shape) if d is None else d for d, w in zip(parts, weights, strict=True)]
    return torch.cat([part.reshape(*lead, -1) for part in known], dim=-1)


def _check(name: str, entry: Entry, group: Mapping[str, Any]) -> None:
    legal: dict[str, Check] = {"lr": Number(low=0), **entry.hypers}
    for key, value in group.items():
        if key in (*_OWN, "initial_lr"):
            continue
        if key not in legal:
            raise ValueError(f"{key}: {name} has no such hyperparameter; {did_you_mean(key, legal)}")
        try:
            legal[key](_plain(value))
        except ValueError as err:
            raise ValueError(f"{key}={format_value(_plain(value))}: {err}") from None
    refused = entry.refuse({key: group[key] for key in entry.hypers})
    if refused:
        raise ValueError(refused.replace("optimizer.", ""))


def _plain(value: Any) -> Any:
    """A number that was given as a tensor of one element, as torch's own optimizers allow."""
    return value.item() if isinstance(value, Tensor) and value.numel() == 1 else value


def _hashable(value: Any) -> Any:
    value = _plain(value)
    return tuple(value) if isinstance(value, list) else value


@functools.lru_cache(maxsize=4096)
def _made(
    rule: type[Rule], hypers: tuple[tuple[str, Any], ...], role: str | None, shape: tuple[int, ...]
) -> Parameter:
    """The parameter's rule with its hyperparameters; made anew only when a learning rate has changed."""
    return Parameter.of(rule(**dict(hypers)), role, shape)


def rule_class(entry: Entry) -> type[Any]:
    """The class of an entry's rule. Imports torch."""
    assert entry.rule is not None
    module, _, name = entry.rule.partition(":")
    found: type[Any] = getattr(importlib.import_module(module), name)
    return found


def _signature(rule: type[Any]) -> inspect.Signature:
    """What `help` shows: the parameters, then the rule's hyperparameters with their defaults."""
    hypers = [
        inspect.Parameter(field.name, inspect.Parameter.KEYWORD_ONLY, default=field.default)
        for field in fields(rule)
    ]
    return inspect.Signature([inspect.Parameter("params", inspect.Parameter.POSITIONAL_OR_KEYWORD), *hypers])


@functools.cache
def optimizer_class(name: str) -> type[torch.optim.Optimizer]:
    """The torch.optim.Optimizer that computes the rule of OPTIMIZERS[name]."""
    entry = OPTIMIZERS[name]
    rule = rule_class(entry)
    base: type = HessianOptimizer if issubclass(rule, HessianRule) else RuleOptimizer
    inner = {"__doc__": rule.__doc__, "__module__": "sgdlab.optim", "__signature__": _signature(rule)}
    return type(rule.__name__, (base,), {**inner, "entry": entry, "rule": rule})
