"""The claims about gradient descent, momentum and Newton on functions of one and two variables."""

from collections.abc import Callable, Mapping, Sequence
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from sgdlab.analysis.claims.claim import Claim, Measured, Runs
from sgdlab.analysis.theory import METHODS, contraction
from sgdlab.records import Run

DISTILL = "notes/why_momentum"
RATES = "notes/momentum_rates"
CONDITION = "notes/condition_number"
CYCLE = "notes/heavy_ball_cycle"
NEWTON = "notes/newton"
STEPS = "notes/newton_steps"
VALLEY = "notes/narrow_valley"

TINY = 1e-250  # the minimum is at 0, where a float is rounded relatively: there is no floor of rounding
M, L = 1.0, 100.0  # the quadratic's smallest and largest curvature: condition number 100
CYCLE_POINTS = np.array([792, -2208, 2592]) / 1225  # Lessard, Recht, Packard 2016, equation (4.11)

Values = NDArray[np.float64]


def points(run: Run) -> Values:
    """The weights of a recorded path: (rows, weights)."""
    table = run.trajectory()
    names = [name for name in map(str, table.columns) if name[0] == "w" and name[1:].isdigit()]
    return np.asarray(table[names], np.float64)


def measured_rate(run: Run) -> float:
    """The factor a step by which a run's distance to the minimum shrinks in the long run."""
    table = run.trajectory()
    return contraction(table.step.to_list(), table.distance.to_list(), rounding=TINY)


def first_within(run: Run, limit: float) -> int:
    """The first step at which the distance to the minimum is below `limit`; -1 if none is."""
    table = run.trajectory()
    near = table.step[table.distance < limit]
    return int(near.iloc[0]) if len(near) else -1


def path_length(run: Run) -> float:
    """The length of a recorded path."""
    return float(np.linalg.norm(np.diff(points(run), axis=0), axis=1).sum())


def _pairs(rows: Values) -> str:
    return " ".join("(" + ", ".join(f"{value:.4g}" for value in row) + ")" for row in rows)


def _iterates(
    case: str, expected: Mapping[int, tuple[float, ...]], tolerance: float
) -> Callable[[Runs], Measured]:
    """Weights at some steps (-1: the last), each within the tolerance."""

    def measure(runs: Runs) -> Measured:
        path = points(runs[case])
        found = np.array([path[step] for step in expected])
        off = np.abs(found - np.array(list(expected.values()))).max()
        return Measured(_pairs(found), bool(off <= tolerance))

    return measure


def _last(case: str, column: str, expected: float, tolerance: float) -> Callable[[Runs], Measured]:
    def measure(runs: Runs) -> Measured:
        value = float(runs[case].trajectory()[column].iloc[-1])
        return Measured(f"{value:.4g}", abs(value - expected) <= tolerance)

    return measure


def _overflows(runs: Runs) -> Measured:
    run = runs["lr 0.02, momentum 0.99 (the slide's caption)"]
    last = int(run.trajectory().step.max())
    return Measured(f"{run.status}; the last finite point is that of step {last}", last < 7)


def _rate_map(runs: Sequence[Run]) -> Measured:
    """Every cell that converges, against the spectral radius."""
    off, cells = 0.0, 0
    for run in runs:
        theory = METHODS["heavy_ball"].rate(run.settings["lr"], run.settings["optimizer.momentum"], M, L)
        if run.status == "done" and theory < 1:
            off, cells = max(off, abs(measured_rate(run) - theory)), cells + 1
    return Measured(f"at most {off:.4f} apart in {cells} converging cells", cells > 0 and off < 0.015)


def _stability(runs: Sequence[Run]) -> Measured:
    wrong = edge = 0
    for run in runs:
        lr, momentum = run.settings["lr"], run.settings["optimizer.momentum"]
        bound = 2 * (1 + momentum) / L
        if abs(lr - bound) < 1e-9:
            edge += 1
        else:
            shrinks = run.status == "done" and measured_rate(run) < 1
            wrong += shrinks != (lr < bound)
    return Measured(
        f"{wrong} of {len(runs) - edge} cells on the wrong side ({edge} on the boundary)", wrong == 0
    )


def _best_cell(runs: Sequence[Run]) -> Measured:
    rates = {
        (float(run.settings["lr"]), float(run.settings["optimizer.momentum"])): measured_rate(run)
        for run in runs
        if run.status == "done"
    }
    (lr, momentum), rate = min(rates.items(), key=lambda item: item[1])
    near = abs(lr - 4 / (sqrt(L) + sqrt(M)) ** 2) <= 0.001 and abs(momentum - (9 / 11) ** 2) <= 0.025
    return Measured(f"lr {lr:g}, momentum {momentum:g}: {rate:.4f}", near and abs(rate - 9 / 11) < 0.03)


_METHOD = {"sgd": "gradient_descent", "polyak": "heavy_ball", "nesterov": "nesterov"}
EXPECTED_RATES = {"GD": 0.9802, "Polyak": 0.8182, "Nesterov": 0.9000, "Nesterov, tuned": 0.8847}


