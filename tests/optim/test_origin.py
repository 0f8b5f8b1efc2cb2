"""What a run's hash holds of an optimizer from elsewhere: its defaults, its source, its library's version."""

import importlib
import importlib.metadata
import inspect
import json
import sys
from dataclasses import replace

import pytest
import torch
from helpers.training import SMALL, TINY, configure, curves, finish, interrupt, train

from sgdlab import optim
from sgdlab.base.errors import UsageError, UserError
from sgdlab.cli.train import main
from sgdlab.config.reader import read
from sgdlab.config.run_hash import as_mapping, run_hash
from sgdlab.execution.run import run_cache
from sgdlab.optim import OPTIMIZERS, external, origin
from sgdlab.optim.settings import Optimizer
from sgdlab.records import differing, find_runs, read_run

ZOO = (*TINY, "optimizer=zoo", "optimizer.name=adan")
MINE = (*TINY, "optimizer=custom", "optimizer.target=mine:Mine")
SOURCE = """\
import torch
from theirs import Base

class Mine(Base):
    def __init__(self, params, lr, kick=0.5, betas=[0.9, 0.99], hook=print, limit=float("inf"), on=False):
        super().__init__(params, {"lr": lr, "kick": kick, "on": on})
"""
BASE = """\
import torch

class Base(torch.optim.Optimizer):
    @torch.no_grad()
    def step(self, closure):
        loss = closure()
        for group in self.param_groups:
            for weight in group["params"]:
                weight -= group["lr"] * group["kick"] * weight.grad
        return loss
"""


@pytest.fixture
def modules(tmp_path, monkeypatch):
    """A folder of modules, and a function that changes one of them as a new process would see it."""
    folder = tmp_path / "modules"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)

    def write(**sources):
        for name, text in sources.items():
            (folder / f"{name}.py").write_text(text)
        for name in ("mine", "theirs"):
            sys.modules.pop(name, None)
        importlib.invalidate_caches()

    write(mine=SOURCE, theirs=BASE)
    yield write
    for name in ("mine", "theirs"):
        sys.modules.pop(name, None)


@pytest.fixture
def library():
    return pytest.importorskip("pytorch_optimizer", reason="pytorch-optimizer is in the extras zoo and dev")


# Custom classes


def test_defaults_of_a_class_are_recorded_and_hashed(tmp_path, modules):
    run = train(tmp_path, *MINE)
    section = run.info["config"]["optimizer"]
    given = {"kick": 0.5, "betas": [0.9, 0.99], "on": False}  # what YAML can hold
    assert section.items() >= given.items() and not {"hook", "limit", "params", "lr"} & set(section)
    assert run.settings["optimizer.kick"] == 0.5
    for same in ("+optimizer.kick=0.5", "+optimizer.betas=[0.9,0.99]", "+optimizer.on=false"):
        assert configure(tmp_path, *MINE, same) == configure(tmp_path, *MINE)
    assert run_hash(configure(tmp_path, *MINE, "+optimizer.kick=1")) != run.id
    modules(mine=SOURCE.replace("kick=0.5", "kick=1.0"))
    hypers = configure(tmp_path, *MINE).optimizer.hypers
    assert hypers["kick"] == 1.0
    assert configure(tmp_path, *MINE, "+optimizer.kick=1") == configure(
        tmp_path, *MINE, "+optimizer.kick=1.0"
    )


def test_defaults_are_left_to_the_class(tmp_path, modules):
    modules(mine=SOURCE.replace("super()", "assert type(betas) is list and hook is print\n        super()"))
    assert train(tmp_path, *MINE, "+optimizer.kick=2").status == "done"


