"""Fused in-place steps of SGD, momentum and Adam, one part of the weights at a time.

The fast path calls these instead of torch.optim, as soon as the gradient of a part is known.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor

MIN_SCALE = 1e-6  # of momentum's buffer; far from where float32 overflows
# The moments of weights whose gradients have become zero decay below 1e-38, where float32 loses digits and
# arithmetic is many times slower. From this eps on, zeros in their place give weights above 1e-19 the same
# bits: the root of such a second moment, at most 1.1e-19, is less than the last digit of eps.
FLUSH_EPS = 1e-11


class FusedStep(Protocol):
    """The step of an optimizer. It receives the gradient of one part of the weights at a time, in any order.

    The caller must not use a part's weights once it has given that part's gradient, as they may have moved.
    """

    def begin(self) -> None:
        """Begin an update."""

    def product(self, part: int, d: Tensor, a: Tensor, lr: float) -> None:
        """Receive the gradient of a part, (out, in), as the product d^T a.

        Args:
            part: position in the list of parts.
            d: derivatives of the loss by a layer's outputs, (batch, out).
            a: the layer's inputs, (batch, in).
            lr: learning rate of this update.
        """

    def gradient(self, part: int, gradient: Tensor, lr: float) -> None:
        """Receive the gradient of a part.

        Args:
            part: position in the list of parts.
            gradient: in the shape of the part.
            lr: learning rate of this update.
        """

    def end(self, lr: float) -> None:
        """End an update, after all gradients; now at the latest the weights move."""

    def buffers(self) -> dict[str, Tensor]:
        """Return the optimizer's state, to be copied into: scalars, or (n,) numbers for all weights."""


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

    The buffer is u = b / s with s = momentum^t, so that u <- u + g / s: adding a product to a matrix is
    faster when the matrix need not be scaled first. Once s gets small, u is scaled and s becomes 1 again.
    """

    def __init__(self, weights: Tensor, parts: Sequence[Tensor], momentum: float) -> None:
        self._weights, self._momentum = weights, momentum
        self._buffer = torch.zeros_like(weights)
        self._buffer_parts = views(self._buffer, [part.shape for part in parts])
        self._scale = torch.ones((), dtype=torch.float64)
        self._s = 1.0

    def begin(self) -> None:
        self._s = self._scale.mul_(self._momentum).item()
        if self._s < MIN_SCALE:
            self._buffer.mul_(self._s)
            self._s = self._scale.fill_(1).item()

    def product(self, part: int, d: Tensor, a: Tensor, lr: float) -> None:
        self._buffer_parts[part].addmm_(d.t(), a, alpha=1 / self._s)

    def gradient(self, part: int, gradient: Tensor, lr: float) -> None:
        self._buffer_parts[part].add_(gradient, alpha=1 / self._s)

    def end(self, lr: float) -> None:
        self._weights.add_(self._buffer, alpha=-lr * self._s)

    def buffers(self) -> dict[str, Tensor]:
        return {"scaled_buffer": self._buffer, "scale": self._scale}


class Adam:
    """torch's fused kernel of Adam or AdamW, one part at a time, while its gradient is in the cache."""

    def __init__(
        self, weights: Tensor, parts: Sequence[Tensor], hypers: Mapping[str, Any], kernel: Any
    ) -> None:
        self._parts, self._kernel = parts, kernel
        self._buffers = {name: torch.zeros_like(weights) for name in ("exp_avg", "exp_avg_sq")}
        shapes = [part.shape for part in parts]
        self._means, self._squares = (views(buffer, shapes) for buffer in self._buffers.values())
        self._step = torch.zeros((), dtype=torch.float32)  # torch.optim counts in float32 too
        # All parts share the memory of one gradient, as only one gradient exists at a time.
        workspace = torch.empty(max(part.numel() for part in parts), dtype=weights.dtype)
        self._gradients = [workspace[: part.numel()].view_as(part) for part in parts]
        beta1, beta2 = hypers["betas"]
        self._hypers = {"beta1": beta1, "beta2": beta2, "amsgrad": False, "maximize": False}
        self._hypers |= {key: hypers[key] for key in ("weight_decay", "eps")}
        self._flush = hypers["eps"] >= FLUSH_EPS

    def begin(self) -> None:
        self._step += 1

    def product(self, part: int, d: Tensor, a: Tensor, lr: float) -> None:
        torch.mm(d.t(), a, out=self._gradients[part])
        self.gradient(part, self._gradients[part], lr)

    def gradient(self, part: int, gradient: Tensor, lr: float) -> None:
        w, m, v = self._parts[part], self._means[part], self._squares[part]
        if self._flush:
            torch.set_flush_denormal(True)
        try:
            self._kernel([w], [gradient], [m], [v], [], [self._step], lr=lr, **self._hypers)
        finally:
            torch.set_flush_denormal(False)

    def end(self, lr: float) -> None:
        return

    def buffers(self) -> dict[str, Tensor]:
        return {"step": self._step, **self._buffers}


def build(name: str, hypers: Mapping[str, Any], weights: Tensor, parts: Sequence[Tensor]) -> FusedStep:
    """Build the fused step of an optimizer.

    Args:
        name: sgd, adam or adamw.
        hypers: its hyperparameters, supported by the fast path (`eligibility`).
        weights: all weights, (n,), without a graph; they are updated in place.
        parts: contiguous views of the weights, one after the other.

    Returns:
        The step, with its buffers at zero.
    """
    if name == "sgd":
        return Momentum(weights, parts, hypers["momentum"]) if hypers["momentum"] else Sgd(parts)
    return Adam(weights, parts, hypers, torch._fused_adam_ if name == "adam" else torch._fused_adamw_)


def views(flat: Tensor, shapes: Sequence[Sequence[int]]) -> list[Tensor]:
    """Cut a vector into views.

    Args:
        flat: numbers (n,).
        shapes: shapes of the views, n numbers in all.

    Returns:
        Contiguous views of `flat`, one after the other.
    """
    parts = torch.split(flat, [math.prod(shape) for shape in shapes])
    return [part.view(*shape) for part, shape in zip(parts, shapes, strict=True)]
