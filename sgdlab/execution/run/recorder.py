"""Between the engine and the disk: writes rows to CSV files, saves checkpoints, stops at a clean point."""

import time
from collections.abc import Mapping
from typing import Any

from sgdlab.base.files import atomic_write
from sgdlab.base.signals import Interrupted, SignalLog
from sgdlab.engine import checkpoint
from sgdlab.engine.evaluation import Evaluation
from sgdlab.engine.loop import Row, TrajectoryPoint
from sgdlab.execution.display.progress import Progress
from sgdlab.records import RunWriter
from sgdlab.records.disk import WEIGHTS

FLUSH_SECONDS = 1.0  # seconds between writes of pending rows

# The final numbers in run.json: from the last update, evaluation and trajectory point.
UPDATE_METRICS = ("step", "epoch", "samples", "evaluations", "last_batch_loss")
EVALUATION_METRICS = ("train_loss", "train_accuracy", "test_loss", "test_accuracy")
TRAJECTORY_METRICS = ("objective", "gap", "distance")


class Recorder:
    """The engine's `Callback` for a recorded run: writes rows and checkpoints and reports the progress.

    checkpoint_every: seconds between checkpoints. state: the checkpoint that the run resumes from, or {}.
    implementation: how the run is computed (`setup.IMPLEMENTATIONS`); stored in its checkpoints.
    """

    def __init__(
        self,
        writer: RunWriter,
        progress: Progress,
        signals: SignalLog,
        checkpoint_every: float,
        state: Mapping[str, Any],
        implementation: Mapping[str, str] | None = None,
    ) -> None:
        self.metrics: dict[str, float | int | None] = dict(state.get("metrics", {}))
        self._writer = writer
        self._progress = progress
        self._signals = signals
        self._checkpoint_every = checkpoint_every
        self._constant = {} if implementation is None else {"implementation": dict(implementation)}
        self._seconds_before = float(state.get("seconds", 0.0))
        self._began = self._flushed = self._saved = time.perf_counter()
        self._rows: dict[str, list[tuple[float | int | None, ...]]] = {}
        self._point_step, self._point = -1, dict[str, float | None]()

    def seconds(self) -> float:
        """Return the seconds of training so far, in this process and in those before it."""
        return self._seconds_before + time.perf_counter() - self._began

    def on_losses(self, rows: list[Row], last: Row) -> None:
        for row in rows:
            self._add("train.csv", *row)
        numbers = (last.step, last.epoch, last.samples, last.evaluations, last.loss)
        updated = dict(zip(UPDATE_METRICS, numbers, strict=True))
        self.metrics |= updated
        self._progress.update(updated | (self._point if self._point_step == last.step else {}))
        if time.perf_counter() - self._flushed > FLUSH_SECONDS:
            self._add("time.csv", last.step, self.seconds())
            self.flush()

    def on_evaluation(
        self, epoch: int, step: int, samples: int, evaluations: int, result: Evaluation
    ) -> None:
        numbers = (result.train_loss, result.train_accuracy, result.test_loss, result.test_accuracy)
        self._add("eval.csv", epoch, step, samples, evaluations, *numbers)
        self._add("time.csv", step, self.seconds())
        evaluated = dict(zip(EVALUATION_METRICS, numbers, strict=True))
        self.metrics |= evaluated
        self._progress.evaluated({"step": step, "epoch": epoch, **evaluated})
        self.flush()

    def on_trajectory_point(self, point: TrajectoryPoint) -> None:
        numbers = (point.objective, point.gap, point.distance)
        self._add("trajectory.csv", point.step, *numbers, *point.weights)
        self._point_step, self._point = point.step, dict(zip(TRAJECTORY_METRICS, numbers, strict=True))
        self.metrics |= self._point

    def forget_evaluation(self) -> None:
        """Drop all final numbers but the last finite batch loss: a diverged run's evaluation is outdated."""
        for name in (*EVALUATION_METRICS, *TRAJECTORY_METRICS):
            self.metrics.pop(name, None)

    def checkpoint_due(self) -> bool:
        return self._signals.first is not None or time.perf_counter() - self._saved >= self._checkpoint_every

    def on_checkpoint(self, state: dict[str, Any], *, last: bool = False) -> None:
        """Write the pending rows, then the checkpoint; then stop the run if a signal asked for it.

        Args:
            state: of the engine, as `Trainer.load` takes it.
            last: whether the run is complete; then no signal stops it.

        Raises:
            Interrupted: a signal came. The run can be resumed from this checkpoint.
        """
        # Rows first: the checkpoint states how long the files are, and their hashes. A kill in between leaves
        # longer files, which are truncated when the run resumes; shorter ones could not be repaired.
        self.flush()
        extra = {
            "run": self._writer.info.get("hash"),
            "files": self._writer.fingerprints(),
            "seconds": self.seconds(),
            "metrics": self.metrics,
        }
        checkpoint.save(self._writer.folder / "checkpoint.pt", {**state, **self._constant, **extra})
        self._saved = time.perf_counter()
        if self._signals.first is not None and not last:
            raise Interrupted(self._signals.first)

    def on_end(self, state: dict[str, Any], keep: str) -> None:
        """Write the pending rows of a run that is complete, and what it keeps besides.

        Args:
            state: of the engine.
            keep: the setting; an earlier checkpoint stays.
        """
        if keep in ("auto", "checkpoint"):
            self.on_checkpoint(state, last=True)
            return
        self.flush()
        if keep == "weights":
            path = self._writer.folder / WEIGHTS
            atomic_write(path, checkpoint.serialize_weights(state["model"]), durable=True)

    def flush(self) -> None:
        """Write all pending rows to the disk."""
        for name in list(self._rows):
            self._writer.append(name, self._rows.pop(name))
        self._flushed = time.perf_counter()

    def _add(self, name: str, *row: float | int | None) -> None:
        self._rows.setdefault(name, []).append(row)
