"""The theory of gradient methods on quadratics, and the rate that a run showed. Standard library only.

METHODS holds the formulas of each method.

On f(w) = 1/2 w^T H w a method moves along each eigenvector of H independently: at the eigenvalue c its
error obeys a linear recursion of two terms, and `Method.spectral_radius` is the spectral radius of the
companion matrix. In the long run the error shrinks by the largest of these radii per step.
Over an interval of eigenvalues [m, L] that is the one at m or at L (Lessard, Recht, Packard 2016, SIAM J.
Optim. 26, "Analysis and Design of Optimization Algorithms via Integral Quadratic Constraints", section 2.2,
where Table 1 has the tuned parameters below).

>>> METHODS["heavy_ball"].tuned(1.0, 100.0)
Tuned(lr=0.03305785123966942, momentum=0.669421487603306, rate=0.8181818181818182)
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

ROUNDING = 1e-13  # share of the first distance; below it a path moves by rounding errors, not by the method


class Tuned(NamedTuple):
    """A step size, a momentum and the factor by which they shrink the error each step."""

    lr: float
    momentum: float
    rate: float


@dataclass(frozen=True, kw_only=True)
class Method:
    """A gradient method with step size a and momentum b on quadratics.

    Attributes:
        spectral_radius: (a, b, c) -> the spectral radius of the recursion at the eigenvalue c.
        tuned: (m, L) -> the a and b of the least rate over the eigenvalues in [m, L].
        stability_limit: (b, L) -> the step size from which on the method diverges.
        best_momentum: (a, m, L) -> the b of the least rate at this a; None where no closed form is known.
    """

    spectral_radius: Callable[[float, float, float], float]
    tuned: Callable[[float, float], Tuned]
    stability_limit: Callable[[float, float], float]
    best_momentum: Callable[[float, float, float], float] | None = None

    def rate(self, lr: float, momentum: float, low: float, high: float) -> float:
        """Compute the factor per step by which the error shrinks in the long run.

        Args:
            lr: step size.
            momentum: momentum.
            low, high: the least and the largest eigenvalue of the Hessian.

        Returns:
            The factor; above 1 the error grows.
        """
        return max(self.spectral_radius(lr, momentum, low), self.spectral_radius(lr, momentum, high))


def _root(total: float, product: float) -> float:
    """Return the larger absolute value of the roots of z^2 - total z + product."""
    square = total * total - 4 * product
    return math.sqrt(product) if square < 0 else (abs(total) + math.sqrt(square)) / 2


def _gradient_descent_tuned(m: float, L: float) -> Tuned:
    return Tuned(2 / (L + m), 0.0, (L - m) / (L + m))


def _heavy_ball_tuned(m: float, L: float) -> Tuned:
    low, high = math.sqrt(m), math.sqrt(L)
    rate = (high - low) / (high + low)
    return Tuned(4 / (high + low) ** 2, rate**2, rate)


def _heavy_ball_momentum(a: float, m: float, L: float) -> float:
    """Return the least b at which both roots are complex at m and L: then the rate is sqrt(b) (Polyak 1964).

    At most 1 where a * L <= 4.
    """
    return max((1 - math.sqrt(a * m)) ** 2, (1 - math.sqrt(a * L)) ** 2)


def _nesterov_tuned(m: float, L: float) -> Tuned:
    root = math.sqrt(3 * L / m + 1)
    return Tuned(4 / (3 * L + m), (root - 2) / (root + 2), 1 - 2 / root)


METHODS: dict[str, Method] = {
    "gradient_descent": Method(
        spectral_radius=lambda a, b, c: abs(1 - a * c),
        tuned=_gradient_descent_tuned,
        stability_limit=lambda b, L: 2 / L,
    ),
    "heavy_ball": Method(  # w+ = w - a g(w) + b (w - w-)
        spectral_radius=lambda a, b, c: _root(1 + b - a * c, b),
        tuned=_heavy_ball_tuned,
        stability_limit=lambda b, L: 2 * (1 + b) / L,
        best_momentum=_heavy_ball_momentum,
    ),
    "nesterov": Method(  # w+ = v - a g(v) where v = w + b (w - w-)
        spectral_radius=lambda a, b, c: _root((1 + b) * (1 - a * c), b * (1 - a * c)),
        tuned=_nesterov_tuned,
        stability_limit=lambda b, L: 2 * (1 + b) / ((1 + 2 * b) * L),
    ),
}


def contraction_factor(step: Sequence[float], distance: Sequence[float], rounding: float = ROUNDING) -> float:
    """Measure the factor per step by which a run's distance to the minimum shrank.

    Momentum makes the distance oscillate, so the largest distance in the third quarter of the path is
    compared with the largest one in the fourth. An oscillation slower than a quarter hides the factor, as
    with momentum just above the best for its step size.

    Args:
        step: (points,), the updates done, increasing.
        distance: (points,), the distance to the minimum after them.
        rounding: a path that comes within this share of its first distance counts up to there.

    Returns:
        The factor; 0.0 for a path that is at the minimum after its first point, NaN for one of fewer than two
        points or one that begins at the minimum.
    """
    if len(step) < 2 or not distance[0] > 0:
        return math.nan
    floor = rounding * distance[0]
    count = next((i for i, each in enumerate(distance) if each <= floor), len(distance))
    if count < 2:
        return 0.0
    if count < 5:  # too few for quarters: from the first point to the last
        first, last = 0, count - 1
    else:
        half = range(count // 2, count)
        middle = half.start + len(half) // 2
        first = max(range(half.start, middle), key=lambda i: distance[i])
        last = max(range(middle, count), key=lambda i: distance[i])
    return float((distance[last] / distance[first]) ** (1 / (step[last] - step[first])))
