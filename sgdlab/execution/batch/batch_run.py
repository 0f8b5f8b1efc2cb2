"""Runs that share a batch, from their configurations to their folders.

Each run's folder is what the serial engine would write, and appears whole when the batch is through; an
interrupted batch leaves none. Seconds are the run's share: those of the batch divided by its runs.
"""

import itertools
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch

from sgdlab import optim, problem
from sgdlab.base.files import disk_errors
from sgdlab.base.formatting import counted, utc_now
from sgdlab.base.signals import Interrupted, SignalLog
from sgdlab.config.run_hash import as_mapping
from sgdlab.config.schema import Config
from sgdlab.engine import checkpoint, device, matmul, setup
from sgdlab.engine.batched.curves import Array, RunCurves
from sgdlab.engine.batched.functional import Weights
from sgdlab.engine.batched.trainer import BatchedTrainer
from sgdlab.engine.evaluation import Evaluation
from sgdlab.execution.batch.copies import by_copies
from sgdlab.execution.display.run_display import Display, RunLength
from sgdlab.execution.run import run_cache, runner
from sgdlab.execution.run.provenance import facts
from sgdlab.execution.run.recorder import EVALUATED, VISITED
from sgdlab.optim import batched_rule
from sgdlab.problem import models
from sgdlab.problem.settings import SurfaceModel
from sgdlab.records import FILES, config_yaml, weight_names
from sgdlab.records.bulk_write import Stage, rows_text, staging
from sgdlab.records.serialization import json_bytes

UPDATE = "batched"  # how run.json says, under `arithmetic`, that updates are made
# A process makes the files of so many runs together, or of so many numbers, whose text takes memory.
PIECE, NUMBERS = 50, 100_000
SHOWN_SECONDS = 0.2  # between looks at the losses for the progress display


@dataclass(frozen=True, kw_only=True)
class Ended:
    """How a run of a batch ended."""

    status: str
    reason: str
    metrics: Mapping[str, Any]
    seconds: float


def prepare(configs: Sequence[Config], say: Callable[[str], None]) -> tuple[problem.Problem, BatchedTrainer]:
    """The problem and the engine of prepared configurations that `planning.plan` has put together.

    Raises UserError when the data cannot be had, or the optimizer is not for the model.
    """
    first, where = configs[0], torch.device(configs[0].device)
    dtype = device.DTYPES[first.precision]
    made = problem.build(first, device=where, dtype=dtype, log=say)
    optim.refuse_incompatible(first.optimizer, list(made.roles.values()), made.spec.weights)
    batches = [setup.batches(config, made.spec.train_size) for config in configs]
    per_epoch = batches[0].per_epoch
    plan = setup.plan(first, per_epoch)
    different = {config.scheduler: config for config in configs}
    scheduled = configs if len(different) > 1 else configs[:1]
    trainer = BatchedTrainer(
        problem=made,
        weights=_starts(configs, made.spec, dtype, where),
        rule=batched_rule.build_batched_rule(
            [config.optimizer for config in configs], [c.lr for c in configs], where
        ),
        factors=[setup.schedule(config, plan.total, per_epoch) or _constant for config in scheduled],
        scheduled_by_epoch=first.scheduler.unit == "epochs",
        batches=batches,
        plan=plan,
    )
    return made, trainer


def _constant(unit: int) -> float:
    return 1.0


def _starts(
    configs: Sequence[Config], spec: problem.Spec, dtype: torch.dtype, where: torch.device
) -> Weights:
    """Where the runs start, each as it would alone: (runs, *shape) by the names of the parameters."""
    places: dict[Any, int] = {}
    drawn = not isinstance(configs[0].model, SurfaceModel)  # else a seed makes no difference
    starts = [(config.model, config.seed if drawn else 0) for config in configs]
    place = [places.setdefault(start, len(places)) for start in starts]
    built = [models.build(model, spec, seed=seed, dtype=dtype) for model, seed in places]
    named = [dict(model.named_parameters()) for model in built]
    index = torch.tensor(place)
    return {name: torch.stack([each[name].detach() for each in named])[index].to(where) for name in named[0]}


