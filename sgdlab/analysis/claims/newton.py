"""The claims about Newton's method: its minimum, the length of its path, quadratic convergence."""

import numpy as np

from sgdlab.analysis.claims.claim import (
    DIGITS,
    Claim,
    Expected,
    Measured,
    Runs,
    claims_about,
    path_points,
    within,
)
from sgdlab.records import Run

# The error after each full step, and half a unit of its last digit; that of the fifth step is rounding.
ERRORS = ((0.989, 5e-4), (0.133, 5e-4), (0.0127, 5e-5), (1.3e-4, 5e-6), (1.4e-8, 5e-10))


def _path_length(run: Run) -> float:
    return float(np.linalg.norm(np.diff(path_points(run), axis=0), axis=1).sum())


def _minimum(runs: Runs) -> Measured:
    objective = runs["Newton"].info["objective"]
    (x, y), least = objective["minima"][0], objective["least"]
    holds = within((x, y, least), (0.061923, -0.309650, -0.824075), 5e-7)
    return Measured(f"({x:.6f}, {y:.6f}), f* = {least:.6f}", holds)


def _path_lengths(runs: Runs) -> Measured:
    run = runs["Newton"]
    gd, newton = _path_length(runs["GD"]), _path_length(run)
    straight = float(np.linalg.norm(np.array(run.info["objective"]["minima"][0]) - path_points(run)[0]))
    holds = within((gd, newton, straight), (1.0912, 0.9934, 0.9893), 5.1e-5)
    return Measured(f"GD {gd:.4f}, Newton {newton:.4f}, straight {straight:.4f}", holds)


def _quadratic_convergence(runs: Runs) -> Measured:
    errors = runs["Newton"].trajectory().distance.to_numpy()[:6]
    near = all(within([error], [aim], half) for error, (aim, half) in zip(errors, ERRORS, strict=False))
    return Measured(" ".join(f"{error:.3g}" for error in errors), bool(near and errors[5] <= 3e-16))


_ROUNDED = f"{DIGITS}; the last error is rounding"

NEWTON_CLAIMS: tuple[Claim, ...] = (
    *claims_about(
        "newton",
        Claim(
            "the minimum is (.061923, -.309650), f* = -.824075",
            _minimum,
            Expected("these numbers", "5e-7", DIGITS),
        ),
        Claim(
            "path lengths: GD 1.0912, Newton .9934, the straight line .9893",
            _path_lengths,
            Expected("1.0912, .9934, .9893", "5e-5", DIGITS),
        ),
        by="case",
    ),
    *claims_about(
        "newton_steps",
        Claim(
            "errors of full Newton steps: .989 .133 .0127 1.3e-4 1.4e-8 2e-16",
            _quadratic_convergence,
            Expected("these numbers", "half a unit of the last digit; the last: at most 3e-16", _ROUNDED),
        ),
        by="case",
    ),
)
