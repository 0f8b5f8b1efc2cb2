"""The training loop of one run: updates, evaluations at epochs, and checkpoints when they are due.

`Trainer.run` is the loop. Batches come from `sgdlab.engine.sampling`, an update of the weights is a method of
`sgdlab.engine.updates.Updates`, and a `Callback` receives all results.
"""

import math
import time
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

from sgdlab.engine.evaluation import Evaluation, evaluate
from sgdlab.engine.sampling import Batches, Index, examples
from sgdlab.engine.updates import Updates
from sgdlab.problem import Problem

# Losses stay on the device and are fetched together, because each fetch waits for the device: after BLOCK
# updates, or FETCH_SECONDS after the last fetch.
BLOCK, FETCH_SECONDS = 100, 0.5


class Row(NamedTuple):
    """One update: its number from 1, and the batch loss before it.

    evaluations: how often the gradient of a batch was computed so far, in this update and those before it;
    more than once an update where the optimizer calls its closure again. samples: the examples in these.
    """

    step: int
    epoch: int
    samples: int
    evaluations: int
    lr: float
    loss: float


class TrajectoryPoint(NamedTuple):
    """The weights (flattened, in the model's order) after `step` updates, and the objective f there.

    gap: f(w) - f*; distance: |w - w*| to the nearest minimum; None where f* or w* is unknown.
    """

    step: int
    objective: float
    gap: float | None
    distance: float | None
    weights: list[float]


class Callback(Protocol):
    """Receives the results of a run. The trainer calls every method between updates, never during one."""

    def on_losses(self, rows: list[Row], last: Row) -> None:
        """Receive batch losses.

        Args:
            rows: the new rows that `Plan.log_every` selects for the record.
            last: the newest row, selected or not.
        """

    def on_evaluation(
        self, epoch: int, step: int, samples: int, evaluations: int, result: Evaluation
    ) -> None:
        """Receive an evaluation of the weights.

        Args:
            epoch: completed epochs.
            step: updates before the evaluation.
            samples: examples whose gradient these updates computed, as in a `Row`.
            evaluations: gradients of batches that they computed.
            result: losses and accuracies.
        """

    def on_trajectory_point(self, point: TrajectoryPoint) -> None:
        """Receive a trajectory point, whose numbers are all finite."""

    def checkpoint_due(self) -> bool:
        """Return whether a checkpoint is due. Called after each update, so it must be cheap."""

    def on_checkpoint(self, state: dict[str, Any]) -> None:
        """Store the state. May raise to end the run here."""


