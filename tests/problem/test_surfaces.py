"""Surfaces: gradients against differences and by hand, exact minima, one formula for NumPy and torch."""

import doctest
import math
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sgdlab.problem import duals, surfaces
from sgdlab.problem.surfaces import SURFACES, quadratic, spectrum

SEEDS = st.integers(0, 2**32 - 1)
PLAIN = {name: each for name, each in SURFACES.items() if each.least is not None}


def beale(x, y):
    parts = [(1.5 - x + x * y, y - 1, x)]
    parts += [(2.25 - x + x * y**2, y**2 - 1, 2 * x * y), (2.625 - x + x * y**3, y**3 - 1, 3 * x * y**2)]
    return [sum(2 * value * dx for value, dx, _ in parts), sum(2 * value * dy for value, _, dy in parts)]


def branin(x, y):
    b, c = 5.1 / (4 * math.pi**2), 5 / math.pi
    inner = y - b * x**2 + c * x - 6
    return [2 * inner * (c - 2 * b * x) - 10 * (1 - 1 / (8 * math.pi)) * math.sin(x), 2 * inner]


# By hand; that of lessard is the one that the paper gives, of which the function is the integral.
GRADIENTS = {
    "rosenbrock": lambda x, y: [-2 * (1 - x) - 400 * x * (y - x**2), 200 * (y - x**2)],
    "beale": beale,
    "branin": branin,
    "himmelblau": lambda x, y: [
        4 * x * (x**2 + y - 11) + 2 * (x + y**2 - 7),
        2 * (x**2 + y - 11) + 4 * y * (x + y**2 - 7),
    ],
    "rastrigin": lambda *w: [2 * each + 20 * math.pi * math.sin(2 * math.pi * each) for each in w],
    "distill": lambda x, y: [-2 * (1 - x) - 80 * x * (3 * y - x**2), 120 * (3 * y - x**2)],
    "newton": lambda x, y: [0.8 * (x - 0.4) ** 3 + 8 * x + 1.5 * y, 1.6 * (y + 1) ** 3 + 2 * y + 1.5 * x],
    "valley": lambda x, y: [0.2 * x, 4 * y],
    "lessard": lambda x: [25 * x if x < 1 else x + 24 if x < 2 else 25 * x - 24],
    "tilt": lambda x: [0.0],
    "ad_example": lambda x, y: [y + math.cos(x), x],
}


def value(surface, w):
    return float(surface.formula([np.float64(each) for each in w], np))


def gradient(surface, w):
    """By torch, from the formula."""
    point = torch.tensor(w, dtype=torch.float64, requires_grad=True)
    (found,) = torch.autograd.grad(surface.formula(point.unbind(), torch), point)
    return found.numpy()


def difference(surface, w, h=1e-5):
    steps = h * np.eye(len(w))
    return np.array([(value(surface, w + step) - value(surface, w - step)) / (2 * h) for step in steps])


def points(surface, seed, count=5):
    low, high = np.array(surface.domain).T
    return np.random.default_rng(seed).uniform(low, high, (count, len(low)))


def test_every_surface_has_a_gradient_by_hand():
    assert set(GRADIENTS) == set(SURFACES)


@pytest.mark.parametrize("name", SURFACES)
@settings(max_examples=20)
@given(SEEDS)
def test_the_gradient_is_the_one_by_hand(name, seed):
    surface = SURFACES[name]
    for w in [*points(surface, seed), *surface.minima, surface.start]:
        expected = GRADIENTS[name](*map(float, w))
        scale = max(1, *np.abs(expected))
        dual = duals.of(surface.formula, w)
        assert dual.value == pytest.approx(value(surface, w), rel=1e-13, abs=1e-13)
        for found in (gradient(surface, w), dual.slopes):
            assert found == pytest.approx(expected, rel=1e-11, abs=1e-11 * scale)


