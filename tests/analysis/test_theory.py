"""Theory: spectral radii against eigenvalues of companion matrices, tuned parameters, measured rates."""

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from sgdlab.analysis.theory import METHODS, contraction_factor

COMPANIONS: dict[str, Callable[[float, float, float], list[list[float]]]] = {
    "gradient_descent": lambda a, b, c: [[1 - a * c, 0], [1, 0]],
    "heavy_ball": lambda a, b, c: [[1 + b - a * c, -b], [1, 0]],
    "nesterov": lambda a, b, c: [[(1 + b) * (1 - a * c), -b * (1 - a * c)], [1, 0]],
}
NAMES = pytest.mark.parametrize("name", METHODS)
STEP, MOMENTUM, CURVATURE = st.floats(1e-3, 3), st.floats(0, 1), st.floats(0.01, 3)


def eigenvalue(name: str, a: float, b: float, c: float) -> float:
    """The spectral radius as numpy computes it."""
    return float(np.abs(np.linalg.eigvals(np.array(COMPANIONS[name](a, b, c)))).max())


@NAMES
@given(a=STEP, b=MOMENTUM, c=CURVATURE)
def test_the_radius_is_that_of_the_companion_matrix(name: str, a: float, b: float, c: float) -> None:
    # A double root is known to the square root of the rounding error only.
    assert METHODS[name].spectral_radius(a, b, c) == pytest.approx(eigenvalue(name, a, b, c), abs=1e-6)


@NAMES
@given(a=STEP, b=MOMENTUM, m=CURVATURE, times=st.floats(1, 100))
def test_the_worst_eigenvalue_is_the_least_or_the_largest(
    name: str, a: float, b: float, m: float, times: float
) -> None:
    between = [METHODS[name].spectral_radius(a, b, c) for c in np.linspace(m, m * times, 50)]
    assert max(between) <= METHODS[name].rate(a, b, m, m * times) + 1e-9


@pytest.mark.parametrize(
    ("name", "rate"), [("gradient_descent", 0.9802), ("heavy_ball", 0.8182), ("nesterov", 0.8847)]
)
def test_tuned_for_condition_number_100(name: str, rate: float) -> None:
    method = METHODS[name]
    tuned = method.tuned(1.0, 100.0)
    assert round(tuned.rate, 4) == rate
    assert method.rate(tuned.lr, tuned.momentum, 1, 100) == pytest.approx(tuned.rate, abs=1e-7)


def test_nesterovs_own_parameters_for_condition_number_100() -> None:
    assert METHODS["nesterov"].rate(1 / 100, 9 / 11, 1, 100) == pytest.approx(0.9, abs=1e-7)


@NAMES
@given(m=CURVATURE, times=st.floats(1.5, 1000), da=st.floats(-0.2, 0.2), db=st.floats(-0.2, 0.2))
def test_nothing_is_better_than_tuned(name: str, m: float, times: float, da: float, db: float) -> None:
    tuned = METHODS[name].tuned(m, m * times)
    other = METHODS[name].rate(tuned.lr * (1 + da), abs(tuned.momentum + db), m, m * times)
    assert other >= tuned.rate - 1e-7


@NAMES
@given(b=st.floats(0, 0.99), L=CURVATURE)
def test_from_the_limit_on_it_diverges(name: str, b: float, L: float) -> None:
    limit = METHODS[name].stability_limit(b, L)
    assert (
        METHODS[name].spectral_radius(0.999 * limit, b, L)
        < 1
        < METHODS[name].spectral_radius(1.001 * limit, b, L)
    )


@given(a=st.floats(0.001, 0.039), b=st.floats(0, 0.999))
def test_no_momentum_is_better_than_the_best(a: float, b: float) -> None:
    method = METHODS["heavy_ball"]
    assert method.best_momentum is not None
    best = method.best_momentum(a, 1, 100)
    rate = method.rate(a, best, 1, 100)
    assert rate == pytest.approx(math.sqrt(best), abs=1e-6)
    assert method.rate(a, b, 1, 100) >= rate - 1e-6


# Measured


def swings_slowly(name: str, a: float, b: float) -> bool:
    """Whether half a swing of the slowest direction takes longer than a quarter of the path, until it is
    1e-13 of the first distance: then its quarters do not tell the rate."""
    method = METHODS[name]
    c = max((1.0, 100.0), key=lambda c: method.spectral_radius(a, b, c))
    total, product = {
        "gradient_descent": (1 - a * c, 0.0),
        "heavy_ball": (1 + b - a * c, b),
        "nesterov": ((1 + b) * (1 - a * c), b * (1 - a * c)),
    }[name]
    if total * total >= 4 * product:
        return False
    angle = math.acos(abs(total) / (2 * math.sqrt(product)))  # of the roots, a step
    quarter = min(400, math.log(1e-13) / math.log(method.rate(a, b, 1, 100))) / 4
    return angle * quarter < math.pi


@pytest.mark.parametrize("name", ["heavy_ball", "nesterov", "gradient_descent"])
@given(a=st.floats(0.002, 0.018), b=st.floats(0, 0.8))
def test_a_simulated_path_shows_the_rate(name: str, a: float, b: float) -> None:
    assume(not swings_slowly(name, a, b))
    eigenvalues = np.array([1.0, 100.0])
    before = w = np.ones(2)
    distance = [math.sqrt(2)]
    for _ in range(400):
        ahead = w + b * (w - before) if name == "nesterov" else w
        push = 0 if name != "heavy_ball" else b * (w - before)
        w, before = ahead - a * eigenvalues * ahead + push, w
        distance.append(float(np.linalg.norm(w)))
    found = contraction_factor(range(401), distance)
    b = 0.0 if name == "gradient_descent" else b
    assert found == pytest.approx(METHODS[name].rate(a, b, 1, 100), abs=0.02)


def test_a_constant_factor_is_found_exactly_and_steps_may_be_left_out() -> None:
    assert contraction_factor(range(50), [0.9**i for i in range(50)]) == pytest.approx(0.9)
    assert contraction_factor(range(0, 100, 2), [1.1**i for i in range(0, 100, 2)]) == pytest.approx(1.1)
    assert contraction_factor([0, 1, 2], [1.0, 0.5, 0.25]) == pytest.approx(0.5)


def test_rounding_at_the_minimum_is_no_rate() -> None:
    path = [0.5**i for i in range(40)] + [1e-16] * 200
    assert contraction_factor(range(240), path) == pytest.approx(0.5)
    assert contraction_factor([0, 1, 2], [1.0, 0.0, 0.0]) == 0.0
    assert math.isnan(contraction_factor([0], [1.0])) and math.isnan(contraction_factor([0, 1], [0.0, 1.0]))