def run(
    configs: Sequence[Config],
    show: Display,
    signals: SignalLog,
    *,
    experiment: str | None = None,
    folders: Sequence[Path] = (),
    writers: int = 1,
) -> list[Ended]:
    """Train the runs together and write their folders; how each ended, in order.

    folders: `run_cache.folder_of` each configuration, where that is known already. writers: processes that write
    them at once.

    Raises UserError (missing data, full disk, memory) and, once a signal is caught in training, Interrupted:
    then no folder is written.
    """
    first = configs[0]
    folders = folders or [run_cache.folder_of(config) for config in configs]
    parent = folders[0].parent
    settings = device.settings(first.device, threads=first.threads, seed=first.seed)
    with settings, disk_errors(parent), device.memory_errors():
        implementation = {
            "matmul": matmul.choose(first.matmul_backend, first.device, first.precision),
            "update": UPDATE,
        }
        made, trainer = prepare(configs, show.say)
        common = runner.about(first, made, experiment, facts(first.device)) | {
            "implementation": implementation
        }
        callback = _Watch(show, signals, trainer)
        title = f"{counted(len(configs), 'run')}: {first.dataset.name}, {first.model.name}"
        show.start(f"{title} ({counted(made.spec.weights, 'weight')}), {first.device}", callback.length)
        try:
            with matmul.using(implementation["matmul"]):
                trainer.run(callback)
        finally:
            show.close()
        return _Writer(configs, folders, made, trainer, callback, common).write(writers)


