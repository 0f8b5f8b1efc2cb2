"""Every optimizer, by whoever computes it, against its formula in NumPy; the properties that all share."""

import numpy as np
import pytest
import torch
from helpers.optimizer_problems import (
    PROBLEMS,
    ROLES,
    START,
    STEPS,
    by_class,
    by_formula,
    closure_of,
    configured,
    default_dtype,
    flat,
    implementations,
    logistic_loss,
    parameters,
    parted,
    quadratic_gradient,
    quadratic_loss,
    relative_error,
)
from optimizer_cases import CASES, ROWS, WRITTEN, case_id

from sgdlab import optim
from sgdlab.base.checks import ListOf, Number
from sgdlab.optim import OPTIMIZERS
from sgdlab.optim.adapter import rule_class
from sgdlab.optim.rule import Parameter

WRITTEN_CASES = pytest.mark.parametrize(("name", "variant"), WRITTEN, ids=case_id)
EVERY_CASE = pytest.mark.parametrize(("name", "variant"), CASES, ids=case_id)
# A rule on each parameter apart: what the batched engine and the adapter share.
RULED = pytest.mark.parametrize(
    ("name", "variant"), [case for case in CASES if not OPTIMIZERS[case[0]].not_batched_reason], ids=case_id
)


@pytest.mark.parametrize("problem", PROBLEMS)
@WRITTEN_CASES
def test_whoever_computes_it_it_is_the_formula(name, variant, problem):
    """torch keeps a factor of NAdam in its default dtype: see `Entry.torch_inexact`."""
    problem = PROBLEMS[problem]
    lr, optimizer = ROWS[name].lr, configured(name, variant)
    expected = by_formula(name, optimizer.hypers, problem, [lr] * STEPS)
    who = implementations(optimizer)
    assert who
    for impl, fused in who:
        with default_dtype(torch.float64):
            found = by_class(configured(name, variant, impl), lr, problem.loss, fused=fused)
        assert relative_error(found, expected) < 1e-10, (impl, fused)


@EVERY_CASE
def test_it_comes_nearer_to_the_minimum(name, variant):
    path = by_class(configured(name, variant), ROWS[name].lr, logistic_loss, steps=100)
    losses = [float(logistic_loss(parted(w))) for w in (flat(parameters()), path[-1])]
    downhill = losses[0] - losses[1]
    assert (-downhill if variant.get("maximize") else downhill) > 1e-3


@EVERY_CASE
def test_it_is_deterministic_and_keeps_the_dtype(name, variant):
    """And float32 stays close to float64."""
    optimizer, lr = configured(name, variant), ROWS[name].lr
    for impl, fused in implementations(optimizer):
        single, again, double = (
            by_class(configured(name, variant, impl), lr, quadratic_loss, fused=fused, dtype=dtype, steps=20)
            for dtype in (torch.float32, torch.float32, torch.float64)
        )
        assert single.dtype == torch.float32 and double.dtype == torch.float64
        assert torch.equal(single, again)
        # 20 updates of a contracting map, each rounding to 6e-8; where a rule divides a small gradient by
        # a small root (Adadelta's start, a centred variance) that is amplified.
        torch.testing.assert_close(single.double(), double, rtol=1e-3, atol=1e-3)


