"""`from sgdlab.optim import Adam`: the rules as optimizers in a training loop of somebody's own."""

import copy
import doctest
import inspect
import pickle
import subprocess
import sys

import pytest
import torch
from helpers.optimizer_problems import (
    by_class,
    closure_of,
    configured,
    defaults,
    flat,
    logistic_loss,
    parameters,
)
from optimizer_cases import ROWS

from sgdlab import optim
from sgdlab.optim import OPTIMIZERS, adapter
from sgdlab.optim.adapter import RuleOptimizer, optimizer_class, rule_class
from sgdlab.optim.rule import LookAheadRule, Rule

RULES = {name: rule_class(entry) for name, entry in OPTIMIZERS.items() if entry.rule}
EVERY_RULE = pytest.mark.parametrize("name", RULES)
# Those that take a parameter after the other, in groups; tests/test_newton.py has the others.
NAMES = pytest.mark.parametrize("name", [name for name, rule in RULES.items() if issubclass(rule, Rule)])


def made(name, dtype=torch.float64, **hypers):
    weights = parameters(dtype)
    groups = [{"params": [w], "role": role} for w, role in zip(weights, ("matrix", "vector"), strict=True)]
    return weights, optimizer_class(name)(groups, **{"lr": ROWS[name].lr, **hypers})


def advanced(optimizer, weights, steps=3):
    for _ in range(steps):
        optimizer.step(closure_of(optimizer, weights, logistic_loss))
    return flat(weights)


def test_every_rule_has_a_class_by_its_name():
    for name, rule in RULES.items():
        kind = getattr(optim, rule.__name__)
        assert issubclass(kind, torch.optim.Optimizer) and kind is optimizer_class(name)
        assert kind.__name__ in dir(optim)
    assert {"OPTIMIZERS", "build", "check_optimizer"} <= set(dir(optim))


def test_an_unknown_class_gets_the_nearest():
    with pytest.raises(AttributeError, match=r"no attribute 'Adm'; did you mean Adam\?"):
        optim.Adm  # noqa: B018
    with pytest.raises(AttributeError):
        optim.__path_of_nothing__  # noqa: B018
    code = "import sgdlab.optim, sys; sys.exit('torch' in sys.modules or 'Adam' not in dir(sgdlab.optim))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.skipif(sys.version_info < (3, 12), reason="Python 3.11 makes no suggestions for imports")
def test_an_unknown_class_that_is_imported_gets_the_nearest():
    code = "from sgdlab.optim import Adm"
    said = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True).stderr
    assert "Did you mean: 'Adam'?" in said


@EVERY_RULE
def test_help_shows_the_hyperparameters_and_the_rules_text(name):
    kind = optimizer_class(name)
    shown = inspect.signature(kind).parameters
    assert next(iter(shown)) == "params"
    assert {key: value.default for key, value in shown.items() if key != "params"} == {
        "lr": defaults(name).default_lr,
        **defaults(name).hypers,
    }
    assert inspect.getdoc(kind) == inspect.getdoc(RULES[name])


@EVERY_RULE
def test_the_docstring_names_every_hyperparameter_and_a_source(name):
    """Symbols, initial state, update, arguments, what torch or the paper does otherwise, citation."""
    text = inspect.getdoc(RULES[name])
    places = [text.index(f"\n    {part} ") for part in ("symbols", "state", "update")]
    assert places == sorted(places)
    for key in ["lr", *OPTIMIZERS[name].hypers]:
        assert key in text, key
    assert any(year in text for year in map(str, range(1960, 2027)))


def test_the_doctest():
    result = doctest.testmod(adapter)
    assert result.attempted > 5 and result.failed == 0


@NAMES
def test_copies_go_on_alike(name):
    weights, one = made(name)
    advanced(one, weights)
    for other_weights, two in (copy.deepcopy((weights, one)), pickle.loads(pickle.dumps((weights, one)))):
        assert type(two) is type(one)
        before = [w.detach().clone() for w in weights]
        state = copy.deepcopy(one.state_dict())
        assert torch.equal(advanced(two, other_weights), advanced(one, weights))
        with torch.no_grad():
            for w, value in zip(weights, before, strict=True):
                w.copy_(value)
        one.load_state_dict(state)