@pytest.mark.parametrize("module", ["mine", "theirs"])
def test_another_source_is_another_run(tmp_path, modules, module):
    first = train(tmp_path, *MINE)
    assert train(tmp_path, *MINE).folder == first.folder
    text = {"mine": SOURCE, "theirs": BASE}[module]
    modules(**{module: text + "# changed\n"})
    config = configure(tmp_path, *MINE)
    assert run_cache.lookup(config) is None
    second = finish(config)
    assert second.folder != first.folder and second.id == run_hash(config)
    digests = [run.info["config"]["optimizer"]["class"]["sha256"] for run in (first, second)]
    assert len(set(digests)) == 2 and all(len(digest) == 16 for digest in digests)
    modules(**{module: text})
    assert run_hash(configure(tmp_path, *MINE)) == first.id
    assert differing([first, second]) == ["optimizer.class.sha256"]


def test_the_origin_is_no_setting_in_a_legend(tmp_path, modules):
    other = (*MINE[:-1], "optimizer.target=helpers.odd_optimizers:Plain")
    runs = [train(tmp_path, *words) for words in (MINE, other)]
    assert "optimizer.target" in differing(runs) and "optimizer.class.sha256" not in differing(runs)


def test_a_source_that_changes_after_the_command_began_is_refused(tmp_path, modules):
    config = configure(tmp_path / "runs", *MINE)
    modules(mine=SOURCE.replace("kick=0.5", "kick=0.6"))
    with pytest.raises(
        UserError, match=r"optimizer\.target=mine:Mine: its source changed after the command began"
    ):
        finish(config)
    assert not find_runs(tmp_path / "runs")


def test_one_run_in_every_way_has_one_hash(tmp_path):
    """Alone, as a job in this process, in a process of its own, beside batches, and resumed."""
    words = (*TINY, "optimizer=custom", "optimizer.target=helpers.odd_optimizers:Plain")
    expected = {run_hash(configure(tmp_path, *words, f"seed={seed}")) for seed in (0, 1)}
    ways = {
        "serial": "hydra/launcher=serial",
        "local": "hydra.launcher.jobs=2",
        "auto": "hydra.launcher.batch=always",
    }
    for name, way in ways.items():
        line = ["-m", *words, "seed=0,1", way, f"runs_dir={tmp_path / name}", "quiet=true", "device=cpu"]
        assert main(line) == 0
        assert {run.id for run in find_runs(tmp_path / name)} == expected
    config = configure(tmp_path / "resumed", *words)
    folder = interrupt(config, at=13)
    assert finish(config).folder == folder and read_run(folder).id in expected
    assert curves(folder) == curves(train(tmp_path / "whole", *words).folder)


def test_a_class_of_torch_has_defaults_but_no_version_in_its_hash(tmp_path):
    config = configure(tmp_path, *TINY, "optimizer=custom", "optimizer.target=torch.optim:NAdam")
    assert config.optimizer.origin is None and "class" not in as_mapping(config)["optimizer"]
    assert config.optimizer.hypers["momentum_decay"] == 0.004
    run = finish(config)
    assert run.info["versions"]["torch"] == torch.__version__


def test_the_origin_is_recorded_and_not_set(tmp_path, modules):
    with pytest.raises(UsageError, match=r"optimizer\.class: is recorded, not set; leave it out"):
        configure(tmp_path, *MINE, "+optimizer.class={sha256:0}")
    config = configure(tmp_path, *MINE)
    assert read(as_mapping(config)) == config
    with pytest.raises(UsageError, match="class"):
        configure(tmp_path, *TINY, "+optimizer.class=3")


def test_an_installed_package_is_known_by_its_version_too(library):
    found = origin.source_of(library.Lion, "pytorch_optimizer")
    assert found["versions"] == {"pytorch-optimizer": importlib.metadata.version("pytorch-optimizer")}
    assert len(found["sha256"]) == 16
    assert origin.source_of(torch.optim.Adam, "torch.optim") == {}


