"""The adapter from rules to torch.optim.Optimizer, for the serial engine and for any other training loop.

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
import inspect
import pkgutil
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

_NOT_HYPERS = ("params", "role", "initial_lr")  # keys of a parameter group that are no hyperparameters
_ROWS = 64  # of a Hessian in one pass: each takes the memory of another backward pass


class RuleOptimizer(torch.optim.Optimizer):
    """The update of `rule`, one parameter after the other, without `foreach` and fused variants.

    A parameter group may have its own hyperparameters, and a `role` of its parameters (one of
    sgdlab.optim.rule.ROLES), which rules for matrices need. Learning-rate schedulers change group["lr"].
    `optimizer_class` creates a subclass for each rule.

    Raises:
        ValueError: a hyperparameter is unknown or illegal, or a role is missing.
    """

    entry: Entry
    rule: type[Rule]

    def __init__(self, params: Iterable[Any], **hypers: Any) -> None:
        defaults = {field.name: field.default for field in fields(self.rule)}
        super().__init__(params, {"role": None, **defaults, **hypers})

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add parameters, with their own hyperparameters and role where given."""
        _check_group(type(self).__name__, self.entry, {**self.defaults, **param_group})
        super().add_param_group(param_group)
        try:
            for w in self.param_groups[-1]["params"]:
                if w.is_complex():
                    raise ValueError("a parameter is complex: give its real and imaginary parts separately")
                self._parameter(self.param_groups[-1], w)
        except ValueError:
            self.param_groups.pop()
            raise

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore a state_dict. The next updates have the same bits, because state keeps its dtype: torch
        alone would cast a rule's float64 counters and products to the parameter's dtype."""
        super().load_state_dict(state_dict)
        numbers = [number for group in state_dict["param_groups"] for number in group["params"]]
        owners = [(group, w) for group in self.param_groups for w in group["params"]]
        for number, (group, w) in zip(numbers, owners, strict=True):
            saved = state_dict["state"].get(number, {})
            for key, fresh in self._parameter(group, w).init(w).items() if saved else ():
                self.state[w][key] = saved[key].to(device=fresh.device, dtype=fresh.dtype, copy=True)

    @torch.no_grad()
    def step(self, closure: Callable[[], Tensor] | None = None) -> Tensor | None:  # type: ignore[override]
        """Make one update and return the closure's loss, if there is a closure.

        The closure clears the gradients, computes the loss and calls backward. Rules that look ahead need
        it, as they take the gradient at another point.

        Raises:
            ValueError: a closure is needed and not given, or a gradient is sparse.
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
        saved = [(w, w.clone()) for group in self.param_groups for w in group["params"]]
        try:
            for group in self.param_groups:
                for w in group["params"]:
                    parameter = self._parameter(group, w)
                    w.copy_(parameter.point(self._state(parameter, w), w))
            with torch.enable_grad():
                return closure()
        finally:
            for w, before in saved:
                w.copy_(before)

    def _state(self, parameter: Parameter, w: Tensor) -> dict[str, Tensor]:
        if not self.state[w]:
            self.state[w].update(parameter.init(w))
        state: dict[str, Tensor] = self.state[w]
        return state

    def _parameter(self, group: dict[str, Any], w: Tensor) -> Parameter:
        hypers = tuple((field.name, _hashable(group[field.name])) for field in fields(self.rule))
        return _build_parameter(self.rule, hypers, group["role"], tuple(w.shape))


