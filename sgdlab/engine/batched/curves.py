"""The curves of a batch of runs: losses, evaluations and trajectories, as arrays with an axis of runs.

`BatchCurves` collects them for all runs together; `BatchCurves.of` cuts one run's curves where that run ends.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from sgdlab.engine.loop import Plan
from sgdlab.engine.sampling import Batches

Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class RunCurves:
    """The curves of one run: what the serial engine would report, as arrays.

    reason: why the run diverged; empty when it did not.
    last: step and loss of the last finite batch loss, if any.
    rows: steps, learning rates and losses of the logged updates.
    evaluations: steps, and (n, 4) the numbers of an `Evaluation` (NaN: no accuracy).
    trajectory: steps, and (n, 3 + weights): f(w), its gap, the distance to the nearest minimum (NaN:
    unknown), and w.
    """

    reason: str
    last: tuple[int, float] | None
    rows: tuple[list[int], Array, Array]
    evaluations: tuple[list[int], Array]
    trajectory: tuple[list[int], Array]


@dataclass(kw_only=True)
class BatchCurves:
    """The curves of `runs` runs. The trainer adds to them; after its end, `of` returns those of one run.

    batches: what a run draws from. plan: what it reports. least, minima: of f, where known.
    alive: runs whose losses are all finite so far. reasons: why the others diverged.
    """

    runs: int
    batches: Batches
    plan: Plan
    least: float | None = None
    minima: Sequence[Sequence[float]] = ()

    def __post_init__(self) -> None:
        self.alive: NDArray[np.bool_] = np.ones(self.runs, dtype=bool)
        self.reasons = [""] * self.runs
        self._last = np.zeros((3, self.runs))  # step, lr and loss of the last finite loss; step 0: none
        # The first step whose evaluation, and whose trajectory point, is no longer part of the record.
        self._cuts = np.full((2, self.runs), np.inf)
        self._rows: list[tuple[int, Array, Array]] = []
        self._evaluations: list[tuple[int, Array]] = []
        self._points: list[tuple[int, Array]] = []

    def add_losses(self, first: int, losses: Array, lrs: Sequence[Array]) -> None:
        """Add the batch losses of consecutive updates.

        Args:
            first: the first of these updates, counted from 1.
            losses: (updates, runs).
            lrs: for each update the learning rates, (runs,).
        """
        finite = np.isfinite(losses)
        count = np.where(finite.all(0), len(losses), finite.argmin(0))  # finite losses before another one
        runs = np.flatnonzero(self.alive & (count > 0))
        last = count[runs] - 1
        self._last[0, runs], self._last[2, runs] = first + last, losses[last, runs]
        for update in set(last.tolist()):
            ending = runs[last == update]
            self._last[1, ending] = lrs[update][ending]
        for run in np.flatnonzero(self.alive & (count < len(losses))).tolist():
            step = first + int(count[run])
            self._end(run, f"batch loss is {float(losses[count[run], run])} at step {step}", (step, step))
        for update, step in enumerate(range(first, first + len(losses))):
            if self.plan.logs(step):
                self._rows.append((step, lrs[update], losses[update]))

    def add_evaluation(self, step: int, numbers: Array) -> None:
        """Add an evaluation.

        Args:
            step: updates before it.
            numbers: those of an `Evaluation` in its order, (4, runs); NaN: no accuracy.
        """
        self._evaluations.append((step, numbers))
        for name, values in (("training", numbers[0]), ("test", numbers[2])):
            for run in np.flatnonzero(self.alive & ~np.isfinite(values)).tolist():
                reason = f"evaluated {name} loss is {float(values[run])} after step {step}"
                # The serial engine reports the point of a step before it evaluates, except at the start.
                self._end(run, reason, (step, step + 1 if step else 0))

    def add_points(self, step: int, numbers: Array) -> None:
        """Add a trajectory point of each run.

        Args:
            step: updates before it.
            numbers: f(w) and w, (runs, 1 + weights).
        """
        self._points.append((step, numbers))

    @property
    def size(self) -> int:
        """About how many numbers a run has that does not diverge."""
        return 2 * len(self._rows) + sum(int(numbers.shape[1]) + 2 for _, numbers in self._points)

    def of(self, run: int) -> RunCurves:
        """Return the curves of one run. The last finite loss of a diverged run always has a row."""
        last, lr, loss = (float(value) for value in self._last[:, run])
        steps, lrs, losses = self._row_arrays
        count = int(np.searchsorted(steps, last, side="right"))
        rows = (steps[:count].tolist(), lrs[run, :count], losses[run, :count])
        if self.reasons[run] and last and not self.plan.logs(int(last)):
            rows = ([*rows[0], int(last)], np.append(rows[1], lr), np.append(rows[2], loss))
        evaluated = [step for step, _ in self._evaluations if step < self._cuts[0, run]]
        steps, points, finite = self._point_arrays
        kept = finite[run] & (steps < self._cuts[1, run])
        return RunCurves(
            reason=self.reasons[run],
            last=(int(last), loss) if last else None,
            rows=rows,
            evaluations=(evaluated, self._evaluation_array[run, : len(evaluated)]),
            trajectory=(steps[kept].tolist(), points[run][kept]),
        )

    @cached_property
    def _row_arrays(self) -> tuple[NDArray[np.int64], Array, Array]:
        """Steps (rows,), learning rates and losses (runs, rows)."""
        steps = np.array([step for step, _, _ in self._rows], dtype=np.int64)
        lrs = np.array([lrs for _, lrs, _ in self._rows]).reshape(-1, self.runs)
        losses = np.array([losses for _, _, losses in self._rows]).reshape(-1, self.runs)
        return steps, np.ascontiguousarray(lrs.T), np.ascontiguousarray(losses.T)

    @cached_property
    def _evaluation_array(self) -> Array:
        """Evaluations, (runs, evaluations, 4)."""
        return np.array([numbers for _, numbers in self._evaluations]).transpose(2, 0, 1)

    @cached_property
    def _point_arrays(self) -> tuple[NDArray[np.int64], Array, NDArray[np.bool_]]:
        """Steps (points,), numbers (runs, points, 3 + weights), and whether a point's are all finite."""
        steps = np.array([step for step, _ in self._points], dtype=np.int64)
        if not self._points:
            return steps, np.zeros((self.runs, 0, 3)), np.zeros((self.runs, 0), dtype=bool)
        raw = np.array([numbers for _, numbers in self._points]).transpose(1, 0, 2)
        objective, weights = raw[..., :1], raw[..., 1:]
        unknown = np.full_like(objective, np.nan)
        gap = unknown if self.least is None else objective - self.least
        distances = [_norm(weights - np.array(minimum)) for minimum in self.minima]
        distance = np.min(distances, axis=0) if distances else unknown
        numbers = np.concatenate([objective, gap, distance, weights], axis=2)
        finite = np.isfinite(numbers)
        finite[..., 1:3] |= np.isnan(numbers[..., 1:3])  # unknown
        return steps, numbers, np.asarray(finite.all(2))

    def _end(self, run: int, reason: str, cuts: tuple[int, int]) -> None:
        self.alive[run] = False
        self.reasons[run] = f"the {reason}"
        self._cuts[:, run] = cuts


def _norm(vectors: Array) -> Array:
    """Return the Euclidean norm along the last axis, which keeps length 1. Scaled: no square overflows."""
    with np.errstate(invalid="ignore", over="ignore"):  # of a run that has diverged
        largest = np.abs(vectors).max(-1, keepdims=True)
        scale = np.where(largest > 0, largest, 1.0)
        norms: Array = scale * np.sqrt(np.square(vectors / scale).sum(-1, keepdims=True))
        return norms
