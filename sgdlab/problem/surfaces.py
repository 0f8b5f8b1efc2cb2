"""Test functions of few weights: formula, gradient, domain, start, minima and source; standard library only.

A formula takes the module that computes, then the coordinates of a point: arrays of one shape for numpy or
torch, floats for `FLOATS`. So a run and the contours of its figure share one formula.

>>> SURFACES["rosenbrock"].formula(FLOATS, -1.2, 1.0)
24.199999999999996
>>> SURFACES["rosenbrock"].gradient(FLOATS, -1.0, 2.0)
[396.0, 200.0]

A new surface is one entry of `SURFACES`; a test compares its gradient with autograd's. `FLOATS` has the
functions that formulas use: sin, cos and where.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

Formula = Callable[..., Any]
Point = tuple[float, ...]

# Stands in for numpy or torch where coordinates are floats. Where these would give inf or NaN, Python may
# raise OverflowError or ValueError.
FLOATS = SimpleNamespace(sin=math.sin, cos=math.cos, where=lambda condition, a, b: a if condition else b)


@dataclass(frozen=True, kw_only=True)
class Surface:
    """A function of a point.

    formula: f(w) in the shape of a coordinate, from the module that computes and the coordinates w_i.
    gradient: the list of the df/dw_i, from the same arguments.
    meaning: what the surface looks like or shows, in words.
    text: the formula as a person writes it.
    domain: the usual range of each coordinate; `tilt` is minimised within it.
    start: the usual start of a descent.
    minima: all points of the least value, exact to the last bit; empty if there is none.
    least: the least value; None if there is none.
    hessian: the matrix of second derivatives if it is constant.
    source: where the function comes from.
    """

    formula: Formula
    gradient: Formula
    meaning: str
    text: str
    domain: tuple[tuple[float, float], ...]
    start: Point
    minima: tuple[Point, ...] = ()
    least: float | None = None
    hessian: tuple[Point, ...] | None = None
    source: str

    @property
    def dimension(self) -> int:
        """The number of coordinates."""
        return len(self.start)


def surface(model: Mapping[str, Any]) -> Surface:
    """Return the surface that the settings of a model choose, as in `config.model` of run.json."""
    if model["name"] == QUADRATIC:
        eigenvalues = model["eigenvalues"]
        if eigenvalues is None:
            eigenvalues = spectrum(model["dimension"], model["condition"])
        return quadratic(tuple(eigenvalues), model["rotation"])
    return SURFACES[model["name"]]


def spectrum(dimension: int, condition: float) -> Point:
    """Return eigenvalues in geometric progression.

    Args:
        dimension: how many, at least 1.
        condition: the ratio of the last to the first.

    Returns:
        Eigenvalues from 1 to `condition`; a single one is `condition`.
    """
    steps = range(dimension)
    return tuple(condition ** (step / (dimension - 1)) for step in steps) if dimension > 1 else (condition,)


def quadratic(eigenvalues: Point, rotation: float) -> Surface:
    """f(w) = 1/2 sum_i lambda_i z_i^2 with rotated eigenvectors; the minimum is 0 at 0.

    z are the coordinates of w in the axes after a rotation in the plane of the first two, then in that of the
    second and third, and so on.

    Args:
        eigenvalues: the lambda_i.
        rotation: the angle of each rotation, in degrees.

    Returns:
        The surface.
    """
    size = len(eigenvalues)
    axes = [[float(row == column) for row in range(size)] for column in range(size)]
    rotated = [_to_eigenvectors(axis, rotation) for axis in axes]  # rotated[i][k]: z_k of the i-th axis

    def second_derivative(left: Sequence[float], right: Sequence[float]) -> float:
        return math.fsum(value * (a * b) for value, a, b in zip(eigenvalues, left, right, strict=True))

    def formula(xp: Any, *w: Any) -> Any:
        z = _to_eigenvectors(w, rotation)
        terms = [value / 2 * z_i * z_i for value, z_i in zip(eigenvalues, z, strict=True)]
        return sum(terms[1:], start=terms[0])

    def gradient(xp: Any, *w: Any) -> list[Any]:
        z = _to_eigenvectors(w, rotation)
        scaled = [value * z_i for value, z_i in zip(eigenvalues, z, strict=True)]
        return _rotated(scaled, -rotation, range(size - 1))  # the inverse of `_to_eigenvectors`

    return Surface(
        formula=formula,
        gradient=gradient,
        meaning="quadratic with the given eigenvalues; minimum at 0",
        text=f"1/2 sum_i lambda_i z_i^2 with lambda from {min(eigenvalues):g} to {max(eigenvalues):g}",
        domain=((-1.5, 1.5),) * size,
        start=(1.0,) * size,
        minima=((0.0,) * size,),
        least=0.0,
        hessian=tuple(tuple(second_derivative(left, right) for right in rotated) for left in rotated),
        source="the model problem of convergence theory: Nesterov 2018, Lectures on Convex Optimization",
    )


def _to_eigenvectors(w: Sequence[Any], degrees: float) -> list[Any]:
    """Return the coordinates of w in axes rotated in the planes (0, 1), (1, 2), ... in that order."""
    return _rotated(w, degrees, reversed(range(len(w) - 1)))


def _rotated(w: Sequence[Any], degrees: float, axes: Iterable[int]) -> list[Any]:
    z = list(w)
    if degrees == 0:
        return z
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    for axis in axes:
        first, second = z[axis], z[axis + 1]
        z[axis], z[axis + 1] = cos * first + sin * second, cos * second - sin * first
    return z


def _beale_gradient(xp: Any, x: Any, y: Any) -> list[Any]:
    a, b, c = 1.5 - x + x * y, 2.25 - x + x * y**2, 2.625 - x + x * y**3
    along_x = a * (y - 1) + b * (y**2 - 1) + c * (y**3 - 1)
    return [2 * along_x, 2 * x * (a + 2 * y * b + 3 * y**2 * c)]


def _branin(xp: Any, x: Any, y: Any) -> Any:
    parabola = y - 5.1 / (4 * math.pi**2) * x**2 + 5 / math.pi * x - 6
    return parabola**2 + 10 * (1 - 1 / (8 * math.pi)) * xp.cos(x) + 10


def _branin_gradient(xp: Any, x: Any, y: Any) -> list[Any]:
    parabola = y - 5.1 / (4 * math.pi**2) * x**2 + 5 / math.pi * x - 6
    slope = 5 / math.pi - 5.1 / (2 * math.pi**2) * x
    return [2 * parabola * slope - 10 * (1 - 1 / (8 * math.pi)) * xp.sin(x), 2 * parabola]


def _rastrigin(xp: Any, x: Any, y: Any) -> Any:
    # 10 - 10 cos(2 pi x), without the cancellation near the minimum
    waves = xp.sin(math.pi * x) ** 2 + xp.sin(math.pi * y) ** 2
    return x**2 + y**2 + 20 * waves


def _rastrigin_gradient(xp: Any, *w: Any) -> list[Any]:
    return [2 * x + 40 * math.pi * xp.sin(math.pi * x) * xp.cos(math.pi * x) for x in w]


def _lessard(xp: Any, x: Any) -> Any:
    right = xp.where(x < 2, x**2 / 2 + 24 * x - 12, 12.5 * x**2 - 24 * x + 36)
    return xp.where(x < 1, 12.5 * x**2, right)


QUADRATIC = "quadratic"

# Minima other than round numbers were found by Newton's method with 40 digits.
SURFACES: dict[str, Surface] = {
    "rosenbrock": Surface(
        formula=lambda xp, x, y: (1 - x) ** 2 + 100 * (y - x**2) ** 2,
        gradient=lambda xp, x, y: [-2 * (1 - x) - 400 * x * (y - x**2), 200 * (y - x**2)],
        meaning="banana-shaped valley with a flat floor, from (-1.2, 1) to (1, 1)",
        text="(1 - x)^2 + 100 (y - x^2)^2",
        domain=((-2.0, 2.0), (-1.0, 3.0)),
        start=(-1.2, 1.0),
        minima=((1.0, 1.0),),
        least=0.0,
        source="Rosenbrock 1960, An automatic method for finding the greatest or least value of a function",
    ),
    "beale": Surface(
        formula=lambda xp, x, y: (
            (1.5 - x + x * y) ** 2 + (2.25 - x + x * y**2) ** 2 + (2.625 - x + x * y**3) ** 2
        ),
        gradient=_beale_gradient,
        meaning="flat plains and sharp ridges, from (1, 1) to (3, 0.5)",
        text="(1.5 - x + xy)^2 + (2.25 - x + xy^2)^2 + (2.625 - x + xy^3)^2",
        domain=((-4.5, 4.5), (-4.5, 4.5)),
        start=(1.0, 1.0),
        minima=((3.0, 0.5),),
        least=0.0,
        source="Beale 1958; start: Moré, Garbow, Hillstrom 1981, Testing unconstrained optimization software",
    ),
    "branin": Surface(
        formula=_branin,
        gradient=_branin_gradient,
        meaning="three equal minima in [-5, 10] x [0, 15]",
        text="(y - 5.1 x^2 / (4 pi^2) + 5x/pi - 6)^2 + 10 (1 - 1/(8 pi)) cos x + 10",
        domain=((-5.0, 10.0), (0.0, 15.0)),
        start=(2.5, 7.5),  # the middle of the domain; there is no usual start
        minima=((-math.pi, 12.275), (math.pi, 2.275), (3 * math.pi, 2.475)),
        least=10 / (8 * math.pi),
        source="Branin 1972; Dixon, Szegö 1978, Towards Global Optimisation 2",
    ),
    "himmelblau": Surface(
        formula=lambda xp, x, y: (x**2 + y - 11) ** 2 + (x + y**2 - 7) ** 2,
        gradient=lambda xp, x, y: [
            4 * x * (x**2 + y - 11) + 2 * (x + y**2 - 7),
            2 * (x**2 + y - 11) + 4 * y * (x + y**2 - 7),
        ],
        meaning="four equal minima around the start, (0, 0)",
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
        gradient=_rastrigin_gradient,
        meaning="bowl with a local minimum near every pair of integers",
        text="20 + x^2 - 10 cos(2 pi x) + y^2 - 10 cos(2 pi y)",
        domain=((-5.12, 5.12), (-5.12, 5.12)),
        start=(-2.0, 3.5),  # that of the pictures of pytorch-optimizer
        minima=((0.0, 0.0),),
        least=0.0,
        source="Rastrigin 1974; Mühlenbein, Schomisch, Born 1991, The parallel genetic algorithm",
    ),
    "distill": Surface(
        formula=lambda xp, x, y: (1 - x) ** 2 + 20 * (3 * y - x**2) ** 2,
        gradient=lambda xp, x, y: [-2 * (1 - x) - 80 * x * (3 * y - x**2), 120 * (3 * y - x**2)],
        meaning="winding valley of the picture of 'Why momentum really works'",
        text="(1 - x)^2 + 20 (3y - x^2)^2",
        domain=((-1.7, 1.3), (-0.3, 1.0)),
        start=(-1.21, 0.853),
        minima=((1.0, 1 / 3),),
        least=0.0,
        source="Goh 2017, Why momentum really works (Distill): the picture at its top",
    ),
    "newton": Surface(
        formula=lambda xp, x, y: (
            0.2 * (x - 0.4) ** 4 + 4 * x**2 + 0.4 * (y + 1) ** 4 + y**2 + 1.5 * x * y - 1
        ),
        gradient=lambda xp, x, y: [
            0.8 * (x - 0.4) ** 3 + 8 * x + 1.5 * y,
            1.6 * (y + 1) ** 3 + 2 * y + 1.5 * x,
        ],
        meaning="smooth convex bowl of the picture of gradient descent against Newton",
        text="0.2 (x - 0.4)^4 + 4x^2 + 0.4 (y + 1)^4 + y^2 + 1.5xy - 1",
        domain=((-0.6, 0.6), (-1.5, 0.4)),
        start=(-0.2182, -1.2585),
        minima=((0.061923438562411656, -0.3096499560668391),),
        least=-0.824075424377467,
        source="the picture of gradient descent against Newton's method that lectures show",
    ),
    "valley": Surface(
        formula=lambda xp, x, y: 0.1 * x**2 + 2 * y**2,
        gradient=lambda xp, x, y: [0.2 * x, 4 * y],
        meaning="narrow valley of Dive into Deep Learning",
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
        gradient=lambda xp, x: [xp.where(x < 1, 25 * x, xp.where(x < 2, x + 24, 25 * x - 24))],
        meaning="convex, piecewise quadratic, one weight: momentum tuned for quadratics cycles",
        text="25x^2/2 if x < 1, x^2/2 + 24x - 12 if 1 <= x < 2, else 25x^2/2 - 24x + 36",
        domain=((-4.0, 4.0),),
        start=(3.3,),
        minima=((0.0,),),
        least=0.0,
        source="Lessard, Recht, Packard 2016, Analysis and design of optimization algorithms",
    ),
    "tilt": Surface(
        formula=lambda xp, x: 0 * x,
        gradient=lambda xp, x: [0 * x],
        meaning="one weight on [-1, 1], for Reddi's problems for Adam",
        text="0 everywhere; dataset=sequence adds the slope",
        domain=((-1.0, 1.0),),
        start=(0.0,),
        source="Reddi, Kale, Kumar 2018, On the convergence of Adam and beyond, section 3",
    ),
    "ad_example": Surface(
        formula=lambda xp, x, y: x * y + xp.sin(x),
        gradient=lambda xp, x, y: [y + xp.cos(x), x],
        meaning="the example of automatic differentiation",
        text="xy + sin x",
        domain=((-3.0, 3.0), (-6.0, 6.0)),
        start=(0.5, 4.2),
        source="the usual example of a computational graph for automatic differentiation",
    ),
}

SURFACE_MODELS = (QUADRATIC, *SURFACES)  # names of models
