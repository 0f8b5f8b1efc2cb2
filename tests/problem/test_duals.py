"""Numbers that carry their derivatives, against autograd."""

import doctest
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sgdlab.problem import duals
from sgdlab.problem.surfaces import SURFACES, quadratic

NUMBERS = st.floats(-3, 3)

# Every operation, with a number on either side.
FORMULAS = {
    "sums": lambda w, xp: 2 + w[0] + w[1] + 3 - (w[0] - 1) - (1 - w[1]) - (w[0] - w[1]) + -w[0],
    "products": lambda w, xp: 2 * w[0] * w[1] * 3 / 7 + w[0] * w[0],
    "powers": lambda w, xp: w[0] ** 1 + w[0] ** 2 - w[1] ** 3 + (w[0] * w[1]) ** 4,
    "circular": lambda w, xp: xp.sin(w[0] * w[1]) * xp.cos(w[0]) - xp.cos(xp.sin(w[1])),
    "where": lambda w, xp: xp.where(w[0] < 0.5, w[0] * w[1], xp.where(w[1] < -1, w[0] ** 2, 3 * w[1])),
}


def by_torch(formula, point):
    w = torch.tensor(point, dtype=torch.float64, requires_grad=True)
    value = formula(w.unbind(), torch)
    return value.item(), torch.autograd.grad(value, w)[0].tolist()


def test_examples():
    tried = doctest.testmod(duals)
    assert tried.attempted > 0
    assert tried.failed == 0


@pytest.mark.parametrize("name", FORMULAS)
@settings(max_examples=50)
@given(NUMBERS, NUMBERS)
def test_every_rule_is_that_of_autograd(name, x, y):
    value, slopes = by_torch(FORMULAS[name], [x, y])
    found = duals.of(FORMULAS[name], [x, y])
    assert found.value == pytest.approx(value, rel=1e-13, abs=1e-13)
    assert found.slopes == pytest.approx(slopes, rel=1e-12, abs=1e-12)


@pytest.mark.parametrize("size", [1, 2, 4])
def test_a_turned_quadratic(size):
    surface = quadratic(tuple(range(1, size + 1)), 30.0)
    point = np.random.default_rng(0).normal(size=size).tolist()
    value, slopes = by_torch(surface.formula, point)
    found = duals.of(surface.formula, point)
    assert found.value == pytest.approx(value, rel=1e-14)
    assert found.slopes == pytest.approx(slopes, rel=1e-13)
    assert found.slopes == pytest.approx((np.array(surface.hessian) @ point).tolist(), rel=1e-13)


@pytest.mark.parametrize("name", SURFACES)
@pytest.mark.parametrize("huge", [1e160, -1e308, math.inf, math.nan])
def test_a_value_out_of_range_is_that_of_torch(name, huge):
    """A run that diverges says of its loss whether it is inf or nan."""
    surface = SURFACES[name]
    point = [huge] * surface.dimension
    value, _ = by_torch(surface.formula, point)
    assert duals.of(surface.formula, point).value == pytest.approx(value, rel=1e-13, nan_ok=True)
