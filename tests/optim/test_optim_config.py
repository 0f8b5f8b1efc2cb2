"""Hyperparameters and custom classes: what is refused, and how it is said."""

import sys

import pytest
import torch
from helpers import odd_optimizers
from helpers.training import TINY, composed, configure, curves, finish, interrupt, train

from sgdlab import optim
from sgdlab.base.errors import UsageError, UserError
from sgdlab.config.reader import read_optimizer
from sgdlab.optim import OPTIMIZERS
from sgdlab.optim.settings import Optimizer

SGD = {"momentum": 0.0, "dampening": 0.0, "nesterov": False, "weight_decay": 0.0, "maximize": False}
ADAM = {
    "betas": (0.9, 0.999),
    "eps": 1e-8,
    "eps_inside_root": False,
    "weight_decay": 0.0,
    "amsgrad": False,
    "bias_correction": True,
    "box": None,
}


def check(name, **hypers):
    return optim.check_optimizer(Optimizer(name=name, default_lr=0.1, hypers=hypers))


def refusal(name, **hypers):
    with pytest.raises(UsageError) as caught:
        check(name, **hypers)
    return str(caught.value)


def test_an_unknown_name_gets_the_nearest():
    assert "optimizer=adan: no such optimizer; did you mean adam?" in refusal("adan")
    assert "custom" in refusal("xyz")


def test_an_unknown_hyperparameter_gets_the_nearest_and_all_legal_ones():
    text = refusal("sgd", **SGD, momentun=0.9)
    assert "optimizer.momentun" in text and "did you mean momentum?" in text
    for name in OPTIMIZERS["sgd"].hypers:
        assert name in text
    assert "optimizer.amsgrad: sgd has no such hyperparameter" in refusal("sgd", **SGD, amsgrad=True)


@pytest.mark.parametrize(
    ("name", "change", "said"),
    [
        ("sgd", {"momentum": 1.5}, "optimizer.momentum=1.5: must be a number >= 0 and < 1"),
        ("sgd", {"momentum": 1}, "optimizer.momentum=1: must be a number >= 0 and < 1"),
        ("sgd", {"momentum": -0.1}, "optimizer.momentum=-0.1: must be a number >= 0 and < 1"),
        ("sgd", {"momentum": "much"}, "optimizer.momentum=much: must be a number >= 0 and < 1"),
        ("sgd", {"momentum": True}, "optimizer.momentum=true: must be a number >= 0 and < 1"),
        ("sgd", {"dampening": 1.1}, "optimizer.dampening=1.1: must be a number >= 0 and <= 1"),
        ("sgd", {"weight_decay": -1e-3}, "optimizer.weight_decay=-0.001: must be a number >= 0"),
        ("sgd", {"weight_decay": float("nan")}, "optimizer.weight_decay=nan: must be a finite number >= 0"),
        ("sgd", {"weight_decay": 10**400}, "must be a finite number >= 0"),
        ("sgd", {"nesterov": 1}, "optimizer.nesterov=1: must be true or false"),
        ("adam", {"betas": (0.9,)}, "optimizer.betas=[0.9]: must be a list of 2, not of 1"),
        ("adam", {"betas": (0.9, 1.0)}, "optimizer.betas=[0.9,1]: each member must be a number >= 0 and < 1"),
        ("adam", {"betas": 0.9}, "optimizer.betas=0.9: must be a list of 2"),
        ("adam", {"betas": "ab"}, "optimizer.betas=ab: must be a list of 2"),
        ("adam", {"eps": None}, "optimizer.eps=null: must be a number >= 0"),
    ],
)
def test_an_illegal_value_gets_its_range(name, change, said):
    text = refusal(name, **{"sgd": SGD, "adam": ADAM}[name] | change)
    assert said in text and "\n" not in text


def test_every_number_of_every_optimizer_is_checked():
    for name, entry in OPTIMIZERS.items():
        good = composed(f"optimizer={name}")["optimizer"]
        for key in entry.hypers:
            assert f"optimizer.{key}=never" in refusal(
                name, **read_optimizer({**good, key: "never"}).hypers
            ), (name, key)


