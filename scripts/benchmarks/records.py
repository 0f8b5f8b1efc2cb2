"""What records, progress display and checkpoints add to the loop over updates, in runs of ordinary length."""

import os
import time
from pathlib import Path
from typing import Any
from unittest.mock import patch

from rich.console import Console

from benchmarks.runs import here
from benchmarks.step import present
from benchmarks.table import Benchmark, Effort, Row, row
from sgdlab.execution.display.run_display import display
from sgdlab.execution.run import runner
from sgdlab.execution.run.recorder import Recorder

# Updates of about 20 s on one core: a run that long writes one checkpoint, and every longer one as many.
UPDATES = {16: 11_000, 64: 5_000, 256: 1_600}
GOAL = 2  # percent


class _Timed(Recorder):
    """A recorder that adds up its own time: that spent in it, and that of the display's thread."""

    def __init__(self, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self.inside = self.others = self.bare = 0.0
        self._loop_began = (0.0, 0.0)

    def on_losses(self, *arguments: Any) -> None:
        self._time(super().on_losses, *arguments)

    def on_evaluation(self, epoch: int, step: int, samples: int, result: Any) -> None:
        if step:  # the end, but for what is still written
            whole, self.others = (end - start for start, end in zip(self._loop_began, _now(), strict=True))
            self.bare = whole - self.inside - self.others
        self._time(super().on_evaluation, epoch, step, samples, result)
        if not step:
            self._loop_began, self.inside = _now(), 0.0

    def checkpoint_due(self) -> bool:
        return bool(self._time(super().checkpoint_due))

    def on_checkpoint(self, *arguments: Any, **more: Any) -> None:
        self._time(super().on_checkpoint, *arguments, **more)

    def added(self) -> float:
        """Percent more than without any of it; the evaluation at the end, a hundredth, counts as the loop."""
        return 100 * (self.inside + self.others) / self.bare

    def _time(self, method: Any, *arguments: Any, **more: Any) -> Any:
        began = time.perf_counter()
        try:
            return method(*arguments, **more)
        finally:
            self.inside += time.perf_counter() - began


def _now() -> tuple[float, float]:
    """Seconds by the clock, and processor seconds of all threads but this one."""
    return time.perf_counter(), time.process_time() - time.thread_time()


def added(folder: Path, batch: int, updates: int) -> float:
    """Percent that recording adds to so many updates of the notes' network with momentum."""
    words = (f"dataset={present()}", "optimizer=sgd", "optimizer.momentum=0.9", f"batch_size={batch}")
    config = here(folder, *words, f"steps={updates}", "eval_every=0", "eval_train=1000", "force=true")
    made: list[_Timed] = []

    def recorder(*arguments: Any, **more: Any) -> _Timed:
        made.append(_Timed(*arguments, **more))
        return made[-1]

    with open(os.devnull, "w") as nowhere, patch.object(runner, "Recorder", recorder):
        console = Console(file=nowhere, force_terminal=True)
        runner.run(config, display(quiet=False, console=console))
    return made[0].added()


def rows(effort: Effort, folder: Path) -> list[Row]:
    """Each batch size, in turn."""
    found: dict[int, list[float]] = {batch: [] for batch in UPDATES}
    for _ in range(min(effort.repeats, 3)):
        for batch, updates in UPDATES.items():
            found[batch].append(added(folder, batch, updates))
    about = {"benchmark": "records", "of": "the loop", "unit": "%", "goal": f"under {GOAL} %"}
    return [
        row(every, **about, variant=f"batch size {batch}", met=min(every) < GOAL)
        for batch, every in found.items()
    ]


BENCHMARKS = {
    "records": Benchmark(
        text="what records, display and a checkpoint every 20 s add to the loop of a run",
        rows=rows,
        goal=f"under {GOAL} % of the bare loop",
        minutes=3.5,
    )
}
