"""One run: the loop over updates, with evaluation at its epochs and a checkpoint whenever one is due."""

import math
import time
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from sgdlab.engine.evaluation import Evaluation, evaluate
from sgdlab.engine.sampling import Batches, Index
from sgdlab.engine.updates import Updates
from sgdlab.problem import Problem

# The losses stay on the device until one looks at them: after so many updates, or so long.
BLOCK, FETCH_SECONDS = 100, 0.5


@dataclass(frozen=True, kw_only=True)
class Row:
    """One update: its number from 1, and the loss of its batch before it."""

    step: int
    epoch: int
    samples: int
    lr: float
    loss: float


@dataclass(frozen=True, kw_only=True)
class TrajectoryPoint:
    """The weights (flattened, in the model's order) after `step` updates, and f there.

    gap: f(w) - f*; distance: |w - w*| to the nearest minimum; None where f* or w* is not known.
    """

    step: int
    objective: float
    gap: float | None
    distance: float | None
    weights: list[float]


class Callback(Protocol):
    """Who follows a run. Every method is called between updates, never during one."""

    def on_losses(self, rows: list[Row], last: Row) -> None:
        """Rows that belong in the record, and the newest row whether it does or not."""

    def on_evaluation(self, epoch: int, step: int, samples: int, result: Evaluation) -> None:
        """The weights were evaluated after `step` updates, in which `epoch` epochs were completed."""

    def on_trajectory_point(self, point: TrajectoryPoint) -> None:
        """Where the run was after some update, or at the start; all numbers are finite."""

    def checkpoint_due(self) -> bool:
        """Whether to checkpoint now. Asked after each update, so it must be cheap."""

    def on_checkpoint(self, state: dict[str, Any]) -> None:
        """Keep the state. May raise to end the run here."""


