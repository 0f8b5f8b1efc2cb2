"""Runs of sgdlab for benchmarks: configurations, a watch that keeps nothing, the clock of a loop."""

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


class Silent:
    """A Watch of the serial engine that keeps nothing but the time.

    seconds: from the evaluation before the first update to the last look at the losses, the loop alone;
    whole: of the engine, with the evaluations.
    """

    def __init__(self) -> None:
        self.seconds = self.whole = self._began = 0.0
        self.logged: list[float] = []

    def on_losses(self, rows: Sequence[Row], last: Row) -> None:
        self.seconds = clock() - self._began
        self.logged += [row.loss for row in rows]

    def on_evaluation(self, epoch: int, step: int, samples: int, result: object) -> None:
        if step == 0:
            self._began = clock()

    def on_trajectory_point(self, visit: object) -> None:
        return

    def checkpoint_due(self) -> bool:
        return False

    def on_checkpoint(self, state: object) -> None:
        return


def here(folder: Path, *words: str) -> Config:
    """The configuration that the words of a command make, on the CPU."""
    return replace(configure(*words, "device=cpu", "quiet=true"), runs_dir=str(folder))


def spread(base: Config, count: int) -> list[Config]:
    """So many runs with learning rates, momenta, seeds and, of a surface, starts of their own."""
    runs = []
    for number in range(count):
        share = number / max(1, count - 1)
        hypers = {**base.optimizer.hypers, "momentum": 0.9 * (number % 7) / 7}
        config = replace(base, lr=base.lr * (0.5 + share), optimizer=replace(base.optimizer, hypers=hypers))
        if base.batch_size == "full":
            start = (-1.2 + 0.4 * share, 1.0 - 0.4 * share)
            config = replace(config, model=replace(base.model, start=start))
        else:
            config = replace(config, seed=number)
        runs.append(config)
    return runs


def loop(config: Config) -> Silent:
    """A run by the serial engine, computed as `sgdlab train` computes it, and nothing kept."""
    dtype = device.DTYPES[config.precision]
    made = problem.build(config, device=torch.device("cpu"), dtype=dtype, say=print)
    batches = setup.batches(config, made.spec.train_size)
    how = setup.choose_implementation(config, batches.batch_size)
    watch = Silent()
    with matmul.using(how["matmul"]):
        ready = setup.trainer(config, made, batches, how["update"])
        began = clock()
        ready.run(watch)
    watch.whole = clock() - began
    return watch


def alone(configs: Sequence[Config], of: int) -> Callable[[], float]:
    """The serial engine on these runs, scaled to `of` runs: data loaded, nothing recorded."""

    def work() -> float:
        return sum(loop(config).whole for config in configs) * of / len(configs)

    return work


def together(configs: Sequence[Config], *, prepared: bool) -> Callable[[], float]:
    """The batched engine on these runs, nothing recorded: from their configurations, or when prepared."""

    def work() -> float:
        began = clock()
        _, ready = batch_run.prepare(configs, print)
        if prepared:
            began = clock()
        ready.run(NullCallback())
        return clock() - began

    return work
