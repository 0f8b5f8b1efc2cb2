"""Writes the folders of a batch's runs, as the serial engine would, by several processes in parallel."""

import functools
import itertools
import multiprocessing
import signal
import sys
import warnings
from collections import deque
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from sgdlab.base.errors import UserError
from sgdlab.base.formatting import utc_now
from sgdlab.base.signals import STOP_SIGNALS, signal_at_parent_death
from sgdlab.config.run_hash import as_mapping
from sgdlab.config.schema import Config
from sgdlab.engine import checkpoint, device
from sgdlab.engine.batched.curves import Array, RunCurves
from sgdlab.engine.batched.trainer import BatchedTrainer
from sgdlab.execution.outcome import Outcome
from sgdlab.execution.run.recorder import EVALUATION_METRICS, TRAJECTORY_METRICS, UPDATE_METRICS
from sgdlab.problem import Spec
from sgdlab.records import FILES, config_yaml
from sgdlab.records.bulk_write import rows_text
from sgdlab.records.columns import weight_names
from sgdlab.records.disk import CHECKPOINT, WEIGHTS
from sgdlab.records.fingerprints import fingerprint
from sgdlab.records.serialization import json_bytes
from sgdlab.records.staging import Stage, staging

# A child writes chunks of this many runs, or of this many numbers: for fewer, no fork pays.
CHUNK, CHUNK_NUMBERS = 50, 100_000
AHEAD = 2  # chunks that a child has or finds waiting: it never waits for this process to write one of its own


