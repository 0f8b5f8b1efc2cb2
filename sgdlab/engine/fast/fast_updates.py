"""Updates without torch.optim: of a plain network by hand, folded into the optimizer's step; of a surface.

For layers a_k = relu(a_(k-1) W_k^T + b_k), the last without relu, and the mean cross entropy of B examples,

    d_K     = (softmax(z) - one_hot(y)) / B          dL/dz of the last layer, (B, classes)
    d_(k-1) = (d_k W_k) * (a_(k-1) > 0)              of the layer before, (B, size of its output)
    dL/dW_k = d_k^T a_(k-1),   dL/db_k = sum of d_k over the batch

(Rumelhart, Hinton, Williams 1986, "Learning representations by back-propagating errors", equations 4 to 7).
Autograd computes the same products; what is saved is everything else: its graph, a pass over all weights to
store each gradient and one to read it again, and the Python of torch.optim. SGD adds the product d^T a to the
weights as it is made, momentum to its buffer. Numbers agree with `GeneralUpdates` to rounding.

The bias is a column of its layer's weights, met by a column of ones in `a`, so that one product makes both
and their gradients. All weights lie in one block of memory, which momentum moves in one pass. Rows are filled
up with zeros, as products of uneven rows are slower; the model's own parameters are views without them.
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
VECTOR = 8  # numbers: rows of weights are so many or a multiple

_RELU_BACKWARD = torch.ops.aten.threshold_backward.grad_input
_SOFTMAX_BACKWARD = torch.ops.aten._log_softmax_backward_data.default


def build(problem: Problem, optimizer: Optimizer, lr: float, curve: Callable[[int], float] | None) -> Updates:
    """The updates of a problem that is `plain`."""
    surface = isinstance(problem.config.model, SurfaceModel)
    made = PointUpdates if surface else NetworkUpdates
    return made(problem, optimizer, lr, curve)


def _filled(width: int) -> int:
    """The length of a row of so many weights and the bias, filled up."""
    return -(-(width + 1) // VECTOR) * VECTOR


class _Lean(ABC):
    """What `Updates` without torch.optim have in common. weights, parts: as `folds.fold` has them."""

    kind = "fast"
    objective: Callable[[], Tensor] | None = None

    def __init__(
        self,
        optimizer: Optimizer,
        lr: float,
        curve: Callable[[int], float] | None,
        weights: Tensor,
        parts: Sequence[Tensor],
    ) -> None:
        self._fold = fused_step.fold(optimizer.name, optimizer.hypers, weights, parts)
        self._base, self._curve, self._unit = lr, curve, 0

    @property
    def lr(self) -> float:
        return self._base if self._curve is None else self._base * self._curve(self._unit)

    def next_unit(self) -> None:
        self._unit += 1

    def state(self) -> dict[str, Any]:
        return {"fast": {"unit": self._unit, "buffers": self._buffers()}}

    def load(self, state: dict[str, Any]) -> None:
        kept = state["fast"]
        self._unit = int(kept["unit"])
        buffers = dict(kept["buffers"])
        for name, tensors in self._buffers().items():
            for mine, saved in zip(tensors, buffers[name], strict=True):
                if saved.shape != mine.shape:
                    raise ValueError(f"{name} has the shape {tuple(saved.shape)}, not {tuple(mine.shape)}")
                mine.copy_(saved)

    def _buffers(self) -> dict[str, list[Tensor]]:
        """What the optimizer keeps, of each of the model's parameters."""
        found = self._fold.buffers().items()
        return {name: self._of_each(kept) if kept.ndim else [kept] for name, kept in found}

    @abstractmethod
    def _of_each(self, flat: Tensor) -> list[Tensor]:
        """Numbers of all weights as those of each parameter of the model, views of them."""


class PointUpdates(_Lean):
    """Updates of a surface: its gradient and the optimizer's step, nothing else.

    For few weights in float64 the gradient is the stated one (`Surface.gradient`), computed with Python's
    floats, as autograd's graph costs many times the arithmetic. Other gradients are autograd's.
    """

    def __init__(
        self, problem: Problem, optimizer: Optimizer, lr: float, curve: Callable[[int], float] | None
    ) -> None:
        self._problem = problem
        (self._point,) = problem.model.parameters()
        self._w = self._point.detach()
        self._surface = surfaces.surface(asdict(problem.config.model))
        stated = self._w.dtype == torch.float64 and len(self._w) <= FEW
        self._gradient = self._by_formula if stated else self._by_autograd
        # With a single example, every batch has the same linear coefficients xi.
        self._xi = None
        if problem.spec.train_size == 1:
            self._xi = problem.data.train_x[0].tolist()
            self.objective = self._objective
        super().__init__(optimizer, lr, curve, self._w, [self._w])

    def make(self, index: Index) -> Tensor:
        loss, gradient = self._gradient(index)
        lr = self.lr
        self._fold.begin()
        self._fold.gradient(0, gradient, lr)
        self._fold.end(lr)
        return loss

    def _objective(self) -> Tensor:
        return self._gradient(slice(0, 1))[0]

    def _by_autograd(self, index: Index) -> tuple[Tensor, Tensor]:
        loss = self._problem.batch_loss(index)
        (gradient,) = torch.autograd.grad(loss, self._point)
        return loss.detach(), gradient

    def _by_formula(self, index: Index) -> tuple[Tensor, Tensor]:
        """Value and gradient of f(w) + xi . w + ridge/2 |w|^2, where xi is the mean over the batch."""
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


