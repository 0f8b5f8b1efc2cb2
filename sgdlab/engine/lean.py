"""The updates of a plain network without autograd: the gradient by hand, folded into the optimizer's step.

For layers a_k = relu(a_(k-1) W_k^T + b_k), the last without relu, and the mean cross entropy of B examples,

    d_K     = (softmax(z) - one_hot(y)) / B          dL/dz of the last layer, (B, classes)
    d_(k-1) = (d_k W_k) * (a_(k-1) > 0)              of the layer before, (B, size of its output)
    dL/dW_k = d_k^T a_(k-1),   dL/db_k = sum of d_k over the batch

(Rumelhart, Hinton, Williams 1986, "Learning representations by back-propagating errors", equations 4 to 7).
Autograd computes the same products; what is saved is everything else: its graph, a pass over all weights to
store each gradient and one to read it again, and the Python of torch.optim. SGD adds the product d^T a to the
weights as it is made, momentum to its buffer. Numbers agree with `GeneralUpdates` to rounding.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sgdlab.engine.sampling import Index
from sgdlab.engine.updates import PART
from sgdlab.problem import Problem
from sgdlab.schema import CrossEntropy, Linear, Mlp


class _Fold(Protocol):
    """An optimizer that takes the gradient a layer at a time, as the product it is, last layer first."""

    def begin(self) -> None:
        """An update is about to be made."""

    def layer(self, number: int, d: Tensor, a: Tensor, lr: float) -> None:
        """The gradient of layer `number` is d^T a for its weights and the sum of d for its bias; d (B, out),
        a (B, in)."""

    def buffers(self) -> dict[str, list[Tensor]]:
        """What it keeps from update to update; for checkpoints, and to be copied into."""


class _Sgd:
    """w <- w - lr g."""

    def __init__(self, params: Sequence[Tensor], hypers: Mapping[str, Any]) -> None:
        self._params = params

    def begin(self) -> None:
        return

    def layer(self, number: int, d: Tensor, a: Tensor, lr: float) -> None:
        self._params[2 * number].addmm_(d.t(), a, alpha=-lr)
        self._params[2 * number + 1].add_(d.sum(dim=0), alpha=-lr)

    def buffers(self) -> dict[str, list[Tensor]]:
        return {}


class _Momentum:
    """b <- momentum b + g; w <- w - lr b, with b = 0 at first."""

    def __init__(self, params: Sequence[Tensor], hypers: Mapping[str, Any]) -> None:
        self._params = params
        self._momentum = hypers["momentum"]
        self._kept = [torch.zeros_like(w) for w in params]

    def begin(self) -> None:
        return

    def layer(self, number: int, d: Tensor, a: Tensor, lr: float) -> None:
        weight, bias = self._kept[2 * number : 2 * number + 2]
        weight.addmm_(d.t(), a, beta=self._momentum)
        bias.mul_(self._momentum).add_(d.sum(dim=0))
        self._params[2 * number].add_(weight, alpha=-lr)
        self._params[2 * number + 1].add_(bias, alpha=-lr)

    def buffers(self) -> dict[str, list[Tensor]]:
        return {"momentum_buffer": self._kept}


class _Adam:
    """torch's fused kernel of Adam or AdamW on a layer at a time, while its gradient is in the cache."""

    def __init__(self, params: Sequence[Tensor], hypers: Mapping[str, Any], *, kernel: Any) -> None:
        self._kernel = kernel
        self._means, self._squares = ([torch.zeros_like(w) for w in params] for _ in range(2))
        # torch.optim counts in float32.
        self._step = torch.zeros((), dtype=torch.float32)
        room = torch.empty(max(w.numel() for w in params), dtype=params[0].dtype)
        self._layers: list[Any] = []
        for first in range(0, len(params), 2):
            pair = slice(first, first + 2)
            weight, bias = params[pair]
            gradients = [room[: weight.numel()].view_as(weight), torch.empty_like(bias)]
            self._layers.append(([weight, bias], gradients, self._means[pair], self._squares[pair]))
        beta1, beta2 = hypers["betas"]
        self._hypers = {
            "beta1": beta1,
            "beta2": beta2,
            "weight_decay": hypers["weight_decay"],
            "eps": hypers["eps"],
            "amsgrad": False,
            "maximize": False,
        }

    def begin(self) -> None:
        self._step += 1

    def layer(self, number: int, d: Tensor, a: Tensor, lr: float) -> None:
        params, gradients, means, squares = self._layers[number]
        torch.mm(d.t(), a, out=gradients[0])
        torch.sum(d, dim=0, out=gradients[1])
        steps = [self._step, self._step]
        self._kernel(params, gradients, means, squares, [], steps, lr=lr, **self._hypers)

    def buffers(self) -> dict[str, list[Tensor]]:
        return {"step": [self._step], "exp_avg": self._means, "exp_avg_sq": self._squares}


