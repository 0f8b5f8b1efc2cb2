"""The claims about mini-batch noise: unbiased, variance 1/B, and how far above the minimum it keeps SGD."""

from collections.abc import Callable, Sequence

import numpy as np

from sgdlab.analysis.claims.claim import Claim, Measured, Missing, Runs
from sgdlab.records import Run

NOISE = "notes/gradient_noise"
PATHS = "notes/sgd_paths"
FLOOR = "notes/noise_floor"
LOGISTIC = "notes/logistic_floor"

STANDARD_ERRORS = 4.5  # exceeded by chance once in 150,000 measurements, of which there are 14
TAIL = 0.5  # share of a run's steps, its last ones, over which a noise floor is a mean
SPREAD = 0.25


def quantity(run: Run, name: str) -> float:
    """A measured quantity that does not depend on anything else."""
    table = run.measure()
    values = table.value[table.quantity == name]
    if len(values) != 1:
        raise Missing(name)
    return float(values.iloc[0])


def floor(run: Run) -> float:
    """The mean of f(w) - f* over the last half of a run."""
    table = run.trajectory()
    return float(table.gap[table.step > TAIL * table.step.max()].mean())


def _unbiased(runs: Sequence[Run]) -> Measured:
    """|mean g - grad f| in units of what chance allows, sqrt(variance / draws)."""
    worst = 0.0
    for run in runs:
        scale = np.sqrt(quantity(run, "theory") / run.settings["measure_draws"])
        bias = quantity(run, "bias")
        if scale > 0:
            worst = max(worst, bias / scale)
        elif bias > 1e-12:  # all examples in each batch: the gradient itself, up to rounding
            worst = np.inf
    text = f"|mean - gradient| at most {worst:.2f} times sqrt(variance / draws), {len(runs)} settings"
    return Measured(text, worst < STANDARD_ERRORS)


def _variance(sampling: str) -> Callable[[Sequence[Run]], Measured]:
    def measure(runs: Sequence[Run]) -> Measured:
        chosen = [run for run in runs if run.settings["sampling"] == sampling]
        off, texts = 0.0, []
        for run in sorted(chosen, key=lambda run: int(run.settings["batch_size"])):
            found, theory, error = (quantity(run, q) for q in ("variance", "theory", "standard_error"))
            if theory == 0:
                off = max(off, 0.0 if found < 1e-24 else np.inf)
            else:
                off = max(off, abs(found - theory) / error)
            texts.append(f"{run.settings['batch_size']}: {found:.3g}")
        text = f"{' · '.join(texts)}; at most {off:.1f} standard errors from the theory"
        return Measured(text, off < STANDARD_ERRORS)

    return measure


def _monotone(runs: Runs) -> Measured:
    steps = runs["GD, lr 0.3"].trajectory().objective.diff().dropna()
    ups = int((steps > 0).sum())
    return Measured(f"{ups} of {len(steps)} steps raise f", ups == 0)


def _half_of_steps(runs: Runs) -> Measured:
    steps = runs["SGD, lr 1"].trajectory().objective.diff().dropna()
    share = float((steps > 0).mean())
    return Measured(f"{share:.0%} of {len(steps)} steps raise f".replace("%", " %"), 0.4 <= share <= 0.6)


def _floors(runs: Sequence[Run]) -> dict[str, float]:
    """The mean floor of the seeds of each batch size."""
    found: dict[str, list[float]] = {}
    for run in runs:
        found.setdefault(str(run.settings["batch_size"]), []).append(floor(run))
    return {size: float(np.mean(values)) for size, values in found.items()}


def _text(floors: dict[str, float]) -> str:
    return " · ".join(f"{size}: {value:.2g}" for size, value in floors.items())


def _floors_near(expected: dict[str, float], factor: float) -> Callable[[Sequence[Run]], Measured]:
    def measure(runs: Sequence[Run]) -> Measured:
        floors = _floors(runs)
        if not expected.keys() <= floors.keys():
            raise Missing(", ".join(expected))
        off = max(abs(np.log(floors[size] / value)) for size, value in expected.items())
        return Measured(_text({size: floors[size] for size in expected}), off <= np.log(factor))

    return measure


