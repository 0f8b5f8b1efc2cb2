"""Optimizers for `optimizer=custom`: some that act up on request, some that cannot be used."""

import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

# Update -> what happens in the middle of it, once. Tests in this process fill it in.
ACTIONS: dict[int, Callable[[], object]] = {}


class Plain(torch.optim.Optimizer):
    """Gradient descent with random kicks: what a student would write. Counts its updates in its state."""

    def __init__(self, params, lr, kick=0.0):
        super().__init__(params, {"lr": lr, "kick": kick, "updates": 0})

    @torch.no_grad()
    def step(self, closure):
        loss = closure()
        for group in self.param_groups:
            group["updates"] += 1
            for weight in group["params"]:
                weight -= group["lr"] * weight.grad + group["kick"] * torch.randn_like(weight)
            ACTIONS.pop(group["updates"], int)()
        return loss


class ReturnsNothing(Plain):
    def step(self, closure):
        super().step(closure)


class LooksAhead(Plain):
    """Moves on, and then once more by the gradient there: the first loss is the one of this point."""

    def step(self, closure):
        super().step(closure)
        return super().step(closure)


class KeepsTensor(Plain):
    """Its learning rate is a tensor, as torch's own may be."""

    def __init__(self, params, lr):
        super().__init__(params, torch.tensor(lr, dtype=torch.float64))


class KeepsNumpy(Plain):
    """Its learning rate is NumPy's, as of a schedule of its own."""

    def __init__(self, params, lr):
        super().__init__(params, np.float64(lr))


class Fails(Plain):
    def step(self, closure):
        super().step(closure)
        raise RuntimeError("the custom optimizer broke down")


class Dies(Plain):
    """Its process is killed in the middle of an update, as when memory runs out; but only the first time,
    after which `once` is there."""

    def __init__(self, params, lr, once, at=30):
        super().__init__(params, lr)
        self.once, self.at = Path(once), at

    def step(self, closure):
        loss = super().step(closure)
        if self.param_groups[0]["updates"] == self.at and not self.once.exists():
            self.once.touch()
            print("some words\nand more", flush=True)
            print("a last word", file=sys.stderr, end="", flush=True)
            time.sleep(0.1)  # so that its job has taken some time
            os.kill(os.getpid(), signal.SIGKILL)
        return loss


class TakesNoClosure(Plain):
    def step(self):
        super().step(lambda: None)


class IgnoresTheClosure(Plain):
    def step(self, closure=None):
        super().step(lambda: None)


class IgnoresARequiredClosure(IgnoresTheClosure):
    def step(self, closure):
        super().step()


class TakesAnything(Plain):
    def step(self, *arguments, **more):
        super().step(*arguments or [lambda: None])


class ByConvention(Plain):
    """As torch's own: a closure is optional."""

    def step(self, closure=None):
        super().step(closure or (lambda: None))


class Sharp(Plain):
    """Sharpness-aware minimization, as it is widely used: gradients first, and a closure for those uphill.

    Draws a random number before it finds out that it has no closure.
    """

    def __init__(self, params, lr, rho=0.0):
        super().__init__(params, lr, kick=0.01)
        self.rho = rho

    def step(self, closure=None):
        torch.rand(1)
        assert closure is not None, "requires closure"
        weights = [weight for group in self.param_groups for weight in group["params"]]
        norm = torch.stack([weight.grad.norm() for weight in weights]).norm()
        before = [weight.detach().clone() for weight in weights]
        for weight in weights:
            weight.data.add_(weight.grad, alpha=self.rho / norm.item())
        with torch.enable_grad():
            closure()
        for weight, old in zip(weights, before, strict=True):
            weight.data.copy_(old)
        super().step(lambda: None)


class SharpAlways(Sharp):
    """The same, with a closure that is no option."""

    def step(self, closure):
        super().step(closure)


class MovesWithoutGradients(Plain):
    def step(self, closure):
        with torch.no_grad():
            self.param_groups[0]["params"][0].add_(1.0)


class KeepsItsLr(torch.optim.Optimizer):
    def __init__(self, params, lr):
        super().__init__(params, {})

    def step(self, closure):
        return closure()


class NotAnOptimizer:
    def __init__(self, params, lr):
        pass


def a_function(params, lr):
    return torch.optim.SGD(params, lr)
