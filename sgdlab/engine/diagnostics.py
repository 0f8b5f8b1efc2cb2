"""Measurements at a run's start, in place of training.

gradient_noise: the variance of batch gradients, and its theory. autodiff: the error of finite differences,
relative to backward differentiation.
"""

import math
from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from sgdlab.engine.loop import Diverged
from sgdlab.engine.sampling import Batches
from sgdlab.problem import CHUNK, Problem
from sgdlab.problem.minimum import objective_function

STEPS = tuple(10.0**-k for k in range(1, 13))  # h of the finite differences


class Quantity(NamedTuple):
    """One measured number; `x` is its abscissa (an index, a step size), None for a single number."""

    quantity: str
    x: float | None
    value: float


def gradient_noise(problem: Problem, batches: Batches, draws: int) -> list[Quantity]:
    """Measure how the gradients g_B of batches scatter about the full gradient, at the present weights.

    Args:
        problem: data, model and loss, at the weights of interest.
        batches: the batches of training, taken epoch after epoch, without an epoch's incomplete last batch.
        draws: number of batches.

    Returns:
        variance: the mean of |g_B - grad f|^2; standard_error: its standard error. single: s^2, the mean over
        all N examples of |g_i - grad f|^2. theory: s^2/B for examples drawn with replacement, times
        (N-B)/(N-1) for batches of distinct examples (Cochran, Sampling Techniques, 1977, theorem 2.2).
        bias: |mean of g_B - grad f|.

    Raises:
        Diverged: a gradient is not finite.
    """
    deviations = example_gradients(problem).double()
    if not bool(deviations.isfinite().all()):
        raise Diverged("a gradient is not finite at the start")
    deviations -= deviations.mean(dim=0)  # (N, weights), whose batch means are g_B - grad f
    epochs = list(_batch_means(deviations, batches, draws))
    squares = [mean.square().sum(dim=1) for mean in epochs]
    single = float(deviations.square().sum(dim=1).mean())
    size, batch = batches.size, batches.batch_size
    correction = 1.0 if batches.sampling == "replacement" else (size - batch) / max(size - 1, 1)
    quantities = [
        Quantity("variance", None, float(torch.cat(squares).mean())),
        Quantity("standard_error", None, _standard_error(squares, partition=batches.sampling == "shuffle")),
        Quantity("theory", None, single / batch * correction),
        Quantity("single", None, single),
        Quantity("bias", None, float(torch.cat(epochs).mean(dim=0).norm())),
    ]
    if not all(math.isfinite(quantity.value) for quantity in quantities):
        raise Diverged("the scatter of the gradients is not finite at the start")
    return quantities


def example_gradients(problem: Problem) -> Tensor:
    """Return the gradient of each training example's loss, with the ridge term: (N, weights), the weights in
    the model's order."""
    weights = {name: weight.detach() for name, weight in problem.model.named_parameters()}
    x, y = problem.data.train_x, problem.data.train_y

    def loss(weights: dict[str, Tensor], inputs: Tensor, target: Tensor) -> Tensor:
        out = torch.func.functional_call(problem.model, weights, (inputs[None],))
        return problem.loss(out, target[None])

    gradients_of = torch.func.vmap(torch.func.grad(loss), in_dims=(None, 0, 0))
    rows = []
    for start in range(0, len(y), CHUNK):
        part = slice(start, start + CHUNK)
        gradients = gradients_of(weights, problem.data.prepare(x[part]), y[part])
        rows.append(torch.cat([gradient.flatten(1) for gradient in gradients.values()], dim=1))
    ridge = problem.config.ridge * torch.cat([weight.flatten() for weight in weights.values()])
    return torch.cat(rows) + ridge


def _batch_means(rows: Tensor, batches: Batches, draws: int) -> Iterator[Tensor]:
    """Yield the means of rows (N, weights) over `draws` full batches: (batches, weights) for each epoch."""
    epoch = 0
    while draws > 0:
        drawn = [index for index in batches.epoch(epoch) if isinstance(index, Tensor)]  # not sequential
        full = torch.stack([index for index in drawn if len(index) == batches.batch_size][:draws])
        yield rows[full].mean(dim=1)
        draws -= len(full)
        epoch += 1


def _standard_error(epochs: list[Tensor], *, partition: bool) -> float:
    """Return the standard error of the mean of all values; `epochs` holds (batches,) values of each epoch.

    partition: the batches of an epoch partition the examples and so depend on each other; then only epochs
    are independent (the batches of a single epoch count as independent all the same). Epochs may differ in
    size: this is the error of a ratio estimate (Cochran 1977, 6.3).
    """
    blocks = epochs if partition and len(epochs) > 1 else list(torch.cat(epochs)[:, None])
    assert len(blocks) > 1
    mean = torch.cat(epochs).mean()
    errors = torch.stack([(block - mean).sum() for block in blocks])
    total = sum(len(block) for block in blocks)
    return float((errors.square().sum() * len(blocks) / (len(blocks) - 1)).sqrt() / total)


def autodiff(problem: Problem) -> list[Quantity]:
    """Compare backward differentiation with finite differences, at the present weights and in float64.

    Returns value: f. backward: df/dw_i, x = i. forward_error: the largest of
    |(f(w + h e_i) - f(w))/h - df/dw_i| over the weights, divided by |grad f| (by 1 where that is 0), x = h;
    central_error: the same for (f(w + h e_i) - f(w - h e_i))/2h.

    Raises:
        Diverged: a value is not finite.
    """
    f = objective_function(problem)
    parts = [weight.detach().double().cpu().flatten() for weight in problem.model.parameters()]
    w = torch.cat(parts).requires_grad_()
    value = f(w)
    (gradient,) = torch.autograd.grad(value, w)
    if not bool(torch.cat([value[None], gradient]).isfinite().all()):
        raise Diverged("the objective or its gradient is not finite at the start")
    quantities = [Quantity("value", None, value.item())]
    quantities += [Quantity("backward", i, float(slope)) for i, slope in enumerate(gradient)]
    differences: dict[str, Callable[[Tensor], Tensor]] = {
        "forward_error": lambda step: f(w + step) - f(w),
        "central_error": lambda step: (f(w + step) - f(w - step)) / 2,
    }
    with torch.no_grad():
        for name, difference in differences.items():
            for h in STEPS:
                difference_quotients = torch.stack(
                    [difference(h * unit) / h for unit in torch.eye(len(w)).double()]
                )
                error = float((difference_quotients - gradient).abs().max() / (gradient.norm() or 1.0))
                if not math.isfinite(error):
                    raise Diverged(f"the objective is not finite within {h:g} of the start")
                quantities.append(Quantity(name, h, error))
    return quantities
