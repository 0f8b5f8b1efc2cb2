"""Sweeps of many tiny runs: what each costs beyond the start of the command."""

import itertools
from dataclasses import replace
from pathlib import Path

from benchmarks.clock import SGDLAB, command
from benchmarks.table import Benchmark, Effort, Row, in_turn, row

FEW = 4
GOALS = {"local": 0.020, "batched": 0.001}  # seconds a run
# By launcher: how many runs, so that they take longer than the start of the command varies; its words.
VARIANTS: dict[str, tuple[int, tuple[str, ...]]] = {
    "serial": (64, ("hydra/launcher=serial",)),
    "local": (200, ("hydra/launcher=local",)),
    **{
        f"local, {jobs} at once": (64, ("hydra/launcher=local", f"hydra.launcher.jobs={jobs}"))
        for jobs in (1, 2, 4)
    },
    "batched": (2_000, ("hydra/launcher=batched",)),
}
_TINY = ("problem=rosenbrock", "optimizer=sgd", "steps=100", "lr=1e-4", "quiet=true")


def rows(effort: Effort, folder: Path) -> list[Row]:
    """A sweep of many runs less one of 4, for each launcher, each in fresh folders."""
    numbers = itertools.count()

    def sweep(runs: int, more: tuple[str, ...]) -> float:
        place = f"runs_dir={folder / str(next(numbers))}"
        return command((*SGDLAB, "train", "-m", *_TINY, f"seed=range({runs})", place, *more))

    def each(runs: int, more: tuple[str, ...]) -> float:
        return (sweep(runs, more) - sweep(FEW, more)) / (runs - FEW)

    variants = {name: (lambda how=how: each(*how)) for name, how in VARIANTS.items()}
    times = in_turn(variants, min(effort.repeats, 3))
    first = min(times["serial"])
    found = []
    for name, seconds in times.items():
        measured = row(seconds, benchmark="sweep", variant=name, of="one run", faster=first / min(seconds))
        if name in GOALS:
            goal = GOALS[name]
            measured = replace(measured, goal=f"under {1e3 * goal:g} ms", met=min(seconds) < goal)
        found.append(measured)
    return found


BENCHMARKS = {
    "sweep": Benchmark(
        text="a run of 100 updates of a 2-D problem in a large sweep, with its folder, by launcher",
        rows=rows,
        goal="a run beyond the start under 20 ms by local, 1 ms by batched",
        cores=0,
        minutes=6,
    )
}
