"""Every optimizer against its formula in NumPy, and the properties that all of them share."""

import functools
import inspect
from importlib import import_module

import numpy as np
import optimizer_formulas as formulas
import pytest
import torch
from omegaconf import OmegaConf
from optimizer_cases import CASES, ROWS, case_id

from sgdlab import optim
from sgdlab.config import Optimizer, conf_dir, read_optimizer
from sgdlab.optim import CUSTOM, OPTIMIZERS
from sgdlab.optim.adapter import HessianOptimizer

STEPS = 60
EVERY_CASE = pytest.mark.parametrize(("name", "variant"), CASES, ids=case_id)
NAMES = pytest.mark.parametrize("name", OPTIMIZERS)


@functools.cache
def defaults(name):
    """The checked optimizer of conf/optimizer/NAME.yaml."""
    return optim.check(read_optimizer(yaml_of(name)))


@functools.cache
def yaml_of(name):
    return OmegaConf.to_container(OmegaConf.load(conf_dir() / "optimizer" / f"{name}.yaml"))


def configured(name, variant):
    base = defaults(name)
    return optim.check(Optimizer(name=name, default_lr=base.default_lr, hypers={**base.hypers, **variant}))


# Two problems on the weights W (2, 3) and b (3,): gradients (of W and b) and loss, in NumPy and torch alike.
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
    margin = SIGNS * (INPUTS @ weights[0] + weights[1])
    outer = -SIGNS / (1 + np.exp(margin)) / len(INPUTS)
    return [INPUTS.T @ outer, outer.sum(0)]


def logistic_loss(weights):
    inputs, signs = tensors([INPUTS, SIGNS], weights)
    margin = signs * (inputs @ weights[0] + weights[1])
    return torch.nn.functional.softplus(-margin).sum() / len(INPUTS)


def quadratic_hessian(weights):
    return np.diag(flat(CURVATURE))


def logistic_hessian(weights):
    """Task j has the weights W[:, j], b[j], and the Hessian X^T diag(s(1 - s)) X / N with X = (x, 1)."""
    inputs = np.column_stack([INPUTS, np.ones(len(INPUTS))])
    odds = 1 / (1 + np.exp(-(INPUTS @ weights[0] + weights[1])))
    hessian = np.zeros((9, 9))
    for j in range(3):
        own = [j, 3 + j, 6 + j]  # among W row by row, then b
        hessian[np.ix_(own, own)] = inputs.T @ (inputs * (odds * (1 - odds))[:, j : j + 1]) / len(INPUTS)
    return hessian


PROBLEMS = {
    "quadratic": (quadratic_gradient, quadratic_hessian, quadratic_loss),
    "logistic": (logistic_gradient, logistic_hessian, logistic_loss),
}


def flat(arrays):
    return np.concatenate([array.ravel() for array in arrays])


def parted(vector):
    return [vector[:6].reshape(2, 3), vector[6:]]


def by_torch(optimizer, lr, loss, *, fused, dtype=torch.float64, steps=STEPS):
    """All weights after each of the updates, the class built as the engine builds it."""
    weights = [torch.nn.Parameter(torch.tensor(start, dtype=dtype)) for start in START]
    made = optim.build(optimizer, lr, weights, fused=fused)
    path = []
    for _ in range(steps):

        def closure():
            made.zero_grad()
            value = loss(weights)
            if not isinstance(made, HessianOptimizer):  # which does it itself
                value.backward()
            return value

        made.step(closure)
        path.append(torch.cat([weight.detach().flatten() for weight in weights]).clone())
    return torch.stack(path)


def by_formula(row, hypers, gradient, hessian):
    weights, states, path = [start.copy() for start in START], [{}, {}], []
    for t in range(1, STEPS + 1):
        grads = gradient(weights)
        if row.hessian:
            state = {"hessian": hessian(weights)}
            weights = parted(row.formula(flat(weights), flat(grads), state, t, row.lr, hypers))
        else:
            each = zip(weights, grads, states, strict=True)
            weights = [row.formula(w, g, state, t, row.lr, hypers) for w, g, state in each]
        path.append(flat(weights))
    return np.stack(path)


@pytest.mark.parametrize("fused", [True, False], ids=["fused", "plain"])
@pytest.mark.parametrize("problem", PROBLEMS)
@EVERY_CASE
def test_the_class_computes_the_formula(name, variant, problem, fused):
    gradient, hessian, loss = PROBLEMS[problem]
    optimizer, row = configured(name, variant), ROWS[name]
    found = by_torch(optimizer, row.lr, loss, fused=fused).numpy()
    expected = by_formula(row, optimizer.hypers, gradient, hessian)
    error = np.abs(found - expected).max(1) / np.abs(expected).max(1)
    assert error.max() < 1e-10


@EVERY_CASE
def test_it_comes_nearer_to_the_minimum(name, variant):
    optimizer = configured(name, variant)
    path = by_torch(optimizer, ROWS[name].lr, logistic_loss, fused=True, steps=100)
    losses = [float(logistic_loss(parted(w))) for w in (path[0], path[-1])]
    downhill = losses[0] - losses[1]
    assert (-downhill if variant.get("maximize") else downhill) > 1e-3


@EVERY_CASE
def test_it_is_deterministic_and_keeps_the_dtype(name, variant):
    for dtype in (torch.float32, torch.float64):
        paths = [
            by_torch(configured(name, variant), ROWS[name].lr, quadratic_loss, fused=True, dtype=dtype)
            for _ in range(2)
        ]
        assert paths[0].dtype == dtype
        assert torch.equal(*paths)


