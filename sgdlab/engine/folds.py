"""The steps of SGD, momentum and Adam on a group of parameters at a time, for updates without torch.optim."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor

Groups = Sequence[Sequence[Tensor]]  # of a network (weights, bias) a layer; of a surface its point


class Fold(Protocol):
    """An optimizer that takes the gradient a group at a time, last group first."""

    def begin(self) -> None:
        """An update is about to be made."""

    def layer(self, number: int, d: Tensor, a: Tensor, lr: float) -> None:
        """The gradients of group `number`, (weights, bias), are d^T a and the sum of d over the batch; d
        (B, out), a (B, in). The biases may move as late as in `end`."""

    def end(self, lr: float) -> None:
        """The last layer's gradient has been given."""

    def group(self, number: int, gradients: Sequence[Tensor], lr: float) -> None:
        """The gradients of group `number`."""

    def buffers(self) -> dict[str, list[Tensor]]:
        """What it keeps from update to update; for checkpoints, and to be copied into."""


class Sgd:
    """w <- w - lr g."""

    def __init__(self, groups: Groups) -> None:
        self._groups = groups
        self._biases = _biases(groups)
        self._sums: list[Tensor] = []

    def begin(self) -> None:
        return

    def layer(self, number: int, d: Tensor, a: Tensor, lr: float) -> None:
        self._groups[number][0].addmm_(d.t(), a, alpha=-lr)
        self._sums.append(d.sum(0))

    def end(self, lr: float) -> None:
        # One call instead of one a bias, as calls are what such small tensors cost.
        torch._foreach_add_(self._biases, self._sums, alpha=-lr)
        self._sums.clear()

    def group(self, number: int, gradients: Sequence[Tensor], lr: float) -> None:
        for w, g in zip(self._groups[number], gradients, strict=True):
            w.add_(g, alpha=-lr)

    def buffers(self) -> dict[str, list[Tensor]]:
        return {}


class Momentum:
    """b <- momentum b + g; w <- w - lr b, with b = 0 at first."""

    def __init__(self, groups: Groups, momentum: float) -> None:
        self._groups, self._momentum = groups, momentum
        self._kept = [[torch.zeros_like(w) for w in group] for group in groups]
        self._biases, self._kept_biases = _biases(groups), _biases(self._kept)
        self._sums: list[Tensor] = []

    def begin(self) -> None:
        return

    def layer(self, number: int, d: Tensor, a: Tensor, lr: float) -> None:
        self._kept[number][0].addmm_(d.t(), a, beta=self._momentum)
        self._groups[number][0].add_(self._kept[number][0], alpha=-lr)
        self._sums.append(d.sum(0))

    def end(self, lr: float) -> None:
        # A call for all biases, as calls are what such small tensors cost.
        kept = self._kept_biases
        torch._foreach_mul_(kept, self._momentum)
        torch._foreach_add_(kept, self._sums)
        torch._foreach_add_(self._biases, kept, alpha=-lr)
        self._sums.clear()

    def group(self, number: int, gradients: Sequence[Tensor], lr: float) -> None:
        for b, g in zip(self._kept[number], gradients, strict=True):
            b.mul_(self._momentum).add_(g)
        for w, b in zip(self._groups[number], self._kept[number], strict=True):
            w.add_(b, alpha=-lr)

    def buffers(self) -> dict[str, list[Tensor]]:
        return {"momentum_buffer": _flat(self._kept)}


class Adam:
    """torch's fused kernel of Adam or AdamW on a group at a time, while its gradient is in the cache."""

    def __init__(self, groups: Groups, hypers: Mapping[str, Any], kernel: Any) -> None:
        self._groups, self._kernel = groups, kernel
        self._means, self._squares = ([[torch.zeros_like(w) for w in g] for g in groups] for _ in range(2))
        self._step = torch.zeros((), dtype=torch.float32)  # in which torch.optim counts
        # One room for the gradients of all layers, as they are made one after the other.
        room = torch.empty(max(group[0].numel() for group in groups), dtype=groups[0][0].dtype)
        self._rooms = [
            [room[: first.numel()].view_as(first), *map(torch.empty_like, others)]
            for first, *others in groups
        ]
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
        weight, bias = self._rooms[number]
        torch.mm(d.t(), a, out=weight)
        torch.sum(d, dim=0, out=bias)
        self.group(number, self._rooms[number], lr)

    def end(self, lr: float) -> None:
        return

    def group(self, number: int, gradients: Sequence[Tensor], lr: float) -> None:
        group, means, squares = self._groups[number], self._means[number], self._squares[number]
        steps = [self._step] * len(group)
        self._kernel(group, gradients, means, squares, [], steps, lr=lr, **self._hypers)

    def buffers(self) -> dict[str, list[Tensor]]:
        return {"step": [self._step], "exp_avg": _flat(self._means), "exp_avg_sq": _flat(self._squares)}


# Hyperparameters that must have these values; the others may have any.
_PLAIN_SGD = {"dampening": 0, "nesterov": False, "weight_decay": 0, "maximize": False}
_PLAIN_ADAM = {"amsgrad": False, "eps_inside_root": False, "bias_correction": True}
_ONLY: dict[str, dict[str, Any]] = {
    "sgd": _PLAIN_SGD,
    "adam": {**_PLAIN_ADAM, "box": None},
    "adamw": _PLAIN_ADAM,
}


def known(name: str, hypers: Mapping[str, Any]) -> bool:
    """Whether there is a fold that computes what the optimizer of that name does."""
    return name in _ONLY and all(hypers[key] == value for key, value in _ONLY[name].items())


def fold(name: str, hypers: Mapping[str, Any], groups: Groups) -> Fold:
    """The fold of an optimizer that is `known`. groups: parameters without a graph, which it moves."""
    if name == "sgd":
        return Momentum(groups, hypers["momentum"]) if hypers["momentum"] else Sgd(groups)
    return Adam(groups, hypers, torch._fused_adam_ if name == "adam" else torch._fused_adamw_)


def _biases(groups: Groups) -> list[Tensor]:
    """In the order in which layers come, the last one first."""
    return [bias for _, *biases in reversed(groups) for bias in biases]


def _flat(groups: Groups) -> list[Tensor]:
    return [tensor for group in groups for tensor in group]
