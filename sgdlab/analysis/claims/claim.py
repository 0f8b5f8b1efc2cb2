"""What a claim is, and how it is judged on the runs of its experiment."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sgdlab.records import Run

ENDED = ("done", "diverged")


@dataclass(frozen=True)
class Measured:
    """What the runs show, in words and numbers, and whether that is what the notes say."""

    text: str
    holds: bool


class Missing(LookupError):
    """A run that a claim is about is not there."""


class Runs(dict[Any, Run]):
    """The runs of an experiment by the value of a setting, or by the name of their case."""

    def __missing__(self, key: Any) -> Run:
        raise Missing(key)

    def only(self) -> Run:
        """The one run that there is."""
        if len(self) != 1:
            raise Missing(f"{len(self)} runs")
        return next(iter(self.values()))


@dataclass(frozen=True, kw_only=True)
class Claim:
    """One claim of the notes about one experiment.

    notes: the claim in the notes' words, with its numbers. expected: the value that the measured one is held
    to, where the claim is about a value, and `tolerance` how far it may be off. why: where the tolerance
    comes from. by: the setting that tells the experiment's runs apart, `case` for its named cases, and None
    where `measure` gets all of them as a list. count: how many runs it needs. quick: it also holds on the
    6,000 embedded images, where ten epochs are a tenth of the updates.
    """

    experiment: str
    notes: str
    measure: Callable[[Any], Measured]
    by: str | None = None
    count: int = 1
    expected: str = ""
    tolerance: str = ""
    why: str = ""
    quick: bool = True


@dataclass(frozen=True)
class Verdict:
    """A claim and what came of it; `measured` is None when the runs for it are not there."""

    claim: Claim
    measured: Measured | None

    @property
    def word(self) -> str:
        """PASS, FAIL, or MISSING when its runs are not all there."""
        if self.measured is None:
            return "MISSING"
        return "PASS" if self.measured.holds else "FAIL"


def judge(claim: Claim, runs: Sequence[Run]) -> Verdict:
    """The verdict on a claim, from the runs of its experiment."""
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
    """The verdict as one row of a table."""
    claim, measured = verdict.claim, verdict.measured
    return {
        "experiment": claim.experiment,
        "notes": claim.notes,
        "expected": claim.expected,
        "tolerance": claim.tolerance,
        "why": claim.why,
        "measured": "" if measured is None else measured.text,
        "verdict": verdict.word,
    }
