"""Update rules: two pure functions on tensors whose leading axes may be runs.

A rule is the formula of one optimizer, a small frozen dataclass of its hyperparameters. `init` returns the
state of a parameter, `update` the next parameter and state for a gradient; neither changes its arguments. So
the same formula serves one run (`sgdlab.optim.adapter`, an ordinary torch.optim.Optimizer) and thousands of
runs together (`sgdlab.engine.batched.trainer`).

Shapes: a parameter of `shape` is w: (*runs, *shape), where `runs` is empty for one run. A hyperparameter is a
number, or a float64 tensor with one value for each run. `shaped` gives it the shape (*runs, 1, ..., 1), so
that it broadcasts over the parameter. Numbers that depend on hyperparameters alone, such as 1 - beta^t, stay
in float64 until `like` converts them to the parameter's dtype. A rule must not branch on a hyperparameter
(`if momentum > 0`), as it may be a tensor of many values.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass, fields, replace
from typing import Any, Self

import torch
from torch import Tensor

Hyper = float | Tensor
State = dict[str, Tensor]

# The role of a parameter. Its model states it; nothing guesses it from a shape.
ROLES: dict[str, str] = {
    "matrix": "weight (out, in) of a hidden layer",
    "input": "weight (out, in) of the first layer",
    "head": "weight (out, in) of the last layer",
    "kernel": "weight (out, in, height, width) of a convolution",
    "vector": "bias or gain (n,)",
    "point": "coordinates (n,) of a point on a surface",
}
_TWO_AXES = ("matrix", "input", "head")


@dataclass(frozen=True, kw_only=True)
class Rule(ABC):
    """The formula of an optimizer; a subclass adds its hyperparameters, with the defaults of its YAML.

    lr: step size, in a unit that the subclass states.
    """

    lr: Hyper

    @abstractmethod
    def init(self, w: Tensor) -> State:
        """Return the state of a parameter w: (*runs, *shape), before its first update."""

    @abstractmethod
    def update(self, g: Tensor, state: State, w: Tensor) -> tuple[Tensor, State]:
        """Compute one update.

        Args:
            g: gradient, (*runs, *shape).
            state: as `init` or the last update returned it.
            w: parameter, (*runs, *shape).

        Returns:
            The next parameter and state.
        """


@dataclass(frozen=True, kw_only=True)
class LookAheadRule(Rule):
    """A rule whose gradient is taken elsewhere than at the parameter itself."""

    @abstractmethod
    def point(self, state: State, w: Tensor) -> Tensor:
        """Compute where to take the gradient for `update`.

        Args:
            state: as `init` or the last update returned it.
            w: parameter, (*runs, *shape).

        Returns:
            The point, shaped as w.
        """


@dataclass(frozen=True, kw_only=True)
class MatrixRule(Rule):
    """A rule for matrices (the last two axes), which names a rule for every other parameter.

    A convolution's kernel is the matrix (out, in * height * width).
    """

    @abstractmethod
    def for_role(self, role: str) -> Rule:
        """Return the rule for a parameter of this role (one of ROLES): this rule or another."""


@dataclass(frozen=True, kw_only=True)
class HessianRule(ABC):
    """A rule on all parameters as one vector, which uses the matrix of second derivatives.

    lr: factor on the step; 1 is Newton's.
    """

    lr: Hyper

    @abstractmethod
    def update(self, g: Tensor, hessian: Tensor, w: Tensor) -> Tensor:
        """Compute one update.

        Args:
            g: gradient, (*runs, n).
            hessian: second derivatives, (*runs, n, n).
            w: all parameters, (*runs, n).

        Returns:
            The next w.
        """


def counter() -> Tensor:
    """Return a state's counter of updates, `step`: a float64 scalar that all runs share.

    The name matters: when torch.optim loads a state_dict, it casts all state to the parameter's dtype except
    the state of this name.
    """
    return torch.zeros((), dtype=torch.float64)


def like(value: Hyper, w: Tensor) -> Hyper:
    """Convert a hyperparameter to the dtype and device of a tensor.

    Args:
        value: a number, or a tensor with one value for each run.
        w: the tensor.

    Returns:
        The number itself, or the converted tensor.
    """
    if isinstance(value, Tensor):
        return value.to(device=w.device, dtype=w.dtype)
    return value


def ema(average: Tensor, new: Tensor, decay: Hyper) -> Tensor:
    """Compute the exponential moving average decay * average + (1 - decay) * new.

    Args:
        average: so far, (*runs, *shape).
        new: (*runs, *shape).
        decay: in [0, 1].

    Returns:
        The new average, (*runs, *shape).
    """
    return like(decay, new) * average + like(1 - decay, new) * new


def with_decay(g: Tensor, weight_decay: Hyper, w: Tensor) -> Tensor:
    """Add coupled weight decay to a gradient: g + weight_decay * w, the gradient with weight_decay/2 |w|^2.

    Args:
        g: gradient, (*runs, *shape).
        weight_decay: in units of the gradient per weight.
        w: parameter, (*runs, *shape).

    Returns:
        The gradient, (*runs, *shape).
    """
    if isinstance(weight_decay, Tensor) or weight_decay:
        return g + like(weight_decay, w) * w
    return g


def decayed(
    g: Tensor, w: Tensor, weight_decay: Hyper, lr: Hyper, *, decoupled: bool
) -> tuple[Tensor, Tensor]:
    """Apply weight decay to the gradient or, decoupled, to the parameter.

    Args:
        g: gradient, (*runs, *shape).
        w: parameter, (*runs, *shape).
        weight_decay: in units of the gradient per weight; decoupled, of lr.
        lr: learning rate.
        decoupled: shrink the parameter by the factor 1 - lr weight_decay.

    Returns:
        Gradient and parameter.
    """
    if decoupled:
        return g, w - like(lr * weight_decay, w) * w
    return with_decay(g, weight_decay, w), w


def corrected(average: Tensor, decay: Hyper, t: Tensor) -> Tensor:
    """Correct the bias of a moving average that started at zero: average / (1 - decay^t).

    Args:
        average: (*runs, *shape).
        decay: of the average.
        t: updates of the average so far.

    Returns:
        The corrected average.
    """
    return average / like(1 - decay**t, average)


def divisor(square: Tensor, eps: Hyper, inside: bool) -> Tensor:
    """Compute the root of an average v of squares, away from zero.

    Args:
        square: v, (*runs, *shape).
        eps: in units of v if inside, else of its root.
        inside: sqrt(v + eps) if true, else sqrt(v) + eps.

    Returns:
        The root, (*runs, *shape).
    """
    small = like(eps, square)
    return (square + small).sqrt() if inside else square.sqrt() + small


def shaped(rule: Any, axes: int) -> Any:
    """Shape a rule's hyperparameters for broadcasting: a tensor (*runs,) gets trailing axes of length 1.

    Args:
        rule: a dataclass of hyperparameters.
        axes: axes of the parameter, without runs.

    Returns:
        The rule for such parameters.
    """

    def widened(value: Any) -> Any:
        if isinstance(value, tuple):
            return tuple(widened(member) for member in value)
        return value.reshape(*value.shape, *[1] * axes) if isinstance(value, Tensor) else value

    return replace(rule, **{field.name: widened(getattr(rule, field.name)) for field in fields(rule)})


@dataclass(frozen=True, kw_only=True)
class Parameter:
    """A parameter of a model with its rule. `init`, `point` and `update` take it in the model's shape.

    rule: for this parameter, with hyperparameters that broadcast over it.
    shape: in the model, without runs. seen: shape that the rule receives.
    """

    rule: Rule
    shape: tuple[int, ...]
    seen: tuple[int, ...]

    @classmethod
    def of(cls, rule: Rule, role: str | None, shape: tuple[int, ...]) -> Self:
        """Choose the rule and the shape of a parameter.

        Args:
            rule: the optimizer's.
            role: of the parameter, one of ROLES; only a MatrixRule needs it.
            shape: of the parameter, without runs.

        Returns:
            The parameter.

        Raises:
            ValueError: the rule needs a role and has none, or the role does not fit the shape.
        """
        if isinstance(rule, MatrixRule):
            if role not in ROLES:
                raise ValueError(
                    f"{type(rule).__name__}: needs the role of each parameter, and {role!r} is none of "
                    f'{", ".join(ROLES)}; give groups such as {{"params": [...], "role": "matrix"}}'
                )
            if role in _TWO_AXES and len(shape) != 2:
                raise ValueError(f"{type(rule).__name__}: role={role}: is for 2 axes, not for shape {shape}")
            rule = rule.for_role(role)
        seen = (shape[0], -1) if role == "kernel" and isinstance(rule, MatrixRule) else shape
        return cls(rule=shaped(rule, len(seen)), shape=shape, seen=seen)

    def init(self, w: Tensor) -> State:
        """Return the state of w: (*runs, *shape)."""
        return self.rule.init(self._view(w))

    def point(self, state: State, w: Tensor) -> Tensor:
        """Compute where to take the gradient: w itself, unless the rule looks ahead.

        Args:
            state: of w.
            w: (*runs, *shape).

        Returns:
            The point, (*runs, *shape).
        """
        if isinstance(self.rule, LookAheadRule):
            return self.rule.point(state, self._view(w)).view_as(w)
        return w

    def update(self, g: Tensor, state: State, w: Tensor) -> tuple[Tensor, State]:
        """Compute one update.

        Args:
            g: gradient, (*runs, *shape).
            state: of w.
            w: (*runs, *shape).

        Returns:
            The next parameter, (*runs, *shape), and state.
        """
        new, state = self.rule.update(self._view(g), state, self._view(w))
        return new.view_as(w), state

    def _view(self, w: Tensor) -> Tensor:
        if self.seen == self.shape:
            return w
        runs = w.shape[: w.ndim - len(self.shape)]
        return w.reshape(*runs, *self.seen)
