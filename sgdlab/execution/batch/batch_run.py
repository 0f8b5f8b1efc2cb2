"""Runs that share a batch, from their configurations to their folders.

Each run's folder holds what the serial engine would write. The folders appear when the batch has ended; an
interrupted batch leaves none. A run's seconds are its share: the batch's divided by the number of runs.
"""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from sgdlab import optim, problem
from sgdlab.base.files import disk_errors
from sgdlab.base.formatting import counted
from sgdlab.base.signals import Interrupted, SignalLog
from sgdlab.config.schema import Config
from sgdlab.engine import device, matmul, setup
from sgdlab.engine.batched.curves import Array
from sgdlab.engine.batched.functional import Weights
from sgdlab.engine.batched.trainer import BatchedTrainer
from sgdlab.execution.batch.batch_writer import BatchWriter
from sgdlab.execution.display.progress import Progress, RunLength
from sgdlab.execution.outcome import Outcome
from sgdlab.execution.run import run_cache, runner
from sgdlab.execution.run.recorder import EVALUATION_METRICS
from sgdlab.optim import batched_rule
from sgdlab.problem import models
from sgdlab.problem.settings import SurfaceModel

DISPLAY_SECONDS = 0.2  # between updates of the display


def prepare(configs: Sequence[Config], say: Callable[[str], None]) -> tuple[problem.Problem, BatchedTrainer]:
    """Build the problem and the engine of runs that share a batch.

    Args:
        configs: prepared configurations of one group of `planning.plan`.
        say: is told what a person should know, a download for example.

    Returns:
        The problem, and the engine at its start.

    Raises:
        UserError: the data cannot be had, or the optimizer does not fit the model.
    """
    first, where = configs[0], torch.device(configs[0].device)
    dtype = device.DTYPES[first.precision]
    built = problem.build(first, device=where, dtype=dtype, log=say)
    optim.refuse_incompatible(first.optimizer, list(built.roles.values()), built.spec.weights)
    batches = [setup.batches(config, built.spec.train_size) for config in configs]
    per_epoch = batches[0].per_epoch
    plan = setup.plan(first, per_epoch)
    scheduled = configs if len({config.scheduler for config in configs}) > 1 else configs[:1]
    trainer = BatchedTrainer(
        problem=built,
        weights=_initial_weights(configs, built.spec, dtype, where),
        rule=batched_rule.build_batched_rule(
            [config.optimizer for config in configs], [c.lr for c in configs], where
        ),
        factors=[setup.schedule(config, plan.total, per_epoch) or (lambda unit: 1.0) for config in scheduled],
        scheduled_by_epoch=first.scheduler.unit == "epochs",
        batches=batches,
        plan=plan,
    )
    return built, trainer


def _initial_weights(
    configs: Sequence[Config], spec: problem.Spec, dtype: torch.dtype, where: torch.device
) -> Weights:
    """Return the initial weights of all runs, (runs, *shape), by the names of the parameters."""
    indices: dict[Any, int] = {}  # of the distinct starts, each of which is built once
    drawn = not isinstance(configs[0].model, SurfaceModel)  # a surface's start does not depend on the seed
    starts = [(config.model, config.seed if drawn else 0) for config in configs]
    index = torch.tensor([indices.setdefault(start, len(indices)) for start in starts])
    built = [models.build(model, spec, seed=seed, dtype=dtype) for model, seed in indices]
    named = [dict(model.named_parameters()) for model in built]
    return {name: torch.stack([each[name].detach() for each in named])[index].to(where) for name in named[0]}


def run(
    configs: Sequence[Config],
    progress: Progress,
    signals: SignalLog,
    *,
    experiment: str | None = None,
    folders: Sequence[Path] = (),
    writers: int = 1,
) -> list[Outcome]:
    """Train runs as one batch and write their folders.

    Args:
        configs: prepared configurations of one group of `planning.plan`.
        progress: of the batch, which is reported to it.
        signals: of the process; checked after each update.
        experiment: the experiment that the runs belong to, for their records.
        folders: `run_cache.folder_of` each configuration, where the caller knows them.
        writers: processes that write the folders in parallel.

    Returns:
        How each run ended, in order.

    Raises:
        UserError: missing data, a full disk, too little memory.
        Interrupted: a signal came while the runs trained; then no folder is written.
    """
    first = configs[0]
    folders = folders or [run_cache.folder_of(config) for config in configs]
    settings = device.settings(first.device, threads=first.threads, seed=first.seed)
    with settings, disk_errors(folders[0].parent), device.memory_errors():
        backend = matmul.choose(first.matmul_backend, first.device, first.precision)
        built, trainer = prepare(configs, progress.say)
        common = runner.run_info(first, built, experiment)
        common["implementation"] = {"matmul": backend, "update": "batched"}
        callback = _Callback(progress, signals, trainer)
        title = f"{counted(len(configs), 'run')}: {first.dataset.name}, {first.model.name}"
        weights = counted(built.spec.weights, "weight")
        length = RunLength.of(first, trainer.curves.plan)
        progress.start(f"{title} ({weights}), {first.device}; the numbers are medians", length)
        try:
            with matmul.using(backend):
                trainer.run(callback)
        finally:
            progress.close()  # ends its thread before the processes that write are forked
        writer = BatchWriter(
            configs=configs,
            folders=folders,
            spec=built.spec,
            trainer=trainer,
            common=common,
            seconds=callback.seconds(),
            times=callback.times,
        )
        return writer.write(writers)


class _Callback:
    """The engine's `BatchCallback`: reports medians over the runs, records times, stops after a signal."""

    def __init__(self, progress: Progress, signals: SignalLog, trainer: BatchedTrainer) -> None:
        self.times: dict[int, float] = {}  # seconds since the start by evaluated step
        self._progress, self._signals, self._batches = progress, signals, trainer.curves.batches
        self._steps = trainer.curves.plan.total
        self._began, self._shown = time.perf_counter(), -DISPLAY_SECONDS

    def seconds(self) -> float:
        """Return the seconds since the batch began."""
        return time.perf_counter() - self._began

    def on_update(self) -> None:
        if self._signals.first is not None:
            raise Interrupted(self._signals.first)

    def on_losses(self, step: int, losses: Array) -> None:
        if self.seconds() - self._shown >= DISPLAY_SECONDS or step == self._steps:
            self._shown = self.seconds()
            epoch = -(-step // self._batches.per_epoch)
            samples, loss = self._batches.samples(step) * losses.size, _median(losses)
            self._progress.update({"step": step, "epoch": epoch, "samples": samples, "last_batch_loss": loss})

    def on_evaluation(self, step: int, numbers: Array) -> None:
        self.times[step] = self.seconds()
        medians = dict(zip(EVALUATION_METRICS, map(_median, numbers), strict=True))
        self._progress.evaluated({"step": step, "epoch": step // self._batches.per_epoch, **medians})


def _median(values: Array) -> float | None:
    """Return the median of the finite values; None without any."""
    finite = values[np.isfinite(values)]
    return float(np.median(finite)) if finite.size else None
