"""Updates without torch.optim: of a plain network by hand, folded into the optimizer's step; of a surface.

For layers a_k = relu(a_(k-1) W_k^T + b_k), the last without relu, and the mean cross entropy of B examples,

    d_K     = (softmax(z) - one_hot(y)) / B          dL/dz of the last layer, (B, classes)
    d_(k-1) = (d_k W_k) * (a_(k-1) > 0)              of the layer before, (B, size of its output)
    dL/dW_k = d_k^T a_(k-1),   dL/db_k = sum of d_k over the batch

(Rumelhart, Hinton, Williams 1986, "Learning representations by back-propagating errors", equations 4 to 7).
Autograd computes the same products; what is saved is everything else: its graph, a pass over all weights to
store each gradient and one to read it again, and the Python of torch.optim. SGD adds the product d^T a to the
weights as it is made, momentum to its buffer. Numbers agree with `GeneralUpdates` to rounding.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sgdlab.engine import folds
from sgdlab.engine.sampling import Index
from sgdlab.engine.updates import PART, Updates
from sgdlab.problem import Problem
from sgdlab.schema import CrossEntropy, Linear, Mlp, SurfaceModel

_RELU_BACKWARD = torch.ops.aten.threshold_backward.grad_input


def build(problem: Problem, lr: float, curve: Callable[[int], float] | None) -> Updates:
    """The updates of a problem that `fits`."""
    surface = isinstance(problem.config.model, SurfaceModel)
    return PointUpdates(problem, lr, curve) if surface else NetworkUpdates(problem, lr, curve)


def fits(problem: Problem, batch_size: int) -> bool:
    """Whether these updates are made for a problem, so for its model, its loss and its optimizer."""
    config = problem.config
    optimizer, model, loss = config.optimizer, config.model, config.loss
    plain_model = (isinstance(model, Mlp) and model.activation == "relu") or (
        isinstance(model, Linear) and model.bias
    )
    plain_loss = isinstance(loss, CrossEntropy) and loss.label_smoothing == 0 and config.ridge == 0
    network, surface = plain_model and plain_loss, isinstance(model, SurfaceModel)
    ordinary = config.device == "cpu" and config.precision != "bfloat16" and batch_size <= PART
    return (network or surface) and _plain(optimizer) and ordinary


def _plain(optimizer: Any) -> bool:
    return optimizer.impl == "auto" and folds.known(optimizer.name, optimizer.hypers)


class _Lean:
    """What `Updates` without torch.optim have in common. groups: the parameters, as `folds` has them."""

    kind = "lean"

    def __init__(
        self, problem: Problem, lr: float, curve: Callable[[int], float] | None, groups: folds.Groups
    ) -> None:
        optimizer = problem.config.optimizer
        self._fold = folds.fold(optimizer.name, optimizer.hypers, groups)
        self._base, self._curve, self._unit = lr, curve, 0

    @property
    def lr(self) -> float:
        return self._base if self._curve is None else self._base * self._curve(self._unit)

    def next_unit(self) -> None:
        self._unit += 1

    def state(self) -> dict[str, Any]:
        return {"lean": {"unit": self._unit, "buffers": self._fold.buffers()}}

    def load(self, state: dict[str, Any]) -> None:
        kept = state["lean"]
        self._unit = int(kept["unit"])
        for name, tensors in self._fold.buffers().items():
            for mine, saved in zip(tensors, kept["buffers"][name], strict=True):
                if saved.shape != mine.shape:
                    raise ValueError(f"{name} has the shape {tuple(saved.shape)}, not {tuple(mine.shape)}")
                mine.copy_(saved)


class PointUpdates(_Lean):
    """`Updates` of a surface that `fits`: the gradient by autograd, and nothing more than the step.

    curve: the factor on `lr` by the scheduler's units, None for 1.
    """

    def __init__(self, problem: Problem, lr: float, curve: Callable[[int], float] | None) -> None:
        self._problem = problem
        self._points = list(problem.model.parameters())
        super().__init__(problem, lr, curve, [[point.detach() for point in self._points]])

    def make(self, index: Index) -> Tensor:
        loss = self._problem.batch_loss(index)
        gradients = torch.autograd.grad(loss, self._points)
        lr = self.lr
        self._fold.begin()
        with torch.no_grad():
            self._fold.group(0, gradients, lr)
        return loss.detach()


class _Room:
    """Where the numbers of one batch size go, so that no update allocates: activations a (the output of each
    layer but the last), outputs z, and d of each layer but the last."""

    def __init__(self, layers: Sequence[nn.Linear], size: int) -> None:
        like = layers[0].weight
        *hidden, outputs = [layer.out_features for layer in layers]
        self.a = [torch.empty(size, width, dtype=like.dtype) for width in hidden]
        self.d = [torch.empty(size, width, dtype=like.dtype) for width in hidden]
        self.z = torch.empty(size, outputs, dtype=like.dtype)
        self.minus_one = torch.full((size, 1), -1.0, dtype=like.dtype)


class NetworkUpdates(_Lean):
    """`Updates` of a network that `fits`. curve: the factor on `lr` by the scheduler's units, None for 1."""

    def __init__(self, problem: Problem, lr: float, curve: Callable[[int], float] | None) -> None:
        self._data = problem.data
        self._layers = [layer for layer in problem.model.modules() if isinstance(layer, nn.Linear)]
        self._weights = [layer.weight.detach() for layer in self._layers]  # the same memory, without a graph
        self._biases = [layer.bias.detach() for layer in self._layers]
        self._transposed = [weight.t() for weight in self._weights]
        super().__init__(problem, lr, curve, list(zip(self._weights, self._biases, strict=True)))
        self._rooms: dict[int, _Room] = {}

    def make(self, index: Index) -> Tensor:
        """As in `Updates`. No tensor here has a graph, so there is none to be switched off."""
        data = self._data
        if isinstance(index, slice):
            x, y = data.train_x[index], data.train_y[index]
        else:
            x, y = data.train_x.index_select(0, index), data.train_y.index_select(0, index)
        room = self._room(len(y))
        inputs = [data.prepare(x).flatten(1)]
        for weight, bias, a in zip(self._transposed, self._biases, room.a, strict=False):
            inputs.append(torch.addmm(bias, inputs[-1], weight, out=a).relu_())
        z = torch.addmm(self._biases[-1], inputs[-1], self._transposed[-1], out=room.z)
        log_p = torch.log_softmax(z, dim=1)
        loss = F.nll_loss(log_p, y)
        d = log_p.exp_().scatter_add_(1, y.unsqueeze(1), room.minus_one).div_(len(y))
        self._step(d, inputs, room)
        return loss

    def _step(self, d: Tensor, inputs: list[Tensor], room: _Room) -> None:
        """Back from d of the last layer; a layer moves once the d of the layer before it is known."""
        lr = self.lr
        self._fold.begin()
        for number in reversed(range(len(inputs))):
            before = None
            if number > 0:
                before = torch.mm(d, self._weights[number], out=room.d[number - 1])
                _RELU_BACKWARD(before, inputs[number], 0, grad_input=before)
            self._fold.layer(number, d, inputs[number], lr)
            if before is not None:
                d = before
        self._fold.end(lr)

    def _room(self, size: int) -> _Room:
        if size not in self._rooms:
            self._rooms[size] = _Room(self._layers, size)
        return self._rooms[size]
