"""Other people's checks of optimizers, run against our classes, where their packages are installed.

torch ships the settings that its own optimizer tests go through, legal and illegal, in
torch.testing._internal.common_optimizers (which wants the package expecttest); pytorch-optimizer computes
signSGD and RAdam by code of its own. Its wheel has no test problems to run.
"""

import contextlib
import importlib
import io
import warnings

import pytest
import torch
from helpers.optimizer_problems import (
    by_class,
    configured,
    default_dtype,
    flat,
    logistic_loss,
    relative_error,
)

from sgdlab.optim import OPTIMIZERS
from sgdlab.optim.adapter import optimizer_class, rule_class
from sgdlab.optim.rule import MatrixRule, Rule

STEPS = 50
# A rule for matrices is told roles, which torch's inputs do not have; tests/test_muon.py compares those.
BOTH = [
    name
    for name, entry in OPTIMIZERS.items()
    if entry.torch and entry.rule and issubclass(rule_class(entry), Rule)
    if not issubclass(rule_class(entry), MatrixRule)
]
EVERY = pytest.mark.parametrize("name", BOTH)


@pytest.fixture(scope="module")
def database():
    """What torch says of each of its optimizers, by the name of the class."""
    pytest.importorskip("expecttest", reason="torch's own inputs for optimizer tests need expecttest")
    with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
        warnings.simplefilter("ignore")
        module = importlib.import_module("torch.testing._internal.common_optimizers")
    # The import forbids the whole process to set flags such as cudnn.deterministic, which a run does.
    torch.backends.flags_frozen.__globals__["__allow_nonbracketed_mutation_flag"] = True
    assert not torch.backends.flags_frozen()
    return {info.optim_cls.__name__: info for info in module.optim_db}


def info_of(name, database):
    return database[OPTIMIZERS[name].torch.partition(":")[2]]


def weights_of(dtype):
    """Matrix, vector, scalar, and a weight without members."""
    random = torch.Generator().manual_seed(5)
    shapes = ((4, 3), (5,), (), (0, 3))
    return [torch.nn.Parameter(torch.randn(shape, generator=random, dtype=dtype)) for shape in shapes]


def path_of(make, dtype, *, halfway=None):
    """All weights after each update along random gradients; halfway: what to do with the optimizer there."""
    random, weights, path = torch.Generator().manual_seed(6), weights_of(dtype), []
    optimizer = make(weights)
    for step in range(STEPS):
        for w in weights:
            w.grad = torch.randn(w.shape, generator=random, dtype=dtype)
        optimizer.step()
        path.append(flat(weights))
        if halfway and step == STEPS // 2:
            optimizer = halfway(optimizer, weights)
    return torch.stack(path)


def unknown_to_us(name, kwargs):
    """Keywords of torch's class that say how, not what, it computes; and `maximize` where we have it not."""
    return set(kwargs) - {"lr", *OPTIMIZERS[name].hypers}


@EVERY
def test_torchs_inputs_give_torchs_numbers(name, database):
    """Of one group, and of two with settings of their own and a state_dict that goes round halfway."""
    torchs, compared = info_of(name, database).optim_cls, 0
    for given in info_of(name, database).optim_inputs_func(device="cpu"):
        if unknown_to_us(name, given.kwargs):
            with pytest.raises(ValueError, match="no such hyperparameter"):
                optimizer_class(name)(weights_of(torch.float64), **given.kwargs)
            continue
        hypers = {"lr": 0.01, **given.kwargs}

        def one(weights, kind, hypers=hypers):
            return kind(weights, **hypers)

        def two(weights, kind, hypers=hypers):
            second = {"params": weights[1:], "lr": 0.02, "weight_decay": 0.3}
            return kind([{"params": weights[:1]}, second], **hypers)

        for make in (one, two):
            with default_dtype(torch.float64):
                theirs = path_of(lambda weights, make=make: make(weights, torchs), torch.float64)

            def ours(weights, make=make):
                return make(weights, optimizer_class(name))

            def reloaded(optimizer, weights, ours=ours):
                fresh = ours(weights)
                fresh.load_state_dict(optimizer.state_dict())
                return fresh

            halfway = reloaded if make is two else None
            assert relative_error(path_of(ours, torch.float64, halfway=halfway), theirs) < 1e-10, given.desc
            compared += 1
    assert compared >= 6


@EVERY
def test_what_torch_refuses_is_refused(name, database):
    """With the same kind of error; the text is torch's where the base class is who refuses."""
    refused = info_of(name, database).optim_error_inputs_func(device="cpu", dtype=torch.float32)
    assert len(refused) >= 6
    for given in refused:
        params = given.optimizer_error_input.params
        params = [torch.nn.Parameter(torch.zeros(1))] if params is None else params
        kwargs = given.optimizer_error_input.kwargs
        expect = pytest.warns if issubclass(given.error_type, Warning) else pytest.raises
        with expect(given.error_type, match=None if kwargs else given.error_regex):
            optimizer_class(name)(params, **kwargs)


def test_the_same_inputs_make_a_wrong_class_fail(database):
    """That the comparison can fail: Adam's numbers are not AdamW's."""
    given = {"lr": 0.01, "weight_decay": 0.1}
    theirs = path_of(lambda weights: torch.optim.AdamW(weights, **given), torch.float64)
    ours = path_of(lambda weights: optimizer_class("adam")(weights, **given), torch.float64)
    assert relative_error(ours, theirs) > 1e-3


def test_torch_rounds_nadam_where_the_table_says_so():
    """One factor of torch's NAdam has the default dtype, float32 here, and so `auto` is our rule."""
    ours = by_class(configured("nadam", {}), 0.01, logistic_loss)
    torchs = by_class(configured("nadam", {}, "torch"), 0.01, logistic_loss)
    assert 1e-12 < relative_error(torchs, ours) < 1e-6
    assert OPTIMIZERS["nadam"].torch_inexact


SIGNS = [
    {"momentum": 0.0},
    {"momentum": 0.9},
    {"momentum": 0.5, "weight_decay": 0.1, "weight_decouple": False},
    {"momentum": 0.5, "weight_decay": 0.1, "weight_decouple": True},
]


@pytest.fixture(scope="module")
def pytorch_optimizer():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip("pytorch_optimizer", reason="the extra `zoo` is not installed")


@pytest.mark.parametrize("given", SIGNS, ids=str)
def test_signsgd_is_that_of_pytorch_optimizer(given, pytorch_optimizer):
    ours = {"weight_decay": 0.0, "weight_decouple": False, **given, "lr": 0.01}
    ours["decoupled_weight_decay"] = ours.pop("weight_decouple")
    found = path_of(lambda weights: optimizer_class("signsgd")(weights, **ours), torch.float64)
    expected = path_of(lambda weights: pytorch_optimizer.SignSGD(weights, lr=0.01, **given), torch.float64)
    assert relative_error(found, expected) < 1e-10


@pytest.mark.parametrize("betas", [(0.9, 0.999), (0.8, 0.9)])
def test_radam_is_that_of_pytorch_optimizer(betas, pytorch_optimizer):
    """It can do without the division at first as the paper does (`degenerated_to_sgd`)."""
    given = {"lr": 0.01, "betas": betas}
    expected = path_of(
        lambda weights: pytorch_optimizer.RAdam(weights, degenerated_to_sgd=True, **given), torch.float64
    )
    found = path_of(lambda weights: optimizer_class("radam")(weights, **given), torch.float64)
    assert relative_error(found, expected) < 1e-10
