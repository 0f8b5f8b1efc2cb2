"""Runs of sgdlab for benchmarks: configurations, and both engines without records."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import torch

from benchmarks.clock import clock
from sgdlab import problem
from sgdlab.api import configure
from sgdlab.config.schema import Config
from sgdlab.engine import device, matmul, setup
from sgdlab.engine.batched.trainer import NullCallback
from sgdlab.engine.loop import Row
from sgdlab.execution.batch import batch_run


class TimingCallback:
    """A callback of the serial engine that keeps only times and losses.

    Attributes:
        seconds: of the loop alone, from the first evaluation to the last report of losses.
        total: seconds of the engine, with the evaluations.
        logged: the batch losses.
    """

    def __init__(self) -> None:
        self.seconds = self.total = self._began = 0.0
        self.logged: list[float] = []

    def on_losses(self, rows: Sequence[Row], last: Row) -> None:
        self.seconds = clock() - self._began
        self.logged += [row.loss for row in rows]

    def on_evaluation(self, epoch: int, step: int, samples: int, evaluations: int, result: object) -> None:
        if step == 0:
            self._began = clock()

    def on_trajectory_point(self, point: object) -> None:
        return

    def checkpoint_due(self) -> bool:
        return False

    def on_checkpoint(self, state: object) -> None:
        return


def configure_in(folder: Path, *overrides: str) -> Config:
    """Make a configuration of a quiet run on the CPU.

    Args:
        folder: the runs folder.
        overrides: as on the command line.

    Returns:
        The configuration.
    """
    return replace(configure(*overrides, "device=cpu", "quiet=true"), runs_dir=str(folder))


def vary(base: Config, count: int) -> list[Config]:
    """Vary learning rate and momentum of a run, and its seed or, on a surface, its start.

    Args:
        base: the run.
        count: how many variations.

    Returns:
        The configurations.
    """
    configs = []
    for number in range(count):
        fraction = number / max(1, count - 1)
        hypers = {**base.optimizer.hypers, "momentum": 0.9 * (number % 7) / 7}
        config = replace(
            base, lr=base.lr * (0.5 + fraction), optimizer=replace(base.optimizer, hypers=hypers)
        )
        if base.batch_size == "full":
            start = (-1.2 + 0.4 * fraction, 1.0 - 0.4 * fraction)
            config = replace(config, model=replace(base.model, start=start))
        else:
            config = replace(config, seed=number)
        configs.append(config)
    return configs


def run_loop(config: Config) -> TimingCallback:
    """Train a run with the serial engine, computed as `sgdlab train` computes it, without records."""
    dtype = device.DTYPES[config.precision]
    built = problem.build(config, device=torch.device("cpu"), dtype=dtype, log=print)
    batches = setup.batches(config, built.spec.train_size)
    implementation = setup.choose_implementation(config, batches.batch_size)
    callback = TimingCallback()
    with matmul.using(implementation["matmul"]):
        trainer = setup.trainer(config, built, batches, implementation["update"])
        began = clock()
        trainer.run(callback)
    callback.total = clock() - began
    return callback


def serial_engine(configs: Sequence[Config], count: int) -> Callable[[], float]:
    """Time the serial engine, without reading the data.

    Args:
        configs: the runs to train.
        count: the number of runs to which the time is scaled.

    Returns:
        The variant.
    """
    return lambda: sum(run_loop(config).total for config in configs) * count / len(configs)


def batched_engine(configs: Sequence[Config], *, prepared: bool) -> Callable[[], float]:
    """Time the batched engine, without records.

    Args:
        configs: the runs of the batch.
        prepared: count from when data and model are ready, not from the configurations.

    Returns:
        The variant.
    """

    def work() -> float:
        began = clock()
        _, trainer = batch_run.prepare(configs, print)
        if prepared:
            began = clock()
        trainer.run(NullCallback())
        return clock() - began

    return work
