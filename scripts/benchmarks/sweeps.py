"""Sweeps of many tiny runs: the cost of a run beyond the start of the command."""

import itertools
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.clock import SGDLAB, time_command
from benchmarks.table import Effort, Row, in_turn

FEW = 4
GOALS = {"processes": 0.020, "batched": 0.001}  # seconds a run
# Overrides, and a number of runs that takes longer than the start of the command varies.
VARIANTS: dict[str, tuple[tuple[str, ...], int]] = {
    "serial": (("hydra/launcher=serial",), 100),
    "processes": (("hydra.launcher.batch=never",), 200),
    "processes, one job at a time": (("hydra.launcher.batch=never", "hydra.launcher.jobs=1"), 100),
    "batched": (("hydra.launcher.batch=always",), 2_000),
}
_TINY = ("problem=rosenbrock", "optimizer=sgd", "steps=100", "lr=1e-4", "quiet=true")


def rows(effort: Effort, folder: Path) -> list[Row]:
    """Time a sweep of many runs less one of 4, with each launcher, always in new folders."""
    numbers = itertools.count()

    def sweep(runs: int, launcher: tuple[str, ...]) -> float:
        runs_dir = f"runs_dir={folder / str(next(numbers))}"
        return time_command((*SGDLAB, "train", "-m", *_TINY, f"seed=range({runs})", runs_dir, *launcher))

    variants = {
        f"{name} {runs}": (lambda runs=runs, launcher=launcher: sweep(runs, launcher))
        for name, (launcher, many) in VARIANTS.items()
        for runs in (FEW, many)
    }
    times = in_turn(variants, effort.repeats)
    return [_row(name, times) for name in VARIANTS]


def _row(name: str, times: Mapping[str, Sequence[float]]) -> Row:
    """Return the cost of a run by minima and by medians: differences of single times are noise."""
    many = VARIANTS[name][1]
    minimum, median = (
        (of(times[f"{name} {many}"]) - of(times[f"{name} {FEW}"])) / (many - FEW)
        for of in (min, statistics.median)
    )
    goal = GOALS.get(name)
    return Row(
        variant=name,
        of="one run",
        minimum=minimum,
        median=median,
        repeats=len(times[f"{name} {many}"]),
        goal=f"under {1e3 * goal:g} ms" if goal else "",
        met=None if goal is None else max(minimum, median) < goal,
        note=f"{many:,} runs less {FEW}",
    )
