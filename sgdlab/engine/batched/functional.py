"""The functional form of a problem for R runs: losses, gradients and evaluations, vmapped over runs.

Weights are those of the problem's model by name, each (R, *shape).
"""

import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from sgdlab.engine.sampling import Index, split
from sgdlab.problem import CHUNK, Problem
from sgdlab.problem.losses import LossFunction

Weights = dict[str, Tensor]

# Numbers that one pass may produce, over all runs. Larger passes are split by examples or runs. In float64
# these are 128 MB, and several such tensors exist at a time.
MAX_ELEMENTS = 2**24


class _Bound(nn.Module):
    """Calls a function of the model, for functional_call to replace the model's weights meanwhile."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, function: Callable[..., Any], *args: Tensor) -> Any:
        return function(*args)


class VectorizedProblem:
    """A problem as functions of the weights of many runs; its own weights are not touched."""

    def __init__(self, problem: Problem) -> None:
        self._problem = problem
        self._bound = _Bound(problem.model)
        self._width = example_size(problem)
        self._losses = {axis: self._vmapped(self._loss, axis) for axis in (0, None)}
        self._train_means, self._test_means = (
            self._vmapped(partial(self._loss_and_hits, loss), None)
            for loss in (problem.loss, problem.test_loss)
        )
        self._regularized = self._vmapped(problem.regularized, 0)

    def gradients(self, points: Weights, index: Index) -> tuple[Tensor, Weights]:
        """Compute each run's batch loss and its gradient.

        Args:
            points: where to take the gradients, by name, each (R, *shape).
            index: the examples of an update: a slice or (batch,) for all runs, or (R, batch).

        Returns:
            Losses (R,), and gradients shaped as the points.
        """
        data = self._problem.data
        leaves = {name: point.detach().requires_grad_() for name, point in points.items()}
        runs = len(next(iter(points.values())))
        losses: Tensor | None = None
        with torch.enable_grad():
            for part, share in split(index, max(1, MAX_ELEMENTS // (runs * self._width))):
                x, y = data.prepare(data.train_x[part]), data.train_y[part]
                loss = self._losses[0 if _per_run(part) else None](leaves, x, y) * share
                # The gradient of the sum is a gradient a run, as each loss depends on its own run's weights
                # alone. Passing grad_outputs instead of a sum makes torch import sympy, which takes .6 s.
                part_grads = torch.autograd.grad(loss.sum(), list(leaves.values()), materialize_grads=True)
                if losses is None:
                    losses, grads = loss.detach(), part_grads
                else:
                    losses = losses + loss.detach()
                    grads = tuple(a + b for a, b in zip(grads, part_grads, strict=True))
        assert losses is not None
        return losses, dict(zip(leaves, grads, strict=True))

    def evaluate(self, weights: Weights, *, train_limit: int | None) -> Tensor:
        """Evaluate all runs.

        Args:
            weights: by name, each (R, *shape).
            train_limit: the first training examples to use; None: all.

        Returns:
            The numbers of an `Evaluation` in its order, float64 (4, R) on the CPU; NaN: no accuracy.
        """
        data = self._problem.data
        x, y = data.train_x[:train_limit], data.train_y[:train_limit]
        train, train_accuracy = self._means(self._train_means, weights, x, y)
        test, test_accuracy = self._means(self._test_means, weights, data.test_x, data.test_y)
        return torch.stack([self._regularized(weights, train), train_accuracy, test, test_accuracy]).cpu()

    def objective(self, weights: Weights) -> Tensor:
        """Compute f(w) over all training examples, with the ridge term: float64 (R,) on the device."""
        data = self._problem.data
        mean, _ = self._means(self._train_means, weights, data.train_x, data.train_y)
        objective: Tensor = self._regularized(weights, mean)
        return objective

    def _vmapped(self, function: Callable[..., Any], axis: int | None) -> Callable[..., Any]:
        """`function(*tensors)` of the model as a function (weights, *tensors), vmapped over runs.

        axis: 0 where the tensors have an axis of runs, None where all runs share them. The function also
        takes `together`, the most runs that one pass computes; None: all.
        """

        def one_run(weights: Weights, *args: Tensor) -> Any:
            inner = {f"model.{name}": weight for name, weight in weights.items()}
            return functional_call(self._bound, inner, (function, *args))

        def all_runs(weights: Weights, *args: Tensor, together: int | None = None) -> Any:
            return vmap(one_run, in_dims=(0, *[axis] * len(args)), chunk_size=together)(weights, *args)

        return all_runs

    def _loss(self, x: Tensor, y: Tensor) -> Tensor:
        return self._problem.regularized(self._problem.loss(self._problem.model(x), y))

    def _loss_and_hits(self, loss: LossFunction, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        out = self._problem.model(x)
        if not self._problem.spec.classification:
            return loss(out, y), torch.full((), math.nan, device=out.device)
        return loss(out, y), (self._problem.predicted(out) == y).sum()

    def _means(
        self, loss_and_hits: Callable[..., Any], weights: Weights, x: Tensor, y: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return mean loss and accuracy of each run, summed in float64 over chunks of examples."""
        runs = len(next(iter(weights.values())))
        most = max(1, MAX_ELEMENTS // (min(CHUNK, len(y)) * self._width))
        together = most if most < runs else None
        loss = torch.zeros(runs, dtype=torch.float64, device=x.device)
        correct = torch.zeros_like(loss)
        with torch.no_grad():
            for inputs, targets in zip(torch.split(x, CHUNK), torch.split(y, CHUNK), strict=True):
                examples = self._problem.data.prepare(inputs), targets
                mean, hits = loss_and_hits(weights, *examples, together=together)
                loss, correct = loss + mean.double() * len(targets), correct + hits
        return loss / len(y), correct / len(y)


def example_size(problem: Problem) -> int:
    """Count the numbers of one example in a forward pass: its inputs and all layers' outputs."""
    example = problem.data.prepare(problem.data.train_x[:1])
    sizes = [example.numel()]

    def add_size(module: nn.Module, inputs: Any, out: Tensor) -> None:
        sizes.append(out.numel())

    hooks = [module.register_forward_hook(add_size) for module in problem.model.modules()]
    with torch.no_grad():
        problem.model(example)
    for hook in hooks:
        hook.remove()
    return sum(sizes)


def flat(weights: Mapping[str, Tensor]) -> Tensor:
    """Return the weights of each run as a row, (R, n), in the model's order."""
    return torch.cat([weight.flatten(1) for weight in weights.values()], dim=1)


def _per_run(index: Index) -> bool:
    """Return whether each run has its own examples, (R, batch)."""
    return isinstance(index, Tensor) and index.ndim == 2
