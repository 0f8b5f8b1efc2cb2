"""Small real runs in this process, composed from conf/ as `sgdlab train` does: a tenth of a second each."""

import functools
import os
import signal
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import hydra
import pytest
import torch
from hydra.core.global_hydra import GlobalHydra
from hydra.types import RunMode

from sgdlab import problem
from sgdlab.base.signals import Interrupted
from sgdlab.config.options import conf_dir
from sgdlab.config.schema import Config
from sgdlab.engine import device
from sgdlab.execution import validate
from sgdlab.execution.display.display import Display
from sgdlab.execution.display.progress import Progress, RunLength
from sgdlab.execution.hydra.compose import Composer
from sgdlab.execution.hydra.launcher import register
from sgdlab.execution.run import run_cache, runner
from sgdlab.records import Run, read_run

# 20 updates an epoch of a 12,730-weight network on real images.
SMALL = (
    "dataset=fashion_mnist_small",
    "dataset.limit=640",
    "model.hidden=[16]",
    "batch_size=32",
    "epochs=2",
    "log_every=1",
    "eval_train=200",
)

# The same length without images, for tests of what surrounds the training.
TINY = (
    "dataset=logistic_regression",
    "dataset.samples=100",
    "dataset.test_samples=20",
    "dataset.features=3",
    "model=linear",
    "batch_size=5",
    "epochs=2",
    "log_every=1",
)


def composed(*overrides: str) -> dict[str, Any]:
    """The plain mapping that Hydra composes from conf/ and the overrides, but for an experiment's cases."""
    return composer(conf_dir()).compose(overrides)


@functools.cache  # reading a dozen files each time would take longer than a small run
def composer(conf: Path) -> Composer:
    """Composes each run as a job of one sweep, which gives what Hydra does (see test_compose)."""
    register()
    version = {"version_base": "1.3"} if hydra.__version__ < "1.4" else {}
    with hydra.initialize_config_dir(str(conf), **version):
        loader = GlobalHydra.instance().config_loader()
        return Composer(loader, loader.load_configuration("config", overrides=[], run_mode=RunMode.MULTIRUN))


def configure(runs_dir: Path, *overrides: str) -> Config:
    """A checked configuration, on the CPU unless the overrides say otherwise."""
    raw = composed("device=cpu", "quiet=true", *overrides)
    return validate.prepare(validate.validate(raw | {"runs_dir": str(runs_dir)}))


def train(runs_dir: Path, *overrides: str) -> Run:
    """Bring a run to its end and return its record."""
    return finish(configure(runs_dir, *overrides))


def finish(config: Config, progress: Progress | None = None) -> Run:
    """Bring the run of a checked configuration to its end, shown on a display, and return its record."""
    runner.run(config, progress or Display(quiet=True).begin())
    return read_run(run_cache.folder_of(config))


class Interrupts:
    """A `Progress` that sends the process a signal after this number of updates."""

    def __init__(self, at: int, number: int = signal.SIGINT) -> None:
        self.at, self.number = at, number
        self.started: list[RunLength] = []

    def say(self, text: str) -> None:
        print(text)

    def start(self, title: str, length: RunLength) -> None:
        self.started.append(length)

    def update(self, metrics: Mapping[str, Any]) -> None:
        if metrics["step"] == self.at:
            os.kill(os.getpid(), self.number)

    def evaluated(self, metrics: Mapping[str, Any]) -> None:
        return

    def close(self) -> None:
        return


def interrupt(config: Config, at: int, number: int = signal.SIGINT) -> Path:
    """Run this number of updates, stop by a signal, and return the folder.

    Checkpoints, and so reports to the display, come after every update; what is written when is no part
    of the run's hash.
    """
    with pytest.raises(Interrupted) as caught:
        runner.run(replace(config, checkpoint_every=0.0), Interrupts(at, number))
    assert caught.value.exit_code == 128 + number
    return run_cache.folder_of(config)


def curves(folder: Path) -> dict[str, bytes]:
    """The bytes of the files that must be the same whenever the same run is made."""
    names = ("train.csv", "eval.csv", "trajectory.csv")
    return {name: (folder / name).read_bytes() for name in names if (folder / name).exists()}


def problem_of(runs_dir: Path, *overrides: str) -> problem.Problem:
    """The problem of a configuration, on the CPU."""
    config = configure(runs_dir, *overrides)
    dtype = device.DTYPES[config.precision]
    return problem.build(config, device=torch.device("cpu"), dtype=dtype, log=print)