@pytest.mark.parametrize(("momentum", "dampening"), [(0.0, 0.0), (0.9, 0.1), (0.0, 0.1)])
def test_nesterov_needs_momentum_without_dampening(momentum, dampening):
    text = refusal("sgd", **SGD | {"nesterov": True, "momentum": momentum, "dampening": dampening})
    assert "optimizer.nesterov=true: needs optimizer.momentum > 0 and optimizer.dampening=0" in text
    check("sgd", **SGD | {"nesterov": True, "momentum": 0.9})


def test_a_hyperparameter_taken_away_is_missed():
    assert refusal("sgd", momentum=0.9) == "optimizer.dampening is not set; give it a value"


def test_values_come_in_one_normal_form():
    """So that momentum=0 and momentum=0.0 are the same run."""
    made = check("adam", **ADAM | {"eps": 0, "betas": [0, 0.5]}).hypers
    assert repr(made["eps"]) == "0.0" and repr(made["betas"]) == "(0.0, 0.5)"


def custom(target, *more):
    return (*TINY, "optimizer=custom", f"optimizer.target={target}", *more)


def custom_refusal(tmp_path, target, *more):
    """What is said about a custom class; nothing may be left behind."""
    with pytest.raises(UserError) as caught:
        train(tmp_path / "runs", *custom(target, *more))
    assert not (tmp_path / "runs").exists()
    assert str(caught.value).startswith(f"optimizer.target={target}: ")
    return str(caught.value).removeprefix(f"optimizer.target={target}: ")


def test_a_class_of_torch_can_be_custom_and_gives_the_same_numbers(tmp_path):
    one = train(tmp_path, *TINY, "optimizer=adam", "lr=0.01")
    two = train(tmp_path, *custom("torch.optim:Adam", "lr=0.01"))
    assert one.id != two.id
    # fused and not, in float32
    torch.testing.assert_close(
        torch.tensor(one.train().loss), torch.tensor(two.train().loss), rtol=1e-5, atol=1e-6
    )


def test_further_arguments_reach_the_class(tmp_path):
    config = configure(tmp_path, *custom("helpers.odd_optimizers:Plain", "+optimizer.kick=0.25"))
    made = optim.build(config.optimizer, 0.5, [torch.nn.Parameter(torch.zeros(2))])
    assert type(made) is odd_optimizers.Plain
    assert made.param_groups[0]["kick"] == 0.25 and made.param_groups[0]["lr"] == 0.5