def test_a_file_by_the_name_of_a_module_of_python_is_seen(tmp_path, modules, monkeypatch):
    """`test` is a package of Python's own, and a likely name for a first try."""
    monkeypatch.delitem(sys.modules, "test", raising=False)
    modules(test=SOURCE)
    config = configure(tmp_path, *MINE[:-1], "optimizer.target=test:Mine")
    sys.modules.pop("test")
    assert set(config.optimizer.origin) == {"sha256"}
    assert origin.source_of(type("Odd", (dict,), {"__module__": "collections"}), "collections") == {}


def test_a_class_without_a_file(monkeypatch):
    kind = type("Loose", (torch.optim.Optimizer,), {"__module__": "nowhere_to_be_found"})
    empty = origin.source_of(kind, "nowhere_to_be_found")["sha256"]
    assert len(empty) == 16


# The zoo


@pytest.mark.usefixtures("library")
def test_defaults_and_version_of_the_library_are_recorded_and_hashed(tmp_path, monkeypatch):
    run = train(tmp_path, *ZOO)
    section, version = run.info["config"]["optimizer"], importlib.metadata.version("pytorch-optimizer")
    assert section["class"] == {"versions": {"pytorch-optimizer": version}}
    assert section["weight_decay"] == 0.0 and section["betas"] == [0.98, 0.92, 0.99]
    assert run.info["versions"]["pytorch-optimizer"] == version
    assert run_cache.lookup(configure(tmp_path, *ZOO)) is not None
    assert run_cache.lookup(configure(tmp_path, *ZOO, "+optimizer.weight_decay=0")) is not None
    monkeypatch.setattr(origin, "version_of", lambda package: "99.0")
    assert run_cache.lookup(configure(tmp_path, *ZOO)) is None
    other = train(tmp_path, *ZOO)
    assert differing([run, other]) == ["optimizer.class.versions.pytorch-optimizer"]


@pytest.mark.usefixtures("library")
def test_other_defaults_of_the_library_are_another_run(tmp_path, monkeypatch):
    first = run_hash(configure(tmp_path, *ZOO))
    known = origin.arguments(external.external_class(configure(tmp_path, *ZOO).optimizer))
    monkeypatch.setattr(origin, "arguments", lambda kind: known | {"weight_decay": 0.25})
    assert run_hash(configure(tmp_path, *ZOO)) != first


def test_every_optimizer_of_the_zoo_can_be_recorded(library):
    """Its defaults are plain values: they go into JSON, and come back as the same settings."""
    for name in sorted(set(library.get_supported_optimizers()) - set(external.REFUSED)):
        hypers = {"name": name, "library": "pytorch-optimizer"}
        found = optim.resolve_external(Optimizer(name="zoo", default_lr=0.1, hypers=hypers))
        own = inspect.signature(library.load_optimizer(name)).parameters
        assert set(found.hypers) - set(hypers) <= set(own) - {"params", "lr"}, name
        assert json.loads(json.dumps(found.hypers, allow_nan=False)).keys() == found.hypers.keys()
        assert optim.resolve_external(replace(found, origin=None)) == found


# Our own


def test_a_runs_record_says_with_which_defaults_torch_ran(tmp_path):
    words = (*SMALL, "fast_path=false", "optimizer=adam")
    info = train(tmp_path, *words).info
    assert info["optimizer"]["impl"] == "torch"
    assert (
        info["optimizer"]["defaults"].items() >= {"fused": True, "foreach": None, "maximize": False}.items()
    )
    assert "eps" not in info["optimizer"]["defaults"] and "defaults" not in str(info["config"])


@pytest.mark.parametrize("name", [name for name, entry in OPTIMIZERS.items() if entry.torch])
def test_what_torchs_classes_compute_is_named_by_our_settings(name):
    """Arguments of torch's class that our table lacks say how it computes, or have their neutral value."""
    entry = OPTIMIZERS[name]
    module, _, kind = entry.torch.partition(":")
    rest = set(origin.arguments(getattr(importlib.import_module(module), kind))) - set(entry.hypers)
    neutral = {"foreach", "fused", "capturable", "differentiable", "maximize", "decoupled_weight_decay"}
    assert rest <= neutral
