"""Sweeps of many tiny runs: what each costs beyond the start of the command."""

import itertools
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.clock import SGDLAB, command
from benchmarks.table import Benchmark, Effort, Row, in_turn

FEW = 4
GOALS = {"local": 0.020, "batched": 0.001}  # seconds a run
# By launcher: its words, and how many runs, so that they take longer than the start of the command varies.
VARIANTS: dict[str, tuple[tuple[str, ...], int]] = {
    "serial": (("hydra/launcher=serial",), 100),
    "local": (("hydra.launcher.batch=never",), 200),
    "local, 1 at once": (("hydra.launcher.batch=never", "hydra.launcher.jobs=1"), 100),
    "batched": (("hydra.launcher.batch=always",), 2_000),
}
_TINY = ("problem=rosenbrock", "optimizer=sgd", "steps=100", "lr=1e-4", "quiet=true")


def rows(effort: Effort, folder: Path) -> list[Row]:
    """A sweep of many runs less one of 4, by each launcher, each in fresh folders."""
    numbers = itertools.count()

    def sweep(runs: int, more: tuple[str, ...]) -> float:
        place = f"runs_dir={folder / str(next(numbers))}"
        return command((*SGDLAB, "train", "-m", *_TINY, f"seed=range({runs})", place, *more))

    variants = {
        f"{name} {runs}": (lambda runs=runs, words=words: sweep(runs, words))
        for name, (words, many) in VARIANTS.items()
        for runs in (FEW, many)
    }
    return [*map(_row, VARIANTS, itertools.repeat(in_turn(variants, min(effort.repeats, 3))))]


def _row(name: str, times: Mapping[str, Sequence[float]]) -> Row:
    """A run's share, of the shortest times and of the middle ones: differences of single times are noise."""
    many = VARIANTS[name][1]
    least, middle = (
        (of(times[f"{name} {many}"]) - of(times[f"{name} {FEW}"])) / (many - FEW)
        for of in (min, statistics.median)
    )
    goal = GOALS.get(name)
    return Row(
        benchmark="sweep",
        variant=name,
        of="one run",
        minimum=least,
        median=middle,
        repeats=len(times[f"{name} {many}"]),
        goal=f"under {1e3 * goal:g} ms" if goal else "",
        met=None if goal is None else max(least, middle) < goal,
        note=f"{many:,} runs less {FEW}",
    )


BENCHMARKS = {
    "sweep": Benchmark(
        text="a run of 100 updates of a 2-D problem in a large sweep, with its folder, by launcher",
        rows=rows,
        goal="a run beyond the start under 20 ms by local, 1 ms by batched",
        cores=0,
        minutes=5,
    )
}
