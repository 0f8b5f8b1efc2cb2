"""The minimum of a problem, where it is known: from the table of surfaces, or by Newton's method."""

import copy
from collections.abc import Callable
from dataclasses import asdict, dataclass

import torch
from torch import Tensor
from torch.autograd.functional import hessian as second_derivatives

from sgdlab.problem import Problem, settings, surfaces

MOST_WEIGHTS = 64
QUADRATIC_LOSSES = ("mse", "half_mse")
ITERATIONS = 100  # of Newton's method; about ten suffice if it converges

Point = tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class Minimum:
    """The minimum of the objective over all training examples; None for what is unknown.

    least: its value.
    minima: all points of that value, each with the weights in the model's order.
    hessian: the matrix of second derivatives, the same at all of them.
    """

    least: float | None = None
    minima: tuple[Point, ...] | None = None
    hessian: tuple[Point, ...] | None = None


def known_minimum(problem: Problem) -> Minimum:
    """Return the minimum of a surface, or of a linear model whose objective is strictly convex and smooth.

    Surfaces: from their table, if the data add no linear term (quadratics: with a ridge too); for `tilt`,
    which is linear, the minimum over its domain. Linear models of at most MOST_WEIGHTS weights with a squared
    loss, or with a smooth loss and a ridge: by Newton's method in float64.
    """
    model = problem.config.model
    if problem.spec.weights > MOST_WEIGHTS:
        return Minimum()
    if isinstance(model, settings.SurfaceModel):
        return _of_surface(problem, model)
    if isinstance(model, settings.Linear) or (isinstance(model, settings.Mlp) and not model.hidden):
        squared = problem.config.loss.name in QUADRATIC_LOSSES
        if squared or (problem.config.ridge > 0 and problem.config.loss.name != "l1"):
            return _by_newton(problem)
    return Minimum()


def _of_surface(problem: Problem, model: settings.SurfaceModel) -> Minimum:
    surface, ridge = surfaces.surface(asdict(model)), problem.config.ridge
    slope = problem.data.test_x[0].double()  # the mean of all xi
    if model.name == "tilt":
        ((low, high),) = surface.domain
        if ridge or slope == 0:
            return Minimum()
        best = low if slope > 0 else high
        return Minimum(least=float(slope) * best, minima=((best,),))
    if surface.least is None or slope.any():
        return Minimum()
    if ridge == 0:
        return Minimum(least=surface.least, minima=surface.minima, hessian=surface.hessian)
    if surface.hessian is None or any(any(point) for point in surface.minima):
        return Minimum()
    hessian = torch.tensor(surface.hessian, dtype=torch.float64)
    hessian += ridge * torch.eye(len(hessian), dtype=torch.float64)
    return Minimum(least=surface.least, minima=surface.minima, hessian=_rows(hessian))


def _by_newton(problem: Problem) -> Minimum:
    """Run Newton's method from 0, until rounding errors keep the gradient from shrinking further.

    A step is halved until it shrinks the gradient, which is always possible for a strictly convex function.
    """
    value = objective_function(problem)

    def gradient(w: Tensor) -> Tensor:
        w = w.detach().requires_grad_()
        return torch.autograd.grad(value(w), w)[0]

    w = torch.zeros(problem.spec.weights, dtype=torch.float64)
    first = float(gradient(w).norm())
    for _ in range(ITERATIONS):
        slope, hessian = gradient(w), second_derivatives(value, w)  # type: ignore[no-untyped-call]
        if torch.linalg.eigvalsh(hessian)[0] <= 1e-12 * hessian.diagonal().max():
            return Minimum()  # flat in some direction: no single minimum
        step = torch.linalg.solve(hessian, slope)
        points = (w - step * 0.5**halvings for halvings in range(10))
        better = next((point for point in points if gradient(point).norm() < slope.norm()), None)
        if better is None:
            if slope.norm() > 1e-10 * max(first, 1.0):
                return Minimum()
            return Minimum(least=float(value(w)), minima=(tuple(w.tolist()),), hessian=_rows(hessian))
        w = better
    return Minimum()


def objective_function(problem: Problem) -> Callable[[Tensor], Tensor]:
    """Return the objective over all training examples as a function of one weight vector (float64, CPU)."""
    data, ridge = problem.data, problem.config.ridge
    x, y = data.prepare(data.train_x).cpu().double(), data.train_y.cpu()
    y = y.double() if y.is_floating_point() else y
    model = copy.deepcopy(problem.model).cpu().double()
    shapes = {name: weight.shape for name, weight in model.named_parameters()}

    def value(w: Tensor) -> Tensor:
        parts = torch.split(w, [shape.numel() for shape in shapes.values()])
        weights = {name: part.view(shape) for (name, shape), part in zip(shapes.items(), parts, strict=True)}
        loss = problem.loss(torch.func.functional_call(model, weights, (x,)), y)
        return loss + ridge / 2 * w.square().sum()

    return value


def _rows(matrix: Tensor) -> tuple[Point, ...]:
    return tuple(tuple(row) for row in matrix.tolist())
