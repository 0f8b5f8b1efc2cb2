"""optimizer=zoo: pytorch-optimizer's, by name; what is refused, and that the rest can be trained with."""

import inspect
import sys

import pytest
import torch
from helpers.training import SMALL, TINY, configure, curves, finish, interrupt, train

from sgdlab import optim
from sgdlab.base.errors import UsageError, UserError
from sgdlab.config.reader import read
from sgdlab.config.run_hash import as_mapping, run_hash, slug
from sgdlab.execution.hydra import overrides
from sgdlab.optim.external import REFUSED
from sgdlab.optim.settings import Optimizer

ROLES = ["input", "vector", "matrix", "vector", "head", "vector"]
ZOO = (*TINY, "optimizer=zoo", "optimizer.name=soap")


@pytest.fixture
def library():
    return pytest.importorskip("pytorch_optimizer", reason="pytorch-optimizer is in the extras zoo and dev")


def refusal(tmp_path, *words):
    with pytest.raises(UserError) as caught:
        train(tmp_path / "runs", *TINY, "optimizer=zoo", *words)
    assert not (tmp_path / "runs").exists()
    return str(caught.value)


@pytest.mark.usefixtures("library")
def test_a_run_is_recorded_under_its_name_and_read_back(tmp_path):
    run = train(tmp_path, *ZOO, "+optimizer.precondition_frequency=2")
    config = configure(tmp_path, *ZOO, "+optimizer.precondition_frequency=2")
    assert run.status == "done" and run.settings["optimizer"] == "soap"
    assert slug(config) == "zoo-soap-lr0.001-bs5-s0"
    section = as_mapping(config)["optimizer"]
    given = {"name": "soap", "default_lr": 0.001, "impl": "auto", "library": "pytorch-optimizer"}
    assert section.items() >= (given | {"precondition_frequency": 2}).items()
    assert read(as_mapping(config)) == config
    others = [configure(tmp_path, *ZOO), configure(tmp_path, *ZOO[:-1], "optimizer.name=adam")]
    others += [configure(tmp_path, *TINY, "optimizer=adam", "lr=0.001")]
    assert len({run_hash(each) for each in (config, *others)}) == 4
    assert configure(tmp_path, *ZOO[:-1], "optimizer.name=SOAP") == configure(tmp_path, *ZOO)


@pytest.mark.usefixtures("library")
def test_its_adam_is_adam(tmp_path):
    ours = train(tmp_path, *TINY, "optimizer=adam", "lr=0.01")
    theirs = train(tmp_path, *ZOO[:-1], "optimizer.name=adam", "lr=0.01")
    assert theirs.train().loss.tolist() == pytest.approx(ours.train().loss.tolist(), rel=1e-5)


@pytest.mark.usefixtures("library")
@pytest.mark.parametrize("name", ["soap", "lion", "came", "ademamix", "prodigy", "adamuon"])
def test_images_are_learnt_and_a_run_goes_on_from_its_checkpoint(tmp_path, name):
    words = (*SMALL, "model.hidden=[16,16]", "optimizer=zoo", f"optimizer.name={name}", "lr=0.003")
    whole = finish(configure(tmp_path / "whole", *words))
    losses = whole.train().loss
    assert losses.iloc[-5:].mean() < losses.iloc[0]
    config = configure(tmp_path / "parts", *words)
    folder = interrupt(config, at=13)
    finish(config)
    assert curves(folder) == curves(whole.folder)


def test_every_one_is_refused_or_makes_updates(library):
    names = library.get_supported_optimizers()
    assert set(REFUSED) <= set(names)
    # SARA moves weights below a threshold alone; RAdam none in its first five updates.
    needed = {"ranger21": {"num_iterations": 10}, "sara": {"threshold": 10.0}}
    for name in sorted(set(names) - set(REFUSED)):
        torch.manual_seed(0)
        net = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Linear(4, 4), torch.nn.Linear(4, 2))
        hypers = {"name": name, "library": "pytorch-optimizer", **needed.get(name, {})}
        chosen = optim.check_optimizer(Optimizer(name="zoo", default_lr=0.01, hypers=hypers))
        parameter = inspect.signature(library.load_optimizer(name)).parameters.get("lr")
        lr = (parameter and parameter.default) or 0.01
        made = optim.build(chosen, lr, net.parameters(), roles=ROLES)
        before = [w.detach().clone() for w in net.parameters()]

        def closure(made=made, net=net):
            made.zero_grad(set_to_none=True)
            with torch.enable_grad():
                loss = net(torch.ones(5, 3)).square().mean()
                loss.backward()
            return loss.detach()

        for _ in range(10):
            made.step(closure)
        moved = [not torch.equal(w, old) for w, old in zip(net.parameters(), before, strict=True)]
        assert any(moved), name
        assert all(w.isfinite().all() for w in net.parameters()), name


@pytest.mark.usefixtures("library")
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ["optimizer.name=sop"],
            "optimizer.name=sop: pytorch-optimizer has no such optimizer; did you mean soap?",
        ),
        (["optimizer.name=null"], "optimizer.name=null: must be a text of at least one character"),
        (["optimizer.name=7"], "optimizer.name=7: must be a text of at least one character"),
        (
            ["optimizer.name=adam", "optimizer.library=x"],
            "optimizer.library=x: no such value; one of: pytorch-optimizer",
        ),
        (["optimizer.name=adam", "+optimizer.lr=1"], "optimizer.lr: is not a keyword argument to pass on"),
        (
            ["optimizer.name=sophiah"],
            "optimizer.name=sophiah: cannot be used here: it differentiates twice and needs "
            "backward(create_graph=True)",
        ),
        (
            ["optimizer.name=ranger21"],
            "optimizer.name=ranger21: refuses the arguments lr: Ranger21.__init__() missing 1 required "
            "positional argument: 'num_iterations'\nIt takes num_iterations, ",
        ),
        (
            ["optimizer.name=adam", "+optimizer.betas=[2,3]"],
            "optimizer.name=adam: refuses the arguments lr, betas: ",
        ),
        (
            ["optimizer.name=soap", "+optimizer.wieght_decay=0.1"],
            "optimizer.name=soap: has no argument wieght_decay; did you mean weight_decay?\nIt takes lr, ",
        ),
        (
            ["optimizer.name=adam", "+optimizer.foo=1"],
            "optimizer.name=adam: has no argument foo\nIt takes lr",
        ),
        (["optimizer.name=muon"], "optimizer.name=muon: is for hidden matrices, and the model has none"),
    ],
)
def test_what_is_refused_before_training(tmp_path, words, said):
    assert refusal(tmp_path, *words).startswith(said)


def test_without_the_library_it_says_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pytorch_optimizer", None)  # as if it were not installed
    said = refusal(tmp_path, "optimizer.name=soap")
    assert "needs the library pytorch-optimizer" in said and said.endswith("pip install 'sgdlab[zoo]'")


def test_the_name_is_a_setting_of_the_zoo_alone():
    overrides.check_overrides(["optimizer=zoo", "optimizer.name=soap"])
    overrides.check_overrides(["optimizer.name=soap,lion", "optimizer=zoo"])
    for words in (
        ["optimizer.name=soap"],
        ["optimizer=adam", "optimizer.name=soap"],
        ["optimizer=zoo", "model.name=x"],
    ):
        with pytest.raises(UsageError, match="choose the option instead"):
            overrides.check_overrides(words)
