"""Measurements at a run's start, in place of training: how batch gradients scatter, and how the derivatives
of backward differentiation compare with their definition."""

import math
from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from sgdlab.engine.loop import Diverged
from sgdlab.engine.sampling import Batches
from sgdlab.problem import Problem
from sgdlab.problem.minimum import objective_function

CHUNK = 1000  # examples whose gradients are taken together
STEPS = tuple(10.0**-k for k in range(1, 13))  # h of the finite differences


class Quantity(NamedTuple):
    """One measured number; `x` is what it belongs to, None for a quantity that is one number."""

    quantity: str
    x: float | None
    value: float


def gradient_noise(problem: Problem, batches: Batches, draws: int) -> list[Quantity]:
    """How the gradients g_B of `draws` batches scatter about the whole gradient, at the present weights.

    The batches are those that training would see, epoch after epoch, but for an epoch's incomplete last one.
    variance: the mean of |g_B - grad f|^2; standard_error: its own. single: s^2, the mean over all N examples
    of |g_i - grad f|^2. theory: s^2/B for examples drawn with replacement; a batch of different examples has
    (N-B)/(N-1) of it (Cochran, Sampling Techniques, 1977, theorem 2.2). bias: |mean of g_B - grad f|.
    Raises Diverged when a gradient is not finite.
    """
    each = example_gradients(problem).double()
    if not bool(each.isfinite().all()):
        raise Diverged("a gradient is not finite at the start")
    each -= each.mean(dim=0)  # (N, weights): deviations, whose batch means are g_B - grad f
    epochs = list(_deviations(each, batches, draws))
    squares = [deviation.square().sum(dim=1) for deviation in epochs]
    single = float(each.square().sum(dim=1).mean())
    size, batch = batches.size, batches.batch_size
    whole = 1.0 if batches.sampling == "replacement" else (size - batch) / max(size - 1, 1)
    found = [
        Quantity("variance", None, float(torch.cat(squares).mean())),
        Quantity("standard_error", None, _standard_error(squares, together=batches.sampling == "shuffle")),
        Quantity("theory", None, single / batch * whole),
        Quantity("single", None, single),
        Quantity("bias", None, float(torch.cat(epochs).mean(dim=0).norm())),
    ]
    if not all(math.isfinite(each.value) for each in found):
        raise Diverged("the scatter of the gradients is not finite at the start")
    return found


def example_gradients(problem: Problem) -> Tensor:
    """The gradient of each training example's loss, with the ridge term: (N, weights), the weights in the
    model's order."""
    weights = {name: weight.detach() for name, weight in problem.model.named_parameters()}
    x, y = problem.data.train_x, problem.data.train_y

    def loss(weights: dict[str, Tensor], inputs: Tensor, target: Tensor) -> Tensor:
        out = torch.func.functional_call(problem.model, weights, (inputs[None],))
        return problem.loss(out, target[None])

    of_each = torch.func.vmap(torch.func.grad(loss), in_dims=(None, 0, 0))
    rows = []
    for start in range(0, len(y), CHUNK):
        part = slice(start, start + CHUNK)
        found = of_each(weights, problem.data.prepare(x[part]), y[part])
        rows.append(torch.cat([gradient.flatten(1) for gradient in found.values()], dim=1))
    ridge = problem.config.ridge * torch.cat([weight.flatten() for weight in weights.values()])
    return torch.cat(rows) + ridge


def _deviations(each: Tensor, batches: Batches, draws: int) -> Iterator[Tensor]:
    """The mean of `each` (N, weights) over every whole batch, (batches, weights) an epoch, `draws` in all."""
    epoch = 0
    while draws > 0:
        drawn = [index for index in batches.epoch(epoch) if isinstance(index, Tensor)]  # no slices: in order
        whole = torch.stack([index for index in drawn if len(index) == batches.batch_size][:draws])
        yield each[whole].mean(dim=1)
        draws -= len(whole)
        epoch += 1


def _standard_error(epochs: list[Tensor], *, together: bool) -> float:
    """The standard error of the mean of all values, (batches,) an epoch.

    together: the batches of an epoch depend on each other, as they share out the examples, so that epochs
    are what is independent (of one alone, its batches are taken as if they were). Epochs may differ in
    size: the error of a ratio estimate (Cochran 1977, 6.3).
    """
    blocks = epochs if together and len(epochs) > 1 else list(torch.cat(epochs)[:, None])
    assert len(blocks) > 1
    mean = torch.cat(epochs).mean()
    errors = torch.stack([(block - mean).sum() for block in blocks])
    total = sum(len(block) for block in blocks)
    return float((errors.square().sum() * len(blocks) / (len(blocks) - 1)).sqrt() / total)


def autodiff(problem: Problem) -> list[Quantity]:
    """f at the present weights, its derivatives by backward differentiation, and how far finite differences
    with the steps h are from these; all in float64.

    value: f. backward: df/dw_i, x = i. forward_error: the largest of |(f(w + h e_i) - f(w))/h - df/dw_i| over
    the weights, divided by |grad f| (by 1 where that is 0), x = h; central_error: likewise of
    (f(w + h e_i) - f(w - h e_i))/2h. Raises Diverged when a value is not finite.
    """
    f = objective_function(problem)
    parts = [weight.detach().double().cpu().flatten() for weight in problem.model.parameters()]
    w = torch.cat(parts).requires_grad_()
    value = f(w)
    (gradient,) = torch.autograd.grad(value, w)
    if not bool(torch.cat([value[None], gradient]).isfinite().all()):
        raise Diverged("the objective or its gradient is not finite at the start")
    found = [Quantity("value", None, value.item())]
    found += [Quantity("backward", i, float(slope)) for i, slope in enumerate(gradient)]
    with torch.no_grad():
        for name, difference in (("forward_error", _forward), ("central_error", _central)):
            for h in STEPS:
                slopes = torch.stack([difference(f, w, h * unit) / h for unit in torch.eye(len(w)).double()])
                error = float((slopes - gradient).abs().max() / (gradient.norm() or 1.0))
                if not math.isfinite(error):
                    raise Diverged(f"the objective is not finite within {h:g} of the start")
                found.append(Quantity(name, h, error))
    return found


def _forward(f: Callable[[Tensor], Tensor], w: Tensor, step: Tensor) -> Tensor:
    return f(w + step) - f(w)


def _central(f: Callable[[Tensor], Tensor], w: Tensor, step: Tensor) -> Tensor:
    return (f(w + step) - f(w - step)) / 2
