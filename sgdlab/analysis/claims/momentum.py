"""The claims about gradient descent and momentum on functions of one and two variables.

Covered: Polyak's heavy ball on an ill-conditioned quadratic, its rate for each step size and momentum, the
cycle on which it fails to converge, Nesterov's method, and the narrow valley.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from math import sqrt

import numpy as np

from sgdlab.analysis.claims.claim import (
    DIGITS,
    Claim,
    Expected,
    Measured,
    Runs,
    claims_about,
    listed,
    path_points,
    points_text,
    within,
)
from sgdlab.analysis.theory import METHODS, contraction_factor
from sgdlab.records import Run

HEAVY_BALL = METHODS["heavy_ball"]
TINY = 1e-250  # the minimum is at 0, where a float is rounded relatively: there is no floor of rounding
M, L = 1.0, 100.0  # the quadratic's smallest and largest curvature: condition number 100
CYCLE_POINTS = np.array([792, -2208, 2592]) / 1225  # Lessard, Recht, Packard 2016, equation (4.11)

EXPECTED_RATES = {"GD": 0.9802, "Polyak": 0.8182, "Nesterov": 0.9000, "Nesterov, tuned": 0.8847}
_METHOD = {"sgd": "gradient_descent", "polyak": "heavy_ball", "nesterov": "nesterov"}


def measured_rate(run: Run) -> float:
    """Return the factor per step by which a run's distance to the minimum shrinks in the long run."""
    table = run.trajectory()
    return contraction_factor(table.step.to_list(), table.distance.to_list(), rounding=TINY)


def _spectral_radius(run: Run) -> float:
    """Return the factor that theory gives for the run's method, step size and momentum."""
    method = METHODS[_METHOD[run.settings["optimizer"]]]
    return method.rate(run.settings["lr"], run.settings.get("optimizer.momentum", 0.0), M, L)


def _iterates(case: str, expected: Mapping[int, tuple[float, ...]], tolerance: float, runs: Runs) -> Measured:
    """Return weights of one case at some steps (-1: the last)."""
    path = path_points(runs[case])
    points = np.array([path[step] for step in expected])
    holds = within(points.flat, np.array(list(expected.values())).flat, tolerance)
    return Measured(points_text(points), holds)


def _final_objective(case: str, expected: float, tolerance: float, runs: Runs) -> Measured:
    value = float(runs[case].trajectory().objective.iloc[-1])
    return Measured(f"{value:.4g}", within([value], [expected], tolerance))


def _overflows(runs: Runs) -> Measured:
    run = runs["lr 0.02, momentum 0.99 (the slide's caption)"]
    last = int(run.trajectory().step.max())
    return Measured(f"{run.status}; the last finite point is that of step {last}", last < 7)


def _heavy_ball_rates(runs: Sequence[Run]) -> Measured:
    """Compare the rate of every cell that converges with the spectral radius."""
    off, cells = 0.0, 0
    for run in runs:
        theory = HEAVY_BALL.rate(run.settings["lr"], run.settings["optimizer.momentum"], M, L)
        if run.status == "done" and theory < 1:
            off, cells = max(off, abs(measured_rate(run) - theory)), cells + 1
    return Measured(f"at most {off:.4f} apart in {cells} converging cells", cells > 0 and off < 0.015)


def _heavy_ball_stability(runs: Sequence[Run]) -> Measured:
    wrong = edge = 0
    for run in runs:
        lr = run.settings["lr"]
        limit = HEAVY_BALL.stability_limit(run.settings["optimizer.momentum"], L)
        if abs(lr - limit) < 1e-9:
            edge += 1
        else:
            shrinks = run.status == "done" and measured_rate(run) < 1
            wrong += shrinks != (lr < limit)
    text = f"{wrong} of {len(runs) - edge} cells on the wrong side ({edge} on the boundary)"
    return Measured(text, wrong == 0)


def _heavy_ball_optimum(runs: Sequence[Run]) -> Measured:
    done = [(measured_rate(run), run.settings) for run in runs if run.status == "done"]
    rate, settings = min(done, key=lambda pair: pair[0])
    lr, momentum = settings["lr"], settings["optimizer.momentum"]
    near = abs(lr - 4 / (sqrt(L) + sqrt(M)) ** 2) <= 0.001 and abs(momentum - (9 / 11) ** 2) <= 0.025
    return Measured(f"lr {lr:g}, momentum {momentum:g}: {rate:.4f}", near and abs(rate - 9 / 11) < 0.03)


def _rates(rate: Callable[[Run], float], tolerance: float, runs: Runs) -> Measured:
    """Return the rates of the cases, measured or by theory."""
    rates = {case: rate(runs[case]) for case in EXPECTED_RATES}
    return Measured(listed(rates, ".4f"), within(rates.values(), EXPECTED_RATES.values(), tolerance))


def _heavy_ball_cycle(runs: Runs) -> Measured:
    """Return the step from which on every iterate is within 1e-6 of the cycle."""
    path = path_points(runs["Polyak"])[:, 0]
    away = np.abs(path[:, None] - CYCLE_POINTS).min(axis=1) > 1e-6
    start = int(np.nonzero(away)[0].max()) + 1
    return Measured(f"from step {start} of {len(path) - 1}", start == 42)


def _steps_to_minimum(case: str, expected: int, runs: Runs) -> Measured:
    """Return the first step within 1e-6 of the minimum; -1 if there is none."""
    table = runs[case].trajectory()
    near = table.step[table.distance < 1e-6]
    step = int(near.iloc[0]) if len(near) else -1
    return Measured(f"step {step}", step == expected)