def test_the_class_may_lie_beside_the_command(tmp_path, monkeypatch):
    (tmp_path / "beside_the_command.py").write_text("from torch.optim import SGD as Mine\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry not in ("", str(tmp_path))])
    run = train(tmp_path / "runs", *custom("beside_the_command:Mine"))
    assert run.status == "done"
    assert sys.path[0] == str(tmp_path)
    del sys.modules["beside_the_command"]


def test_built_in_optimizers_leave_the_import_path_alone(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    before = list(sys.path)
    train(tmp_path / "runs", *TINY)
    assert sys.path == before


@pytest.mark.parametrize("target", ["SGD", "torch.optim.SGD", "torch.optim:", ":SGD", "torch.optim:a b"])
def test_a_target_of_the_wrong_form(tmp_path, target):
    with pytest.raises(UsageError, match=r"write it as package\.module:Class, like torch\.optim:NAdam"):
        configure(tmp_path, *TINY, "optimizer=custom", f'optimizer.target="{target}"')


def test_a_target_that_is_not_there(tmp_path):
    assert "cannot import no_such_module" in custom_refusal(tmp_path, "no_such_module:SGD")
    assert "did you mean Adam?" in custom_refusal(tmp_path, "torch.optim:Adamm")
    with pytest.raises(UsageError, match=r"optimizer\.target"):
        train(tmp_path, *TINY, "optimizer=custom", "optimizer.target=null")


def test_a_module_that_breaks_when_imported(tmp_path, monkeypatch):
    (tmp_path / "breaks_when_imported.py").write_text("x = = 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    said = custom_refusal(tmp_path, "breaks_when_imported:Mine")
    assert "cannot import breaks_when_imported: SyntaxError" in said and "line 1" in said


@pytest.mark.parametrize("name", ["NotAnOptimizer", "a_function"])
def test_what_is_not_an_optimizer_class(tmp_path, name):
    said = custom_refusal(tmp_path, f"helpers.odd_optimizers:{name}")
    assert said == "is not a class of torch.optim.Optimizer"


def test_arguments_that_the_class_does_not_take(tmp_path):
    said = custom_refusal(tmp_path, "helpers.odd_optimizers:Plain", "+optimizer.kik=1")
    assert said.startswith("refuses the arguments lr, kik: ") and said.endswith("It takes lr, kick")


def test_classes_that_the_engine_cannot_call(tmp_path):
    assert "hides lr" in custom_refusal(tmp_path, "helpers.odd_optimizers:KeepsItsLr")
    with pytest.raises(UserError, match=r"MovesWithoutGradients\.step\(closure\) did not call closure"):
        train(tmp_path, *custom("helpers.odd_optimizers:MovesWithoutGradients"))


@pytest.mark.parametrize(
    "name",
    ["TakesNoClosure", "IgnoresTheClosure", "IgnoresARequiredClosure", "TakesAnything", "ByConvention"],
)
def test_any_torch_optimizer_gets_its_gradients(tmp_path, name):
    plain, odd = (
        train(tmp_path, *custom(f"helpers.odd_optimizers:{each}", "lr=0.5")) for each in ("Plain", name)
    )
    assert (odd.folder / "train.csv").read_bytes() == (plain.folder / "train.csv").read_bytes()
    assert (odd.folder / "eval.csv").read_text() == (plain.folder / "eval.csv").read_text()


@pytest.mark.parametrize("name", ["Sharp", "SharpAlways"])
def test_gradients_and_a_closure_where_both_are_wanted(tmp_path, name):
    words = custom(f"helpers.odd_optimizers:{name}", "+optimizer.rho=0.05", "scheduler=cosine")
    whole = train(tmp_path / "whole", *words)
    config = configure(tmp_path / "parts", *words)
    folder = interrupt(config, at=7)
    assert curves(finish(config).folder) == curves(whole.folder) and folder.is_dir()
    losses = whole.train().loss
    assert losses.iloc[-5:].mean() < losses.iloc[:5].mean()


def test_the_recorded_loss_does_not_depend_on_what_step_returns(tmp_path):
    plain, silent, ahead = (
        train(tmp_path, *custom(f"helpers.odd_optimizers:{name}", "lr=0.5", "batch_size=full", "epochs=20"))
        for name in ("Plain", "ReturnsNothing", "LooksAhead")
    )
    assert len(plain.train()) == 20
    assert (silent.folder / "train.csv").read_bytes() == (plain.folder / "train.csv").read_bytes()
    # With all examples in a batch, two moves an update are every second point of the same path.
    assert ahead.train().loss.tolist()[:10] == pytest.approx(plain.train().loss.tolist()[::2], rel=1e-6)


@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_a_learning_rate_that_is_no_float_is_recorded_like_one(tmp_path, precision):
    plain, *others = (
        train(tmp_path, *custom(f"helpers.odd_optimizers:{name}", "lr=0.3", f"precision={precision}"))
        for name in ("Plain", "KeepsTensor", "KeepsNumpy")
    )
    for other in others:
        assert (other.folder / "train.csv").read_bytes() == (plain.folder / "train.csv").read_bytes()


@pytest.mark.parametrize("key", ["lr", "params"])
def test_what_the_engine_passes_itself_is_no_keyword_of_a_custom_class(tmp_path, key):
    words = ("optimizer=custom", "optimizer.target=torch.optim:Adam", f"+optimizer.{key}=3")
    with pytest.raises(UsageError, match=rf"optimizer\.{key}: is not a keyword"):
        configure(tmp_path, *TINY, *words)
