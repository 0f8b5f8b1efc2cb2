"""OPTIMIZERS, the YAML files, the rules and torch's classes say the same; a row tests every setting."""

import inspect
from dataclasses import fields
from importlib import import_module

import numpy as np
import pytest
import torch
from helpers.optimizer_problems import START, defaults, yaml_of
from optimizer_cases import ROWS

from sgdlab import optim
from sgdlab.base.checks import Bool
from sgdlab.base.formatting import format_value
from sgdlab.config.options import conf_dir
from sgdlab.optim import EXTERNAL, OPTIMIZERS
from sgdlab.optim.adapter import rule_class
from sgdlab.optim.rule import Parameter, Rule

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


@WITH_TORCH
def test_the_defaults_are_torchs(name):
    entry = OPTIMIZERS[name]
    module, _, kind = entry.torch.partition(":")
    signature = inspect.signature(getattr(import_module(module), kind))
    for key, value in defaults(name).hypers.items():
        if key in entry.torch_only_when:
            assert value == entry.torch_only_when[key], key
        else:
            assert value == signature.parameters[entry.renamed.get(key, key)].default, key


def test_the_customary_learning_rates():
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


SAMPLE = (64, 64)  # of the matrix whose state is counted


def stored(rule):
    """The numbers that a rule stores per weight of a matrix."""
    if not isinstance(rule, Rule):  # Newton's, which has no state
        return 0
    state = Parameter.of(rule, "matrix", SAMPLE).init(torch.zeros(SAMPLE))
    return round(sum(value.numel() for value in state.values()) / (SAMPLE[0] * SAMPLE[1]), 2)


@WITH_RULE
def test_the_table_has_the_state_of_the_rule_and_of_every_setting_that_changes_it(name):
    entry, hypers = OPTIMIZERS[name], defaults(name).hypers
    rule = rule_class(entry)
    found = {"": stored(rule(**hypers))}
    for key, check in entry.hypers.items():
        choices = (True, False) if isinstance(check, Bool) else getattr(check, "names", ())
        for value in choices:
            changed = {**hypers, key: value}
            if not entry.refuse(changed) and stored(rule(**changed)) != found[""]:
                found[f"{key}={format_value(value)}"] = stored(rule(**changed))
    assert entry.state == found


def test_the_table_has_the_state_of_the_only_optimizer_without_a_rule():
    assert [name for name, entry in OPTIMIZERS.items() if entry.rule is None] == ["lbfgs"]
    weight = torch.nn.Parameter(torch.randn(SAMPLE, generator=torch.Generator().manual_seed(0)))
    scale = torch.linspace(1, 10, weight.numel()).view(SAMPLE)

    def closure():
        optimizer.zero_grad()
        loss = (scale * weight**2).sum() + (weight**4).sum()
        loss.backward()
        return loss

    optimizer = optim.build(defaults("lbfgs"), 1e-3, [weight], roles=["matrix"])
    for _ in range(10):  # of 20 iterations each: more than history_size
        optimizer.step(closure)
    state = optimizer.state[weight]
    tensors = [*state["old_dirs"], *state["old_stps"], state["d"], state["prev_flat_grad"]]
    assert sum(each.numel() for each in tensors) / weight.numel() == OPTIMIZERS["lbfgs"].state[""]
    others = {key: value for key, value in state.items() if isinstance(value, torch.Tensor)}
    assert {key for key, value in others.items() if value.numel() > 1} == {"d", "prev_flat_grad"}