def _ends(expected: Mapping[str, tuple[tuple[float, float], tuple[float, float]]], runs: Runs) -> Measured:
    """Return the last point of each case: case -> (the notes' point, half a unit of its last digits)."""
    ends = {case: path_points(runs[case])[-1] for case in expected}
    holds = all(
        within([value], [aim], half)
        for case, (point, halves) in expected.items()
        for value, aim, half in zip(ends[case], point, halves, strict=True)
    )
    return Measured(" · ".join(f"{case}: {points_text(end[None])}" for case, end in ends.items()), holds)


_BALL = "momentum 0.74"
_CYCLE = {0: (3.3,), 1: (-3.2,), 2: (2.8,), 3: (0.3556,), 4: (-1.7185,), 5: (2.1333,)}
_TIE = "where two eigenvalues are equal the error is t rate^t, which is slower by 1/t a step"
_NEAR_TIE = (
    "where two eigenvalues are nearly equal the error is t rate^t, slower by 1/t a step, and complex "
    "ones beat"
)
_HALF_UNIT = "half a unit of the last digit"

MOMENTUM_CLAIMS: tuple[Claim, ...] = (
    *claims_about(
        "why_momentum",
        Claim(
            "momentum 0.74: first iterates (-1.515, .459), (-1.391, .498), (-1.138, .686)",
            partial(_iterates, _BALL, {1: (-1.515, 0.459), 2: (-1.391, 0.498), 3: (-1.138, 0.686)}, 5.1e-4),
            Expected("these points", "5e-4", DIGITS),
        ),
        Claim(
            "it ends at (.905, .2725)",
            partial(_iterates, _BALL, {-1: (0.905, 0.2725)}, 5.1e-4),
            Expected("(.905, .2725)", "5e-4", DIGITS),
        ),
        Claim(
            "where f = .0091",
            partial(_final_objective, _BALL, 0.0091, 5.1e-5),
            Expected(".0091", "5e-5", DIGITS),
        ),
        Claim(
            "without momentum it ends at f = 1.18",
            partial(_final_objective, "without momentum", 1.18, 5.1e-3),
            Expected("1.18", "5e-3", DIGITS),
        ),
        Claim(
            "the slide's caption, lr 0.02 and momentum 0.99, overflows within 7 steps",
            _overflows,
            Expected("at most 6 finite steps", "none"),
        ),
        by="case",
    ),
    *claims_about(
        "momentum_rates",
        Claim(
            "heavy ball contracts by the spectral radius of its iteration, whatever (lr, momentum)",
            _heavy_ball_rates,
            Expected("the spectral radius", "0.015", _NEAR_TIE),
        ),
        Claim(
            "it is stable for lr < 2 (1 + momentum) / L, and nowhere else",
            _heavy_ball_stability,
            Expected("every cell on its side", "none"),
        ),
        Claim(
            "best at lr = 4/(sqrt L + sqrt m)^2 = .0331, momentum ((sqrt k - 1)/(sqrt k + 1))^2 = .669",
            _heavy_ball_optimum,
            Expected("(.0331, .669), .8182", "one cell", "a grid of .001 by .025"),
        ),
        count=1000,
    ),
    *claims_about(
        "condition_number",
        Claim(
            "spectral radii at k = 100: GD .9802, heavy ball .8182, Nesterov .9000, tuned .8847",
            partial(_rates, _spectral_radius, 6e-5),
            Expected(".9802, .8182, .9000, .8847", "5e-5", DIGITS),
        ),
        Claim(
            "and the runs contract at these rates",
            partial(_rates, measured_rate, 0.01),
            Expected(".9802, .8182, .9000, .8847", "0.01", _TIE),
        ),
        by="case",
    ),
    *claims_about(
        "heavy_ball_cycle",
        Claim(
            "Polyak from 3.3: 3.3, -3.2, 2.8, .3556, -1.7185, 2.1333",
            partial(_iterates, "Polyak", _CYCLE, 5.1e-5),
            Expected("these points", "5e-5", DIGITS),
        ),
        Claim(
            "it comes within 1e-6 of the cycle (792, -2208, 2592)/1225 from step 42 on",
            _heavy_ball_cycle,
            Expected("42", "none"),
        ),
        Claim(
            "GD with 2/(L+m) is within 1e-6 of the minimum in 174 steps",
            partial(_steps_to_minimum, "GD", 174),
            Expected("174", "none"),
        ),
        Claim(
            "Nesterov with 4/(3L+m), .6268 in 52",
            partial(_steps_to_minimum, "Nesterov", 52),
            Expected("52", "none"),
        ),
        by="case",
    ),
    *claims_about(
        "narrow_valley",
        Claim(
            "lr .4 -> (-.943, -.00007); lr .6 -> (-.388, -1673)",
            partial(
                _ends,
                {
                    "lr 0.4": ((-0.943, -0.00007), (5.1e-4, 5.1e-6)),
                    "lr 0.6": ((-0.388, -1673.0), (5.1e-4, 0.51)),
                },
            ),
            Expected("these points", _HALF_UNIT, DIGITS),
        ),
        Claim(
            "lr .6 with momentum .5 -> (.0072, .0026), with .25 -> (-.126, -.187)",
            partial(
                _ends,
                {
                    "lr 0.6, momentum 0.5": ((0.0072, 0.0026), (5.1e-5, 5.1e-5)),
                    "lr 0.6, momentum 0.25": ((-0.126, -0.187), (5.1e-4, 5.1e-4)),
                },
            ),
            Expected("these points", _HALF_UNIT, DIGITS),
        ),
        by="case",
    ),
)
