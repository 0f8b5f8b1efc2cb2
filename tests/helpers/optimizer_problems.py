"""Two small problems, and paths over them: by the optimizer that the engine builds, and by its formula."""

import contextlib
import functools
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import torch
from omegaconf import OmegaConf
from optimizer_cases import ROWS

from sgdlab import optim
from sgdlab.base.errors import UsageError
from sgdlab.config.options import conf_dir
from sgdlab.config.reader import read_optimizer
from sgdlab.optim import OPTIMIZERS
from sgdlab.optim.adapter import HessianOptimizer
from sgdlab.optim.settings import Optimizer

STEPS = 30
ROLES = ("matrix", "vector")  # of the weights W (2, 3) and b (3,)


@functools.cache
def yaml_of(name):
    return OmegaConf.to_container(OmegaConf.load(conf_dir() / "optimizer" / f"{name}.yaml"))


@functools.cache
def defaults(name):
    """The checked optimizer of conf/optimizer/NAME.yaml."""
    return optim.check_optimizer(read_optimizer(yaml_of(name)))


def configured(name: str, variant: Any, impl: str = "auto") -> Optimizer:
    base = defaults(name)
    hypers = {**base.hypers, **variant}
    return optim.check_optimizer(Optimizer(name=name, default_lr=base.default_lr, impl=impl, hypers=hypers))


def implementations(optimizer: Optimizer) -> list[tuple[str, bool]]:
    """Who computes this optimizer, each as `impl` and whether it is fused."""
    found = []
    for impl in ("rule", "torch"):
        with contextlib.suppress(UsageError):
            found.append((optim.resolve_impl(replace(optimizer, impl=impl)), False))
    if ("torch", False) in found and OPTIMIZERS[optimizer.name].fused:
        found.append(("torch", True))
    return found


# Gradients (of W and b) and loss, in NumPy and torch alike; W and b may have axes of runs in front.
RNG = np.random.default_rng(7)
CURVATURE = [10.0 ** RNG.uniform(-1, 0.5, (2, 3)), 10.0 ** RNG.uniform(-1, 0.5, 3)]
CENTRE = [RNG.normal(size=(2, 3)), RNG.normal(size=3)]
INPUTS = RNG.normal(size=(20, 2))
SIGNS = np.sign(RNG.normal(size=(20, 3)))
START = [RNG.normal(size=(2, 3)), RNG.normal(size=3)]


def tensors(arrays, like):
    return [torch.tensor(array, dtype=like[0].dtype) for array in arrays]


def quadratic_gradient(weights):
    return [a * (w - c) for a, w, c in zip(CURVATURE, weights, CENTRE, strict=True)]


def quadratic_loss(weights):
    curvature, centre = tensors(CURVATURE, weights), tensors(CENTRE, weights)
    return sum((a * (w - c) ** 2).sum() / 2 for a, w, c in zip(curvature, weights, centre, strict=True))


def logistic_gradient(weights):
    """Of the mean over the examples of log(1 + exp(-s z)), z = x W + b, three tasks at once."""
    margin = SIGNS * (INPUTS @ weights[0] + weights[1][..., None, :])
    outer = -SIGNS / (1 + np.exp(margin)) / len(INPUTS)
    return [INPUTS.T @ outer, outer.sum(-2)]


def logistic_loss(weights):
    inputs, signs = tensors([INPUTS, SIGNS], weights)
    margin = signs * (inputs @ weights[0] + weights[1])
    return torch.nn.functional.softplus(-margin).sum() / len(INPUTS)


def quadratic_hessian(weights):
    return np.diag(joined(CURVATURE))


def logistic_hessian(weights):
    """Task j has the weights W[:, j], b[j], and the Hessian X^T diag(s(1 - s)) X / N with X = (x, 1)."""
    inputs = np.column_stack([INPUTS, np.ones(len(INPUTS))])
    odds = 1 / (1 + np.exp(-(INPUTS @ weights[0] + weights[1])))
    hessian = np.zeros((9, 9))
    for j in range(3):
        own = [j, 3 + j, 6 + j]  # among W row by row, then b
        hessian[np.ix_(own, own)] = inputs.T @ (inputs * (odds * (1 - odds))[:, j : j + 1]) / len(INPUTS)
    return hessian


class Functions(NamedTuple):
    """A problem: of NumPy weights [W, b] the gradients and the Hessian (9, 9), of torch's the loss."""

    gradient: Any
    hessian: Any
    loss: Any


PROBLEMS = {
    "quadratic": Functions(quadratic_gradient, quadratic_hessian, quadratic_loss),
    "logistic": Functions(logistic_gradient, logistic_hessian, logistic_loss),
}


def joined(arrays):
    return np.concatenate([array.ravel() for array in arrays])


def parted(vector):
    return [vector[:6].reshape(2, 3), vector[6:]]


@contextlib.contextmanager
def default_dtype(dtype: torch.dtype) -> Iterator[None]:
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


def parameters(dtype=torch.float64):
    return [torch.nn.Parameter(torch.tensor(start, dtype=dtype)) for start in START]


def closure_of(made, weights, loss):
    def closure():
        made.zero_grad()
        value = loss(weights)
        if not isinstance(made, HessianOptimizer):  # which does it itself
            value.backward()
        return value

    return closure


def flat(weights):
    return torch.cat([weight.detach().flatten() for weight in weights])


def by_class(optimizer, lr, loss, *, fused=True, dtype=torch.float64, steps=STEPS, scheduler=None):
    """All weights after each of the updates, by the class that the engine builds."""
    weights = parameters(dtype)
    made = optim.build(optimizer, lr, weights, roles=ROLES, fused=fused)
    schedule = scheduler(made) if scheduler else None
    closure, path = closure_of(made, weights, loss), []
    for _ in range(steps):
        made.step(closure)
        if schedule:
            schedule.step()
        path.append(flat(weights).clone())
    return torch.stack(path)


def by_formula(name, hypers, problem, rates):
    """The same by the formula of the optimizer's row; rates: the learning rate of each update."""
    row = ROWS[name]
    weights, states, path = [start.copy() for start in START], [{}, {}], []
    whole = {
        "loss": lambda w: float(problem.loss([torch.from_numpy(part) for part in parted(w)])),
        "gradient": lambda w: joined(problem.gradient(parted(w))),
        "hessian": lambda w: problem.hessian(parted(w)),
    }
    for t, lr in enumerate(rates, start=1):
        points = weights
        if row.ahead is not None:
            points = [row.ahead(w, state, hypers) for w, state in zip(weights, states, strict=True)]
        grads = problem.gradient(points)
        if row.whole:
            weights = parted(row.formula(joined(weights), joined(grads), whole, t, lr, hypers))
        else:
            each = zip(weights, grads, states, strict=True)
            weights = [row.formula(w, g, state, t, lr, hypers) for w, g, state in each]
        path.append(joined(weights))
    return np.stack(path)


def relative_error(found, expected) -> float:
    """The largest error over the updates, relative to the largest weight of each."""
    found, expected = np.asarray(found), np.asarray(expected)
    return float((np.abs(found - expected).max(1) / np.abs(expected).max(1)).max())
