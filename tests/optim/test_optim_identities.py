"""Where two optimizers must be one: without momentum, without memory, without decay."""

import numpy as np
import pytest
import torch
from helpers.optimizer_problems import (
    START,
    STEPS,
    by_class,
    configured,
    joined,
    parted,
    quadratic_gradient,
    quadratic_loss,
    relative_error,
)
from optimizer_cases import ROWS

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


def test_adam_without_average_of_the_gradient_and_correction_is_rmsprop():
    for change in ({}, {"eps": 1e-3, "eps_inside_root": True}, {"weight_decay": 0.1}):
        shared = {"lr": ROWS["rmsprop"].lr, **change}
        adam = path_of("adam", betas=(0.0, 0.9), bias_correction=False, **shared)
        assert relative_error(adam, path_of("rmsprop", alpha=0.9, **shared)) < 1e-10


def test_signsgd_is_adam_without_memory():
    """Compared until a weight steps over its minimum: from there on rounding decides the signs."""
    signs, adam = path_of("signsgd"), path_of("adam", betas=(0.0, 0.0), eps=0.0)
    torch.testing.assert_close(signs[:10], adam[:10], rtol=1e-12, atol=1e-12)
    decays = {"weight_decay": 0.1, "decoupled_weight_decay": True}
    adamw = path_of("adamw", betas=(0.0, 0.0), eps=0.0, weight_decay=0.1)
    torch.testing.assert_close(path_of("signsgd", **decays)[:10], adamw[:10], rtol=1e-12, atol=1e-12)


def test_under_a_constant_gradient_signum_and_adam_are_signsgd():
    """The average of equal gradients is the gradient."""
    signs = path_of("signsgd", constant)
    assert torch.equal(path_of("signsgd", constant, momentum=0.9), signs)
    torch.testing.assert_close(path_of("adam", constant, eps=0.0), signs, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", ["adam", "adamw", "nadam", "radam", "adagrad", "rmsprop"])
def test_where_epsilon_sits_matters_only_if_there_is_one(name):
    inside, outside = (path_of(name, eps=0.0, eps_inside_root=where, impl="rule") for where in (True, False))
    assert torch.equal(inside, outside)
    one, other = (path_of(name, eps=1e-2, eps_inside_root=where, impl="rule") for where in (True, False))
    assert relative_error(one, other) > 1e-4


def test_a_box_is_felt_at_its_walls_alone():
    free, wide = path_of("adam", impl="rule"), path_of("adam", box=(-100.0, 100.0))
    assert torch.equal(free, wide)
    tight = path_of("adam", box=(-0.5, 0.5))
    assert tight.abs().max() == 0.5 and not torch.equal(tight, free.clamp(-0.5, 0.5))


def test_radam_that_is_never_certain_is_momentum():
    """At b2 = 0.6 the average is never longer than 4 updates."""
    b1, m, w, expected = 0.8, 0.0, joined(START), []
    for t in range(1, STEPS + 1):
        m = b1 * m + (1 - b1) * joined(quadratic_gradient(parted(w)))
        w = w - 0.05 * m / (1 - b1**t)
        expected.append(w)
    assert relative_error(path_of("radam", betas=(b1, 0.6)), np.stack(expected)) < 1e-12


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