def _adam(params: Sequence[Tensor], hypers: Mapping[str, Any]) -> _Fold:
    return _Adam(params, hypers, kernel=torch._fused_adam_)


def _adamw(params: Sequence[Tensor], hypers: Mapping[str, Any]) -> _Fold:
    return _Adam(params, hypers, kernel=torch._fused_adamw_)


# Hyperparameters that must have these values; the others may have any.
_PLAIN_SGD = {"dampening": 0, "nesterov": False, "weight_decay": 0, "maximize": False}
_PLAIN_ADAM = {"amsgrad": False, "eps_inside_root": False, "bias_correction": True}
_ONLY: dict[str, dict[str, Any]] = {
    "sgd": _PLAIN_SGD,
    "adam": {**_PLAIN_ADAM, "box": None},
    "adamw": _PLAIN_ADAM,
}


def fits(problem: Problem, batch_size: int) -> bool:
    """Whether these updates are made for a problem, so for its model, its loss and its optimizer."""
    config = problem.config
    optimizer, model, loss = config.optimizer, config.model, config.loss
    plain_model = (isinstance(model, Mlp) and model.activation == "relu") or (
        isinstance(model, Linear) and model.bias
    )
    plain_loss = isinstance(loss, CrossEntropy) and loss.label_smoothing == 0 and config.ridge == 0
    plain_optimizer = (
        optimizer.name in _ONLY
        and optimizer.impl == "auto"
        and all(optimizer.hypers[key] == value for key, value in _ONLY[optimizer.name].items())
    )
    ordinary = config.device == "cpu" and config.precision != "bfloat16" and batch_size <= PART
    return plain_model and plain_loss and plain_optimizer and ordinary


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


class LeanUpdates:
    """`Updates` of a problem that `fits`. curve: the factor on `lr` by the scheduler's units, None for 1."""

    kind = "lean"

    def __init__(self, problem: Problem, lr: float, curve: Callable[[int], float] | None) -> None:
        self._data = problem.data
        self._layers = [layer for layer in problem.model.modules() if isinstance(layer, nn.Linear)]
        self._weights = [layer.weight.detach() for layer in self._layers]  # the same memory, without a graph
        self._biases = [layer.bias.detach() for layer in self._layers]
        params = [w for pair in zip(self._weights, self._biases, strict=True) for w in pair]
        optimizer = problem.config.optimizer
        folds: dict[str, Callable[..., _Fold]] = {"adam": _adam, "adamw": _adamw, "sgd": _Sgd}
        fold = _Momentum if optimizer.hypers.get("momentum") else folds[optimizer.name]
        self._fold: _Fold = fold(params, optimizer.hypers)
        self._base, self._curve, self._unit = lr, curve, 0
        self._rooms: dict[int, _Room] = {}

    @property
    def lr(self) -> float:
        return self._base if self._curve is None else self._base * self._curve(self._unit)

    @torch.no_grad()
    def make(self, index: Index) -> Tensor:
        data = self._data
        if isinstance(index, slice):
            x, y = data.train_x[index], data.train_y[index]
        else:
            x, y = data.train_x.index_select(0, index), data.train_y.index_select(0, index)
        room = self._room(len(y))
        inputs = [data.prepare(x).flatten(1)]
        for weight, bias, a in zip(self._weights, self._biases, room.a, strict=False):
            inputs.append(torch.addmm(bias, inputs[-1], weight.t(), out=a).relu_())
        z = torch.addmm(self._biases[-1], inputs[-1], self._weights[-1].t(), out=room.z)
        log_p = torch.log_softmax(z, dim=1)
        loss = F.nll_loss(log_p, y)
        d = log_p.exp_().scatter_add_(1, y[:, None], room.minus_one).div_(len(y))
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
                torch.ops.aten.threshold_backward.grad_input(before, inputs[number], 0, grad_input=before)
            self._fold.layer(number, d, inputs[number], lr)
            if before is not None:
                d = before

    def _room(self, size: int) -> _Room:
        if size not in self._rooms:
            self._rooms[size] = _Room(self._layers, size)
        return self._rooms[size]

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