def _radii(runs: Runs) -> Measured:
    """The largest eigenvalue of each method's iteration, with the steps and momenta that the runs had."""
    found = {}
    for case in EXPECTED_RATES:
        settings = runs[case].settings
        method = METHODS[_METHOD[settings["optimizer"]]]
        found[case] = method.rate(settings["lr"], settings.get("optimizer.momentum", 0.0), M, L)
    off = max(abs(found[case] - value) for case, value in EXPECTED_RATES.items())
    return Measured(" · ".join(f"{case} {rate:.4f}" for case, rate in found.items()), off <= 6e-5)


def _rates(runs: Runs) -> Measured:
    found = {case: measured_rate(runs[case]) for case in EXPECTED_RATES}
    off = max(abs(found[case] - value) for case, value in EXPECTED_RATES.items())
    return Measured(" · ".join(f"{case} {rate:.4f}" for case, rate in found.items()), off <= 0.01)


def _cycle(runs: Runs) -> Measured:
    """From which step on every iterate is within 1e-6 of the cycle."""
    path = points(runs["Polyak"])[:, 0]
    away = np.abs(path[:, None] - CYCLE_POINTS).min(axis=1) > 1e-6
    start = int(np.nonzero(away)[0].max()) + 1
    return Measured(f"from step {start} of {len(path) - 1}", start == 42)


def _hits(case: str, expected: int) -> Callable[[Runs], Measured]:
    def measure(runs: Runs) -> Measured:
        step = first_within(runs[case], 1e-6)
        return Measured(f"step {step}", step == expected)

    return measure


def _minimum(runs: Runs) -> Measured:
    known = runs["Newton"].info["objective"]
    (x, y), least = known["minima"][0], known["least"]
    holds = abs(x - 0.061923) <= 5e-7 and abs(y + 0.309650) <= 5e-7 and abs(least + 0.824075) <= 5e-7
    return Measured(f"({x:.6f}, {y:.6f}), f* = {least:.6f}", holds)


def _lengths(runs: Runs) -> Measured:
    gd, newton = path_length(runs["GD"]), path_length(runs["Newton"])
    path = points(runs["Newton"])
    straight = float(np.linalg.norm(np.array(runs["Newton"].info["objective"]["minima"][0]) - path[0]))
    holds = max(abs(gd - 1.0912), abs(newton - 0.9934), abs(straight - 0.9893)) <= 5.1e-5
    return Measured(f"GD {gd:.4f}, Newton {newton:.4f}, straight {straight:.4f}", holds)


NEWTON_ERRORS = (0.989, 0.133, 0.0127, 1.3e-4, 1.4e-8)


def _quadratic_convergence(runs: Runs) -> Measured:
    errors = runs["Newton"].trajectory().distance.to_numpy()[:6]
    near = all(abs(a - b) <= 0.05 * b for a, b in zip(errors, NEWTON_ERRORS, strict=False))
    return Measured(" ".join(f"{error:.3g}" for error in errors), bool(near and errors[5] <= 3e-16))


def _ends(
    expected: Mapping[str, tuple[tuple[float, float], tuple[float, float]]],
) -> Callable[[Runs], Measured]:
    """The last point of each case, each coordinate to the digits that the notes give (half a unit)."""

    def measure(runs: Runs) -> Measured:
        found = {case: points(runs[case])[-1] for case in expected}
        holds = all(
            abs(value - aim) <= half
            for case, (aims, halves) in expected.items()
            for value, aim, half in zip(found[case], aims, halves, strict=True)
        )
        return Measured(" · ".join(f"{case}: {_pairs(end[None])}" for case, end in found.items()), holds)

    return measure


_DIGITS = "half a unit of the last digit that the notes give"