class _Watch:
    """Shows the medians of a batch, notes when it was where, and stops it when it is asked to."""

    def __init__(self, show: Display, signals: SignalLog, trainer: BatchedTrainer) -> None:
        self.times: dict[int, float] = {}
        self._show, self._signals, self._batches = show, signals, trainer.curves.batches
        steps = trainer.curves.plan.total
        self.length = RunLength(steps=steps, epochs=-(-steps // self._batches.per_epoch))
        self._began, self._shown = time.perf_counter(), -SHOWN_SECONDS

    def seconds(self) -> float:
        """Since the batch began."""
        return time.perf_counter() - self._began

    def on_update(self) -> None:
        if self._signals.first is not None:
            raise Interrupted(self._signals.first)

    def on_losses(self, step: int, losses: Array) -> None:
        if self.seconds() - self._shown >= SHOWN_SECONDS or step == self.length.steps:
            self._shown = self.seconds()
            epoch = -(-step // self._batches.per_epoch)
            self._show.update(step, epoch, self._batches.samples(step) * losses.size, _median(losses))

    def on_evaluation(self, step: int, numbers: Array) -> None:
        self.times[step] = self.seconds()
        train, train_right, test, test_right = (_median(row) for row in numbers)
        result = Evaluation(
            train_loss=train,
            train_accuracy=None if np.isnan(train_right) else train_right,
            test_loss=test,
            test_accuracy=None if np.isnan(test_right) else test_right,
        )
        self._show.evaluated(step // self._batches.per_epoch, result)


def _median(values: Array) -> float:
    """Of those that are finite; NaN when none is."""
    finite = values[np.isfinite(values)]
    return float(np.median(finite)) if finite.size else float("nan")


class _Writer:
    """The folders of a batch's runs. common: what run.json says of all of them."""

    def __init__(
        self,
        configs: Sequence[Config],
        folders: Sequence[Path],
        made: problem.Problem,
        trainer: BatchedTrainer,
        callback: _Watch,
        common: Mapping[str, Any],
    ) -> None:
        self._configs, self._folders = configs, folders
        seconds, runs = callback.seconds(), len(configs)
        self._share = seconds / runs
        self._times = {step: at / runs for step, at in callback.times.items()}
        self._common = {**common, "engine": "batched", "batch": {"runs": runs, "seconds": round(seconds, 3)}}
        self._curves = trainer.curves
        self._batches, self._visits = self._curves.batches, self._curves.plan.trajectory_every > 0
        self._digits = device.DIGITS[made.config.precision]
        self._headers = _headers(made.spec.weights)
        self._weights = {name: each.cpu().numpy() for name, each in trainer.weights.items()}
        self._rows: dict[int, str] = {}

    def write(self, processes: int) -> list[Ended]:
        """Write all folders, by so many processes at once; how each run ended, in order."""
        self._curves.of(0)  # which puts the tables of all runs together, in this process
        every = range(len(self._configs))
        size = max(1, min(PIECE, NUMBERS // max(1, self._curves.size)))
        pieces = [every[at : at + size] for at in every[::size]]
        with staging(self._folders[0].parent) as stage:
            ended = by_copies(lambda piece: self._write(piece, stage), pieces, processes=processes)
        return list(itertools.chain.from_iterable(ended))

    def _write(self, runs: Sequence[int], stage: Stage) -> list[Ended]:
        """A kind of file is made for all runs before the next kind, so that its code stays in the processor's
        cache, which takes a third of the time off. run.json is a folder's last, as it makes it a run's."""
        curves = [self._curves.of(run) for run in runs]
        ended = [self._ended(curve) for curve in curves]
        about = [self._about(run, end) for run, end in zip(runs, ended, strict=True)]
        files: list[dict[str, bytes]] = [
            {"config.yaml": config_yaml.text(each["config"]).encode()} for each in about
        ]
        for name, made in self._tables(curves).items():
            for each, text in zip(files, made, strict=True):
                each[name] = text.encode()
        for run, curve, each in zip(runs, curves, files, strict=True):
            if not curve.reason:
                each["checkpoint.pt"] = self._checkpoints.of(weight[run] for weight in self._weights.values())
        for each, content in zip(files, about, strict=True):
            each["run.json"] = json_bytes(content)
        for run, each in zip(runs, files, strict=True):
            stage.put(self._folders[run], each)
        return ended

    def _about(self, run: int, end: Ended) -> dict[str, Any]:
        slug, _, digits = self._folders[run].name.rpartition("-")
        return {
            **self._common,
            "slug": slug,
            "hash": digits,
            "config": as_mapping(self._configs[run]),
            "status": end.status,
            "reason": end.reason,
            "finished": utc_now(),
            "seconds": round(end.seconds, 6),
            "optimizer": {"impl": "rule"},
            "metrics": end.metrics,
        }

    def _ended(self, curve: RunCurves) -> Ended:
        """How a run ended, with its final numbers as the serial engine's recorder has them."""
        metrics: dict[str, Any] = {}
        if curve.last is not None:
            step, loss = curve.last
            epoch, samples = (int(cell) for cell in self._row(step).split(",")[1:])
            metrics = {"step": step, "epoch": epoch, "samples": samples, "loss": loss}
        if not curve.reason:
            metrics |= dict(zip(EVALUATED, _numbers(curve.evaluations[1][-1]), strict=True))
            if self._visits:
                metrics |= dict(zip(VISITED, _numbers(curve.trajectory[1][-1, :3]), strict=True))
        return Ended(
            status="diverged" if curve.reason else "done",
            reason=curve.reason,
            metrics=metrics,
            seconds=self._share,
        )

    def _tables(self, curves: Sequence[RunCurves]) -> dict[str, list[str]]:
        """The CSV files by name, one for each curve."""
        made = {
            "train.csv": [self._train(curve) for curve in curves],
            "eval.csv": [self._evaluations(curve) for curve in curves],
            "time.csv": [self._seconds(curve) for curve in curves],
        }
        if self._visits:
            made["trajectory.csv"] = [
                self._table("trajectory.csv", [str(step) for step in steps], numbers)
                for steps, numbers in (curve.trajectory for curve in curves)
            ]
        return made

    def _train(self, curve: RunCurves) -> str:
        steps, lrs, losses = curve.rows
        return self._table("train.csv", [self._row(step) for step in steps], np.column_stack([lrs, losses]))

    def _evaluations(self, curve: RunCurves) -> str:
        steps, numbers = curve.evaluations
        per_epoch, samples = self._batches.per_epoch, self._batches.samples
        starts = [f"{step // per_epoch},{step},{samples(step)}" for step in steps]
        return self._table("eval.csv", starts, numbers)

    def _seconds(self, curve: RunCurves) -> str:
        steps = curve.evaluations[0]
        times = np.array([[self._times[step]] for step in steps]).reshape(-1, 1)
        return self._table("time.csv", [str(step) for step in steps], times)

    def _table(self, name: str, starts: Sequence[str], numbers: Array) -> str:
        return self._headers[name] + rows_text(starts, numbers, self._digits)

    def _row(self, step: int) -> str:
        """The cells of a row of train.csv that all runs have in common."""
        if step not in self._rows:
            epoch = (step - 1) // self._batches.per_epoch + 1
            self._rows[step] = f"{step},{epoch},{self._batches.samples(step)}"
        return self._rows[step]

    @cached_property
    def _checkpoints(self) -> checkpoint.Alike:
        """Of the final weights. A run that has one has made all updates."""
        first = {name: each[0] for name, each in self._weights.items()}
        return checkpoint.Alike(self._curves.plan.total, first)


def _headers(weights: int) -> dict[str, str]:
    columns = {name: [column.name for column in table] for name, table in FILES.items()}
    columns["trajectory.csv"] += weight_names(weights)
    return {name: ",".join(names) + "\n" for name, names in columns.items()}


def _numbers(values: Array) -> list[float | None]:
    """Numbers as run.json has them: null where there is none."""
    return [None if np.isnan(value) else value for value in values.tolist()]
