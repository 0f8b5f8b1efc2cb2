"""The fast path: updates without autograd's graph and torch.optim, of simple networks and of surfaces.

For layers a_k = relu(a_(k-1) W_k^T + b_k), the last without relu, and the mean cross entropy of B examples,

    d_K     = (softmax(z) - one_hot(y)) / B          dL/dz of the last layer, (B, classes)
    d_(k-1) = (d_k W_k) * (a_(k-1) > 0)              of the layer before, (B, size of its output)
    dL/dW_k = d_k^T a_(k-1),   dL/db_k = sum of d_k over the batch

(Rumelhart, Hinton, Williams 1986, "Learning representations by back-propagating errors", equations 4 to 7).
Autograd computes the same products. The fast path saves everything else: the graph, a pass over all weights
to store each gradient and one to read it, and the Python code of torch.optim. The product d^T a is fused with
the optimizer's step (`fused_step`): SGD adds it to the weights, momentum to its buffer. Numbers agree with
`GeneralUpdates` to rounding.

The bias is a column of its layer's weights, and `a` has a column of ones for it, so that one product computes
both, and one their gradients. All weights lie in one block of memory, so momentum moves them in one pass.
Rows are padded with zeros, because products of uneven rows are slower; the model's parameters are views
without the padding.
"""

import itertools
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import asdict
from operator import mul
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sgdlab.engine.fast import fused_step
from sgdlab.engine.sampling import Index
from sgdlab.engine.updates import Updates
from sgdlab.optim.settings import Optimizer
from sgdlab.problem import Problem, surfaces
from sgdlab.problem.settings import SurfaceModel

FEW = 4  # weights of a surface, up to which Python's floats are faster than tensors
VECTOR = 8  # numbers; the length of a padded row is a multiple

_RELU_BACKWARD = torch.ops.aten.threshold_backward.grad_input
_SOFTMAX_BACKWARD = torch.ops.aten._log_softmax_backward_data.default


def build(
    problem: Problem, optimizer: Optimizer, lr: float, schedule: Callable[[int], float] | None
) -> Updates:
    """Build the updates of a run to which the fast path applies (`eligibility.fast_path_applies`).

    Args:
        problem: data, model and loss.
        optimizer: name and hyperparameters.
        lr: learning rate, before the schedule.
        schedule: factor on lr as a function of the schedule's unit; None: constant 1.

    Returns:
        The updates, before the first.
    """
    surface = isinstance(problem.config.model, SurfaceModel)
    return (PointUpdates if surface else NetworkUpdates)(problem, optimizer, lr, schedule)


