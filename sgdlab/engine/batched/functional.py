"""A problem at the weights of R runs at once: losses, gradients and evaluations, a number a run.

Weights are those of the problem's model by name, each (R, *shape).
"""

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from sgdlab.engine.sampling import Index
from sgdlab.problem import CHUNK, Problem

Weights = dict[str, Tensor]

# Numbers that one pass may make, in all runs together, before examples or runs are taken in parts: 128 MB of
# float64, several times of which is in use at once.
ELEMENTS = 2**24


class _Bound(nn.Module):
    """Calls a function while the model's weights are others, which functional_call sees to."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, function: Callable[..., Any], *args: Tensor) -> Any:
        return function(*args)


class VectorizedProblem:
    """The problem as a function of the weights of many runs."""

    def __init__(self, problem: Problem) -> None:
        self._problem = problem
        self._bound = _Bound(problem.model)
        self._width = width(problem)
        self._training = {axis: self._mapped(self._loss, axis) for axis in (0, None)}
        self._testing = self._mapped(self._counted, None)
        self._regularized = self._mapped(problem.regularized, 0)

    def gradients(self, points: Weights, index: Index) -> tuple[Tensor, Weights]:
        """The loss of each run's batch, (R,), and its gradient at `points`.

        index: the examples of an update, shared by all runs, or one row a run (`BatchIndices`).
        """
        wanted = {name: point.detach().requires_grad_() for name, point in points.items()}
        runs = len(next(iter(points.values())))
        losses: Tensor | None = None
        with torch.enable_grad():
            for part, share in self._parts(index, runs):
                loss = self._training[0 if _apart(part) else None](wanted, *self._examples(part)) * share
                # Each run's loss depends on its own weights alone, so this is a gradient a run. It is that of
                # a sum, as torch imports sympy, for .6 s, to look at the shape of one that it is given.
                found = torch.autograd.grad(loss.sum(), list(wanted.values()), materialize_grads=True)
                if losses is None:
                    losses, grads = loss.detach(), found
                else:
                    losses = losses + loss.detach()
                    grads = tuple(a + b for a, b in zip(grads, found, strict=True))
        assert losses is not None
        return losses, dict(zip(wanted, grads, strict=True))

    def evaluate(self, weights: Weights, *, train_limit: int | None) -> Tensor:
        """The numbers of each run's `Evaluation`, in its order: float64 (4, R) on the CPU.

        Of the first `train_limit` training examples (None: all) and the test set; NaN for no accuracy.
        """
        data = self._problem.data
        train, train_right = self._means(weights, data.train_x[:train_limit], data.train_y[:train_limit])
        test, test_right = self._means(weights, data.test_x, data.test_y)
        return torch.stack([self._regularized(weights, train), train_right, test, test_right]).cpu()

    def objective(self, weights: Weights) -> Tensor:
        """f(w) over all training examples, with the ridge term: float64 (R,), on the problem's device."""
        data = self._problem.data
        found: Tensor = self._regularized(weights, self._means(weights, data.train_x, data.train_y)[0])
        return found

    def _mapped(self, function: Callable[..., Any], axis: int | None) -> Callable[..., Any]:
        """The function of the model's weights and of tensors, which have an axis of runs where axis is 0."""

        def at(weights: Weights, *args: Tensor) -> Any:
            inner = {f"model.{name}": weight for name, weight in weights.items()}
            return functional_call(self._bound, inner, (function, *args))

        def mapped(weights: Weights, *args: Tensor) -> Any:
            return vmap(at, in_dims=(0, *[axis] * len(args)))(weights, *args)

        return mapped

    def _loss(self, x: Tensor, y: Tensor) -> Tensor:
        return self._problem.regularized(self._problem.loss(self._problem.model(x), y))

    def _counted(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        out = self._problem.model(x)
        if not self._problem.spec.classification:
            return self._problem.loss(out, y), torch.full((), math.nan, device=out.device)
        return self._problem.loss(out, y), (self._problem.predicted(out) == y).sum()

    def _examples(self, index: Index) -> tuple[Tensor, Tensor]:
        data = self._problem.data
        x, y = data.train_x[index], data.train_y[index]
        if _apart(index):
            inputs = data.prepare(x.flatten(0, 1))
            return inputs.view(*x.shape[:2], *inputs.shape[1:]), y
        return data.prepare(x), y

    def _parts(self, index: Index, runs: int) -> Iterator[tuple[Index, float]]:
        """An update's examples in parts that ELEMENTS bounds, each with its share of them."""
        size = index.stop - index.start if isinstance(index, slice) else index.shape[-1]
        most = max(1, ELEMENTS // (runs * self._width))
        if size <= most:
            yield index, 1.0
            return
        for start in range(0, size, most):
            end = min(start + most, size)
            part: Index
            if isinstance(index, slice):
                part = slice(index.start + start, index.start + end)
            else:
                part = index[..., start:end]
            yield part, (end - start) / size

    def _means(self, weights: Weights, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Mean loss and fraction of right answers of each run, summed in float64 over chunks of examples."""
        runs = len(next(iter(weights.values())))
        at_once = max(1, ELEMENTS // (min(CHUNK, len(y)) * self._width))
        losses, rights = [], []
        with torch.no_grad():
            for first in range(0, runs, at_once):
                some = {name: weight[first : first + at_once] for name, weight in weights.items()}
                count = min(at_once, runs - first)
                loss = torch.zeros(count, dtype=torch.float64, device=x.device)
                right = torch.zeros_like(loss)
                for inputs, targets in zip(torch.split(x, CHUNK), torch.split(y, CHUNK), strict=True):
                    mean, hits = self._testing(some, self._problem.data.prepare(inputs), targets)
                    loss, right = loss + mean.double() * len(targets), right + hits
                losses.append(loss)
                rights.append(right)
        return torch.cat(losses) / len(y), torch.cat(rights) / len(y)


def width(problem: Problem) -> int:
    """The numbers that one example makes in the model: its own and all layers' outputs."""
    count = 0

    def add(module: nn.Module, inputs: Any, out: Tensor) -> None:
        nonlocal count
        count += out.numel()

    hooks = [module.register_forward_hook(add) for module in problem.model.modules()]
    example = problem.data.prepare(problem.data.train_x[:1])
    with torch.no_grad():
        problem.model(example)
    for hook in hooks:
        hook.remove()
    return count + example.numel()


def flat(weights: Mapping[str, Tensor]) -> Tensor:
    """All weights of each run as a row, (R, n), in the model's order."""
    return torch.cat([weight.flatten(1) for weight in weights.values()], dim=1)


def _apart(index: Index) -> bool:
    """Whether each run has examples of its own."""
    return isinstance(index, Tensor) and index.ndim == 2
