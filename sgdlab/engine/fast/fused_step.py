"""The steps of SGD, momentum and Adam, a part of the weights at a time, for updates without torch.optim."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor

LEAST_SCALE = 1e-6  # of momentum's buffer; far from where float32 overflows


class FusedStep(Protocol):
    """An optimizer that takes the gradient of one part of the weights at a time, in any order."""

    def begin(self) -> None:
        """An update is about to be made."""

    def product(self, part: int, d: Tensor, a: Tensor, lr: float) -> None:
        """The gradient of a part, (out, in), is d^T a, with d (B, out) and a (B, in)."""

    def gradient(self, part: int, gradient: Tensor, lr: float) -> None:
        """The gradient of a part, in its shape."""

    def end(self, lr: float) -> None:
        """All gradients have been given; at the latest now the weights move."""

    def buffers(self) -> dict[str, Tensor]:
        """What it keeps from update to update, to be copied into: scalars, and for all weights at once."""


class Sgd:
    """w <- w - lr g."""

    def __init__(self, parts: Sequence[Tensor]) -> None:
        self._parts = parts

    def begin(self) -> None:
        return

    def product(self, part: int, d: Tensor, a: Tensor, lr: float) -> None:
        self._parts[part].addmm_(d.t(), a, alpha=-lr)

    def gradient(self, part: int, gradient: Tensor, lr: float) -> None:
        self._parts[part].add_(gradient, alpha=-lr)

    def end(self, lr: float) -> None:
        return

    def buffers(self) -> dict[str, Tensor]:
        return {}


class Momentum:
    """b <- momentum b + g; w <- w - lr b, with b = 0 at first.

    Kept is u = b / s, where s is momentum to the power of the updates, so that u <- u + g / s: a product is
    added faster to a matrix that need not be scaled first. Once s gets small, u is scaled and s is 1 again.
    """

    def __init__(self, weights: Tensor, parts: Sequence[Tensor], momentum: float) -> None:
        self._weights, self._momentum = weights, momentum
        self._buffer = torch.zeros_like(weights)
        self._kept = divided(self._buffer, [part.shape for part in parts])
        self._scale = torch.ones((), dtype=torch.float64)
        self._s = 1.0

    def begin(self) -> None:
        self._s = self._scale.mul_(self._momentum).item()
        if self._s < LEAST_SCALE:
            self._buffer.mul_(self._s)
            self._s = self._scale.fill_(1).item()

    def product(self, part: int, d: Tensor, a: Tensor, lr: float) -> None:
        self._kept[part].addmm_(d.t(), a, alpha=1 / self._s)

    def gradient(self, part: int, gradient: Tensor, lr: float) -> None:
        self._kept[part].add_(gradient, alpha=1 / self._s)

    def end(self, lr: float) -> None:
        self._weights.add_(self._buffer, alpha=-lr * self._s)

    def buffers(self) -> dict[str, Tensor]:
        return {"scaled_buffer": self._buffer, "scale": self._scale}


class Adam:
    """torch's fused kernel of Adam or AdamW on a part at a time, while its gradient is in the cache."""

    def __init__(
        self, weights: Tensor, parts: Sequence[Tensor], hypers: Mapping[str, Any], kernel: Any
    ) -> None:
        self._parts, self._kernel = parts, kernel
        self._buffers = {name: torch.zeros_like(weights) for name in ("exp_avg", "exp_avg_sq")}
        shapes = [part.shape for part in parts]
        self._means, self._squares = (divided(buffer, shapes) for buffer in self._buffers.values())
        self._step = torch.zeros((), dtype=torch.float32)  # in which torch.optim counts
        # One room for the gradients of all parts, as they are made one after the other.
        room = torch.empty(max(part.numel() for part in parts), dtype=weights.dtype)
        self._rooms = [room[: part.numel()].view_as(part) for part in parts]
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

    def product(self, part: int, d: Tensor, a: Tensor, lr: float) -> None:
        torch.mm(d.t(), a, out=self._rooms[part])
        self.gradient(part, self._rooms[part], lr)

    def gradient(self, part: int, gradient: Tensor, lr: float) -> None:
        w, m, v = self._parts[part], self._means[part], self._squares[part]
        self._kernel([w], [gradient], [m], [v], [], [self._step], lr=lr, **self._hypers)

    def end(self, lr: float) -> None:
        return

    def buffers(self) -> dict[str, Tensor]:
        return {"step": self._step, **self._buffers}


def fold(name: str, hypers: Mapping[str, Any], weights: Tensor, parts: Sequence[Tensor]) -> FusedStep:
    """The fold of an optimizer of those that are `plain`.

    weights: all weights, (n,), without a graph; parts: views of them one after the other, each contiguous.
    """
    if name == "sgd":
        return Momentum(weights, parts, hypers["momentum"]) if hypers["momentum"] else Sgd(parts)
    return Adam(weights, parts, hypers, torch._fused_adam_ if name == "adam" else torch._fused_adamw_)


def divided(flat: Tensor, shapes: Iterable[Sequence[int]]) -> list[Tensor]:
    """Views of numbers (n,) in these shapes, one after the other."""
    found, at = [], 0
    for shape in shapes:
        found.append(flat[at : (at := at + math.prod(shape))].view(*shape))
    return found
