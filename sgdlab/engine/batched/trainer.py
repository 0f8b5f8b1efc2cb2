"""The training loop of a batch of runs: their weights have an axis of runs, and one update moves all runs.

Every run has its own weights, learning rate and other numeric hyperparameters, and draws its batches as the
serial engine does. Its numbers agree with the serial engine's to rounding.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from sgdlab.engine.batched.batch_indices import BatchIndices
from sgdlab.engine.batched.curves import Array, BatchCurves
from sgdlab.engine.batched.functional import VectorizedProblem, Weights, flat
from sgdlab.engine.loop import BLOCK, Plan
from sgdlab.engine.sampling import Batches, Index
from sgdlab.optim.rule import MatrixRule, Parameter, Rule, State
from sgdlab.problem import Problem

Factor = Callable[[int], float]


class BatchCallback(Protocol):
    """Receives the progress of a batch of runs."""

    def on_update(self) -> None:
        """Note an update. Must be cheap: called after each one. May raise to end the batch here."""

    def on_losses(self, step: int, losses: Array) -> None:
        """Receive batch losses; called at every fetch, so not for each update.

        Args:
            step: the update that they belong to.
            losses: (runs,).
        """

    def on_evaluation(self, step: int, numbers: Array) -> None:
        """Receive an evaluation.

        Args:
            step: updates before it.
            numbers: those of an `Evaluation` in its order, (4, runs); NaN: no accuracy.
        """


class NullCallback:
    """A `BatchCallback` that ignores everything."""

    def on_update(self) -> None:
        return

    def on_losses(self, step: int, losses: Array) -> None:
        return

    def on_evaluation(self, step: int, numbers: Array) -> None:
        return


class BatchedTrainer:
    """R runs at some update.

    Args:
        problem: data, model and loss, which all runs share; its own weights are not touched.
        weights: the initial weights, by the names of the model's parameters, each (R, *shape).
        rule: the optimizer; a hyperparameter is a number, or a float64 tensor (R,) with a value for each run.
        factors: factors on the learning rate as functions of the schedule's unit: one for all runs, or R.
        scheduled_by_epoch: whether that unit is an epoch, not an update.
        batches: the batches of each run; they differ in their seeds alone.
        plan: length and reports of every run.
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
        self.curves = BatchCurves(runs=len(batches), batches=batches[0], plan=plan)
        if plan.trajectory_every:
            self.curves.least, self.curves.minima = problem.facts.least, problem.facts.minima or ()
        self._device = problem.data.train_x.device
        self._functional = VectorizedProblem(problem)
        self._indices = BatchIndices(batches)
        self._roles = problem.roles
        self._rule = rule
        self._factors = factors
        self._by_epoch = scheduled_by_epoch
        self._plan = plan
        self._current_factors: list[float] = []
        self._parameters: dict[str, Parameter] = {}
        self._schedule()
        self._states: dict[str, State] = {
            name: self._parameters[name].init(weight) for name, weight in self.weights.items()
        }
        self._losses: list[Tensor] = []
        self._lrs: list[Array] = []
        self._points: list[tuple[int, Tensor]] = []

    def run(self, callback: BatchCallback) -> BatchCurves:
        """Train to the end, or until all runs have diverged."""
        plan = self._plan
        with torch.no_grad():
            self._evaluate(callback)
            if plan.has_point(0):
                self._keep_points()
            while self.step < plan.total and self.curves.alive.any():
                for index in self._indices.epoch(self.step // plan.per_epoch):
                    self._update(index)
                    if plan.has_point(self.step):
                        self._keep_points()
                    if plan.evaluates(self.step):
                        self._fetch(callback)
                        self._evaluate(callback)
                    elif len(self._losses) == BLOCK:
                        self._fetch(callback)
                    callback.on_update()
                    if self.step == plan.total or not self.curves.alive.any():
                        break
        return self.curves

    def _update(self, index: Index) -> None:
        """Update every run. A diverged run continues with numbers that no curve contains."""
        self._schedule()
        points = {
            name: self._parameters[name].point(self._states[name], weight)
            for name, weight in self.weights.items()
        }
        losses, gradients = self._functional.gradients(points, index)
        for name, parameter in self._parameters.items():
            self._update_parameter(name, parameter, gradients[name])
        self._losses.append(losses)
        self._lrs.append(self._lr)
        self.step += 1

    def _update_parameter(self, name: str, parameter: Parameter, gradient: Tensor) -> None:
        weight, state = self.weights[name], self._states[name]
        if not isinstance(parameter.rule, MatrixRule):
            self.weights[name], self._states[name] = parameter.update(gradient, state, weight)
            return
        # A factorisation fails for all runs when the matrix of one run is not finite, as it diverges. So that
        # run's update gets zeros, and its weights become NaN afterwards.
        diverged = ~(_squarable(gradient) & _squarable(weight)).reshape(-1, *[1] * (weight.ndim - 1))
        gradient, weight = gradient.masked_fill(diverged, 0), weight.masked_fill(diverged, 0)
        new, self._states[name] = parameter.update(gradient, state, weight)
        self.weights[name] = new.masked_fill(diverged, math.nan)

    def _schedule(self) -> None:
        """Give the rule the learning rates of this update, if they changed."""
        unit = self.step // self._plan.per_epoch if self._by_epoch else self.step
        factors = [factor(unit) for factor in self._factors]
        if factors == self._current_factors:
            return
        self._current_factors = factors
        factor = torch.tensor(factors, dtype=torch.float64, device=self._device)
        lr = self._rule.lr * (factor if len(factors) > 1 else factors[0])
        rule = replace(self._rule, lr=lr)
        self._parameters = {
            name: Parameter.of(rule, self._roles[name], tuple(weight.shape[1:]))
            for name, weight in self.weights.items()
        }
        rates = lr.cpu().numpy() if isinstance(lr, Tensor) else np.float64(lr)
        self._lr = np.broadcast_to(rates, self.curves.runs)

    def _keep_points(self) -> None:
        """Compute f(w) and copy w, (R, 1 + weights); like losses, they stay on the device until fetched."""
        objective = self._functional.objective(self.weights)[:, None]
        self._points.append((self.step, torch.cat([objective, flat(self.weights)], dim=1)))

    def _fetch(self, callback: BatchCallback) -> None:
        if not self._losses:
            return
        losses = torch.stack(self._losses).double().cpu().numpy()
        self.curves.add_losses(self.step - len(losses) + 1, losses, self._lrs)
        self._losses, self._lrs = [], []
        for step, numbers in self._points:
            self.curves.add_points(step, numbers.cpu().numpy())
        self._points = []
        callback.on_losses(self.step, losses[-1])

    def _evaluate(self, callback: BatchCallback) -> None:
        numbers = self._functional.evaluate(self.weights, train_limit=self._plan.eval_train).numpy()
        self.curves.add_evaluation(self.step, numbers)
        callback.on_evaluation(self.step, numbers)


def _squarable(values: Tensor) -> Tensor:
    """For values (R, *shape), whether the sum of a run's squares is certain to be finite: (R,)."""
    most = math.sqrt(torch.finfo(values.dtype).max / values[0].numel())
    return (values.flatten(1).abs() < most).all(1)  # false for NaN