@EVERY_CASE
def test_float32_stays_close_to_float64(name, variant):
    single, double = (
        by_torch(configured(name, variant), ROWS[name].lr, quadratic_loss, fused=True, dtype=dtype)
        for dtype in (torch.float32, torch.float64)
    )
    # 60 updates of a contracting map, each rounding to 6e-8; where a rule divides a small gradient by a
    # small root (Adadelta's start, a centred variance) that is amplified.
    torch.testing.assert_close(single.double(), double, rtol=1e-3, atol=1e-3)


def path_of(name, loss=quadratic_loss, lr=0.05, **hypers):
    return by_torch(configured(name, hypers), lr, loss, fused=True)


def test_without_momentum_sgd_is_gradient_descent():
    weights, expected = [start.copy() for start in START], []
    for _ in range(STEPS):
        weights = [w - 0.05 * g for w, g in zip(weights, quadratic_gradient(weights), strict=True)]
        expected.append(flat(weights))
    plain = path_of("sgd", momentum=0.0)
    np.testing.assert_allclose(plain.numpy(), np.stack(expected), rtol=1e-12)
    assert torch.equal(plain, path_of("sgd", momentum=0.0, dampening=0.5))


def test_adamw_without_decay_is_adam():
    assert torch.equal(path_of("adamw", weight_decay=0.0), path_of("adam", weight_decay=0.0))
    assert not torch.equal(path_of("adamw", weight_decay=0.1), path_of("adam", weight_decay=0.1))


def test_amsgrad_is_adam_until_the_second_moment_falls():
    def constant(weights):
        return sum(weight.sum() for weight in weights)

    assert torch.equal(path_of("adam", constant, amsgrad=True), path_of("adam", constant))
    assert not torch.equal(path_of("adam", betas=(0.9, 0.9), amsgrad=True), path_of("adam", betas=(0.9, 0.9)))


def test_without_memory_rmsprop_and_adam_step_along_the_sign():
    start = torch.from_numpy(flat(START))
    signs = torch.from_numpy(np.sign(flat(quadratic_gradient(START))))
    for path in (path_of("rmsprop", alpha=0.0, eps=0.0), path_of("adam", betas=(0.0, 0.0), eps=0.0)):
        torch.testing.assert_close(path[0], start - 0.05 * signs, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    "name", [name for name in OPTIMIZERS if "weight_decay" in OPTIMIZERS[name].hypers and name != "adamw"]
)
def test_weight_decay_is_the_gradient_of_a_ridge(name):
    def ridge(weights):
        return quadratic_loss(weights) + 0.05 * sum((weight**2).sum() for weight in weights)

    lr = ROWS[name].lr
    torch.testing.assert_close(
        path_of(name, lr=lr, weight_decay=0.1), path_of(name, ridge, lr=lr), rtol=1e-9, atol=1e-12
    )


def test_a_new_optimizer_is_a_line_a_yaml_and_a_row():
    files = {path.stem for path in (conf_dir() / "optimizer").glob("*.yaml")}
    assert files == set(OPTIMIZERS) | {CUSTOM}
    assert set(ROWS) == set(OPTIMIZERS)


@NAMES
def test_the_yaml_has_exactly_the_hyperparameters_of_the_table(name):
    raw = yaml_of(name)
    assert raw["name"] == name
    assert raw.keys() - {"name", "default_lr", "impl"} == OPTIMIZERS[name].hypers.keys()
    assert defaults(name).hypers.keys() == OPTIMIZERS[name].hypers.keys()


@NAMES
def test_the_cases_change_every_hyperparameter(name):
    base = defaults(name).hypers
    changed = {key for variant in ROWS[name].variants for key, value in variant.items() if value != base[key]}
    assert changed == OPTIMIZERS[name].hypers.keys()
    assert {} in ROWS[name].variants


@pytest.mark.parametrize("name", [name for name in OPTIMIZERS if OPTIMIZERS[name].torch])
def test_the_defaults_are_torchs(name):
    module, _, kind = OPTIMIZERS[name].torch.partition(":")
    signature = inspect.signature(getattr(import_module(module), kind))
    for key, value in defaults(name).hypers.items():
        assert value == signature.parameters[key].default, key


def test_the_customary_learning_rates():
    """torch's own, but for SGD (torch: 1e-3) and RMSProp (torch: 1e-2; Keras and most papers: 1e-3)."""
    found = {name: defaults(name).default_lr for name in OPTIMIZERS}
    expected = {"sgd": 0.1, "adam": 1e-3, "adamw": 1e-3, "adagrad": 1e-2, "rmsprop": 1e-3, "adadelta": 1.0}
    assert found == expected | {"newton": 1.0}


@NAMES
@pytest.mark.parametrize("fused", [True, False])
def test_fused_is_what_the_table_says(name, fused):
    made = optim.build(defaults(name), 0.1, [torch.nn.Parameter(torch.zeros(1))], fused=fused)
    assert bool(made.param_groups[0].get("fused")) == (fused and OPTIMIZERS[name].fused)
    assert made.param_groups[0]["lr"] == 0.1


def test_the_formulas_leave_their_arguments_alone():
    for name, row in ROWS.items():
        w, g = START[0].copy(), START[1].copy()
        row.formula(w[0], g, {"hessian": np.eye(3)}, 1, 0.1, defaults(name).hypers)
        assert (w == START[0]).all() and (g == START[1]).all()
    assert set(vars(formulas)) >= set(ROWS)