@pytest.mark.parametrize("name", SURFACES)
@settings(max_examples=20)
@given(SEEDS)
def test_the_gradient_agrees_with_differences(name, seed):
    surface = SURFACES[name]
    for w in points(surface, seed):
        if name == "lessard" and min(abs(w[0] - 1), abs(w[0] - 2)) < 1e-4:
            continue  # a difference across a kink of the gradient is neither side's
        expected = gradient(surface, w)
        # h^2 / 6 of the third derivative, and rounding of the value over h
        scale = max(1, *np.abs(expected), abs(value(surface, w)))
        assert difference(surface, w) == pytest.approx(expected, rel=1e-6, abs=1e-8 * scale)


@pytest.mark.parametrize("name", SURFACES)
def test_numpy_and_torch_compute_the_same(name):
    surface = SURFACES[name]
    coordinates = points(surface, 0, count=60).T.reshape(surface.dimension, 4, 15)
    by_numpy = surface.formula(list(coordinates), np)
    by_torch = surface.formula(list(torch.from_numpy(coordinates)), torch)
    assert by_numpy.shape == by_torch.shape == (4, 15) and by_torch.dtype == torch.float64
    np.testing.assert_allclose(by_torch.numpy(), by_numpy, rtol=1e-13, atol=1e-13)
    one = surface.formula([each[1, 2] for each in coordinates], np)
    assert one == pytest.approx(by_numpy[1, 2], rel=1e-13)


@pytest.mark.parametrize("name", PLAIN)
def test_minima(name):
    surface = PLAIN[name]
    assert len(set(surface.minima)) == len(surface.minima) >= 1
    for w in surface.minima:
        assert value(surface, w) == pytest.approx(surface.least, rel=1e-15, abs=1e-28)
        assert gradient(surface, w) == pytest.approx(np.zeros(len(w)), abs=5e-14)


@pytest.mark.parametrize("name", PLAIN)
def test_nothing_in_the_domain_is_lower(name):
    surface = PLAIN[name]
    axes = [np.linspace(low, high, 301) for low, high in surface.domain]
    grid = np.meshgrid(*axes, indexing="ij")
    values = surface.formula(grid, np)
    assert values.min() >= surface.least - 1e-15
    # and where it is nearly least, a minimum of the table is near
    low = np.stack([each[values < surface.least + 0.02] for each in grid], axis=-1)
    distances = np.linalg.norm(low[:, None] - np.array(surface.minima), axis=-1).min(axis=1)
    assert (distances < 0.5).all()


@pytest.mark.parametrize("name", SURFACES)
def test_start_and_minima_lie_in_the_domain(name):
    surface = SURFACES[name]
    low, high = np.array(surface.domain).T
    for w in (surface.start, *surface.minima):
        assert len(w) == surface.dimension == len(surface.domain)
        assert ((low <= w) & (w <= high)).all()
    assert surface.source and surface.text
    assert (surface.least is None) == (not surface.minima)


def himmelblau_exactly(x, y):
    a, b = x**2 + y - 11, x + y**2 - 7
    cross = 4 * x + 4 * y
    return (4 * x * a + 2 * b, 2 * a + 4 * y * b), (4 * a + 8 * x**2 + 2, cross, 2 + 4 * b + 8 * y**2)


def newton_exactly(x, y):
    u, v = x - Fraction(2, 5), y + 1
    slope = (Fraction(4, 5) * u**3 + 8 * x + Fraction(3, 2) * y, Fraction(8, 5) * v**3 + 2 * y)
    curvature = (Fraction(12, 5) * u**2 + 8, Fraction(3, 2), Fraction(24, 5) * v**2 + 2)
    return (slope[0], slope[1] + Fraction(3, 2) * x), curvature


@pytest.mark.parametrize(
    ("name", "exactly"), [("himmelblau", himmelblau_exactly), ("newton", newton_exactly)]
)
def test_minima_without_closed_form_are_the_nearest_floats(name, exactly):
    """In rational arithmetic, a Newton step from each moves no coordinate by more than half a unit in its
    last place (and a thousandth, as the step is the first of infinitely many)."""
    for w in SURFACES[name].minima:
        (gx, gy), (xx, xy, yy) = exactly(*map(Fraction, w))
        determinant = xx * yy - xy**2
        step = ((yy * gx - xy * gy) / determinant, (xx * gy - xy * gx) / determinant)
        for moved, coordinate in zip(step, w, strict=True):
            assert abs(moved) <= Fraction(math.ulp(coordinate)) * Fraction(501, 1000)