@WRITTEN_CASES
def test_a_scheduled_learning_rate_is_the_formulas(name, variant):
    def scheduler(made):
        return torch.optim.lr_scheduler.StepLR(made, 7, 0.8)

    optimizer, lr = configured(name, variant), ROWS[name].lr
    rates = [lr * 0.8 ** (t // 7) for t in range(30)]
    expected = by_formula(name, optimizer.hypers, PROBLEMS["quadratic"], rates)
    for impl, fused in implementations(optimizer):
        made = configured(name, variant, impl)
        with default_dtype(torch.float64):
            found = by_class(made, lr, quadratic_loss, fused=fused, scheduler=scheduler, steps=30)
        assert relative_error(found, expected) < 1e-10, (impl, fused)


RUNS = 5


def spread(check, value):
    """One value a run, all of them different and legal; other than numbers stay common to all runs."""
    if isinstance(check, Number):
        return [value * (1 - 0.1 * run) if value else 0.02 * run for run in range(RUNS)]
    if isinstance(check, ListOf):
        return list(zip(*(spread(check.inner, member) for member in value), strict=True))
    return [value] * RUNS


def as_tensors(values):
    """Values a run as a rule takes them: a float64 tensor, a tuple of them, or the one that all have."""
    if values[0] == values[1]:
        return values[0]
    if isinstance(values[0], float):
        return torch.tensor(values, dtype=torch.float64)
    return tuple(map(as_tensors, zip(*values, strict=True)))


def settings_of(name, variant):
    """RUNS runs, each with a value of every numeric hyperparameter of its own, as far as that is legal."""
    entry, hypers = OPTIMIZERS[name], configured(name, variant).hypers
    spreads = {"lr": [ROWS[name].lr * (1 - 0.1 * run) for run in range(RUNS)]}
    for key, value in hypers.items():
        values = spread(entry.hypers[key], value)
        legal = not any(entry.refuse(hypers | {key: other}) for other in values)
        spreads[key] = values if legal else [value] * RUNS
    return spreads


def ruled(name, hypers):
    """The rules of the two parameters."""
    rule = rule_class(OPTIMIZERS[name])(**hypers)
    return [Parameter.of(rule, role, start.shape) for role, start in zip(ROLES, START, strict=True)]


def batched_rule(name, variant, dtype=torch.float64):
    """The runs as one: rules and weights."""
    rules = ruled(name, {key: as_tensors(values) for key, values in settings_of(name, variant).items()})
    starts = [np.stack([(1 + run) * start for run in range(RUNS)]) for start in START]
    return rules, [torch.tensor(start, dtype=dtype) for start in starts]


def path_of(rules, weights):
    """All weights, (*runs, 9), after each of the updates on the quadratic."""
    states, path = [rule.init(w) for rule, w in zip(rules, weights, strict=True)], []
    for _ in range(STEPS):
        points = [rule.point(*given) for rule, *given in zip(rules, states, weights, strict=True)]
        grads = map(torch.from_numpy, quadratic_gradient([point.numpy() for point in points]))
        updated = [rule.update(*given) for rule, *given in zip(rules, grads, states, weights, strict=True)]
        weights, states = [new for new, _ in updated], [state for _, state in updated]
        path.append(torch.cat([weights[0].flatten(-2), weights[1]], dim=-1))
    return torch.stack(path)


@RULED
def test_many_runs_as_one_are_the_runs_one_by_one(name, variant):
    """Each run has a start and hyperparameters of its own."""
    batched = path_of(*batched_rule(name, variant))
    spreads = settings_of(name, variant)
    for run in range(RUNS):
        rules = ruled(name, {key: values[run] for key, values in spreads.items()})
        alone = path_of(rules, [torch.from_numpy((1 + run) * start) for start in START])
        assert relative_error(batched[:, run], alone) < 1e-10


def bits(states, weights):
    return [value.clone() for state in states for value in state.values()] + [w.clone() for w in weights]


@RULED
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_rule_changes_nothing_it_is_given_and_keeps_the_dtype(name, variant, dtype):
    rules, weights = batched_rule(name, variant, dtype)
    states = [rule.init(w) for rule, w in zip(rules, weights, strict=True)]
    shapes = [value.shape for value in bits(states, weights)]
    for _ in range(3):
        before = bits(states, weights)
        given = [torch.ones_like(w) for w in weights]
        updated = [rule.update(g, s, w) for rule, g, s, w in zip(rules, given, states, weights, strict=True)]
        assert all(map(torch.equal, bits(states, weights), before))
        assert all(torch.equal(g, torch.ones_like(g)) for g in given)
        states, weights = [state for _, state in updated], [w for w, _ in updated]
        assert [value.shape for value in bits(states, weights)] == shapes
        assert all(w.dtype == dtype for w in weights)
        assert all(
            value.dtype == dtype
            for state, w in zip(states, weights, strict=True)
            for value in state.values()
            if value.shape == w.shape
        )


@EVERY_CASE
def test_a_state_dict_goes_on_with_the_same_bits(name, variant, tmp_path):
    for impl, fused in implementations(configured(name, variant)):
        made = [parameters(torch.float32) for _ in range(2)]
        one, two = (
            optim.build(configured(name, variant, impl), ROWS[name].lr, weights, roles=ROLES, fused=fused)
            for weights in made
        )
        for _ in range(5):
            one.step(closure_of(one, made[0], logistic_loss))
        torch.save({"weights": [w.data for w in made[0]], "state": one.state_dict()}, tmp_path / "state")
        kept = torch.load(tmp_path / "state", weights_only=True)
        for w, value in zip(made[1], kept["weights"], strict=True):
            w.data.copy_(value)
        two.load_state_dict(kept["state"])
        for optimizer, weights in ((one, made[0]), (two, made[1])):
            for _ in range(5):
                optimizer.step(closure_of(optimizer, weights, logistic_loss))
        assert torch.equal(flat(made[0]), flat(made[1])), (impl, fused)