class Diverged(Exception):
    """A loss stopped being finite; `reason` says which loss, and at which update. A result, not a failure."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The length of a run and what it reports.

    total: updates of the run. per_epoch: updates in one epoch. log_every: updates between rows, counted
    within each epoch. eval_every: epochs between evaluations; 0: at start and end only. eval_train: training
    examples of an evaluation; None: all. trajectory_every: updates between trajectory points; 0: none.
    """

    total: int
    per_epoch: int
    log_every: int
    eval_every: int
    eval_train: int | None
    trajectory_every: int = 0

    def ends_epoch(self, step: int) -> bool:
        """Return whether update `step` is the last of its epoch."""
        return step % self.per_epoch == 0

    def logs(self, step: int) -> bool:
        """Return whether update `step` has a row: the first of each epoch and every log_every after it."""
        return (step - 1) % self.per_epoch % self.log_every == 0

    def evaluates(self, step: int) -> bool:
        """Return whether the weights are evaluated after `step` updates, step > 0."""
        if step == self.total:
            return True
        every = self.eval_every
        return every > 0 and self.ends_epoch(step) and (step // self.per_epoch) % every == 0

    def has_point(self, step: int) -> bool:
        """Return whether the weights after `step` updates are a trajectory point."""
        every = self.trajectory_every
        return every > 0 and (step % every == 0 or step == self.total)


@dataclass(kw_only=True)
class _PendingPoint:
    """Weights of a trajectory point, (n,), still on the device; objective is None until it is computed."""

    step: int
    weights: Tensor
    objective: Tensor | None


class Trainer:
    """A run at some update: `state` and `load` are its checkpoint, `run` continues to the end.

    Args:
        problem: data, model and loss; the model's parameters are updated in place.
        updates: how the weights move.
        scheduled_by_epoch: whether the unit of the learning-rate schedule is an epoch, not an update.
        batches: the training examples of each update.
        plan: the length of the run and what it reports.
    """

    def __init__(
        self, *, problem: Problem, updates: Updates, scheduled_by_epoch: bool, batches: Batches, plan: Plan
    ) -> None:
        self.step = 0
        self._problem = problem
        self._updates = updates
        self._by_epoch = scheduled_by_epoch
        self._batches = batches
        self._plan = plan
        device = problem.data.train_x.device
        self._gpu = device if device.type == "cuda" else None
        self._samples = self._evaluations = 0  # as in a Row
        self._last: Row | None = None
        # What has been computed since the last fetch. `_counts`: samples, evaluations and lr of each update.
        self._losses: list[Tensor] = []
        self._counts: list[tuple[int, int, float]] = []
        self._points: list[_PendingPoint] = []
        self._fetched = 0.0  # time of the last fetch, by perf_counter
        self._weights = list(problem.model.parameters())

    def state(self) -> dict[str, Any]:
        """Return all that the rest of the run depends on: tensors, numbers, lists and dicts."""
        return {
            "step": self.step,
            "samples": self._samples,
            "evaluations": self._evaluations,
            "last": None if self._last is None else list(self._last),
            # Copies of views: torch.save would store the whole memory behind each view.
            "model": {name: value.contiguous() for name, value in self._problem.model.state_dict().items()},
            **self._updates.state(),
            "random": torch.get_rng_state(),
            "random_cuda": torch.cuda.get_rng_state(self._gpu) if self._gpu else None,
        }

    def load(self, state: dict[str, Any]) -> None:
        """Go back to the update at which `state` was taken; the run then continues with the same bits.

        Raises:
            KeyError, TypeError, ValueError, RuntimeError: it is not a state of this run.
        """
        self._problem.model.load_state_dict(state["model"])
        self._updates.load(state)
        torch.set_rng_state(state["random"].cpu())
        if self._gpu:
            torch.cuda.set_rng_state(state["random_cuda"].cpu(), self._gpu)
        self.step = int(state["step"])
        self._samples, self._evaluations = int(state["samples"]), int(state["evaluations"])
        if state["last"] is not None:
            self._last = Row(*state["last"])

    def run(self, callback: Callback) -> None:
        """Train to the end.

        Raises:
            Diverged: a loss stopped being finite; all results before it have been reported.
        """
        plan = self._plan
        if self.step == 0:
            self._evaluate(callback)
            if plan.has_point(0):
                self._keep_point()
        self._fetched = time.perf_counter()
        while self.step < plan.total:
            # After resuming, the epoch continues with its next batch.
            epoch, done = divmod(self.step, plan.per_epoch)
            for index in self._batches.epoch(epoch)[done:]:
                self._update(index, callback)
                if plan.has_point(self.step):
                    self._keep_point()
                if plan.evaluates(self.step):
                    self._fetch(callback)
                    self._evaluate(callback)
                elif len(self._losses) == BLOCK or time.perf_counter() - self._fetched > FETCH_SECONDS:
                    self._fetch(callback)
                if callback.checkpoint_due():
                    self._fetch(callback)
                    callback.on_checkpoint(self.state())
                if self.step == plan.total:
                    break

    def _update(self, index: Index, callback: Callback) -> None:
        lr = self._updates.lr
        try:
            loss = self._updates.make(index)
        except Exception:
            # Weights that are not finite can make an optimizer raise; then a pending loss raises Diverged.
            self._fetch(callback)
            raise
        evaluations = self._updates.evaluations
        self._evaluations += evaluations
        self._samples += evaluations * examples(index)
        self._counts.append((self._samples, self._evaluations, lr))
        self._losses.append(loss)
        if self._points and self._points[-1].objective is None:
            self._points[-1].objective = loss.double()  # f at the point, which this update started from
        self.step += 1
        if not self._by_epoch or self._plan.ends_epoch(self.step):
            self._updates.next_unit()

    def _keep_point(self) -> None:
        """Copy the weights and compute f there, or leave f to the next update where it computes the same."""
        weights = torch.cat([weight.detach().reshape(-1) for weight in self._weights])
        objective = None if self._updates.objective else self._problem.objective()
        self._points.append(_PendingPoint(step=self.step, weights=weights, objective=objective))

    def _report_points(self, callback: Callback, before: float = math.inf) -> None:
        """Report the pending trajectory points of steps below `before` whose numbers are finite."""
        if not self._points:
            return
        if self._updates.objective and self._points[-1].objective is None:
            self._points[-1].objective = self._updates.objective().double()
        points, self._points = self._points, []
        objectives = torch.stack([point.objective for point in points if point.objective is not None])
        all_weights = torch.stack([point.weights for point in points]).tolist()
        facts = self._problem.facts
        for point, objective, weights in zip(points, objectives.tolist(), all_weights, strict=True):
            gap = None if facts.least is None else objective - facts.least
            distance = min((math.dist(weights, minimum) for minimum in facts.minima or ()), default=None)
            finite = all(map(math.isfinite, (objective, gap or 0, distance or 0, *weights)))
            if point.step < before and finite:
                callback.on_trajectory_point(TrajectoryPoint(point.step, objective, gap, distance, weights))

    def _fetch(self, callback: Callback) -> None:
        """Bring the pending losses and trajectory points from the device and report them."""
        if not self._losses:
            return
        values = torch.stack(self._losses).tolist()
        first = self.step - len(values) + 1
        rows: list[Row] = []
        for step, (loss, counts) in enumerate(zip(values, self._counts, strict=True), start=first):
            if not math.isfinite(loss):
                self._report_points(callback, before=step)
                self._diverge(callback, rows, f"the batch loss is {loss} at step {step}")
            self._last = Row(step, (step - 1) // self._plan.per_epoch + 1, *counts, loss)
            if self._plan.logs(step):
                rows.append(self._last)
        self._losses, self._counts = [], []
        self._fetched = time.perf_counter()
        assert self._last is not None
        self._report_points(callback)
        callback.on_losses(rows, self._last)

    def _diverge(self, callback: Callback, rows: list[Row], reason: str) -> None:
        """Report up to the last finite loss, which gets a row even where log_every skips it."""
        if self._last is not None:
            if not self._plan.logs(self._last.step):
                rows.append(self._last)
            callback.on_losses(rows, self._last)
        raise Diverged(reason)

    def _evaluate(self, callback: Callback) -> None:
        result = evaluate(self._problem, train_limit=self._plan.eval_train)
        for name, value in (("training", result.train_loss), ("test", result.test_loss)):
            if not math.isfinite(value):
                self._diverge(callback, [], f"the evaluated {name} loss is {value} after step {self.step}")
        epoch = self.step // self._plan.per_epoch
        callback.on_evaluation(epoch, self.step, self._samples, self._evaluations, result)