def test_the_least_value_of_the_newton_picture():
    x, y = map(Fraction, SURFACES["newton"].minima[0])
    u, v = x - Fraction(2, 5), y + 1
    exact = u**4 / 5 + 4 * x**2 + Fraction(2, 5) * v**4 + y**2 + Fraction(3, 2) * x * y - 1
    assert SURFACES["newton"].least == float(exact)
    assert SURFACES["newton"].least == pytest.approx(-0.824075, abs=5e-7)  # as published
    assert SURFACES["newton"].minima[0] == pytest.approx((0.061923, -0.309650), abs=5e-7)


def test_lessard_is_continuous_with_curvature_between_1_and_25():
    lessard = SURFACES["lessard"]
    for kink in (1.0, 2.0):
        below = np.nextafter(kink, 0)
        assert value(lessard, [below]) == pytest.approx(value(lessard, [kink]), rel=1e-14)
        assert gradient(lessard, [below]) == pytest.approx(gradient(lessard, [kink]), rel=1e-14)


@settings(max_examples=40)
@given(st.integers(1, 6), st.floats(1, 1e4), st.floats(-400, 400), SEEDS)
def test_a_quadratic_has_its_spectrum_however_it_is_turned(dimension, condition, rotation, seed):
    surface = surfaces.surface(
        {
            "name": "quadratic",
            "eigenvalues": None,
            "dimension": dimension,
            "condition": condition,
            "rotation": rotation,
        }
    )
    hessian = np.array(surface.hessian)
    eigenvalues = spectrum(dimension, condition)
    assert eigenvalues[-1] == pytest.approx(condition, rel=1e-13)
    assert dimension == 1 or eigenvalues[0] == 1
    np.testing.assert_allclose(np.linalg.eigvalsh(hessian), eigenvalues, rtol=1e-12, atol=1e-12 * condition)
    assert (hessian == hessian.T).all()
    for w in np.random.default_rng(seed).normal(size=(3, dimension)):
        assert value(surface, w) == pytest.approx(w @ hessian @ w / 2, rel=1e-11)
        np.testing.assert_allclose(gradient(surface, w), hessian @ w, rtol=1e-9, atol=1e-11 * condition)
        by_torch = surface.formula(torch.from_numpy(w).unbind(), torch).item()
        assert by_torch == pytest.approx(value(surface, w), rel=1e-13)


def test_a_rotation_turns_the_eigenvectors_in_degrees():
    (a, b), (c, d) = quadratic((1.0, 100.0), 30.0).hessian
    vectors = np.linalg.eigh(np.array([[a, b], [c, d]]))[1]
    expected = [math.cos(math.radians(30)), math.sin(math.radians(30))]
    assert np.abs(vectors[:, 0]) == pytest.approx(expected, rel=1e-12)
    assert vectors[0, 0] * vectors[1, 0] > 0


def test_without_rotation_the_axes_are_the_eigenvectors():
    surface = quadratic((2.0, 5.0, 0.5), 0.0)
    assert surface.hessian == ((2.0, 0.0, 0.0), (0.0, 5.0, 0.0), (0.0, 0.0, 0.5))
    assert value(surface, [1, 2, 4]) == 1 + 10 + 4
    assert surface.dimension == 3 and surface.minima == ((0.0, 0.0, 0.0),)


def test_given_eigenvalues_come_before_dimension_and_condition():
    settings = {"name": "quadratic", "dimension": 7, "condition": 9.0, "rotation": 0.0}
    assert surfaces.surface({**settings, "eigenvalues": [1, 4]}).dimension == 2
    assert surfaces.function({**settings, "eigenvalues": [1, 4]})([np.ones(2), np.ones(2)], np).tolist() == [
        2.5,
        2.5,
    ]


def test_the_example_in_the_text_is_right():
    tried = doctest.testmod(surfaces)
    assert tried.attempted >= 1 and tried.failed == 0