class Diverged(Exception):
    """The loss stopped being finite: `what` says which, at which update. A result, not a failure."""

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.what = what


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How long a run is and what it reports: all in updates, but eval_every in epochs (0: ends only).

    trajectory_every: updates between reports of the weights; 0: none.
    """

    total: int
    log_every: int
    eval_every: int
    eval_train: int | None
    trajectory_every: int = 0


@dataclass(kw_only=True)
class _Place:
    """Weights that are to be reported, (n,), and f there once it has been computed."""

    step: int
    weights: Tensor
    objective: Tensor | None


class Trainer:
    """A run at some update. `state` and `load` are its checkpoint; `run` goes on to the end."""

    def __init__(
        self,
        *,
        problem: Problem,
        updates: Updates,
        scheduled_by_epoch: bool,
        batches: Batches,
        plan: Plan,
    ) -> None:
        self.step = 0
        self._problem = problem
        self._updates = updates
        self._by_epoch = scheduled_by_epoch
        self._batches = batches
        self._plan = plan
        device = problem.data.train_x.device
        self._gpu = device if device.type == "cuda" else None
        self._last: Row | None = None
        self._losses: list[Tensor] = []
        self._lrs: list[float] = []
        self._fetched = 0.0  # by the clock, when it last looked
        self._visits: list[_Place] = []
        self._weights = list(problem.model.parameters())
        self._objective = updates.objective  # where f is the loss of the next update

    def state(self) -> dict[str, Any]:
        """All that the rest of the run depends on, as tensors, numbers and plain containers."""
        last = self._last
        return {
            "step": self.step,
            "last": None if last is None else [last.step, last.epoch, last.samples, last.lr, last.loss],
            # Copies of what are views: torch.save would keep all of the memory that these are views of.
            "model": {name: value.contiguous() for name, value in self._problem.model.state_dict().items()},
            **self._updates.state(),
            "random": torch.get_rng_state(),
            "random_cuda": torch.cuda.get_rng_state(self._gpu) if self._gpu else None,
        }

    def load(self, state: dict[str, Any]) -> None:
        """Go to the update at which `state` was taken. Raises KeyError, TypeError, ValueError or
        RuntimeError when it is not a state of this run."""
        self._problem.model.load_state_dict(state["model"])
        self._updates.load(state)
        torch.set_rng_state(state["random"].cpu())
        if self._gpu:
            torch.cuda.set_rng_state(state["random_cuda"].cpu(), self._gpu)
        self.step = int(state["step"])
        if state["last"] is not None:
            step, epoch, samples, lr, loss = state["last"]
            self._last = Row(step=step, epoch=epoch, samples=samples, lr=lr, loss=loss)

    def run(self, callback: Callback) -> None:
        """Train to the end. Raises Diverged when a loss stops being finite; all before it is reported."""
        if self.step == 0:
            self._evaluate(callback)
            self._visit()
        self._fetched = time.perf_counter()
        while self.step < self._plan.total:
            epoch, done = divmod(self.step, self._batches.per_epoch)
            for index in self._batches.epoch(epoch)[done:]:
                self._update(index, callback)
                self._visit()
                if self._wants_evaluation():
                    self._fetch(callback)
                    self._evaluate(callback)
                elif len(self._losses) == BLOCK or time.perf_counter() - self._fetched > FETCH_SECONDS:
                    self._fetch(callback)
                if callback.checkpoint_due():
                    self._fetch(callback)
                    callback.on_checkpoint(self.state())
                if self.step == self._plan.total:
                    break

    def _ends_epoch(self) -> bool:
        return self.step % self._batches.per_epoch == 0

    def _wants_evaluation(self) -> bool:
        if self.step == self._plan.total:
            return True
        every = self._plan.eval_every
        return every > 0 and self._ends_epoch() and (self.step // self._batches.per_epoch) % every == 0

    def _update(self, index: Index, callback: Callback) -> None:
        lr = self._updates.lr
        try:
            loss = self._updates.make(index)
        except Exception:  # what it made of weights that are not finite: the losses before it say so
            self._fetch(callback)
            raise
        self._lrs.append(lr)
        self._losses.append(loss)
        if self._visits and self._visits[-1].objective is None:
            self._visits[-1].objective = loss.double()
        self.step += 1
        if not self._by_epoch or self._ends_epoch():
            self._updates.next_unit()

    def _visit(self) -> None:
        """Note f(w) and w where they are wanted; like losses, they stay on the device until fetched."""
        every = self._plan.trajectory_every
        if not every or (self.step % every and self.step != self._plan.total):
            return
        weights = torch.cat([weight.detach().reshape(-1) for weight in self._weights])
        objective = None if self._objective else self._problem.objective()
        self._visits.append(_Place(step=self.step, weights=weights, objective=objective))

    def _report_visits(self, callback: Callback, before: float = math.inf) -> None:
        """Report the noted places up to, but not with, the update `before`, those that are finite."""
        if not self._visits:
            return
        if self._objective and self._visits[-1].objective is None:
            self._visits[-1].objective = self._objective().double()
        places, self._visits = self._visits, []
        objectives = torch.stack([place.objective for place in places if place.objective is not None])
        every = torch.stack([place.weights for place in places]).tolist()
        known = self._problem.facts
        for place, objective, weights in zip(places, objectives.tolist(), every, strict=True):
            gap = None if known.least is None else objective - known.least
            distance = min((math.dist(weights, minimum) for minimum in known.minima or ()), default=None)
            finite = all(map(math.isfinite, (objective, gap or 0, distance or 0, *weights)))
            if place.step < before and finite:
                callback.on_trajectory_point(
                    TrajectoryPoint(
                        step=place.step, objective=objective, gap=gap, distance=distance, weights=weights
                    )
                )

    def _fetch(self, callback: Callback) -> None:
        if not self._losses:
            return
        values = torch.stack(self._losses).tolist()
        first = self.step - len(values) + 1
        rows: list[Row] = []
        for step, (loss, lr) in enumerate(zip(values, self._lrs, strict=True), start=first):
            if not math.isfinite(loss):
                self._report_visits(callback, before=step)
                self._diverge(callback, rows, f"the training loss is {loss} at step {step}")
            self._last = self._row(step, lr, loss)
            if self._logged(step):
                rows.append(self._last)
        self._losses, self._lrs = [], []
        self._fetched = time.perf_counter()
        assert self._last is not None
        callback.on_losses(rows, self._last)
        self._report_visits(callback)

    def _diverge(self, callback: Callback, rows: list[Row], what: str) -> None:
        """Report up to the last finite loss, which is recorded even where log_every would skip it."""
        if self._last is not None:
            if not self._logged(self._last.step):
                rows.append(self._last)
            callback.on_losses(rows, self._last)
        raise Diverged(what)

    def _row(self, step: int, lr: float, loss: float) -> Row:
        epoch = (step - 1) // self._batches.per_epoch + 1
        return Row(step=step, epoch=epoch, samples=self._batches.samples(step), lr=lr, loss=loss)

    def _logged(self, step: int) -> bool:
        return (step - 1) % self._batches.per_epoch % self._plan.log_every == 0

    def _evaluate(self, callback: Callback) -> None:
        result = evaluate(self._problem, train_limit=self._plan.eval_train)
        for name, value in (("training", result.train_loss), ("test", result.test_loss)):
            if not math.isfinite(value):
                self._diverge(callback, [], f"the evaluated {name} loss is {value} after step {self.step}")
        epoch = self.step // self._batches.per_epoch
        callback.on_evaluation(epoch, self.step, self._batches.samples(self.step), result)
