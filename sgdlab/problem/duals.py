"""Numbers that carry their derivatives: for formulas of few weights, where autograd's graph costs more than
their arithmetic.

A `Dual` is a value and its slopes along each coordinate, and every operation does to the slopes what the
rules of differentiation say (forward differentiation: Wengert 1964, "A simple automatic derivative
evaluation program"). The module stands in for numpy or torch in a formula of `sgdlab.problem.surfaces`, and has of
them what these formulas use: sums, products, division by a number, whole powers, sin, cos and where.

>>> from sgdlab import duals
>>> from sgdlab.problem.surfaces import SURFACES
>>> found = duals.of(SURFACES["rosenbrock"].formula, [-1.0, 2.0])
>>> found.value, found.slopes
(104.0, [396.0, 200.0])

Numbers are Python's floats; where a float overflows the value is infinite, as in torch.
"""

import math
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any


class Dual:
    """value: f(w); slopes: df/dw_i."""

    __slots__ = ("slopes", "value")

    def __init__(self, value: float, slopes: Sequence[float]) -> None:
        self.value = value
        self.slopes = slopes

    def __add__(self, other: "Dual | float") -> "Dual":
        if isinstance(other, Dual):
            slopes = [a + b for a, b in zip(self.slopes, other.slopes, strict=True)]
            return Dual(self.value + other.value, slopes)
        return Dual(self.value + other, self.slopes)

    __radd__ = __add__

    def __neg__(self) -> "Dual":
        return Dual(-self.value, [-a for a in self.slopes])

    def __sub__(self, other: "Dual | float") -> "Dual":
        if isinstance(other, Dual):
            slopes = [a - b for a, b in zip(self.slopes, other.slopes, strict=True)]
            return Dual(self.value - other.value, slopes)
        return Dual(self.value - other, self.slopes)

    def __rsub__(self, other: float) -> "Dual":
        return Dual(other - self.value, [-a for a in self.slopes])

    def __mul__(self, other: "Dual | float") -> "Dual":
        value = self.value
        if isinstance(other, Dual):
            factor = other.value
            slopes = [a * factor + value * b for a, b in zip(self.slopes, other.slopes, strict=True)]
            return Dual(value * factor, slopes)
        return Dual(value * other, [a * other for a in self.slopes])

    __rmul__ = __mul__

    def __truediv__(self, other: float) -> "Dual":
        return Dual(self.value / other, [a / other for a in self.slopes])

    def __pow__(self, exponent: int) -> "Dual":
        """exponent: at least 1."""
        below = 1.0
        for _ in range(exponent - 1):
            below *= self.value
        slope = exponent * below
        return Dual(below * self.value, [slope * a for a in self.slopes])

    def __lt__(self, other: float) -> bool:
        return self.value < other


def sin(x: Dual) -> Dual:
    """The sine; NaN of what is not finite."""
    value, slope = _circular(x.value)
    return Dual(value, [slope * a for a in x.slopes])


def cos(x: Dual) -> Dual:
    """The cosine; NaN of what is not finite."""
    slope, value = _circular(x.value)
    return Dual(value, [-slope * a for a in x.slopes])


def where(condition: bool, one: Dual, other: Dual) -> Dual:
    """The one or the other."""
    return one if condition else other


def of(formula: Callable[[Sequence[Any], Any], Any], point: Sequence[float]) -> Dual:
    """A formula's value and slopes at a point."""
    size = len(point)
    w = [Dual(value, [float(i == j) for j in range(size)]) for i, value in enumerate(point)]
    found: Dual = formula(w, _MODULE)
    return found


def _circular(angle: float) -> tuple[float, float]:
    return (math.sin(angle), math.cos(angle)) if math.isfinite(angle) else (math.nan, math.nan)


_MODULE = SimpleNamespace(sin=sin, cos=cos, where=where)
