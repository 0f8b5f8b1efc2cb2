"""The claims about adaptive optimizers, about derivatives, and about four optimizers on raw Fashion-MNIST.

Covered: Adam and AMSGrad where Adam fails, Shampoo and Muon, backward differentiation, raw pixels.
"""

import math
from collections.abc import Callable, Mapping
from functools import partial

import numpy as np

from sgdlab.analysis.claims.claim import (
    BETWEEN,
    ONE_DRAW,
    SEEDS,
    Claim,
    Expected,
    Measured,
    Missing,
    Runs,
    between_seeds,
    claims_about,
    listed,
    quantity,
    within,
)
from sgdlab.records import Run


def _ends_at(expected: Mapping[str, float], runs: Runs) -> Measured:
    ends = {case: float(runs[case].trajectory().w0.iloc[-1]) for case in expected}
    text = ", ".join(f"{case} {end:+.4g}" for case, end in ends.items())
    return Measured(text, within(ends.values(), expected.values(), 5e-4))


def _average_regrets(runs: Runs) -> Measured:
    """Return the mean over a run of f_t(x_t) - f_t(x*), where the mean of f_t(x*) is -1/3."""
    adam, amsgrad = (float(runs[case].train().loss.mean()) + 1 / 3 for case in ("Adam", "AMSGrad"))
    holds = abs(adam - 0.69) <= 0.005 and abs(amsgrad - 0.030) <= 0.0005
    return Measured(f"Adam {adam:.3f}, AMSGrad {amsgrad:.4f}", holds)


def _largest_difference(runs: Runs, one: str, other: str) -> float:
    """Return the largest relative difference of two loss curves."""
    a, b = (runs[case].train().loss.to_numpy() for case in (one, other))
    if len(a) != len(b) or not len(a):
        raise Missing(f"{one} and {other} of one length")
    return float(np.max(np.abs(a - b) / np.abs(a)))


def _muon_is_shampoo(runs: Runs) -> Measured:
    difference = _largest_difference(runs, "Muon, exact U V^T", "Shampoo, b = 0")
    loss = runs["Shampoo, b = 0"].train().loss
    fall = f"loss {loss.iloc[0]:.3g} to {loss.iloc[-1]:.3g}"
    text = f"largest relative difference {difference:.1e} over {len(loss)} steps ({fall})"
    return Measured(text, difference < 1e-8)


def _newton_schulz_is_near(runs: Runs) -> Measured:
    difference = _largest_difference(runs, "Muon, exact U V^T", "Muon, 5 Newton-Schulz steps")
    return Measured(f"largest relative difference {difference:.2g}", 1e-4 < difference < 1)


def _backward_derivatives(runs: list[Run]) -> Measured:
    numbers = np.array([*quantity(runs[0], "value"), *quantity(runs[0], "backward")])
    x, y = 0.5, 4.2
    exact = np.array([x * y + math.sin(x), y + math.cos(x), x])
    printed = np.array([2.579425538604203, 5.077582561890373, 0.5])
    off = max(float(np.abs(numbers / other - 1).max()) for other in (exact, printed))
    return Measured(", ".join(f"{number:.16g}" for number in numbers), off < 4e-16)


def _finite_differences(runs: list[Run]) -> Measured:
    central, forward = min(quantity(runs[0], "central_error")), min(quantity(runs[0], "forward_error"))
    text = f"best relative error: central {central:.1e}, forward {forward:.1e}"
    return Measured(text, central < 1e-9 and forward < 1e-6)


def _final(name: str, holds: Callable[[dict[str, float]], bool], runs: Runs) -> Measured:
    """Check that a final metric of the four optimizers satisfies `holds`."""
    cases = ("SGD", "Momentum", "Nesterov", "Adam")
    metrics = {case: float(runs[case].metrics[name] or math.nan) for case in cases}
    return Measured(listed(metrics, ".3f"), holds(metrics))


def _initial_loss(published: float, runs: Runs) -> Measured:
    """Compare the test loss before the first update with its range over the seeds."""
    draws = [[float(run.eval().test_loss.iloc[0])] for run in runs.values()]
    return between_seeds(draws, [published], ".4g", 0.5)


_PAPER = "the digits that the reference gives"
_START = f"{ONE_DRAW}; how their network starts, they do not say: here with LeCun-normal weights"

ADAPTIVE_CLAIMS: tuple[Claim, ...] = (
    *claims_about(
        "adam_fails",
        Claim(
            "on f_t = 3x, -x, -x Adam ends at +1, the worst point; AMSGrad at -.965",
            partial(_ends_at, {"Adam": 1.0, "AMSGrad": -0.965}),
            Expected("+1, -.965", "5e-4", _PAPER),
        ),
        Claim(
            "average regret after 30,000 steps .69 and .030",
            _average_regrets,
            Expected(".69, .030", ".005, .0005", _PAPER),
        ),
        by="case",
    ),
    *claims_about(
        "adam_fails_online",
        Claim(
            "online with 1010x and -10x Adam ends at +.993, AMSGrad at -.984",
            partial(_ends_at, {"Adam": 0.993, "AMSGrad": -0.984}),
            Expected("+.993, -.984", "5e-4", _PAPER),
            scope="full",
            needs="all 100,000 steps",
        ),
        by="case",
    ),
    *claims_about(
        "shampoo_muon",
        Claim(
            "Shampoo without accumulation is Muon: (G G^T)^(-1/4) G (G^T G)^(-1/4) = U V^T",
            _muon_is_shampoo,
            Expected(
                "the same loss curve",
                "1e-8, relative",
                "float64; the roots of a nearly singular matrix magnify its rounding",
            ),
        ),
        Claim(
            "five Newton-Schulz steps come near U V^T, and are not it",
            _newton_schulz_is_near,
            Expected("near", "between 1e-4 and 1", "they leave singular values in [.68, 1.13]"),
            kind="order",
        ),
        by="case",
    ),
    *claims_about(
        "backward_ad",
        Claim(
            "z = xy + sin x at (.5, 4.2): z = 2.579425538604203, dz/dx = 5.077582561890373, dz/dy = .5",
            _backward_derivatives,
            Expected("these numbers; y + cos x, x", "4e-16, relative", "two roundings of float64"),
        ),
        Claim(
            "the definition of the derivative agrees",
            _finite_differences,
            Expected(
                "0",
                "1e-9 central, 1e-6 forward, at the best h",
                "rounding over h against h^2 or h: about eps^(2/3) and eps^(1/2)",
            ),
            kind="order",
        ),
    ),
    *claims_about(
        "fashion_mnist_raw_start",
        Claim(
            "the initial test loss is about 127",
            partial(_initial_loss, 127),
            Expected("127", BETWEEN, _START),
            kind="seeds",
            scope="full",
        ),
        by="seed",
        count=SEEDS,
    ),
    *claims_about(
        "fashion_mnist_raw",
        Claim(
            "Adam is best by accuracy",
            partial(_final, "test_accuracy", lambda metrics: max(metrics, key=metrics.__getitem__) == "Adam"),
            kind="order",
            scope="full",
            numbers=".783, against .677, .692, .736",
        ),
        Claim(
            "and not by test loss",
            partial(_final, "test_loss", lambda metrics: min(metrics, key=metrics.__getitem__) != "Adam"),
            kind="order",
            scope="full",
            numbers=".832, against Nesterov's .722",
        ),
        by="case",
    ),
)
