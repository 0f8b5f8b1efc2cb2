"""Sweeps of many tiny runs: what each costs beyond the start of the command."""

import itertools
from dataclasses import replace
from pathlib import Path

from benchmarks.clock import SGDLAB, command
from benchmarks.table import Benchmark, Effort, Row, in_turn, row

RUNS, FEW = 200, 4
GOALS = {"local": 0.020, "batched": 0.001}  # seconds a run
VARIANTS = {
    "serial": ("hydra/launcher=serial",),
    "local": ("hydra/launcher=local",),
    **{
        f"local, {jobs} at once": ("hydra/launcher=local", f"hydra.launcher.jobs={jobs}")
        for jobs in (1, 2, 4)
    },
    "batched": ("hydra/launcher=batched",),
}
_TINY = ("problem=rosenbrock", "optimizer=sgd", "steps=100", "lr=1e-4", "quiet=true")


def rows(effort: Effort, folder: Path) -> list[Row]:
    """A sweep of 200 runs less one of 4, for each launcher, each in fresh folders."""
    numbers = itertools.count()

    def sweep(runs: int, more: tuple[str, ...]) -> float:
        place = f"runs_dir={folder / str(next(numbers))}"
        return command((*SGDLAB, "train", "-m", *_TINY, f"seed=range({runs})", place, *more))

    def each(more: tuple[str, ...]) -> float:
        return (sweep(RUNS, more) - sweep(FEW, more)) / (RUNS - FEW)

    variants = {name: (lambda more=more: each(more)) for name, more in VARIANTS.items()}
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
        text=f"a sweep of {RUNS} runs of 100 updates of a 2-D problem, with their folders, by launcher",
        rows=rows,
        goal="a run beyond the start under 20 ms by local, 1 ms by batched",
        cores=0,
        minutes=4,
    )
}
