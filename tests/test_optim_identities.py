"""Where two optimizers must be one: without momentum, without memory, without decay."""

import numpy as np
import pytest
import torch
from optimizer_cases import ROWS
from optimizer_problems import (
    START,
    STEPS,
    by_class,
    configured,
    quadratic_gradient,
    quadratic_loss,
    relative_error,
)

from sgdlab.optim import OPTIMIZERS

IMPLS = pytest.mark.parametrize("impl", ["torch", "rule"])


def path_of(name, loss=quadratic_loss, lr=0.05, impl="auto", **hypers):
    return by_class(configured(name, hypers, impl), lr, loss)


def constant(weights):
    """Its gradient is 1 wherever the weights are."""
    return sum(weight.sum() for weight in weights)


@IMPLS
def test_without_momentum_sgd_is_gradient_descent(impl):
    weights, expected = [start.copy() for start in START], []
    for _ in range(STEPS):
        weights = [w - 0.05 * g for w, g in zip(weights, quadratic_gradient(weights), strict=True)]
        expected.append(np.concatenate([w.ravel() for w in weights]))
    plain = path_of("sgd", momentum=0.0, impl=impl)
    np.testing.assert_allclose(plain.numpy(), np.stack(expected), rtol=1e-12)
    assert torch.equal(plain, path_of("sgd", momentum=0.0, dampening=0.5, impl=impl))


@pytest.mark.parametrize("name", ["polyak", "nesterov"])
def test_without_momentum_polyak_and_nesterov_are_sgd(name):
    assert torch.equal(path_of(name, momentum=0.0), path_of("sgd", impl="rule"))


def test_at_a_constant_learning_rate_polyak_is_torchs_momentum():
    error = relative_error(path_of("polyak", momentum=0.8), path_of("sgd", momentum=0.8, impl="torch"))
    assert error < 1e-12


def test_torchs_nesterov_has_the_look_ahead_points_for_its_weights():
    """w_t + b (w_t - w_{t-1}), at a constant learning rate (notes, section 2)."""
    b = 0.8
    ours, torchs = path_of("nesterov", momentum=b), path_of("sgd", momentum=b, nesterov=True, impl="torch")
    points = ours[1:] + b * (ours[1:] - ours[:-1])
    assert relative_error(torchs[1:], points) < 1e-12
    assert relative_error(torchs[1:], ours[1:]) > 0.01


def halved(made):
    return torch.optim.lr_scheduler.StepLR(made, 5, 0.5)


def test_a_change_of_lr_rescales_torchs_past_moves_and_not_polyaks():
    ours = by_class(configured("polyak", {"momentum": 0.8}), 0.05, quadratic_loss, scheduler=halved)
    torchs = by_class(configured("sgd", {"momentum": 0.8}), 0.05, quadratic_loss, scheduler=halved)
    assert relative_error(torchs[:5], ours[:5]) < 1e-12
    assert relative_error(torchs[5:6], ours[5:6]) > 0.01


@IMPLS
def test_adamw_without_decay_is_adam(impl):
    assert torch.equal(path_of("adamw", weight_decay=0.0, impl=impl), path_of("adam", impl=impl))
    decayed = [path_of(name, weight_decay=0.1, impl=impl) for name in ("adamw", "adam")]
    assert not torch.equal(*decayed)


@IMPLS
def test_amsgrad_is_adam_until_the_second_moment_falls(impl):
    assert torch.equal(
        path_of("adam", constant, amsgrad=True, impl=impl), path_of("adam", constant, impl=impl)
    )
    pair = [path_of("adam", betas=(0.9, 0.9), amsgrad=amsgrad, impl=impl) for amsgrad in (True, False)]
    assert not torch.equal(*pair)


@IMPLS
def test_without_memory_rmsprop_and_adam_step_along_the_sign(impl):
    start = torch.from_numpy(np.concatenate([s.ravel() for s in START]))
    signs = torch.from_numpy(np.sign(np.concatenate([g.ravel() for g in quadratic_gradient(START)])))
    forgetful = {"rmsprop": {"alpha": 0.0}, "adam": {"betas": (0.0, 0.0)}}
    for name, hypers in forgetful.items():
        path = path_of(name, eps=0.0, impl=impl, **hypers)
        torch.testing.assert_close(path[0], start - 0.05 * signs, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    "name", [name for name, entry in OPTIMIZERS.items() if "weight_decay" in entry.hypers]
)
def test_weight_decay_is_the_gradient_of_a_ridge(name):
    """Where it is part of the gradient; apart from it, it is something else."""

    def ridge(weights):
        return quadratic_loss(weights) + 0.05 * sum((weight**2).sum() for weight in weights)

    lr = ROWS[name].lr
    decayed, ridged = path_of(name, lr=lr, weight_decay=0.1), path_of(name, ridge, lr=lr, weight_decay=0.0)
    coupled = ROWS[name].coupled
    assert (relative_error(decayed, ridged) < 1e-9) == coupled
    if "decoupled_weight_decay" in OPTIMIZERS[name].hypers:
        apart = path_of(name, lr=lr, weight_decay=0.1, decoupled_weight_decay=True)
        assert relative_error(apart, ridged) > 1e-3
