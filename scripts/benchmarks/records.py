"""What records, progress display and checkpoints add to the loop over updates, in runs of ordinary length."""

import os
import time
from pathlib import Path
from typing import Any
from unittest.mock import patch

from rich.console import Console

from benchmarks.runs import configure_in
from benchmarks.step import dataset_name
from benchmarks.table import Effort, Row, row
from sgdlab.execution.display.display import Display
from sgdlab.execution.run import runner
from sgdlab.execution.run.recorder import Recorder

# By batch size: updates of about 20 s on one core, the time between two checkpoints.
UPDATES = {16: 11_000, 64: 5_000, 256: 1_600}
GOAL = 2  # percent


class _TimedRecorder(Recorder):
    """A recorder that adds up the time spent in it (`inside`) and in the display's thread (`others`)."""

    def __init__(self, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self.inside = self.others = self.bare = 0.0
        self._loop_began = (0.0, 0.0)

    def on_losses(self, *arguments: Any) -> None:
        self._time(super().on_losses, *arguments)

    def on_evaluation(self, epoch: int, step: int, samples: int, evaluations: int, result: Any) -> None:
        if step:  # the end, apart from what is still to be written
            total, self.others = (end - start for start, end in zip(self._loop_began, _now(), strict=True))
            self.bare = total - self.inside - self.others
        self._time(super().on_evaluation, epoch, step, samples, evaluations, result)
        if not step:
            self._loop_began, self.inside = _now(), 0.0

    def checkpoint_due(self) -> bool:
        return bool(self._time(super().checkpoint_due))

    def on_checkpoint(self, *arguments: Any, **more: Any) -> None:
        self._time(super().on_checkpoint, *arguments, **more)

    def added(self) -> float:
        """Return by how many percent the bare loop is longer with all this.

        The last evaluation, about a hundredth of the time, counts as the loop.
        """
        return 100 * (self.inside + self.others) / self.bare

    def _time(self, method: Any, *arguments: Any, **more: Any) -> Any:
        began = time.perf_counter()
        try:
            return method(*arguments, **more)
        finally:
            self.inside += time.perf_counter() - began


def _now() -> tuple[float, float]:
    """Return seconds of the clock, and processor seconds of all threads but this one."""
    return time.perf_counter(), time.process_time() - time.thread_time()


def added(folder: Path, batch: int, updates: int) -> float:
    """Measure by how many percent recording lengthens the training of the notes' network with momentum.

    Args:
        folder: the runs folder.
        batch: the batch size.
        updates: length of the run.

    Returns:
        The percentage.
    """
    overrides = (
        f"dataset={dataset_name()}",
        "optimizer=sgd",
        "optimizer.momentum=0.9",
        f"batch_size={batch}",
    )
    training = (f"steps={updates}", "eval_every=0", "eval_train=1000", "force=true")
    config = configure_in(folder, *overrides, *training)
    recorders: list[_TimedRecorder] = []

    def recorder(*arguments: Any, **more: Any) -> _TimedRecorder:
        recorders.append(_TimedRecorder(*arguments, **more))
        return recorders[-1]

    with open(os.devnull, "w") as nowhere, patch.object(runner, "Recorder", recorder):
        console = Console(file=nowhere, force_terminal=True)
        with Display(quiet=False, console=console) as display:
            runner.run(config, display.begin())
    return recorders[0].added()


def rows(effort: Effort, folder: Path) -> list[Row]:
    """Measure the batch sizes in turn."""
    percents: dict[int, list[float]] = {batch: [] for batch in UPDATES}
    for _ in range(effort.repeats):
        for batch, updates in UPDATES.items():
            percents[batch].append(added(folder, batch, updates))
    fields = {"of": "the loop", "unit": "%", "goal": f"under {GOAL} %"}
    return [
        row(results, **fields, variant=f"batch size {batch}", met=min(results) < GOAL)
        for batch, results in percents.items()
    ]
