"""Between the engine and the disk: rows into CSV files, checkpoints in time, Ctrl-C at a clean point."""

import time
from collections.abc import Mapping
from typing import Any

from sgdlab.base.signals import Interrupted, SignalLog
from sgdlab.engine import checkpoint
from sgdlab.engine.evaluation import Evaluation
from sgdlab.engine.loop import Row, TrajectoryPoint
from sgdlab.execution.display.run_display import Display
from sgdlab.records import RunWriter

FLUSH_SECONDS = 1.0  # rows stay in memory at most about so long

EVALUATED = ("train_loss", "train_accuracy", "test_loss", "test_accuracy")
VISITED = ("objective", "gap", "distance")


class Recorder:
    """The engine's `Watch` for a run that is kept: writes rows, checkpoints, times and shows progress.

    every: seconds between checkpoints. state: the checkpoint that the run goes on from, or {}.
    arithmetic: how the run is computed, which its checkpoints say.
    """

    def __init__(
        self,
        writer: RunWriter,
        show: Display,
        signals: SignalLog,
        *,
        every: float,
        state: Mapping[str, Any],
        implementation: Mapping[str, str] | None = None,
    ) -> None:
        self.metrics: dict[str, float | int | None] = dict(state.get("metrics", {}))
        self._writer = writer
        self._show = show
        self._signals = signals
        self._every = every
        self._kept = {} if implementation is None else {"implementation": dict(implementation)}
        self._spent = float(state.get("seconds", 0.0))
        self._began = self._flushed = self._saved = time.perf_counter()
        self._rows: dict[str, list[tuple[float | int | None, ...]]] = {}

    def seconds(self) -> float:
        """Seconds of training so far, in this process and before."""
        return self._spent + time.perf_counter() - self._began

    def on_losses(self, rows: list[Row], last: Row) -> None:
        for row in rows:
            self._add("train.csv", row.step, row.epoch, row.samples, row.lr, row.loss)
        self.metrics |= {"step": last.step, "epoch": last.epoch, "samples": last.samples, "loss": last.loss}
        self._show.update(last.step, last.epoch, last.samples, last.loss)
        if time.perf_counter() - self._flushed > FLUSH_SECONDS:
            self._add("time.csv", last.step, self.seconds())
            self.flush()

    def on_evaluation(self, epoch: int, step: int, samples: int, result: Evaluation) -> None:
        numbers = (result.train_loss, result.train_accuracy, result.test_loss, result.test_accuracy)
        self._add("eval.csv", epoch, step, samples, *numbers)
        self._add("time.csv", step, self.seconds())
        self.metrics |= dict(zip(EVALUATED, numbers, strict=True))
        self._show.evaluated(epoch, result)
        self.flush()

    def on_trajectory_point(self, point: TrajectoryPoint) -> None:
        numbers = (point.objective, point.gap, point.distance)
        self._add("trajectory.csv", point.step, *numbers, *point.weights)
        self.metrics |= dict(zip(VISITED, numbers, strict=True))

    def forget_evaluation(self) -> None:
        """Keep only the last finite loss as final numbers: a diverged run's last evaluation is an old one."""
        for name in (*EVALUATED, *VISITED):
            self.metrics.pop(name, None)

    def checkpoint_due(self) -> bool:
        return self._signals.first is not None or time.perf_counter() - self._saved >= self._every

    def on_checkpoint(self, state: dict[str, Any], *, last: bool = False) -> None:
        """Write what is pending, then the checkpoint; then end the run if it was asked to."""
        self.flush()
        extra = {"offsets": self._writer.offsets(), "seconds": self.seconds(), "metrics": self.metrics}
        checkpoint.save(self._writer.folder / "checkpoint.pt", {**state, **self._kept, **extra})
        self._saved = time.perf_counter()
        if self._signals.first is not None and not last:
            raise Interrupted(self._signals.first)

    def flush(self) -> None:
        """Bring all rows to the disk."""
        for name in list(self._rows):
            self._writer.append(name, self._rows.pop(name))
        self._flushed = time.perf_counter()

    def _add(self, name: str, *row: float | int | None) -> None:
        self._rows.setdefault(name, []).append(row)
