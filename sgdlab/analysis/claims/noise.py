"""The claims about mini-batch noise: unbiased, variance 1/B, and the height of SGD's noise floor."""

import math
from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np

from sgdlab.analysis.claims.claim import (
    BETWEEN,
    Claim,
    Expected,
    Measured,
    Missing,
    Runs,
    between_seeds,
    claims_about,
    listed,
    quantity,
)
from sgdlab.records import Run

STANDARD_ERRORS = 4.5  # exceeded by chance once in 150,000 measurements, of which there are 14
TAIL = 0.5  # share of a run's steps, its last ones, over which a noise floor is a mean
SPREAD = 0.25


def _single(run: Run, name: str) -> float:
    values = quantity(run, name)
    if len(values) != 1:
        raise Missing(name)
    return values[0]


def _unbiased(runs: Sequence[Run]) -> Measured:
    """|mean g - grad f| in units of what chance allows, sqrt(variance / draws)."""
    worst = 0.0
    for run in runs:
        scale = np.sqrt(_single(run, "theory") / run.settings["measure_draws"])
        bias = _single(run, "bias")
        if scale > 0:
            worst = max(worst, bias / scale)
        elif bias > 1e-12:  # all examples in each batch: the gradient itself, up to rounding
            worst = np.inf
    text = f"|mean - gradient| at most {worst:.2f} times sqrt(variance / draws), {len(runs)} settings"
    return Measured(text, worst < STANDARD_ERRORS)


def _variance(sampling: str, runs: Sequence[Run]) -> Measured:
    """Compare the variance of a batch's gradient, for each batch size, with theory in standard errors."""
    chosen = [run for run in runs if run.settings["sampling"] == sampling]
    off, texts = 0.0, []
    for run in sorted(chosen, key=lambda run: int(run.settings["batch_size"])):
        variance, theory, error = (_single(run, q) for q in ("variance", "theory", "standard_error"))
        if theory == 0:
            off = max(off, 0.0 if variance < 1e-24 else np.inf)
        else:
            off = max(off, abs(variance - theory) / error)
        texts.append(f"{run.settings['batch_size']}: {variance:.3g}")
    text = f"{' · '.join(texts)}; at most {off:.1f} standard errors from the theory"
    return Measured(text, off < STANDARD_ERRORS)


def _monotone(runs: Runs) -> Measured:
    changes = runs["GD, lr 0.3"].trajectory().objective.diff().dropna()
    ups = int((changes > 0).sum())
    return Measured(f"{ups} of {len(changes)} steps raise f", ups == 0)


def _half_of_steps_raise(size: str, runs: Sequence[Run]) -> Measured:
    """Compare one half with the range, over the seeds, of the share of steps that raise f."""
    shares = []
    for run in _of_size(runs, size):
        changes = run.trajectory().objective.diff().dropna()
        shares.append([100 * float((changes > 0).mean())])
    return between_seeds(shares, [50], ".0f")


def _of_size(runs: Sequence[Run], size: str) -> list[Run]:
    return [run for run in runs if str(run.settings["batch_size"]) == size]


def _noise_floors(runs: Sequence[Run], sizes: Sequence[str]) -> dict[str, float]:
    """Return the mean of f(w) - f* over the last half of the runs, by batch size; the mean of their seeds.

    It is infinite where a seed diverged: the mean of the others is not the floor of that batch size.
    """
    floors: dict[str, list[float]] = {}
    for run in runs:
        table = run.trajectory()
        tail = table.gap[table.step > TAIL * table.step.max()]
        floor = math.inf if run.status == "diverged" else float(tail.mean())
        floors.setdefault(str(run.settings["batch_size"]), []).append(floor)
    if not set(sizes) <= floors.keys():
        raise Missing(", ".join(sizes))
    return {size: float(np.mean(floors[size])) for size in sizes}


def _by_data(runs: Sequence[Run]) -> list[list[Run]]:
    """Return the runs on each data set, by the seed of the data."""
    groups: dict[int, list[Run]] = {}
    for run in runs:
        groups.setdefault(int(run.settings["dataset.seed"]), []).append(run)
    return list(groups.values())


def _floors_over_data(published: Mapping[str, float], runs: Sequence[Run]) -> Measured:
    """Compare noise floors with their ranges over data sets."""
    draws = [list(_noise_floors(group, list(published)).values()) for group in _by_data(runs)]
    return between_seeds(draws, list(published.values()), ".2g")