@NAMES
def test_groups_have_hyperparameters_of_their_own(name):
    """Each group moves as it would alone."""
    lrs, paths = (ROWS[name].lr, ROWS[name].lr / 3), []
    for lr in lrs:
        weights, one = made(name, lr=lr)
        advanced(one, weights)
        paths.append(weights)

    def apart(weights):  # no group's gradient depends on another's weights
        return sum((w**2).sum() for w in weights)

    def updated(groups, weights):
        optimizer = optimizer_class(name)(groups, lr=lrs[0])
        for _ in range(3):
            optimizer.step(closure_of(optimizer, weights, apart))
        return weights

    both = parameters()
    both = updated(
        [{"params": [both[0]], "role": "matrix"}, {"params": [both[1]], "role": "vector", "lr": lrs[1]}], both
    )
    for i, (role, lr) in enumerate(zip(("matrix", "vector"), lrs, strict=True)):
        alone = parameters()
        updated([{"params": [alone[i]], "role": role, "lr": lr}], alone)
        assert torch.equal(alone[i], both[i])


@NAMES
def test_a_weight_without_a_gradient_stays(name):
    weights, optimizer = made(name)
    start = weights[1].detach().clone()

    def closure():
        optimizer.zero_grad()
        (weights[0] ** 2).sum().backward()

    optimizer.step(closure)
    assert torch.equal(weights[1], start)
    assert not torch.equal(weights[0], parameters()[0])


@NAMES
def test_with_and_without_a_closure(name):
    ahead = issubclass(RULES[name], LookAheadRule)
    weights, optimizer = made(name)
    logistic_loss(weights).backward()
    if ahead:
        with pytest.raises(ValueError, match=r"step: needs a closure"):
            optimizer.step()
        return
    assert optimizer.step() is None
    other, second = made(name)
    assert second.step(closure_of(second, other, logistic_loss)) == logistic_loss(parameters())
    assert torch.equal(flat(weights), flat(other))


def test_a_closure_that_fails_leaves_the_weights_where_they_were():
    weights, optimizer = made("nesterov")
    advanced(optimizer, weights)
    before = flat(weights)

    def closure():
        raise RuntimeError("no gradient today")

    with pytest.raises(RuntimeError, match="no gradient today"):
        optimizer.step(closure)
    assert torch.equal(flat(weights), before)


@NAMES
def test_a_learning_rate_may_be_a_tensor(name):
    paths = [advanced(*made(name, lr=lr)[::-1]) for lr in (0.125, torch.tensor(0.125))]
    assert torch.equal(*paths)


def test_the_class_is_what_impl_rule_builds():
    name = "sgd"
    weights, optimizer = made(name, momentum=0.5)
    built = by_class(configured(name, {"momentum": 0.5}, "rule"), ROWS[name].lr, logistic_loss, steps=3)
    assert torch.equal(advanced(optimizer, weights), built[-1])


@pytest.mark.parametrize(
    ("hypers", "said"),
    [
        ({"momentun": 0.9}, r"momentun: SGD has no such hyperparameter; did you mean momentum\?"),
        ({"momentum": 1.5}, r"momentum=1.5: must be a number >= 0 and < 1"),
        ({"lr": -1}, r"lr=-1: must be a number >= 0"),
        ({"lr": "fast"}, r"lr=fast: must be a number >= 0"),
        ({"lr": float("nan")}, r"lr=nan: must be a finite number >= 0"),
        ({"nesterov": True}, r"^nesterov=true: needs momentum > 0 and dampening=0"),
        ({"foreach": True}, r"foreach: SGD has no such hyperparameter"),
    ],
)
def test_what_is_refused(hypers, said):
    with pytest.raises(ValueError, match=said):
        optim.SGD(parameters(), **hypers)
    optimizer = optim.SGD(parameters()[:1])
    with pytest.raises(ValueError, match=said):
        optimizer.add_param_group({"params": parameters()[1:], **hypers})
    assert len(optimizer.param_groups) == 1


def test_complex_weights_and_sparse_gradients_are_refused():
    weight = torch.nn.Parameter(torch.zeros(2, dtype=torch.complex64))
    with pytest.raises(ValueError, match="a parameter is complex"):
        optim.SGD([weight])
    real = torch.nn.Parameter(torch.zeros(2))
    optimizer = optim.SGD([real])
    with pytest.raises(ValueError, match="a parameter is complex"):
        optimizer.add_param_group({"params": [weight]})
    assert len(optimizer.param_groups) == 1
    real.grad = torch.zeros(2).to_sparse()
    with pytest.raises(ValueError, match="a gradient is sparse"):
        optimizer.step()


def test_the_adapter_itself_has_no_rule():
    assert "rule" not in vars(RuleOptimizer) and "entry" not in vars(RuleOptimizer)
