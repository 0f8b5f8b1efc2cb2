"""Commands in a folder of 10,000 runs, beside the same in an empty one."""

import itertools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from benchmarks.clock import SGDLAB, time_command
from benchmarks.table import Effort, Row, in_turn, row

RUNS = 10_000
GOAL = 3.0  # seconds of a command that reads all runs
MORE = 1.0  # seconds by which one more run may be later than in an empty folder
_PROBLEM = ("problem=noisy_quadratic", "optimizer=sgd", "steps=100", "batch_size=10", "quiet=true")
_RATES = ("0.001", "0.003", "0.01", "0.03")
LIST = "runs"
PLOT = "plot --kind sweep"
CURVES = "plot, all curves"
FIRST, ONE_MORE = "train, in an empty folder", "train, one more run"


def rows(effort: Effort, folder: Path) -> list[Row]:
    """Make the runs, which does not count, and time the commands in turn."""
    full = folder / "full"
    sweep = f"seed=range({RUNS // len(_RATES)})", f"lr={','.join(_RATES)}", "hydra.launcher.batch=always"
    time_command((*SGDLAB, "train", "-m", *_PROBLEM, *sweep, "name=many", f"runs_dir={full}"))
    numbers = itertools.count()
    variants: dict[str, Callable[[], float]] = {
        LIST: lambda: _reading("runs", full),
        PLOT: lambda: _reading(
            "plot", full, "many", "--kind", "sweep", "--x", "lr", "-o", str(folder / "a.png")
        ),
        CURVES: lambda: _reading("plot", full, "many", "-o", str(folder / "b.png")),
        FIRST: lambda: _one_run(folder / str(next(numbers)), 0),
        ONE_MORE: lambda: _one_run(full, 10**6 + next(numbers)),
    }
    times = in_turn(variants, effort.repeats)
    made = {name: row(seconds, variant=name, of="one command") for name, seconds in times.items()}
    for name in (LIST, PLOT):
        made[name] = replace(made[name], goal=f"under {GOAL:g} s", met=min(times[name]) < GOAL)
    more = min(times[ONE_MORE]) - min(times[FIRST])
    made[ONE_MORE] = replace(
        made[ONE_MORE],
        goal=f"under {MORE:g} s more than in an empty folder",
        met=more < MORE,
        note=f"{more:.2f} s more",
    )
    return list(made.values())


def _reading(command: str, runs_dir: Path, *arguments: str) -> float:
    return time_command((*SGDLAB, command, *arguments, "--runs-dir", str(runs_dir)))


def _one_run(runs_dir: Path, seed: int) -> float:
    return time_command((*SGDLAB, "train", *_PROBLEM, f"seed={seed}", "name=many", f"runs_dir={runs_dir}"))