class HessianOptimizer(torch.optim.Optimizer):
    """The update of `rule`, a HessianRule, on all weights as one vector.

    It takes one group of parameters, with at most MAX_HESSIAN weights. Learning-rate schedulers change
    group["lr"]. There is no state. `optimizer_class` creates a subclass for each rule.

    Raises:
        ValueError: a hyperparameter is unknown or illegal, or there are too many weights or several groups.
    """

    entry: Entry
    rule: type[HessianRule]

    def __init__(self, params: Iterable[Any], **hypers: Any) -> None:
        defaults = {field.name: field.default for field in fields(self.rule)}
        super().__init__(params, {**defaults, **hypers})

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Set the parameters; only the constructor can, as all weights share one Hessian."""
        _check_group(type(self).__name__, self.entry, {**self.defaults, **param_group})
        if self.param_groups:
            raise ValueError(f"{type(self).__name__}: takes one group of parameters")
        super().add_param_group(param_group)
        incompatible = self.entry.incompatible({}, (), sum(w.numel() for w in self.param_groups[0]["params"]))
        if incompatible:
            raise ValueError(incompatible)

    @torch.no_grad()
    def step(self, closure: Callable[[], Tensor] | None = None) -> Tensor:  # type: ignore[override]
        """Make one update and return the loss, without its graph.

        The closure returns the loss with its graph. It must not call backward, as the loss is differentiated
        here, twice.

        Raises:
            ValueError: there is no closure, or its loss has no graph.
            UserError: the rule cannot make the update.
        """
        if closure is None:
            raise ValueError(f"{type(self).__name__}.step: needs a closure that returns the loss")
        with torch.enable_grad():
            loss = closure()
        (group,) = self.param_groups
        weights: list[Tensor] = group["params"]
        gradient, hessian = gradient_and_hessian(loss, weights)
        rule = self.rule(**{field.name: group[field.name] for field in fields(self.rule)})
        new = rule.update(gradient, hessian, torch.cat([w.flatten() for w in weights]))
        for w, part in zip(weights, torch.split(new, [w.numel() for w in weights]), strict=True):
            w.copy_(part.view_as(w))
        return loss.detach()


@torch.enable_grad()
def gradient_and_hessian(loss: Tensor, weights: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Differentiate a scalar twice.

    Args:
        loss: a scalar with its graph.
        weights: n numbers in all.

    Returns:
        First (n,) and second (n, n) derivatives by all weights as one vector.

    Raises:
        ValueError: the loss has no graph, or backward has freed it.
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
    for units in torch.split(torch.eye(size, dtype=gradient.dtype, device=gradient.device), _ROWS):
        second = torch.autograd.grad(
            gradient, weights, units, retain_graph=True, allow_unused=True, is_grads_batched=True
        )
        rows.append(_flat(second, weights, (len(units),)))
    return gradient.detach(), torch.cat(rows).detach()


def _flat(parts: Sequence[Tensor | None], weights: Sequence[Tensor], lead: tuple[int, ...]) -> Tensor:
    """Join derivatives (*lead, *shape of the weight) to one tensor (*lead, n); None is a zero derivative."""
    known = [w.new_zeros(*lead, *w.shape) if d is None else d for d, w in zip(parts, weights, strict=True)]
    return torch.cat([part.reshape(*lead, -1) for part in known], dim=-1)


def _check_group(name: str, entry: Entry, group: Mapping[str, Any]) -> None:
    legal: dict[str, Check] = {"lr": Number(low=0), **entry.hypers}
    for key, value in group.items():
        if key in _NOT_HYPERS:
            continue
        if key not in legal:
            raise ValueError(f"{key}: {name} has no such hyperparameter; {did_you_mean(key, legal)}")
        try:
            legal[key](_hashable(value))
        except ValueError as err:
            raise ValueError(f"{key}={format_value(_hashable(value))}: {err}") from None
    refused = entry.refuse({key: group[key] for key in entry.hypers})
    if refused:
        raise ValueError(refused.replace("optimizer.", ""))


def _hashable(value: Any) -> Any:
    """Return a tensor of one element as a number, as torch's own optimizers allow; a list as a tuple."""
    if isinstance(value, Tensor) and value.numel() == 1:
        return value.item()
    return tuple(value) if isinstance(value, list) else value


@functools.lru_cache(maxsize=4096)
def _build_parameter(
    rule: type[Rule], hypers: tuple[tuple[str, Any], ...], role: str | None, shape: tuple[int, ...]
) -> Parameter:
    """Return a parameter with its rule, cached because it changes only with the learning rate."""
    return Parameter.of(rule(**dict(hypers)), role, shape)


def rule_class(entry: Entry) -> type[Any]:
    """Return the class of an entry's rule. Imports torch."""
    assert entry.rule is not None
    rule: type[Any] = pkgutil.resolve_name(entry.rule)
    return rule


def _signature(rule: type[Any]) -> inspect.Signature:
    """Return the signature for `help`: parameters, then the rule's hyperparameters with defaults."""
    hypers = [
        inspect.Parameter(field.name, inspect.Parameter.KEYWORD_ONLY, default=field.default)
        for field in fields(rule)
    ]
    return inspect.Signature([inspect.Parameter("params", inspect.Parameter.POSITIONAL_OR_KEYWORD), *hypers])


@functools.cache
def optimizer_class(name: str) -> type[torch.optim.Optimizer]:
    """Create the torch.optim.Optimizer that computes the rule of OPTIMIZERS[name]."""
    entry = OPTIMIZERS[name]
    rule = rule_class(entry)
    base: type = HessianOptimizer if issubclass(rule, HessianRule) else RuleOptimizer
    inner = {"__doc__": rule.__doc__, "__module__": "sgdlab.optim", "__signature__": _signature(rule)}
    return type(rule.__name__, (base,), {**inner, "entry": entry, "rule": rule})
