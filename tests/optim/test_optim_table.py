"""OPTIMIZERS, the YAML files, the rules and torch's classes say the same; a row tests every setting."""

import inspect
from dataclasses import fields
from importlib import import_module

import numpy as np
import pytest
import torch
from helpers.optimizer_problems import START, defaults, yaml_of
from optimizer_cases import ROWS
from torch.utils._pytree import tree_leaves

from sgdlab import optim
from sgdlab.base.checks import Bool
from sgdlab.base.formatting import format_value
from sgdlab.config.options import conf_dir
from sgdlab.optim import EXTERNAL, OPTIMIZERS
from sgdlab.optim.adapter import rule_class
from sgdlab.optim.rule import HessianRule, Parameter

NAMES = pytest.mark.parametrize("name", OPTIMIZERS)
WITH_RULE = pytest.mark.parametrize("name", [name for name, entry in OPTIMIZERS.items() if entry.rule])
WITH_TORCH = pytest.mark.parametrize("name", [name for name, entry in OPTIMIZERS.items() if entry.torch])


def test_a_new_optimizer_is_a_line_a_yaml_and_a_row():
    files = {path.stem for path in (conf_dir() / "optimizer").glob("*.yaml")}
    assert files == {*OPTIMIZERS, *EXTERNAL}
    assert set(ROWS) == set(OPTIMIZERS)


@NAMES
def test_the_yaml_has_exactly_the_hyperparameters_of_the_table(name):
    raw = yaml_of(name)
    assert raw["name"] == name
    assert raw.keys() - {"name", "default_lr", "impl"} == OPTIMIZERS[name].hypers.keys()
    assert defaults(name).hypers.keys() == OPTIMIZERS[name].hypers.keys()


@WITH_RULE
def test_the_rule_has_the_defaults_of_the_yaml(name):
    rule = {field.name: field.default for field in fields(rule_class(OPTIMIZERS[name]))}
    assert rule == {"lr": defaults(name).default_lr, **defaults(name).hypers}


@NAMES
def test_the_cases_change_every_hyperparameter(name):
    base = defaults(name).hypers
    variants = ROWS[name].variants + ROWS[name].unwritten
    changed = {key for variant in variants for key, value in variant.items() if value != base[key]}
    assert changed == OPTIMIZERS[name].hypers.keys()
    assert {} in ROWS[name].variants


def test_the_implementation_of_the_defaults_comes_first():
    assert OPTIMIZERS["adam"].implementations == ["torch", "rule"]
    assert OPTIMIZERS["nadam"].implementations == ["rule", "torch"]
    assert OPTIMIZERS["polyak"].implementations == ["rule"]
    for name, entry in OPTIMIZERS.items():
        assert optim.resolve_impl(defaults(name)) == entry.implementations[0], name


def test_an_optimizer_without_a_rule_is_never_batched():
    assert all(entry.rule or entry.not_batched_reason for entry in OPTIMIZERS.values())


@NAMES
def test_the_numbers_of_state_for_each_weight(name):
    """With the defaults, and with every other value of a flag or a choice that changes them."""
    entry, base = OPTIMIZERS[name], defaults(name).hypers
    expected = {"": numbers_of_state(name, base)}
    for key, check in entry.hypers.items():
        values = (True, False) if isinstance(check, Bool) else getattr(check, "names", ())
        for value in values if entry.rule else ():
            changed = base | {key: value}
            number = numbers_of_state(name, changed)
            if number != expected[""] and not entry.refuse(changed):
                expected[f"{key}={format_value(value)}"] = number
    assert entry.state == expected


def numbers_of_state(name, hypers, size=64):
    """Numbers that the optimizer keeps for each weight of a square matrix."""
    if OPTIMIZERS[name].rule is None:
        return measured(optim.build(defaults(name), 0.1, [weight := torch.nn.Parameter(draw(size))]), weight)
    rule = rule_class(OPTIMIZERS[name])(**hypers)
    if isinstance(rule, HessianRule):
        return 0
    state = Parameter.of(rule, "matrix", (size, size)).init(torch.zeros(size, size))
    return round(sum(value.numel() for value in state.values()) / size**2, 2)


def measured(optimizer, weight):
    """After updates that fill the state, along random gradients."""

    def closure():
        weight.grad = weight.detach() + draw(len(weight)) / 100
        return float(weight.detach().square().sum())

    for _ in range(50):
        optimizer.step(closure)
    tensors = {
        id(leaf): leaf for leaf in tree_leaves(optimizer.state[weight]) if isinstance(leaf, torch.Tensor)
    }
    return round(sum(tensor.numel() for tensor in tensors.values()) / weight.numel(), 2)


def draw(size, random=torch.Generator().manual_seed(0)):  # noqa: B008
    return torch.randn(size, size, generator=random)


@WITH_TORCH
def test_the_defaults_are_torchs(name):
    entry = OPTIMIZERS[name]
    module, _, kind = entry.torch.partition(":")
    signature = inspect.signature(getattr(import_module(module), kind))
    for key, value in defaults(name).hypers.items():
        if key in entry.torch_only_when:
            assert value == entry.torch_only_when[key], key
        else:
            assert value == signature.parameters[key].default, key


def test_the_default_learning_rates():
    """torch's own, but for SGD (torch: 1e-3) and RMSProp (torch: 1e-2; Keras and most papers: 1e-3)."""
    expected = {"sgd": 0.1, "rmsprop": 1e-3}
    assert defaults("newton").default_lr == 1.0
    for name, entry in OPTIMIZERS.items():
        if entry.torch:
            module, _, kind = entry.torch.partition(":")
            torchs = inspect.signature(getattr(import_module(module), kind)).parameters["lr"].default
            assert defaults(name).default_lr == expected.get(name, torchs)


@WITH_TORCH
@pytest.mark.parametrize("fused", [True, False])
def test_fused_is_what_the_table_says(name, fused):
    made = optim.build(
        defaults(name), 0.1, [torch.nn.Parameter(torch.zeros(1))], roles=["vector"], fused=fused
    )
    assert bool(made.param_groups[0].get("fused")) == (fused and OPTIMIZERS[name].fused)
    assert made.param_groups[0]["lr"] == 0.1


def test_the_formulas_leave_their_arguments_alone():
    for name, row in ROWS.items():
        w, g = START[0].copy(), START[1].copy()
        functions = {"loss": np.sum, "gradient": np.ones_like, "hessian": lambda w: np.eye(len(w))}
        row.formula(w[0], g, functions, 1, 0.1, defaults(name).hypers)
        assert (w == START[0]).all() and (g == START[1]).all()