def _no_floor(size: str, limit: float) -> Callable[[Sequence[Run]], Measured]:
    """With all examples in a batch the gap goes on shrinking."""

    def measure(runs: Sequence[Run]) -> Measured:
        last = [run.trajectory().gap.iloc[-1] for run in runs if str(run.settings["batch_size"]) == size]
        if not last:
            raise Missing(size)
        return Measured(f"gap {max(last):.1e} after the last step", max(last) <= limit)

    return measure


def _proportional(examples: int, sizes: tuple[str, ...]) -> Callable[[Sequence[Run]], Measured]:
    """floor / ((1/B)(m-B)/(m-1)) is the same for all batch sizes below m."""

    def measure(runs: Sequence[Run]) -> Measured:
        floors = _floors(runs)
        if not set(sizes) <= floors.keys():
            raise Missing(", ".join(sizes))
        shares = [(examples - int(size)) / (examples - 1) / int(size) for size in sizes]
        ratios = [floors[size] / share for size, share in zip(sizes, shares, strict=True)]
        middle = float(np.exp(np.mean(np.log(ratios))))
        off = max(abs(ratio / middle - 1) for ratio in ratios)
        shown = " · ".join(f"{size}: {ratio:.3g}" for size, ratio in zip(sizes, ratios, strict=True))
        return Measured(f"floor / share: {shown}", off <= SPREAD)

    return measure


_CHANCE = "4.5 standard errors of 20,000 draws: chance alone exceeds that once in 10,000 such tables"

NOISE_CLAIMS: tuple[Claim, ...] = (
    Claim(
        experiment=NOISE,
        notes="the gradient of a batch is unbiased: E g_B = grad f",
        measure=_unbiased,
        count=14,
        expected="0",
        tolerance="4.5 sqrt(variance / draws)",
        why=_CHANCE,
    ),
    Claim(
        experiment=NOISE,
        notes="with replacement E|g_B - grad f|^2 = s^2/B",
        measure=_variance("replacement"),
        count=14,
        expected="s^2/B",
        tolerance="4.5 standard errors",
        why=_CHANCE,
    ),
    Claim(
        experiment=NOISE,
        notes="without replacement (N-B)/(N-1) times that, and 0 for B = N",
        measure=_variance("independent"),
        count=14,
        expected="s^2/B (N-B)/(N-1)",
        tolerance="4.5 standard errors",
        why=_CHANCE,
    ),
    Claim(
        experiment=PATHS,
        by="case",
        notes="GD with lr 0.3 is monotone",
        measure=_monotone,
        expected="no step raises f",
        tolerance="none",
    ),
    Claim(
        experiment=PATHS,
        by="case",
        notes="SGD with lr 1 raises f on about half of its 300 steps",
        measure=_half_of_steps,
        expected="50 %",
        tolerance="10 %",
        why="a little over three standard deviations of 300 coin flips",
    ),
    Claim(
        experiment=FLOOR,
        notes="gap floors at B = 1, 2, 10 about .023, .011, .0019",
        measure=_floors_near({"1": 0.023, "2": 0.011, "10": 0.0019}, 1.5),
        count=80,
        expected=".023, .011, .0019",
        tolerance="a factor of 1.5",
        why="the noise of 100 other examples: their sample variance differs by 14 %, two such deviations",
    ),
    Claim(
        experiment=FLOOR,
        notes="B = 100, all examples, has no floor: about 1e-13",
        measure=_no_floor("100", 1e-10),
        count=80,
        expected="1e-13",
        tolerance="at most 1e-10",
        why="(1 - lr m)^600, where m, near 1/12, depends on the examples drawn",
    ),
    Claim(
        experiment=FLOOR,
        notes="the floors are proportional to (1/B)(N-B)/(N-1)",
        measure=_proportional(100, ("1", "2", "10")),
        count=80,
        expected="one ratio",
        tolerance="25 %",
        why="20 seeds leave 6 %; at lr 1 a batch of one also has noise in its curvature",
    ),
    Claim(
        experiment=LOGISTIC,
        notes="logistic regression: floors proportional to (1/B)(m-B)/(m-1)",
        measure=_proportional(200, ("1", "10", "50", "100")),
        count=100,
        expected="one ratio",
        tolerance="25 %",
        why="20 seeds leave 5 %; the loss is a quadratic near its minimum only",
    ),
    Claim(
        experiment=LOGISTIC,
        notes="and GD has none",
        measure=_no_floor("full", 1e-12),
        count=100,
        expected="0",
        tolerance="1e-12",
        why="rounding of the minimum",
    ),
)
