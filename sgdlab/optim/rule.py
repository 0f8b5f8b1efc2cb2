"""What an update rule is: two pure functions on tensors whose leading axes may be runs.

A rule is the formula of one optimizer as a small frozen dataclass of its hyperparameters. `init` makes the
state that belongs to a parameter, `update` makes the next parameter and state out of a gradient; neither
changes anything that it was given. The same formula so serves one run (`sgdlab.optim.adapter`, an ordinary
torch.optim.Optimizer) or thousands at once (`sgdlab.engine.batched.trainer`).

Shapes: a parameter of `shape` is w: (*runs, *shape), where `runs` is empty for one run. A hyperparameter
is a number, or a float64 tensor with a value a run, of shape (*runs, 1, ..., 1), so that it broadcasts over
the parameter (`shaped` brings it there). What is computed from hyperparameters alone, such as 1 - beta^t,
stays in float64 until `like` brings it to the parameter's dtype. A rule never asks what a hyperparameter
is (`if momentum > 0`): it may be many values.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass, fields, replace
from typing import Any, Self

import torch
from torch import Tensor

Hyper = float | Tensor
State = dict[str, Tensor]

# What a parameter is: told by whoever made the model, never guessed from its shape.
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

    lr: step size, in the unit that the subclass says.
    """

    lr: Hyper

    @abstractmethod
    def init(self, w: Tensor) -> State:
        """The state of a parameter w: (*runs, *shape) before its first update."""

    @abstractmethod
    def update(self, g: Tensor, state: State, w: Tensor) -> tuple[Tensor, State]:
        """The next parameter and state, from the gradient g and the parameter w, both (*runs, *shape)."""


@dataclass(frozen=True, kw_only=True)
class LookAheadRule(Rule):
    """A rule whose gradient is not taken at the parameter itself."""

    @abstractmethod
    def point(self, state: State, w: Tensor) -> Tensor:
        """Where the gradient that `update` gets is to be taken: (*runs, *shape), as w."""


@dataclass(frozen=True, kw_only=True)
class MatrixRule(Rule):
    """A rule for matrices, their last two axes; what it does with other parameters it has to say.

    It sees a convolution's kernel as the matrix (out, in * height * width).
    """

    @abstractmethod
    def for_role(self, role: str, shape: tuple[int, ...]) -> Rule:
        """The rule for a parameter of this role (one of ROLES) and shape, without runs: itself or another."""


@dataclass(frozen=True, kw_only=True)
class HessianRule(ABC):
    """A rule on all parameters as one vector, with the matrix of second derivatives.

    lr: factor on the step; 1 is Newton's.
    """

    lr: Hyper

    @abstractmethod
    def update(self, g: Tensor, hessian: Tensor, w: Tensor) -> Tensor:
        """The next w, from the gradient g and w, both (*runs, n), and the hessian (*runs, n, n)."""


def counter() -> Tensor:
    """A state's number of updates made, 0 at first: `step`, a float64 scalar that all runs share.

    It is named and placed as torch.optim keeps it, which leaves a state of that name as it is when a
    state_dict is loaded, and casts all others to the parameter's dtype.
    """
    return torch.zeros((), dtype=torch.float64)


def like(value: Hyper, w: Tensor) -> Hyper:
    """A number, or one number a run, in the dtype and on the device of w."""
    if isinstance(value, Tensor):
        return value.to(device=w.device, dtype=w.dtype)
    return value


def ema(average: Tensor, new: Tensor, decay: Hyper) -> Tensor:
    """The exponential moving average: decay * average + (1 - decay) * new, all (*runs, *shape)."""
    return like(decay, new) * average + like(1 - decay, new) * new


def with_decay(g: Tensor, weight_decay: Hyper, w: Tensor) -> Tensor:
    """The gradient with coupled weight decay, g + weight_decay * w: that of weight_decay/2 |w|^2 too."""
    if isinstance(weight_decay, Tensor) or weight_decay:
        return g + like(weight_decay, w) * w
    return g


def decayed(
    g: Tensor, w: Tensor, weight_decay: Hyper, lr: Hyper, *, decoupled: bool
) -> tuple[Tensor, Tensor]:
    """The gradient and the parameter with weight decay in the one or, decoupled, in the other."""
    if decoupled:
        return g, w - like(lr * weight_decay, w) * w
    return with_decay(g, weight_decay, w), w


def corrected(average: Tensor, decay: Hyper, t: Tensor) -> Tensor:
    """An average after t updates without the weight of its start at zero: average / (1 - decay^t)."""
    return average / like(1 - decay**t, average)


def divisor(square: Tensor, eps: Hyper, inside: bool) -> Tensor:
    """The root of an average v of squares, kept from zero: sqrt(v + eps) if `inside`, else sqrt(v) + eps."""
    small = like(eps, square)
    return (square + small).sqrt() if inside else square.sqrt() + small


def shaped(rule: Any, axes: int) -> Any:
    """The rule for parameters of `axes` axes: a hyperparameter of one value a run, (*runs,), gets
    so many axes of length 1 at its end."""

    def widened(value: Any) -> Any:
        if isinstance(value, tuple):
            return tuple(widened(member) for member in value)
        return value.reshape(*value.shape, *[1] * axes) if isinstance(value, Tensor) else value

    return replace(rule, **{field.name: widened(getattr(rule, field.name)) for field in fields(rule)})


@dataclass(frozen=True, kw_only=True)
class Parameter:
    """One parameter as its rule sees it: which rule that is, and the shape (without runs) it wants.

    `of` makes one; `init` and `update` are the rule's, on parameters (*runs, *shape) as the model has them.
    """

    rule: Rule
    shape: tuple[int, ...]
    seen: tuple[int, ...]

    @classmethod
    def of(cls, rule: Rule, role: str | None, shape: tuple[int, ...]) -> Self:
        """The parameter of a model under `rule`. Raises ValueError when the rule must be told the role,
        or the role cannot be one of this shape."""
        seen = (shape[0], -1) if role == "kernel" else shape
        if isinstance(rule, MatrixRule):
            if role not in ROLES:
                raise ValueError(
                    f"{type(rule).__name__}: must be told what each parameter is, and {role!r} is none of "
                    f'{", ".join(ROLES)}; give groups such as {{"params": [...], "role": "matrix"}}'
                )
            if role in _TWO_AXES and len(shape) != 2:
                raise ValueError(f"{type(rule).__name__}: role={role}: is for 2 axes, not for shape {shape}")
            rule = rule.for_role(role, shape)
        if not isinstance(rule, MatrixRule):
            seen = shape
        return cls(rule=shaped(rule, len(seen)), shape=shape, seen=seen)

    def init(self, w: Tensor) -> State:
        """The state of w: (*runs, *shape)."""
        return self.rule.init(self._view(w))

    def point(self, state: State, w: Tensor) -> Tensor:
        """Where the gradient is to be taken; w itself unless the rule looks ahead."""
        if isinstance(self.rule, LookAheadRule):
            return self.rule.point(state, self._view(w)).view_as(w)
        return w

    def update(self, g: Tensor, state: State, w: Tensor) -> tuple[Tensor, State]:
        """The next parameter, shaped as w, and state."""
        new, state = self.rule.update(self._view(g), state, self._view(w))
        return new.view_as(w), state

    def _view(self, w: Tensor) -> Tensor:
        if self.seen == self.shape:
            return w
        runs = w.shape[: w.ndim - len(self.shape)]
        return w.reshape(*runs, *self.seen)
