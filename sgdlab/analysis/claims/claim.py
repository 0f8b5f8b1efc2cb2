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
SEEDS = 10  # the fewest seeds over which a random quantity is judged
BETWEEN = f"between the least and the largest over {SEEDS} seeds or more, to its last digit"
ONE_DRAW = "it depends on the seed, and the notes give one draw"

Kind = Literal["exact", "seeds", "estimate", "order"]
Scope = Literal["quick", "full", "long"]
# What `sgdlab reproduce notes` runs, from the least to the most, and what a claim of that scope needs.
SCOPES: dict[Scope, str] = {"quick": "", "full": "the full data", "long": "--long"}

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


@dataclass(frozen=True)
class Claim:
    """One claim of the notes about one experiment.

    A claim is of one of four kinds:

        exact     no chance is in it: the published number, to its printed digits or to rounding
        seeds     the number depends on the seed: the published one lies between the least and the largest
                  over at least `SEEDS` seeds (`between_seeds`)
        estimate  the value of theory, to the error of a mean over draws or seeds
        order     an order or an inequality, of runs with the seed that the experiment names

    Attributes:
        notes: the claim in the notes' words.
        measure: a function of the experiment's runs; their type depends on `by`.
        expected: the value that the measured one is compared with, where the claim is about a value.
        kind: as above.
        scope: the least that must run for the claim to be checked. quick: the claim also holds on the 6,000
            embedded images, where ten epochs are a tenth of the updates; full: the full data; long: the
            experiment at the length of `reproduce --long`.
        needs: what a claim beyond the scope needs, in words; empty: as `SCOPES` says.
        numbers: the notes' numbers for the full data, which are shown, not checked.
        fails: why the claim is known to fail; empty for one that is expected to hold.
        experiment: its name, as in `experiment=notes/newton`.
        by: the setting that tells the runs apart, so that `measure` gets `Runs`; `case` for named cases; None
            where `measure` gets a list.
        count: the number of runs that it needs.
    """

    notes: str
    measure: Callable[[Any], Measured]
    expected: Expected = _NO_VALUE
    kind: Kind = "exact"
    scope: Scope = "quick"
    needs: str = ""
    numbers: str = ""
    fails: str = ""
    experiment: str = ""
    by: str | None = None
    count: int = 1


@dataclass(frozen=True)
class Verdict:
    """A claim, its measured value (None when runs are missing), and the scope of what ran."""

    claim: Claim
    measured: Measured | None
    scope: Scope = "long"

    @property
    def checked(self) -> bool:
        """Whether enough ran for the claim to be checked."""
        return _in_scope(self.claim, self.scope)

    @property
    def word(self) -> str:
        """PASS, FAIL, `FAIL (expected)`, `PASS (not expected)`, MISSING, or `not checked: needs ...`."""
        if not self.checked:
            return f"not checked: needs {self.claim.needs or SCOPES[self.claim.scope]}"
        if self.measured is None:
            return "MISSING"
        word = "PASS" if self.measured.holds else "FAIL"
        if not self.claim.fails:
            return word
        return f"{word} ({'not ' if self.measured.holds else ''}expected)"

    @property
    def as_expected(self) -> bool:
        """Whether `reproduce` may succeed: after PASS, after `FAIL (expected)`, or without a check."""
        if not self.checked:
            return True
        return self.measured is not None and self.measured.holds == (not self.claim.fails)

    @property
    def notes(self) -> str:
        """The claim; with the notes' numbers for the full data, unless other data were trained on."""
        shown = self.claim.numbers and self.scope != "quick"
        return f"{self.claim.notes} ({self.claim.numbers})" if shown else self.claim.notes


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


def judge(claim: Claim, runs: Sequence[Run], scope: Scope = "long") -> Verdict:
    """Measure a claim on the runs of its experiment.

    Args:
        claim: the claim.
        runs: all runs of the experiment; runs that have not ended are no evidence.
        scope: of what ran; a claim that needs more is not checked.

    Returns:
        The verdict, MISSING when a run that the claim needs is not among them.
    """
    ended = [run for run in runs if run.status in ENDED]
    if not _in_scope(claim, scope) or len(ended) < claim.count:
        return Verdict(claim, None, scope)
    try:
        return Verdict(claim, claim.measure(_keyed(ended, claim.by)), scope)
    except Missing:
        return Verdict(claim, None, scope)


def _in_scope(claim: Claim, scope: Scope) -> bool:
    order = list(SCOPES)
    return order.index(claim.scope) <= order.index(scope)


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
        "kind": claim.kind,
        "notes": verdict.notes,
        "expected": claim.expected.value,
        "tolerance": claim.expected.tolerance,
        "why": claim.expected.why,
        "measured": "" if measured is None else measured.text,
        "verdict": verdict.word,
        "reason": claim.fails,
    }


def tally(words: Sequence[str]) -> str:
    """Count verdicts.

    Args:
        words: the verdicts' words.

    Returns:
        For example `51 of 52 claims hold, 1 fails as expected, 4 not checked`.
    """
    unchecked = sum(word.startswith("not checked") for word in words)
    held = sum(word.startswith("PASS") for word in words)
    failing = words.count("FAIL (expected)")
    parts = [f"{held} of {len(words) - unchecked} claims hold"] if unchecked < len(words) or not words else []
    parts += [f"{failing} fail{'s' * (failing == 1)} as expected"] if failing else []
    parts += [f"{unchecked} not checked"] if unchecked else []
    return ", ".join(parts)


def between_seeds(
    draws: Sequence[Sequence[float]], published: Sequence[float], form: str, half: float = 0.0
) -> Measured:
    """Compare published numbers with the distribution of the same numbers over seeds.

    Args:
        draws: the numbers of each seed, in one order.
        published: the notes' numbers, in the same order.
        form: a format of Python for one number, such as `.3f`.
        half: half a unit of the last digit that the notes give: 83.62 is their 83.6.

    Returns:
        The range of each number over the seeds. It holds where each published number lies in its range; a
        range with a number that is not finite holds none.

    Raises:
        Missing: there are fewer than `SEEDS` seeds.
    """
    if len(draws) < SEEDS:
        raise Missing(f"{len(draws)} of {SEEDS} seeds")
    values, aims = np.asarray(draws, np.float64), np.asarray(published, np.float64)
    low, high = values.min(axis=0), values.max(axis=0)
    ranges = " · ".join(f"{a:{form}} to {b:{form}}" for a, b in zip(low, high, strict=True))
    holds = np.isfinite(values).all() and (low - half <= aims).all() and (aims <= high + half).all()
    return Measured(f"{ranges} over {len(draws)} seeds", bool(holds))


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