DESCENT_CLAIMS: tuple[Claim, ...] = (
    Claim(
        experiment=DISTILL,
        by="case",
        notes="momentum 0.74: first iterates (-1.515, .459), (-1.391, .498), (-1.138, .686)",
        measure=_iterates(
            "momentum 0.74", {1: (-1.515, 0.459), 2: (-1.391, 0.498), 3: (-1.138, 0.686)}, 5.1e-4
        ),
        expected="these points",
        tolerance="5e-4",
        why=_DIGITS,
    ),
    Claim(
        experiment=DISTILL,
        by="case",
        notes="it ends at (.905, .2725)",
        measure=_iterates("momentum 0.74", {-1: (0.905, 0.2725)}, 5.1e-4),
        expected="(.905, .2725)",
        tolerance="5e-4",
        why=_DIGITS,
    ),
    Claim(
        experiment=DISTILL,
        by="case",
        notes="where f = .0091",
        measure=_last("momentum 0.74", "objective", 0.0091, 5.1e-5),
        expected=".0091",
        tolerance="5e-5",
        why=_DIGITS,
    ),
    Claim(
        experiment=DISTILL,
        by="case",
        notes="without momentum it ends at f = 1.18",
        measure=_last("without momentum", "objective", 1.18, 5.1e-3),
        expected="1.18",
        tolerance="5e-3",
        why=_DIGITS,
    ),
    Claim(
        experiment=DISTILL,
        by="case",
        notes="the slide's caption, lr 0.02 and momentum 0.99, overflows within 7 steps",
        measure=_overflows,
        expected="at most 6 finite steps",
        tolerance="none",
    ),
    Claim(
        experiment=RATES,
        notes="heavy ball contracts by the spectral radius of its iteration, whatever (lr, momentum)",
        measure=_rate_map,
        count=1000,
        expected="the spectral radius",
        tolerance="0.015",
        why="where two eigenvalues are nearly equal the error is t rate^t, slower by 1/t a step, and complex "
        "ones beat",
    ),
    Claim(
        experiment=RATES,
        notes="it is stable for lr < 2 (1 + momentum) / L, and nowhere else",
        measure=_stability,
        count=1000,
        expected="every cell on its side",
        tolerance="none",
    ),
    Claim(
        experiment=RATES,
        notes="best at lr = 4/(sqrt L + sqrt m)^2 = .0331, momentum ((sqrt k - 1)/(sqrt k + 1))^2 = .669",
        measure=_best_cell,
        count=1000,
        expected="(.0331, .669), .8182",
        tolerance="one cell",
        why="a grid of .001 by .025",
    ),
    Claim(
        experiment=CONDITION,
        by="case",
        notes="spectral radii at k = 100: GD .9802, heavy ball .8182, Nesterov .9000, tuned .8847",
        measure=_radii,
        expected=".9802, .8182, .9000, .8847",
        tolerance="5e-5",
        why=_DIGITS,
    ),
    Claim(
        experiment=CONDITION,
        by="case",
        notes="and the runs contract at these rates",
        measure=_rates,
        expected=".9802, .8182, .9000, .8847",
        tolerance="0.01",
        why="where two eigenvalues are equal the error is t rate^t, which is slower by 1/t a step",
    ),
    Claim(
        experiment=CYCLE,
        by="case",
        notes="Polyak from 3.3: 3.3, -3.2, 2.8, .3556, -1.7185, 2.1333",
        measure=_iterates(
            "Polyak", {0: (3.3,), 1: (-3.2,), 2: (2.8,), 3: (0.3556,), 4: (-1.7185,), 5: (2.1333,)}, 5.1e-5
        ),
        expected="these points",
        tolerance="5e-5",
        why=_DIGITS,
    ),
    Claim(
        experiment=CYCLE,
        by="case",
        notes="it comes within 1e-6 of the cycle (792, -2208, 2592)/1225 from step 42 on",
        measure=_cycle,
        expected="42",
        tolerance="none",
    ),
    Claim(
        experiment=CYCLE,
        by="case",
        notes="GD with 2/(L+m) is within 1e-6 of the minimum in 174 steps",
        measure=_hits("GD", 174),
        expected="174",
        tolerance="none",
    ),
    Claim(
        experiment=CYCLE,
        by="case",
        notes="Nesterov with 4/(3L+m), .6268 in 52",
        measure=_hits("Nesterov", 52),
        expected="52",
        tolerance="none",
    ),
    Claim(
        experiment=NEWTON,
        by="case",
        notes="the minimum is (.061923, -.309650), f* = -.824075",
        measure=_minimum,
        expected="these numbers",
        tolerance="5e-7",
        why=_DIGITS,
    ),
    Claim(
        experiment=NEWTON,
        by="case",
        notes="path lengths: GD 1.0912, Newton .9934, the straight line .9893",
        measure=_lengths,
        expected="1.0912, .9934, .9893",
        tolerance="5e-5",
        why=_DIGITS,
    ),
    Claim(
        experiment=STEPS,
        by="case",
        notes="errors of full Newton steps: .989 .133 .0127 1.3e-4 1.4e-8 2e-16",
        measure=_quadratic_convergence,
        expected="these numbers",
        tolerance="5 %, and 3e-16 for the last",
        why="two digits are given; the last is rounding",
    ),
    Claim(
        experiment=VALLEY,
        by="case",
        notes="lr .4 -> (-.943, -.00007); lr .6 -> (-.388, -1673)",
        measure=_ends(
            {
                "lr 0.4": ((-0.943, -0.00007), (5.1e-4, 5.1e-6)),
                "lr 0.6": ((-0.388, -1673.0), (5.1e-4, 0.51)),
            }
        ),
        expected="these points",
        tolerance="half a unit of the last digit",
        why=_DIGITS,
    ),
    Claim(
        experiment=VALLEY,
        by="case",
        notes="lr .6 with momentum .5 -> (.0072, .0026), with .25 -> (-.126, -.187)",
        measure=_ends(
            {
                "lr 0.6, momentum 0.5": ((0.0072, 0.0026), (5.1e-5, 5.1e-5)),
                "lr 0.6, momentum 0.25": ((-0.126, -0.187), (5.1e-4, 5.1e-4)),
            }
        ),
        expected="these points",
        tolerance="half a unit of the last digit",
        why=_DIGITS,
    ),
)
