"""Test functions of few weights: formula, domain, start, minima and source of each; standard library only.

A formula takes the coordinates of a point, arrays of any one shape, and the module that computes with them
(numpy, torch, or `sgdlab.problem.duals` with numbers), so the function that a run descends, its gradient and the
contours that a figure draws are one formula. `surface` gives the one that a run's settings of its model
choose:

>>> import numpy
>>> surface({"name": "rosenbrock"}).formula([numpy.array(-1.2), numpy.array(1.0)], numpy).item()
24.199999999999996
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Formula = Callable[[Sequence[Any], Any], Any]
Point = tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class Surface:
    """A function of a point.

    formula: of the coordinates, each an array of one shape, and the module that computes with them; an array
        of that shape.
    text: the formula as a person writes it.
    domain: from where to where each coordinate is usually drawn; `tilt` is to be minimised within it.
    start: where a descent customarily begins.
    minima: all points of the least value, as exact as floats are; empty where there is none.
    least: the least value; None where there is none.
    hessian: the matrix of second derivatives where it is the same everywhere.
    source: where it comes from.
    """

    formula: Formula
    text: str
    domain: tuple[tuple[float, float], ...]
    start: Point
    minima: tuple[Point, ...]
    least: float | None
    hessian: tuple[Point, ...] | None = None
    source: str

    @property
    def dimension(self) -> int:
        """The number of coordinates."""
        return len(self.start)


def surface(model: Mapping[str, Any]) -> Surface:
    """The surface that the settings of a run's model choose, as run.json has them under config.model."""
    if model["name"] == QUADRATIC:
        eigenvalues = model["eigenvalues"]
        if eigenvalues is None:
            eigenvalues = spectrum(model["dimension"], model["condition"])
        return quadratic(tuple(eigenvalues), model["rotation"])
    return SURFACES[model["name"]]


def function(model: Mapping[str, Any]) -> Formula:
    """The formula of `surface(model)`, for the contours of a recorded run."""
    return surface(model).formula


def spectrum(dimension: int, condition: float) -> Point:
    """Eigenvalues from 1 to `condition`, each the same factor above the one before.

    A single one is `condition`.
    """
    steps = range(dimension)
    return tuple(condition ** (step / (dimension - 1)) for step in steps) if dimension > 1 else (condition,)


def quadratic(eigenvalues: Point, rotation: float) -> Surface:
    """f(w) = 1/2 sum_i lambda_i z_i^2, where z is w turned back by `rotation` degrees; minimum 0 at 0.

    The eigenvectors are the axes, turned by that angle in the plane of the first two axes, then in that of
    the second and third, and so on.
    """
    size = len(eigenvalues)
    columns = [[float(row == column) for row in range(size)] for column in range(size)]
    turned = [_turned_back(column, rotation) for column in columns]  # turned[i][k]: z_k of the i-th axis
    hessian = tuple(
        tuple(
            math.fsum(value * (a * b) for value, a, b in zip(eigenvalues, left, right, strict=True))
            for right in turned
        )
        for left in turned
    )

    def formula(w: Sequence[Any], xp: Any) -> Any:
        terms = [value / 2 * z * z for value, z in zip(eigenvalues, _turned_back(w, rotation), strict=True)]
        return sum(terms[1:], start=terms[0])

    return Surface(
        formula=formula,
        text=f"1/2 sum_i lambda_i z_i^2 with lambda from {min(eigenvalues):g} to {max(eigenvalues):g}",
        domain=((-1.5, 1.5),) * size,
        start=(1.0,) * size,
        minima=((0.0,) * size,),
        least=0.0,
        hessian=hessian,
        source="the model problem of convergence theory: Nesterov 2018, Lectures on Convex Optimization",
    )


def _turned_back(w: Sequence[Any], degrees: float) -> list[Any]:
    """The coordinates of w in axes turned by `degrees` in the planes (0, 1), (1, 2), ... in that order."""
    z = list(w)
    if degrees == 0:
        return z
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    for axis in reversed(range(len(z) - 1)):
        first, second = z[axis], z[axis + 1]
        z[axis], z[axis + 1] = cos * first + sin * second, cos * second - sin * first
    return z


def _rosenbrock(w: Sequence[Any], xp: Any) -> Any:
    x, y = w
    return (1 - x) ** 2 + 100 * (y - x**2) ** 2


def _beale(w: Sequence[Any], xp: Any) -> Any:
    x, y = w
    return (1.5 - x + x * y) ** 2 + (2.25 - x + x * y**2) ** 2 + (2.625 - x + x * y**3) ** 2


def _branin(w: Sequence[Any], xp: Any) -> Any:
    x, y = w
    parabola = y - 5.1 / (4 * math.pi**2) * x**2 + 5 / math.pi * x - 6
    return parabola**2 + 10 * (1 - 1 / (8 * math.pi)) * xp.cos(x) + 10


def _himmelblau(w: Sequence[Any], xp: Any) -> Any:
    x, y = w
    return (x**2 + y - 11) ** 2 + (x + y**2 - 7) ** 2


def _rastrigin(w: Sequence[Any], xp: Any) -> Any:
    x, y = w
    # 10 - 10 cos(2 pi x), without the cancellation near the minimum
    waves = xp.sin(math.pi * x) ** 2 + xp.sin(math.pi * y) ** 2
    return x**2 + y**2 + 20 * waves


def _distill(w: Sequence[Any], xp: Any) -> Any:
    x, y = w
    return (1 - x) ** 2 + 20 * (3 * y - x**2) ** 2


def _newton(w: Sequence[Any], xp: Any) -> Any:
    x, y = w
    return 0.2 * (x - 0.4) ** 4 + 4 * x**2 + 0.4 * (y + 1) ** 4 + y**2 + 1.5 * x * y - 1


