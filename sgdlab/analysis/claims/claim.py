"""The shape of a claim, how it is judged on the runs of its experiment, and what measures share.

The other modules of this folder hold functions that measure and a literal table of claims.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sgdlab.records import Run

ENDED = ("done", "diverged")
DIGITS = "half a unit of the last digit that the notes give"  # where a tolerance comes from

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Measured:
    """The measured value as text, and whether it agrees with the notes."""

    text: str
    holds: bool


class Expected(NamedTuple):
    """The value that the notes state, how far the measured one may be off, and the tolerance's source."""

    value: str = ""
    tolerance: str = ""
    why: str = ""


_NO_VALUE = Expected()


class Missing(LookupError):
    """A claim needs a run that was not recorded."""


class Runs(dict[Any, Run]):
    """The runs of an experiment by the value of a setting, or by the name of their case."""

    def __missing__(self, key: Any) -> Run:
        raise Missing(key)

    def only(self) -> Run:
        """Return the single run; raises Missing when there are none or several."""
        if len(self) != 1:
            raise Missing(f"{len(self)} runs")
        return next(iter(self.values()))


@dataclass(frozen=True)
class Claim:
    """One claim of the notes about one experiment.

    Attributes:
        notes: the claim in the notes' words, with its numbers.
        measure: a function of the experiment's runs; their type depends on `by`.
        expected: the value that the measured one is compared with, where the claim is about a value.
        quick: whether the claim also holds on the 6,000 embedded images, where ten epochs are a tenth of the
            updates.
        experiment: its name, as in `experiment=notes/newton`.
        by: the setting that tells the runs apart, so that `measure` gets `Runs`; `case` for named cases; None
            where `measure` gets a list.
        count: the number of runs that it needs.
    """

    notes: str
    measure: Callable[[Any], Measured]
    expected: Expected = _NO_VALUE
    quick: bool = True
    experiment: str = ""
    by: str | None = None
    count: int = 1


@dataclass(frozen=True)
class Verdict:
    """A claim and its measured value, which is None when runs are missing."""

    claim: Claim
    measured: Measured | None

    @property
    def word(self) -> Literal["PASS", "FAIL", "MISSING"]:
        """PASS, FAIL, or MISSING when runs are missing."""
        if self.measured is None:
            return "MISSING"
        return "PASS" if self.measured.holds else "FAIL"


def claims_about(experiment: str, *claims: Claim, by: str | None = None, count: int = 1) -> tuple[Claim, ...]:
    """Assign claims to their experiment.

    Args:
        experiment: its name below `notes/`.
        claims: the claims, in the notes' order.
        by: the setting that tells the runs apart (see `Claim`).
        count: the number of runs that each claim needs.

    Returns:
        The claims, complete.
    """
    name = f"notes/{experiment}"
    return tuple(replace(claim, experiment=name, by=by, count=count) for claim in claims)


def judge(claim: Claim, runs: Sequence[Run]) -> Verdict:
    """Measure a claim on the runs of its experiment.

    Args:
        claim: the claim.
        runs: all runs of the experiment; runs that have not ended are no evidence.

    Returns:
        The verdict, MISSING when a run that the claim needs is not among them.
    """
    ended = [run for run in runs if run.status in ENDED]
    if len(ended) < claim.count:
        return Verdict(claim, None)
    try:
        return Verdict(claim, claim.measure(_keyed(ended, claim.by)))
    except Missing:
        return Verdict(claim, None)


def _keyed(runs: list[Run], by: str | None) -> list[Run] | Runs:
    if by is None:
        return runs
    if by == "case":
        return Runs({run.case: run for run in runs})
    return Runs({float(run.settings[by]): run for run in runs})


def row(verdict: Verdict) -> dict[str, str]:
    """Return the verdict as a row of claims.csv."""
    claim, measured = verdict.claim, verdict.measured
    return {
        "experiment": claim.experiment,
        "notes": claim.notes,
        "expected": claim.expected.value,
        "tolerance": claim.expected.tolerance,
        "why": claim.expected.why,
        "measured": "" if measured is None else measured.text,
        "verdict": verdict.word,
    }


def within(measured: Iterable[float], expected: Iterable[float], tolerance: float) -> bool:
    """Compare numbers one by one.

    Args:
        measured: the numbers found.
        expected: as many numbers, in the same order.
        tolerance: the largest absolute difference.

    Returns:
        Whether no pair is farther apart; False where a number is NaN.
    """
    return all(abs(a - b) <= tolerance for a, b in zip(measured, expected, strict=True))


def listed(numbers: Mapping[str, float], form: str, link: str = " ") -> str:
    """Write named numbers in a line.

    Args:
        numbers: name -> number.
        form: a format of Python, such as `.3f`.
        link: the text between a name and its number.

    Returns:
        For example `GD 0.9802 · Polyak 0.8182`.
    """
    return " · ".join(f"{name}{link}{number:{form}}" for name, number in numbers.items())


def quantity(run: Run, name: str) -> list[float]:
    """Read a quantity of measure.csv.

    Args:
        run: a run that measures in place of training.
        name: the quantity.

    Returns:
        Its values, in the file's order.

    Raises:
        Missing: the run has no such quantity.
    """
    table = run.measure()
    values = [float(value) for value in table.value[table.quantity == name]]
    if not values:
        raise Missing(name)
    return values


def path_points(run: Run) -> Values:
    """Return the weights of a recorded path: (rows, weights)."""
    table = run.trajectory()
    names = [name for name in map(str, table.columns) if name[0] == "w" and name[1:].isdigit()]
    return np.asarray(table[names], np.float64)


def points_text(points: Values) -> str:
    """Write points, (rows, weights), as `(0.905, 0.2725) (1, 2)`."""
    return " ".join("(" + ", ".join(f"{value:.4g}" for value in point) + ")" for point in points)