def _padded(width: int) -> int:
    """Return the length of a row of `width` weights and the bias, with padding."""
    return -(-(width + 1) // VECTOR) * VECTOR


class _FastUpdates(ABC):
    """The common part of the fast updates: the fused step, the schedule and the state.

    weights, parts: as `fused_step.build` takes them.
    """

    objective: Callable[[], Tensor] | None = None
    evaluations = 1

    def __init__(
        self,
        optimizer: Optimizer,
        lr: float,
        schedule: Callable[[int], float] | None,
        weights: Tensor,
        parts: Sequence[Tensor],
    ) -> None:
        self._fused_step = fused_step.build(optimizer.name, optimizer.hypers, weights, parts)
        self._base, self._schedule, self._unit = lr, schedule, 0

    @property
    def lr(self) -> float:
        return self._base if self._schedule is None else self._base * self._schedule(self._unit)

    def next_unit(self) -> None:
        self._unit += 1

    def state(self) -> dict[str, Any]:
        return {"fast": {"unit": self._unit, "buffers": self._buffers()}}

    def load(self, state: dict[str, Any]) -> None:
        saved = state["fast"]
        self._unit = int(saved["unit"])
        buffers = dict(saved["buffers"])
        for name, tensors in self._buffers().items():
            for own, other in zip(tensors, buffers[name], strict=True):
                if other.shape != own.shape:  # copy_ would broadcast
                    raise ValueError(f"{name} has the shape {tuple(other.shape)}, not {tuple(own.shape)}")
                own.copy_(other)

    def _buffers(self) -> dict[str, list[Tensor]]:
        """Return the optimizer's state: for each name one tensor a parameter of the model, or one scalar."""
        buffers = self._fused_step.buffers().items()
        return {name: self._of_each(buffer) if buffer.ndim else [buffer] for name, buffer in buffers}

    @abstractmethod
    def _of_each(self, flat: Tensor) -> list[Tensor]:
        """Return views of (n,) numbers: one for each of the model's parameters, in its shape, unpadded."""


class PointUpdates(_FastUpdates):
    """Updates of a surface: its gradient and the optimizer's step, nothing else.

    For few weights in float64 the gradient is the stated one (`Surface.gradient`), computed with Python's
    floats, as autograd's graph costs many times the arithmetic. Other gradients are autograd's.
    """

    def __init__(
        self, problem: Problem, optimizer: Optimizer, lr: float, schedule: Callable[[int], float] | None
    ) -> None:
        self._problem = problem
        (self._point,) = problem.model.parameters()
        self._w = self._point.detach()
        self._surface = surfaces.surface(asdict(problem.config.model))
        stated = self._w.dtype == torch.float64 and problem.spec.weights <= FEW
        self._gradient = self._by_formula if stated else self._by_autograd
        # With a single example, every batch has the same linear coefficients xi.
        self._xi = None
        if problem.spec.train_size == 1:
            self._xi = problem.data.train_x[0].tolist()
            self.objective = lambda: self._gradient(slice(0, 1))[0]
        super().__init__(optimizer, lr, schedule, self._w, [self._w])

    def make(self, index: Index) -> Tensor:
        loss, gradient = self._gradient(index)
        lr = self.lr
        self._fused_step.begin()
        self._fused_step.gradient(0, gradient, lr)
        self._fused_step.end(lr)
        return loss

    def _by_autograd(self, index: Index) -> tuple[Tensor, Tensor]:
        loss = self._problem.batch_loss(index)
        (gradient,) = torch.autograd.grad(loss, self._point)
        return loss.detach(), gradient

    def _by_formula(self, index: Index) -> tuple[Tensor, Tensor]:
        """Return value and gradient of f(w) + xi . w + ridge/2 |w|^2, xi being the mean over the batch."""
        w = self._w.tolist()
        try:
            loss = self._surface.formula(surfaces.FLOATS, *w)
            gradient = self._surface.gradient(surfaces.FLOATS, *w)
        except (OverflowError, ValueError):  # a diverged run: torch gives inf or NaN where Python raises
            return self._by_autograd(index)
        xi = self._xi or self._problem.data.train_x[index].mean(0).tolist()
        loss += sum(map(mul, xi, w))
        gradient = [a + b for a, b in zip(gradient, xi, strict=True)]
        if ridge := self._problem.config.ridge:
            loss += ridge / 2 * sum(map(mul, w, w))
            gradient = [a + ridge * b for a, b in zip(gradient, w, strict=True)]
        return torch.tensor(loss, dtype=torch.float64), torch.tensor(gradient, dtype=torch.float64)

    def _of_each(self, flat: Tensor) -> list[Tensor]:
        return [flat]


class _Workspace:
    """Buffers for batches of one size, so that no update allocates them.

    a: the inputs of each layer, (B, padded row), with a column of ones for the bias and zeros as padding.
    inputs: views (B, in) of a, without both. examples: the first of them in the shape of a batch of the data.
    z: the outputs of each layer, (B, out). d: dL/da of each layer but the first, (B, padded row), and
    before: views (B, in) of d. targets: one_hot / -B of each class.
    """

    def __init__(self, sizes: Sequence[int], batch: torch.Size, dtype: torch.dtype) -> None:
        size = batch[0]
        *inputs, _ = sizes
        self.a = [torch.zeros(size, _padded(width), dtype=dtype) for width in inputs]
        for a, width in zip(self.a, inputs, strict=True):
            a[:, width] = 1
        self.inputs = [a[:, :width] for a, width in zip(self.a, inputs, strict=True)]
        self.examples = self.inputs[0].view(batch)
        self.z = [torch.empty(size, width, dtype=dtype) for width in sizes[1:]]
        self.d = [torch.empty_like(a) for a in self.a[1:]]
        self.before = [d[:, :width] for d, width in zip(self.d, inputs[1:], strict=True)]
        self.targets = torch.eye(sizes[-1], dtype=dtype).div_(-size)


class NetworkUpdates(_FastUpdates):
    """`Updates` of a simple network; arguments as `build`.

    The model's parameters become views of the weights that are updated here.
    """

    def __init__(
        self, problem: Problem, optimizer: Optimizer, lr: float, schedule: Callable[[int], float] | None
    ) -> None:
        self._data = problem.data
        layers = [layer for layer in problem.model.modules() if isinstance(layer, nn.Linear)]
        self._sizes = [layers[0].in_features, *[layer.out_features for layer in layers]]
        self._shapes = [(out, _padded(width)) for width, out in itertools.pairwise(self._sizes)]
        weights = torch.zeros(sum(map(math.prod, self._shapes)), dtype=layers[0].weight.dtype)
        self._layers = fused_step.views(weights, self._shapes)
        for parameter, view in zip(problem.model.parameters(), self._of_each(weights), strict=True):
            parameter.data = view.copy_(parameter.detach())
        self._transposed = [layer.t() for layer in self._layers]
        super().__init__(optimizer, lr, schedule, weights, self._layers)
        self._workspaces: dict[int, _Workspace] = {}

    def make(self, index: Index) -> Tensor:
        # No tensor here has a graph, so torch.no_grad() is not needed.
        data = self._data
        if isinstance(index, slice):
            x, y = data.train_x[index], data.train_y[index]
        else:
            x, y = data.train_x.index_select(0, index), data.train_y.index_select(0, index)
        work = self._workspace(x)
        data.prepare(x, work.examples)
        last = len(self._layers) - 1
        for number, weights in enumerate(self._transposed):
            torch.mm(work.a[number], weights, out=work.z[number])
            if number < last:
                torch.clamp_min(work.z[number], 0, out=work.inputs[number + 1])
        log_p = torch.log_softmax(work.z[-1], dim=1)
        loss = F.nll_loss(log_p, y)
        d = _SOFTMAX_BACKWARD(work.targets.index_select(0, y), log_p, 1, log_p.dtype)
        self._backward(d, work)
        return loss

    def _backward(self, d: Tensor, work: _Workspace) -> None:
        """Propagate d of the last layer back and update the weights.

        d of the layer before is computed first, as the step may then move the layer's weights.
        """
        lr = self.lr
        self._fused_step.begin()
        for number in reversed(range(len(self._layers))):
            if number > 0:
                before = torch.mm(d, self._layers[number], out=work.d[number - 1])
                _RELU_BACKWARD(before, work.a[number], 0, grad_input=before)
            self._fused_step.product(number, d, work.a[number], lr)
            if number > 0:
                d = work.before[number - 1]
        self._fused_step.end(lr)

    def _of_each(self, flat: Tensor) -> list[Tensor]:
        layers = zip(fused_step.views(flat, self._shapes), self._sizes, strict=False)
        return [view for layer, width in layers for view in (layer[:, :width], layer[:, width])]

    def _workspace(self, x: Tensor) -> _Workspace:
        size = len(x)
        if size not in self._workspaces:
            self._workspaces[size] = _Workspace(self._sizes, x.shape, self._layers[0].dtype)
        return self._workspaces[size]