@dataclass(kw_only=True)
class BatchWriter:
    """Writes the folders of a batch's runs once all of them are trained.

    configs, folders: of the runs, in order. spec: of their problem.
    common: the fields of run.json that the runs share.
    seconds: of the whole batch; each run is given an equal share. times: seconds from the start of the batch
    to the evaluation after each number of updates.
    """

    configs: Sequence[Config]
    folders: Sequence[Path]
    spec: Spec
    trainer: BatchedTrainer
    common: Mapping[str, Any]
    seconds: float
    times: Mapping[int, float]

    def __post_init__(self) -> None:
        self._curves, self._digits = self.trainer.curves, device.DIGITS[self.configs[0].precision]
        self._weights = {name: weight.cpu() for name, weight in self.trainer.weights.items()}
        columns = {name: [column.name for column in table] for name, table in FILES.items()}
        columns["trajectory.csv"] += weight_names(self.spec.weights)
        self._headers = {name: ",".join(names) + "\n" for name, names in columns.items()}
        # Most runs of a batch have the same rows, except for the numbers.
        self._train_cells = functools.cache(
            lambda step: f"{step},{self._epoch(step)},{self._curves.batches.samples(step)},{step}"
        )

    def write(self, processes: int) -> list[Outcome]:
        """Write all folders and return how each run ended, in order. Raises UserError, OSError.

        processes: that write in parallel, this one included, where the system can fork safely; else one.
        """
        self._curves.of(0)  # builds the tables of all runs, here rather than in each child
        runs = range(len(self.configs))
        size = max(1, min(CHUNK, CHUNK_NUMBERS // max(1, self._curves.size)))
        chunks = [runs[start : start + size] for start in runs[::size]]
        with staging(self.folders[0].parent) as stage:
            outcomes = _write_in_parallel(self, stage, chunks, processes)
        return list(itertools.chain.from_iterable(outcomes))

    def write_runs(self, runs: Sequence[int], stage: Stage) -> list[Outcome]:
        """Write the folders of some runs.

        Args:
            runs: their places in the batch.
            stage: where folders are built before they move into their places.

        Returns:
            How each run ended.
        """
        # One kind of file for all runs before the next kind: its code then stays in the processor's cache,
        # which saves a third of the time.
        curves = [self._curves.of(run) for run in runs]
        outcomes = [self._outcome(curve) for curve in curves]
        infos = [self._info(run, outcome) for run, outcome in zip(runs, outcomes, strict=True)]
        files = [{"config.yaml": config_yaml.text(info["config"]).encode()} for info in infos]
        for each, curve in zip(files, curves, strict=True):
            each.update(self._tables(curve))
        for run, each, curve in zip(runs, files, curves, strict=True):
            if not curve.reason:
                each.update(self._kept(run))
        for each, info in zip(files, infos, strict=True):
            tables = {name: content for name, content in each.items() if name in FILES}
            info["files"] = {name: fingerprint(content) for name, content in tables.items()}
            each["run.json"] = json_bytes(info)  # last: a folder without it is not a run
        for run, each in zip(runs, files, strict=True):
            stage.put(self.folders[run], each)
        return outcomes

    def _kept(self, run: int) -> dict[str, bytes]:
        """Return the file that a finished run keeps besides its records, if any."""
        keep = self.configs[run].keep
        if keep == "none":
            return {}
        # A clone, as torch.save would store the weights of all runs for a view of one run's.
        model = {name: weight[run].clone() for name, weight in self._weights.items()}
        if keep == "weights":
            return {WEIGHTS: checkpoint.serialize_weights(model)}
        return {CHECKPOINT: checkpoint.serialize({"step": self._curves.plan.total, "model": model})}

    def _info(self, run: int, outcome: Outcome) -> dict[str, Any]:
        slug, _, run_hash = self.folders[run].name.rpartition("-")
        return {
            **self.common,
            "engine": "batched",
            "batch": {"runs": len(self.configs), "seconds": round(self.seconds, 3)},
            "slug": slug,
            "hash": run_hash,
            "config": as_mapping(self.configs[run]),
            "status": outcome.status,
            "reason": outcome.reason,
            "finished": utc_now(),
            "seconds": round(outcome.seconds, 6),
            "optimizer": {"impl": "rule"},
            "metrics": outcome.metrics,
        }

    def _outcome(self, curve: RunCurves) -> Outcome:
        """Return how a run ended, with the final numbers that the serial engine's recorder would keep."""
        metrics: dict[str, Any] = {}
        if curve.last is not None:
            step, loss = curve.last
            # A batch evaluates one gradient an update: other optimizers cannot be batched.
            numbers = (step, self._epoch(step), self._curves.batches.samples(step), step, loss)
            metrics = dict(zip(UPDATE_METRICS, numbers, strict=True))
        if not curve.reason:
            metrics |= _named(EVALUATION_METRICS, curve.evaluations[1][-1])
            if self._curves.plan.trajectory_every:
                metrics |= _named(TRAJECTORY_METRICS, curve.trajectory[1][-1, :3])
        status = "diverged" if curve.reason else "done"
        return Outcome(
            status=status, reason=curve.reason, metrics=metrics, seconds=self.seconds / len(self.configs)
        )

    def _tables(self, curve: RunCurves) -> dict[str, bytes]:
        """Return a run's CSV files: the text of each row's first cells, then its numbers."""
        per_epoch, samples = self._curves.batches.per_epoch, self._curves.batches.samples
        steps, lrs, losses = curve.rows
        evaluated, numbers = curve.evaluations
        points, trajectory = curve.trajectory
        times = np.array([self.times[step] / len(self.configs) for step in evaluated]).reshape(-1, 1)
        tables: dict[str, tuple[list[str], Array]] = {
            "train.csv": ([self._train_cells(step) for step in steps], np.column_stack([lrs, losses])),
            "eval.csv": (
                [f"{step // per_epoch},{step},{samples(step)},{step}" for step in evaluated],
                numbers,
            ),
            "time.csv": ([str(step) for step in evaluated], times),
        }
        if self._curves.plan.trajectory_every:
            tables["trajectory.csv"] = ([str(step) for step in points], trajectory)
        return {
            name: (self._headers[name] + rows_text(cells, values, self._digits)).encode()
            for name, (cells, values) in tables.items()
        }

    def _epoch(self, step: int) -> int:
        return (step - 1) // self._curves.batches.per_epoch + 1


def _named(names: Sequence[str], values: Array) -> dict[str, float | None]:
    """Return numbers by name, as in run.json: null in place of NaN."""
    return {k: None if np.isnan(v) else v for k, v in zip(names, values.tolist(), strict=True)}


def _write_in_parallel(
    writer: BatchWriter, stage: Stage, chunks: Sequence[range], processes: int
) -> list[list[Outcome]]:
    """Write chunks of runs here and in forked child processes.

    The children inherit the memory of this process, so that the batch's arrays are neither pickled nor
    copied: only the places of runs go to them, and outcomes come back.
    """
    children = min(processes, len(chunks)) - 1 if sys.platform == "linux" else 0
    if children < 1:  # elsewhere system libraries do not survive a fork
        return [writer.write_runs(chunk, stage) for chunk in chunks]
    others = set(multiprocessing.active_children())
    context = multiprocessing.get_context("fork")
    try:
        with (
            ProcessPoolExecutor(children, context, _init_child, (writer, stage)) as executor,
            warnings.catch_warnings(),
        ):
            # Python 3.12 warns of torch's threads. They are idle, and a child does without them.
            warnings.simplefilter("ignore", DeprecationWarning)
            written: dict[range, Future[list[Outcome]] | list[Outcome]] = {}
            waiting = deque(chunks)
            while waiting:
                busy = sum(isinstance(each, Future) and not each.done() for each in written.values())
                try:
                    for _ in range(min(AHEAD * children - busy, len(waiting))):
                        chunk = waiting.popleft()
                        written[chunk] = executor.submit(_write_inherited, chunk)
                except OSError:  # too many processes, or no memory
                    return [writer.write_runs(chunk, stage) for chunk in chunks]
                if waiting:
                    chunk = waiting.pop()
                    written[chunk] = writer.write_runs(chunk, stage)
            each = [written[chunk] for chunk in chunks]
            return [one.result() if isinstance(one, Future) else one for one in each]
    except BrokenProcessPool:
        raise UserError("a process was killed, perhaps by the system when memory ran out") from None
    finally:
        # If a later fork fails, the executor loses track of children already started.
        for child in set(multiprocessing.active_children()) - others:
            child.kill()
            child.join()


_inherited: tuple[BatchWriter, Stage]  # in a child


def _init_child(writer: BatchWriter, stage: Stage) -> None:
    global _inherited
    _inherited = writer, stage
    # A terminal sends Ctrl-C to the children, too; whether they stop is for the parent to decide.
    for number in STOP_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    # Each child holds a write end of the queue, so EOF never arrives when the parent dies.
    signal_at_parent_death(signal.SIGKILL)
    torch.set_num_threads(1)  # the parent's threads do not exist here


def _write_inherited(runs: range) -> list[Outcome]:
    writer, stage = _inherited
    return writer.write_runs(runs, stage)