class _Room:
    """Where the numbers of one batch size go, so that no update allocates.

    a: the input of each layer, (B, row of its weights), with ones for the bias and zeros; `inputs`: the view
    (B, in) of it, and `examples` that of the first in the shape of a batch of the data set. z: the output of
    each layer, (B, out). d: that of the layer before each but the first, as wide as a, and `before` the view
    (B, in) of it.
    """

    def __init__(self, sizes: Sequence[int], batch: torch.Size, dtype: torch.dtype) -> None:
        size = batch[0]
        *inputs, _ = sizes
        self.a = [torch.zeros(size, _filled(width), dtype=dtype) for width in inputs]
        for a, width in zip(self.a, inputs, strict=True):
            a[:, width] = 1
        self.inputs = [a[:, :width] for a, width in zip(self.a, inputs, strict=True)]
        self.examples = self.inputs[0].view(batch)
        self.z = [torch.empty(size, width, dtype=dtype) for width in sizes[1:]]
        self.d = [torch.empty_like(a) for a in self.a[1:]]
        self.before = [d[:, :width] for d, width in zip(self.d, inputs[1:], strict=True)]
        self.targets = torch.eye(sizes[-1], dtype=dtype).div_(-size)


class NetworkUpdates(_Lean):
    """`Updates` of a network that is `plain`. curve: the factor on `lr` by the scheduler's units, None for 1.

    The model's parameters become views of the weights that are updated here.
    """

    def __init__(
        self, problem: Problem, optimizer: Optimizer, lr: float, curve: Callable[[int], float] | None
    ) -> None:
        self._data = problem.data
        layers = [layer for layer in problem.model.modules() if isinstance(layer, nn.Linear)]
        self._sizes = [layers[0].in_features, *[layer.out_features for layer in layers]]
        self._shapes = [(out, _filled(width)) for width, out in itertools.pairwise(self._sizes)]
        weights = torch.zeros(sum(map(math.prod, self._shapes)), dtype=layers[0].weight.dtype)
        self._layers = fused_step.divided(weights, self._shapes)
        for parameter, view in zip(problem.model.parameters(), self._of_each(weights), strict=True):
            parameter.data = view.copy_(parameter.detach())
        self._transposed = [layer.t() for layer in self._layers]
        super().__init__(optimizer, lr, curve, weights, self._layers)
        self._rooms: dict[int, _Room] = {}

    def make(self, index: Index) -> Tensor:
        """As in `Updates`. No tensor here has a graph, so there is none to be switched off."""
        data = self._data
        if isinstance(index, slice):
            x, y = data.train_x[index], data.train_y[index]
        else:
            x, y = data.train_x.index_select(0, index), data.train_y.index_select(0, index)
        room = self._room(x)
        data.prepare(x, room.examples)
        last = len(self._layers) - 1
        for number, weights in enumerate(self._transposed):
            torch.mm(room.a[number], weights, out=room.z[number])
            if number < last:
                torch.clamp_min(room.z[number], 0, out=room.inputs[number + 1])
        log_p = torch.log_softmax(room.z[-1], dim=1)
        loss = F.nll_loss(log_p, y)
        d = _SOFTMAX_BACKWARD(room.targets.index_select(0, y), log_p, 1, log_p.dtype)
        self._step(d, room)
        return loss

    def _step(self, d: Tensor, room: _Room) -> None:
        """Back from d of the last layer; a layer moves once the d of the layer before it is known."""
        lr = self.lr
        self._fold.begin()
        for number in reversed(range(len(self._layers))):
            if number > 0:
                before = torch.mm(d, self._layers[number], out=room.d[number - 1])
                _RELU_BACKWARD(before, room.a[number], 0, grad_input=before)
            self._fold.product(number, d, room.a[number], lr)
            if number > 0:
                d = room.before[number - 1]
        self._fold.end(lr)

    def _of_each(self, flat: Tensor) -> list[Tensor]:
        layers = zip(fused_step.divided(flat, self._shapes), self._sizes, strict=False)
        return [view for layer, width in layers for view in (layer[:, :width], layer[:, width])]

    def _room(self, x: Tensor) -> _Room:
        """For a batch of the data set."""
        size = len(x)
        if size not in self._rooms:
            self._rooms[size] = _Room(self._sizes, x.shape, self._layers[0].dtype)
        return self._rooms[size]