def _valley(w: Sequence[Any], xp: Any) -> Any:
    x, y = w
    return 0.1 * x**2 + 2 * y**2


def _lessard(w: Sequence[Any], xp: Any) -> Any:
    (x,) = w
    right = xp.where(x < 2, x**2 / 2 + 24 * x - 12, 12.5 * x**2 - 24 * x + 36)
    return xp.where(x < 1, 12.5 * x**2, right)


def _tilt(w: Sequence[Any], xp: Any) -> Any:
    (x,) = w
    return 0 * x


def _ad_example(w: Sequence[Any], xp: Any) -> Any:
    x, y = w
    return x * y + xp.sin(x)


QUADRATIC = "quadratic"

# Minima that are no round numbers were found by Newton's method with 40 digits.
SURFACES: dict[str, Surface] = {
    "rosenbrock": Surface(
        formula=_rosenbrock,
        text="(1 - x)^2 + 100 (y - x^2)^2",
        domain=((-2.0, 2.0), (-1.0, 3.0)),
        start=(-1.2, 1.0),
        minima=((1.0, 1.0),),
        least=0.0,
        source="Rosenbrock 1960, An automatic method for finding the greatest or least value of a function",
    ),
    "beale": Surface(
        formula=_beale,
        text="(1.5 - x + xy)^2 + (2.25 - x + xy^2)^2 + (2.625 - x + xy^3)^2",
        domain=((-4.5, 4.5), (-4.5, 4.5)),
        start=(1.0, 1.0),
        minima=((3.0, 0.5),),
        least=0.0,
        source="Beale 1958; start: Moré, Garbow, Hillstrom 1981, Testing unconstrained optimization software",
    ),
    "branin": Surface(
        formula=_branin,
        text="(y - 5.1 x^2 / (4 pi^2) + 5x/pi - 6)^2 + 10 (1 - 1/(8 pi)) cos x + 10",
        domain=((-5.0, 10.0), (0.0, 15.0)),
        start=(2.5, 7.5),  # the middle of the domain; no start is customary
        minima=((-math.pi, 12.275), (math.pi, 2.275), (3 * math.pi, 2.475)),
        least=10 / (8 * math.pi),
        source="Branin 1972; Dixon, Szegö 1978, Towards Global Optimisation 2",
    ),
    "himmelblau": Surface(
        formula=_himmelblau,
        text="(x^2 + y - 11)^2 + (x + y^2 - 7)^2",
        domain=((-5.0, 5.0), (-5.0, 5.0)),
        start=(0.0, 0.0),
        minima=(
            (3.0, 2.0),
            (-2.805118086952745, 3.131312518250573),
            (-3.779310253377747, -3.2831859912861696),
            (3.5844283403304917, -1.8481265269644036),
        ),
        least=0.0,
        source="Himmelblau 1972, Applied Nonlinear Programming",
    ),
    "rastrigin": Surface(
        formula=_rastrigin,
        text="20 + x^2 - 10 cos(2 pi x) + y^2 - 10 cos(2 pi y)",
        domain=((-5.12, 5.12), (-5.12, 5.12)),
        start=(-2.0, 3.5),  # that of the pictures of pytorch-optimizer
        minima=((0.0, 0.0),),
        least=0.0,
        source="Rastrigin 1974; Mühlenbein, Schomisch, Born 1991, The parallel genetic algorithm",
    ),
    "distill": Surface(
        formula=_distill,
        text="(1 - x)^2 + 20 (3y - x^2)^2",
        domain=((-1.7, 1.3), (-0.3, 1.0)),
        start=(-1.21, 0.853),
        minima=((1.0, 1 / 3),),
        least=0.0,
        source="Goh 2017, Why momentum really works (Distill): the picture at its top",
    ),
    "newton": Surface(
        formula=_newton,
        text="0.2 (x - 0.4)^4 + 4x^2 + 0.4 (y + 1)^4 + y^2 + 1.5xy - 1",
        domain=((-0.6, 0.6), (-1.5, 0.4)),
        start=(-0.2182, -1.2585),
        minima=((0.061923438562411656, -0.3096499560668391),),
        least=-0.824075424377467,
        source="the picture of gradient descent against Newton's method that lectures show",
    ),
    "valley": Surface(
        formula=_valley,
        text="0.1 x^2 + 2 y^2",
        domain=((-5.5, 1.0), (-3.0, 2.0)),
        start=(-5.0, -2.0),
        minima=((0.0, 0.0),),
        least=0.0,
        hessian=((0.2, 0.0), (0.0, 4.0)),
        source="Zhang, Lipton, Li, Smola 2023, Dive into Deep Learning, 12.6 Momentum",
    ),
    "lessard": Surface(
        formula=_lessard,
        text="25x^2/2 if x < 1, x^2/2 + 24x - 12 if 1 <= x < 2, else 25x^2/2 - 24x + 36",
        domain=((-4.0, 4.0),),
        start=(3.3,),
        minima=((0.0,),),
        least=0.0,
        source="Lessard, Recht, Packard 2016, Analysis and design of optimization algorithms",
    ),
    "tilt": Surface(
        formula=_tilt,
        text="0, for the data to tilt",
        domain=((-1.0, 1.0),),
        start=(0.0,),
        minima=(),
        least=None,
        source="Reddi, Kale, Kumar 2018, On the convergence of Adam and beyond, section 3",
    ),
    "ad_example": Surface(
        formula=_ad_example,
        text="xy + sin x",
        domain=((-3.0, 3.0), (-6.0, 6.0)),
        start=(0.5, 4.2),
        minima=(),
        least=None,
        source="the usual example of a computational graph for automatic differentiation",
    ),
}
