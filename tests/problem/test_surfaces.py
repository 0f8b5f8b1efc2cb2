"""Surfaces: gradients against autograd and differences, exact minima, one formula for all modules."""

import doctest
import math
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sgdlab.problem import surfaces
from sgdlab.problem.surfaces import FLOATS, SURFACES, quadratic, spectrum

SEEDS = st.integers(0, 2**32 - 1)
PLAIN = {name: each for name, each in SURFACES.items() if each.least is not None}


def value(surface, w):
    return float(surface.formula(np, *map(np.float64, w)))


def torch_value(surface, w):
    return surface.formula(torch, *torch.tensor(w, dtype=torch.float64)).item()


def gradient(surface, w):
    """By torch, from the formula."""
    point = torch.tensor(w, dtype=torch.float64, requires_grad=True)
    (found,) = torch.autograd.grad(surface.formula(torch, *point), point)
    return found.numpy()


def difference(surface, w, h=1e-5):
    steps = h * np.eye(len(w))
    return np.array([(value(surface, w + step) - value(surface, w - step)) / (2 * h) for step in steps])


def points(surface, seed, count=5):
    low, high = np.array(surface.domain).T
    return np.random.default_rng(seed).uniform(low, high, (count, len(low)))


def agree(surface, w):
    """Value and stated gradient at w in Python's floats and in numpy are those of torch and autograd."""
    by_torch, by_autograd = torch_value(surface, w), gradient(surface, w)
    scale = max(1, *np.abs(by_autograd))
    for xp, coordinates in ((FLOATS, list(map(float, w))), (np, list(np.array(w)))):
        assert surface.formula(xp, *coordinates) == pytest.approx(by_torch, rel=1e-12, abs=1e-13)
        stated = surface.gradient(xp, *coordinates)
        assert stated == pytest.approx(by_autograd, rel=1e-12, abs=1e-12 * scale)


@pytest.mark.parametrize("name", SURFACES)
@given(st.data())
def test_the_stated_gradient_is_autograd_s(name, data):
    surface = SURFACES[name]
    agree(surface, [data.draw(st.floats(low, high)) for low, high in surface.domain])


@pytest.mark.parametrize("name", SURFACES)
def test_the_stated_gradient_is_autograd_s_at_minima_and_start(name):
    surface = SURFACES[name]
    for w in (surface.start, *surface.minima):
        agree(surface, w)
    for w in surface.minima:
        assert surface.gradient(FLOATS, *w) == pytest.approx(np.zeros(len(w)), abs=5e-14)


def test_the_gradient_of_lessard_is_the_paper_s_which_is_continuous():
    stated = SURFACES["lessard"].gradient
    points = {-1.0: -25.0, 1.0: 25.0, 1.5: 25.5, 2.0: 26.0, 4.0: 76.0}
    assert {x: stated(FLOATS, x)[0] for x in points} == points


@settings(max_examples=40)
@given(st.integers(1, 4), st.floats(1, 1e4), st.floats(-400, 400), SEEDS)
def test_the_stated_gradient_of_a_rotated_quadratic_is_autograd_s(dimension, condition, rotation, seed):
    surface = quadratic(spectrum(dimension, condition), rotation)
    for w in np.random.default_rng(seed).normal(size=(3, dimension)).tolist():
        agree(surface, w)


@pytest.mark.parametrize("name", SURFACES)
def test_gradients_work_on_arrays(name):
    surface = SURFACES[name]
    coordinates = points(surface, 0, count=6).T
    stated = np.array(surface.gradient(np, *coordinates))
    assert stated.shape == (surface.dimension, 6)
    for column, w in zip(stated.T, coordinates.T, strict=True):
        assert column == pytest.approx(surface.gradient(FLOATS, *w.tolist()), rel=1e-13, abs=1e-13)


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
    by_numpy = surface.formula(np, *coordinates)
    by_torch = surface.formula(torch, *torch.from_numpy(coordinates))
    assert by_numpy.shape == by_torch.shape == (4, 15) and by_torch.dtype == torch.float64
    np.testing.assert_allclose(by_torch.numpy(), by_numpy, rtol=1e-13, atol=1e-13)
    one = surface.formula(np, *coordinates[:, 1, 2])
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
    values = surface.formula(np, *grid)
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
        by_torch = surface.formula(torch, *torch.from_numpy(w)).item()
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
    surface = surfaces.surface({**settings, "eigenvalues": [1, 4]})
    assert surface.formula(np, np.ones(2), np.ones(2)).tolist() == [2.5, 2.5]


def test_the_example_in_the_text_is_right():
    tried = doctest.testmod(surfaces)
    assert tried.attempted >= 1 and tried.failed == 0
