"""What a batch of runs reports, in arrays with an axis of runs, and each run's part, cut where it ends."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from sgdlab.engine.loop import Plan
from sgdlab.engine.sampling import Batches

Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Curve:
    """One run's report: what the serial engine would report of it, as arrays.

    reason: why it diverged; empty when it did not. last: step and loss of its last finite loss, if any.
    rows: the steps, learning rates and losses of the rows.
    evaluations: steps, and (n, 4) the numbers of an `Evaluation` (NaN: no accuracy).
    visits: steps, and (n, 3 + weights) f(w), its gap and the distance to the nearest minimum (NaN: unknown),
    and the weights.
    """

    reason: str
    last: tuple[int, float] | None
    rows: tuple[list[int], Array, Array]
    evaluations: tuple[list[int], Array]
    visits: tuple[list[int], Array]


@dataclass(kw_only=True)
class Curves:
    """The reports of `runs` runs: the engine adds to them, and when it is through `of` reads one run's.

    A run is alive until its loss stops being finite. least, minima: of f, where known.
    """

    runs: int
    batches: Batches
    plan: Plan
    least: float | None = None
    minima: Sequence[Sequence[float]] = ()
    alive: NDArray[np.bool_] = field(init=False)
    reasons: list[str] = field(init=False)

    def __post_init__(self) -> None:
        self.alive = np.ones(self.runs, dtype=bool)
        self.reasons = [""] * self.runs
        self._last = np.zeros((3, self.runs))  # step, lr and loss of the last finite loss; step 0: none
        # The first step whose evaluation, and whose visit, is no longer part of the record.
        self._cuts = np.full((2, self.runs), np.inf)
        self._rows: list[tuple[int, Array, Array]] = []
        self._evaluations: list[tuple[int, Array]] = []
        self._visits: list[tuple[int, Array]] = []

    def losses(self, first: int, losses: Array, lrs: Sequence[Array]) -> None:
        """Add the losses of consecutive updates from `first`, (updates, runs), and their learning rates,
        each (runs,)."""
        finite = np.isfinite(losses)
        good = np.where(finite.all(0), len(losses), finite.argmin(0))  # finite losses before the first other
        here = np.flatnonzero(self.alive & (good > 0))
        at = good[here] - 1
        self._last[0, here], self._last[2, here] = first + at, losses[at, here]
        for update in set(at.tolist()):
            some = here[at == update]
            self._last[1, some] = lrs[update][some]
        for run in np.flatnonzero(self.alive & (good < len(losses))).tolist():
            step = first + int(good[run])
            self._end(run, f"training loss is {float(losses[good[run], run])} at step {step}", (step, step))
        for update, step in enumerate(range(first, first + len(losses))):
            if self._logged(step):
                self._rows.append((step, lrs[update], losses[update]))

    def evaluated(self, step: int, numbers: Array) -> None:
        """Add the numbers of an `Evaluation` (NaN: no accuracy) after `step` updates, (4, runs)."""
        self._evaluations.append((step, numbers))
        for name, values in (("training", numbers[0]), ("test", numbers[2])):
            for run in np.flatnonzero(self.alive & ~np.isfinite(values)).tolist():
                what = f"evaluated {name} loss is {float(values[run])} after step {step}"
                self._end(run, what, (step, step + 1 if step else 0))

    def visited(self, step: int, numbers: Array) -> None:
        """Add f(w) and the weights after `step` updates, (runs, 1 + weights)."""
        self._visits.append((step, numbers))

    @property
    def numbers(self) -> int:
        """How many there are of a run that went to the end, about."""
        return 2 * len(self._rows) + sum(int(numbers.shape[1]) + 2 for _, numbers in self._visits)

    def of(self, run: int) -> Curve:
        """One run's report; the last finite loss of one that diverged is a row in any case."""
        step, lr, loss = (float(value) for value in self._last[:, run])
        steps, lrs, losses = self._table
        kept = int(np.searchsorted(steps, step, side="right"))
        rows = (steps[:kept].tolist(), lrs[run, :kept], losses[run, :kept])
        if self.reasons[run] and step and not self._logged(int(step)):
            rows = (
                [*rows[0], int(step)],
                np.append(rows[1], lr),
                np.append(rows[2], loss),
            )
        made = [step for step, _ in self._evaluations if step < self._cuts[0, run]]
        return Curve(
            reason=self.reasons[run],
            last=(int(step), loss) if step else None,
            rows=rows,
            evaluations=(made, self._evaluated[run, : len(made)]),
            visits=self._visits_of(run),
        )

    def _visits_of(self, run: int) -> tuple[list[int], Array]:
        """Those before the run's end whose numbers are all finite."""
        steps, whole = self._visits_made
        kept = whole[run] & (steps < self._cuts[1, run])
        if kept.all():
            return steps.tolist(), self._visited[run]
        return steps[kept].tolist(), self._visited[run][kept]

    @cached_property
    def _visits_made(self) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """The steps of the visits, and of which of them all numbers are finite, (runs, visits)."""
        finite = np.isfinite(self._visited)
        finite[..., 1:3] |= np.isnan(self._visited[..., 1:3])  # unknown
        steps = np.array([step for step, _ in self._visits], dtype=np.int64)
        return steps, np.asarray(finite.all(2))

    @cached_property
    def _table(self) -> tuple[NDArray[np.int64], Array, Array]:
        """The rows' steps, and learning rates and losses, (runs, rows)."""
        steps = np.array([step for step, _, _ in self._rows], dtype=np.int64)
        lrs = np.array([lrs for _, lrs, _ in self._rows]).reshape(-1, self.runs)
        losses = np.array([losses for _, _, losses in self._rows]).reshape(-1, self.runs)
        return steps, np.ascontiguousarray(lrs.T), np.ascontiguousarray(losses.T)

    @cached_property
    def _evaluated(self) -> Array:
        """Evaluations, (runs, evaluations, 4)."""
        return np.array([numbers for _, numbers in self._evaluations]).transpose(2, 0, 1)

    @cached_property
    def _visited(self) -> Array:
        """Visits, (runs, visits, 3 + weights)."""
        if not self._visits:
            return np.zeros((self.runs, 0, 3))
        raw = np.array([numbers for _, numbers in self._visits]).transpose(1, 0, 2)
        objective, weights = raw[..., :1], raw[..., 1:]
        nowhere = np.full_like(objective, np.nan)
        gap = nowhere if self.least is None else objective - self.least
        distances = [_length(weights - np.array(minimum)) for minimum in self.minima]
        distance = np.min(distances, axis=0) if distances else nowhere
        return np.concatenate([objective, gap, distance, weights], axis=2)

    def _end(self, run: int, what: str, cuts: tuple[int, int]) -> None:
        self.alive[run] = False
        self.reasons[run] = f"the {what}"
        self._cuts[:, run] = cuts

    def _logged(self, step: int) -> bool:
        return (step - 1) % self.batches.per_epoch % self.plan.log_every == 0


def _length(vectors: Array) -> Array:
    """The Euclidean length along the last axis, which stays, with length 1; no square overflows."""
    with np.errstate(invalid="ignore", over="ignore"):  # of a run that has diverged
        largest = np.abs(vectors).max(-1, keepdims=True)
        scale = np.where(largest > 0, largest, 1.0)
        lengths: Array = scale * np.sqrt(np.square(vectors / scale).sum(-1, keepdims=True))
        return lengths