def _no_floor(size: str, limit: float, runs: Sequence[Run]) -> Measured:
    """With all examples in a batch the gap goes on shrinking."""
    ended = _of_size(runs, size)
    last = [math.inf if run.status == "diverged" else run.trajectory().gap.iloc[-1] for run in ended]
    if not last:
        raise Missing(size)
    return Measured(f"gap {max(last):.1e} after the last step", max(last) <= limit)


def _proportional(examples: int, sizes: tuple[str, ...], runs: Sequence[Run]) -> Measured:
    """floor / ((1/B)(m-B)/(m-1)) is the same for all batch sizes B below the number m of examples."""
    floors = _noise_floors(runs, sizes)
    shares = {size: (examples - int(size)) / (examples - 1) / int(size) for size in sizes}
    ratios = {size: floors[size] / shares[size] for size in sizes}
    middle = float(np.exp(np.mean(np.log(list(ratios.values())))))
    finite = math.isfinite(middle)  # no seed diverged
    off = max(abs(ratio / middle - 1) for ratio in ratios.values()) if finite else math.inf
    return Measured(f"floor / share: {listed(ratios, '.3g', ': ')}", off <= SPREAD)


_CHANCE = "4.5 standard errors of 20,000 draws: chance alone exceeds that once in 10,000 such tables"
_SAMPLE = "they depend on the 100 examples, and the notes give those of one data set; means of the last half"

NOISE_CLAIMS: tuple[Claim, ...] = (
    *claims_about(
        "gradient_noise",
        Claim(
            "the gradient of a batch is unbiased: E g_B = grad f",
            _unbiased,
            Expected("0", "4.5 sqrt(variance / draws)", _CHANCE),
            kind="estimate",
        ),
        Claim(
            "with replacement E|g_B - grad f|^2 = s^2/B",
            partial(_variance, "replacement"),
            Expected("s^2/B", "4.5 standard errors", _CHANCE),
            kind="estimate",
        ),
        Claim(
            "without replacement (N-B)/(N-1) times that, and 0 for B = N",
            partial(_variance, "independent"),
            Expected("s^2/B (N-B)/(N-1)", "4.5 standard errors", _CHANCE),
            kind="estimate",
        ),
        count=14,
    ),
    *claims_about(
        "sgd_paths",
        Claim("GD with lr 0.3 is monotone", _monotone, Expected("no step raises f", "none"), kind="order"),
        by="case",
    ),
    *claims_about(
        "noise_floor",
        Claim(
            "SGD, B = 1 and lr 1, raises f on about half of its 300 steps",
            partial(_half_of_steps_raise, "1"),
            Expected("50 %", BETWEEN, "the number of such steps depends on the seed"),
            kind="seeds",
        ),
        Claim(
            "B = 100, all examples, has no floor",
            partial(_no_floor, "100", 1e-10),
            Expected("0", "a gap of 1e-10", "far below the floors of smaller batches, .002 and more"),
            kind="order",
        ),
        Claim(
            "the floors are proportional to (1/B)(N-B)/(N-1)",
            partial(_proportional, 100, ("1", "2", "10")),
            Expected(
                "one ratio",
                "25 %",
                "20 seeds leave 6 %; at lr 1 a batch of one also has noise in its curvature",
            ),
            kind="estimate",
        ),
        count=80,
    ),
    *claims_about(
        "noise_floor_data",
        Claim(
            "gap floors at B = 1, 2, 10, 100 about .023, .011, .0019, 1e-13",
            partial(_floors_over_data, {"1": 0.023, "2": 0.011, "10": 0.0019, "100": 1e-13}),
            Expected(".023, .011, .0019, 1e-13", BETWEEN, _SAMPLE),
            kind="seeds",
        ),
        count=40,
    ),
    *claims_about(
        "logistic_floor",
        Claim(
            "logistic regression: floors proportional to (1/B)(m-B)/(m-1)",
            partial(_proportional, 200, ("1", "10", "50", "100")),
            Expected(
                "one ratio", "25 %", "20 seeds leave 5 %; the loss is a quadratic near its minimum only"
            ),
            kind="estimate",
        ),
        Claim(
            "and GD has none",
            partial(_no_floor, "full", 1e-12),
            Expected("0", "1e-12", "rounding of the minimum"),
            kind="order",
        ),
        count=100,
    ),
)
