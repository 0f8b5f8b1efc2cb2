"""What a run leaves as it found it: torch's state, the process, the random numbers of others."""

import logging
import os
import random
import signal
import sys
import warnings

import numpy as np
import pytest
import torch
from helpers.training import SMALL, TINY, configure, finish, interrupt
from hydra.core.global_hydra import GlobalHydra

from sgdlab.base.errors import UserError
from sgdlab.cli.train import main
from sgdlab.engine import device
from sgdlab.execution import validate
from sgdlab.execution.display.display import Display
from sgdlab.execution.run import runner


def state():
    """All that a caller might miss."""
    return {
        "torch random": torch.get_rng_state().tolist(),
        "numpy random": np.random.get_state()[1].tolist(),
        "python random": random.getstate(),
        "threads": torch.get_num_threads(),
        "interop threads": torch.get_num_interop_threads(),
        "dtype": torch.get_default_dtype(),
        "device": torch.get_default_device(),
        "grad": torch.is_grad_enabled(),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "matmul precision": torch.get_float32_matmul_precision(),
        "cudnn": [
            torch.backends.cudnn.enabled,
            torch.backends.cudnn.deterministic,
            torch.backends.cudnn.benchmark,
            torch.backends.cudnn.allow_tf32,
        ],
        "cuda matmul": torch.backends.cuda.matmul.allow_tf32,
        "argv": list(sys.argv),
        "path": list(sys.path),
        "environment": dict(os.environ),
        "folder": os.getcwd(),
        "signals": [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)],
        "hydra": GlobalHydra.instance().is_initialized(),
        "log handlers": list(logging.getLogger().handlers),
        "log level": logging.getLogger().level,
        "disabled loggers": [
            name for name in logging.root.manager.loggerDict if logging.getLogger(name).disabled
        ],
        "warning filters": list(warnings.filters),
        "hooks": [sys.excepthook, sys.stdout, sys.stderr],
    }


@pytest.fixture
def unusual(monkeypatch):
    """Settings that no default could restore by accident."""
    weight = torch.nn.Parameter(torch.zeros(1))
    torch.optim.SGD([weight]).step()  # torch imports parts of itself at the first step, which set variables
    cudnn, threads = torch.backends.cudnn, torch.get_num_threads()
    before = (cudnn.deterministic, cudnn.benchmark)
    cudnn.deterministic, cudnn.benchmark = False, True
    torch.set_num_threads(3)
    monkeypatch.setattr(sys, "argv", ["somebody's", "command"])
    monkeypatch.setenv("HYDRA_FULL_ERROR", "0")
    torch.manual_seed(4711)
    yield
    cudnn.deterministic, cudnn.benchmark = before
    torch.set_num_threads(threads)


def line(tmp_path, *words):
    return [*words, f"runs_dir={tmp_path}", "device=cpu", "--quiet"]


def ends(tmp_path):
    finish(configure(tmp_path, *SMALL, "optimizer=adam"))


def is_interrupted(tmp_path):
    interrupt(configure(tmp_path, *TINY), 10)


def diverges(tmp_path):
    assert finish(configure(tmp_path, *SMALL, "lr=1e30")).status == "diverged"


def draws_random_numbers(tmp_path):
    words = ("optimizer=custom", "optimizer.target=helpers.odd_optimizers:Plain", "+optimizer.kick=0.1")
    finish(configure(tmp_path, *TINY, *words))


def raises(tmp_path):
    words = (*TINY, "optimizer=custom", "optimizer.target=helpers.odd_optimizers:Fails")
    with pytest.raises(RuntimeError, match="broke down"):
        finish(configure(tmp_path, *words))


def command(tmp_path):
    assert main(line(tmp_path, *TINY)) == 0


def command_is_refused(tmp_path):
    for words in (["lr=-1"], ["lrr=1"], ["optimizer=adan"], ["-m", "lr=1,-1"], ["epochs="]):
        with pytest.raises(UserError):
            main(line(tmp_path, *TINY, *words))


def command_sweeps(tmp_path):
    assert main(line(tmp_path, "-m", *TINY, "seed=1,2")) == 0


def command_fails(tmp_path):
    words = (*TINY, "optimizer=custom", "optimizer.target=helpers.odd_optimizers:Fails")
    with pytest.raises(RuntimeError, match="broke down"):
        main(line(tmp_path, *words))


@pytest.mark.parametrize(
    "task",
    [
        ends,
        is_interrupted,
        diverges,
        draws_random_numbers,
        raises,
        command,
        command_is_refused,
        command_sweeps,
        command_fails,
    ],
)
def test_all_is_as_it_was(tmp_path, monkeypatch, unusual, task):
    monkeypatch.syspath_prepend(os.getcwd())  # a custom optimizer may add it
    before = state()
    task(tmp_path)
    after = state()
    assert {key: (before[key], after[key]) for key in before if before[key] != after[key]} == {}


def test_the_random_numbers_of_others_go_on(tmp_path):
    torch.manual_seed(1)
    expected = torch.rand(6)
    torch.manual_seed(1)
    first = torch.rand(3)
    finish(configure(tmp_path, *TINY))
    assert torch.equal(torch.cat([first, torch.rand(3)]), expected)


def test_a_run_does_not_depend_on_the_state_outside(tmp_path):
    texts = set()
    for name, seed, threads in (("a", 1, 1), ("b", 99, 2)):
        torch.manual_seed(seed)
        torch.set_num_threads(threads)
        words = ("optimizer=custom", "optimizer.target=helpers.odd_optimizers:Plain", "+optimizer.kick=0.1")
        run = finish(configure(tmp_path / name, *TINY, *words))
        texts.add((run.folder / "train.csv").read_bytes())
    torch.set_num_threads(1)
    assert len(texts) == 1


def test_inside_the_settings_hold(unusual):
    with device.settings("cpu", threads=2, seed=7):
        assert torch.get_num_threads() == 2
        assert torch.backends.cudnn.deterministic and not torch.backends.cudnn.benchmark
        drawn = torch.rand(4)
    with device.settings("cpu", threads=1, seed=7):
        assert torch.equal(torch.rand(4), drawn)


def test_a_mistake_leaves_no_folder(tmp_path):
    for words in (["lr=-1"], ["batch_size=101"], ["-m", "seed=0,-1"]):
        with pytest.raises(UserError):
            main(line(tmp_path / "runs", *TINY, *words))
    assert not (tmp_path / "runs").exists()


def test_nothing_is_written_outside_the_runs_folder(tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    assert main(line(tmp_path / "runs", *TINY)) == 0
    assert main(line(tmp_path / "runs", "-m", "hydra/launcher=serial", *TINY, "seed=0,1")) == 0
    assert list((tmp_path / "here").iterdir()) == []
    assert {path.name for path in (tmp_path / "runs").iterdir()} == {"logistic_regression", "sweeps"}


def test_the_resolved_configuration_is_kept_and_makes_the_same_run(tmp_path):
    from omegaconf import OmegaConf

    from sgdlab.config.run_hash import run_hash

    run = finish(configure(tmp_path, *TINY, "optimizer=adam", "lr=0.02"))
    raw = OmegaConf.to_container(OmegaConf.load(run.folder / "config.yaml"))
    config = validate.prepare(validate.validate(raw))
    assert run_hash(config) == run.id and config.lr == 0.02
    assert runner.run(config, Display(quiet=True).begin()).cached
