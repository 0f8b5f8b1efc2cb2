"""Many runs of one shape at once: their weights are stacked, and each update is one for all of them.

Every run has its own weights, learning rate and other numeric hyperparameters, and its own stream of
examples: the one that it would have alone. Its numbers are those of the serial engine to rounding.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from sgdlab.engine.batched.batch_indices import BatchIndices
from sgdlab.engine.batched.curves import Array, Curves
from sgdlab.engine.batched.functional import VectorizedProblem, Weights, flat
from sgdlab.engine.loop import BLOCK, Plan
from sgdlab.engine.sampling import Batches, Index
from sgdlab.optim.rule import MatrixRule, Parameter, Rule, State
from sgdlab.problem import Problem

Factor = Callable[[int], float]


class BatchCallback(Protocol):
    """Who follows a batch of runs."""

    def on_update(self) -> None:
        """Called after each update, so it must be cheap. May raise to end the batch here."""

    def on_losses(self, step: int, losses: Array) -> None:
        """The losses (runs,) of update `step`, now and then."""

    def on_evaluation(self, step: int, numbers: Array) -> None:
        """The numbers of an `Evaluation` (NaN: none), (4, runs), after `step` updates."""


class Alone:
    """Follows a batch without a word."""

    def on_update(self) -> None:
        return

    def on_losses(self, step: int, losses: Array) -> None:
        return

    def on_evaluation(self, step: int, numbers: Array) -> None:
        return


class BatchedTrainer:
    """R runs at some update.

    problem: data, model and loss, which all runs share; its own weights are not touched.
    weights: where the runs start, by the names of the model's parameters, each (R, *shape).
    rule: with hyperparameters that are numbers, or float64 tensors (R,) of one value a run.
    factors: of the learning rate, by updates or epochs; one for each run, or a single one for all.
    batches: what each run draws from, alike but for their seeds.
    """

    def __init__(
        self,
        *,
        problem: Problem,
        weights: Mapping[str, Tensor],
        rule: Rule,
        factors: Sequence[Factor],
        scheduled_by_epoch: bool,
        batches: Sequence[Batches],
        plan: Plan,
    ) -> None:
        self.step = 0
        self.weights: Weights = {name: weight.detach() for name, weight in weights.items()}
        self.curves = Curves(runs=len(batches), batches=batches[0], plan=plan)
        if plan.trajectory_every:
            self.curves.least, self.curves.minima = problem.facts.least, problem.facts.minima or ()
        self._device = problem.data.train_x.device
        self._stack = VectorizedProblem(problem)
        self._streams = BatchIndices(batches)
        self._roles = problem.roles
        self._rule = rule
        self._factors = factors
        self._by_epoch = scheduled_by_epoch
        self._per_epoch = batches[0].per_epoch
        self._plan = plan
        self._scale: list[float] = []
        self._parameters: dict[str, Parameter] = {}
        self._schedule()
        self._states: dict[str, State] = {
            name: self._parameters[name].init(weight) for name, weight in self.weights.items()
        }
        self._losses: list[Tensor] = []
        self._lrs: list[Array] = []
        self._visits: list[tuple[int, Tensor]] = []

    def run(self, callback: BatchCallback) -> Curves:
        """Train to the end, or until no loss is finite any more."""
        with torch.no_grad():
            self._evaluate(callback)
            self._visit()
            while self.step < self._plan.total and self.curves.alive.any():
                for index in self._streams.epoch(self.step // self._per_epoch):
                    self._update(index)
                    self._visit()
                    if self._wants_evaluation():
                        self._fetch(callback)
                        self._evaluate(callback)
                    elif len(self._losses) == BLOCK:
                        self._fetch(callback)
                    callback.on_update()
                    if self.step == self._plan.total or not self.curves.alive.any():
                        break
        return self.curves

    def _wants_evaluation(self) -> bool:
        if self.step == self._plan.total:
            return True
        epochs, rest = divmod(self.step, self._per_epoch)
        every = self._plan.eval_every
        return every > 0 and rest == 0 and epochs % every == 0

    def _update(self, index: Index) -> None:
        """One update of every run; one that diverged goes on with whatever comes of it."""
        self._schedule()
        points = {
            name: self._parameters[name].point(self._states[name], weight)
            for name, weight in self.weights.items()
        }
        losses, gradients = self._stack.gradients(points, index)
        for name, parameter in self._parameters.items():
            self._move(name, parameter, gradients[name])
        self._losses.append(losses)
        self._lrs.append(self._lr)
        self.step += 1

    def _move(self, name: str, parameter: Parameter, gradient: Tensor) -> None:
        weight, state = self.weights[name], self._states[name]
        if not isinstance(parameter.rule, MatrixRule):
            self.weights[name], self._states[name] = parameter.update(gradient, state, weight)
            return
        # Factorisations refuse a whole stack of matrices for one that is not finite, as a run's that diverges
        # is. So such a run's update is made of zeros, and its weights are lost after it.
        lost = ~(_squarable(gradient) & _squarable(weight)).reshape(-1, *[1] * (weight.ndim - 1))
        gradient, weight = gradient.masked_fill(lost, 0), weight.masked_fill(lost, 0)
        moved, self._states[name] = parameter.update(gradient, state, weight)
        self.weights[name] = moved.masked_fill(lost, math.nan)

    def _schedule(self) -> None:
        """Give the rule the learning rates of this update, where they are others than before."""
        unit = self.step // self._per_epoch if self._by_epoch else self.step
        scale = [factor(unit) for factor in self._factors]
        if scale == self._scale:
            return
        self._scale = scale
        factors = torch.tensor(scale, dtype=torch.float64, device=self._device)
        lr = self._rule.lr * (factors if len(scale) > 1 else scale[0])
        rule = replace(self._rule, lr=lr)
        self._parameters = {
            name: Parameter.of(rule, self._roles[name], tuple(weight.shape[1:]))
            for name, weight in self.weights.items()
        }
        rates = lr.cpu().numpy() if isinstance(lr, Tensor) else np.float64(lr)
        self._lr = np.broadcast_to(rates, self.curves.runs)

    def _visit(self) -> None:
        """Note f(w) and w where they are wanted; like losses, they stay on the device until fetched."""
        every = self._plan.trajectory_every
        if every and (self.step % every == 0 or self.step == self._plan.total):
            objective = self._stack.objective(self.weights)[:, None]
            self._visits.append((self.step, torch.cat([objective, flat(self.weights)], dim=1)))

    def _fetch(self, callback: BatchCallback) -> None:
        if not self._losses:
            return
        losses = torch.stack(self._losses).double().cpu().numpy()
        self.curves.losses(self.step - len(losses) + 1, losses, self._lrs)
        self._losses, self._lrs = [], []
        self._report_visits()
        callback.on_losses(self.step, losses[-1])

    def _report_visits(self) -> None:
        for step, numbers in self._visits:
            self.curves.visited(step, numbers.cpu().numpy())
        self._visits = []

    def _evaluate(self, callback: BatchCallback) -> None:
        numbers = self._stack.evaluate(self.weights, train_limit=self._plan.eval_train).numpy()
        self.curves.evaluated(self.step, numbers)
        callback.on_evaluation(self.step, numbers)


def _squarable(values: Tensor) -> Tensor:
    """Of values (R, *shape), for which runs the sum of all squares is sure to be finite: (R,)."""
    most = math.sqrt(torch.finfo(values.dtype).max / values[0].numel())
    return (values.flatten(1).abs() < most).all(1)  # false for NaN
