"""Runs of sgdlab for benchmarks: configurations, a watch that keeps nothing, the clock of a loop."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import torch

from benchmarks.clock import clock
from sgdlab import assemble, batching, device, problem, runner
from sgdlab.api import configure
from sgdlab.config import Config
from sgdlab.engine.batched import Alone
from sgdlab.engine.serial import Trainer


class Silent:
    """A Watch of the serial engine that keeps nothing but the time.

    seconds: from the evaluation before the first update to the last look at the losses: the loop alone.
    """

    def __init__(self) -> None:
        self.seconds = self._began = 0.0
        self.first: list[float] = []

    def losses(self, rows: Sequence[object], last: object) -> None:
        self.seconds = clock() - self._began
        self.first = self.first or [row.loss for row in rows]  # type: ignore[attr-defined]

    def evaluated(self, epoch: int, step: int, samples: int, result: object) -> None:
        if step == 0:
            self._began = clock()

    def visited(self, visit: object) -> None:
        return

    def due(self) -> bool:
        return False

    def checkpoint(self, state: object) -> None:
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


def trainer(config: Config) -> Trainer:
    """The serial engine on a run, with its data loaded."""
    dtype = device.DTYPES[config.precision]
    made = problem.build(config, device=torch.device("cpu"), dtype=dtype, say=print)
    return runner._trainer(config, made, assemble.batches(config, made.spec.train_size))[0]


def alone(configs: Sequence[Config], of: int) -> Callable[[], float]:
    """The serial engine on these runs, scaled to `of` runs: data loaded, nothing recorded."""

    def work() -> float:
        seconds = 0.0
        for config in configs:
            ready = trainer(config)
            began = clock()
            ready.run(Silent())
            seconds += clock() - began
        return seconds * of / len(configs)

    return work


def together(configs: Sequence[Config], *, prepared: bool) -> Callable[[], float]:
    """The batched engine on these runs, nothing recorded: from their configurations, or when prepared."""

    def work() -> float:
        began = clock()
        _, ready = batching.prepare(configs, print)
        if prepared:
            began = clock()
        ready.run(Alone())
        return clock() - began

    return work
