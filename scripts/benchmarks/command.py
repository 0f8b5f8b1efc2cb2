"""Benchmarks: how long sgdlab takes, variant beside variant.

  scripts/bench                      all of them
  scripts/bench step startup         some, by name; scripts/bench --list describes them
  scripts/bench --repeats 7 --csv FILE --json FILE --chart FILE.png

The variants of a benchmark take turns, so that a change of the machine's speed affects them all. The table
shows minimum and median over the repeats, and how many times faster than the first variant each one is. Where
--list does not say otherwise, all processes run on one core with one thread.
"""

import argparse
import os
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from benchmarks import batched, many, memory, records, runs14, scaling, startup, step, sweeps, table
from benchmarks.clock import VARIABLE
from benchmarks.table import Benchmark

BENCHMARKS: dict[str, Benchmark] = {
    "step": Benchmark(
        text="one update of the notes' network at batch sizes 16, 64, 256: sgdlab and its peers",
        rows=step.rows,
        goal="as fast as JAX; 70 % of the speed of bare products at 64, 80 % at 256",
        minutes=10,
    ),
    "records": Benchmark(
        text="what records, display and a checkpoint every 20 s add to the loop of a run",
        rows=records.rows,
        goal=f"under {records.GOAL} % of the bare loop",
        max_repeats=3,
        minutes=3.5,
    ),
    "runs14": Benchmark(
        text="the 14 training runs of the notes' figures and script, ten epochs each, with records",
        rows=runs14.rows,
        goal=f"{runs14.GOAL} times as fast as the plain script, one run after another, on the same cores",
        cores=0,
        minutes=8,
    ),
    "startup": Benchmark(
        text="commands from cold: help, lists, completion, plot, the first update, an epoch of 6,000 images",
        rows=startup.rows,
        goal="help, lists, completion: import hydra + .3 s; plot: its imports + .5 s; an epoch: torch + 1 s",
        cores=0,  # as users have them
        minutes=1.5,
    ),
    "memory": Benchmark(
        text="peak memory of importing torch, of a run, and of a sweep of two jobs on Fashion-MNIST",
        rows=memory.rows,
        goal=f"at most {memory.GOAL} MB for a job of the sweep above importing torch",
        cores=0,
        max_repeats=3,
        minutes=3,
    ),
    "sweep": Benchmark(
        text="a run of 100 updates of a 2-D problem in a large sweep, with its folder, by launcher",
        rows=sweeps.rows,
        goal="a run beyond the start under 20 ms in processes, 1 ms in a batch",
        cores=0,
        max_repeats=3,
        minutes=5,
    ),
    "samples": Benchmark(
        text="an epoch of the notes' network on 1,000 to 60,000 examples, batches of 64",
        rows=scaling.samples,
        max_repeats=3,
        minutes=1,
    ),
    "width": Benchmark(
        text="one update of 784-w-w-10 for w from 64 to 4096, batches of 64",
        rows=scaling.width,
        max_repeats=3,
        minutes=1,
    ),
    "runs": Benchmark(
        text="1 to 10,000 runs of Rosenbrock's function in one batch, 200 updates",
        rows=scaling.runs,
        max_repeats=3,
    ),
    "points": Benchmark(
        text="10,000 runs of Rosenbrock's function, 500 updates, momentum",
        rows=batched.engines(batched.ROSENBROCK, 10_000, 10, goal=500),
        goal="500 times",
        minutes=1,
    ),
    "noisy_points": Benchmark(
        text="1,000 runs of a noisy quadratic of 100 examples, batches of 1, 500 updates",
        rows=batched.engines(batched.NOISY_QUADRATIC, 1_000, 10),
    ),
    "logistic": Benchmark(
        text="32 logistic regressions of 1,000 examples, 20 features, batches of 64, 160 updates",
        rows=batched.engines(batched.LOGISTIC, 32, 32, goal=2),
        goal="2 times",
    ),
    "many": Benchmark(
        text=f"commands in a folder of {many.RUNS:,} runs: the list, a plot, one more run",
        rows=many.rows,
        goal=f"list and plot under {many.GOAL:g} s; one more run {many.MORE:g} s more than the first",
        cores=0,
        max_repeats=3,
        minutes=3,
    ),
    "folders": Benchmark(
        text="1,681 runs of a quadratic, 100 updates, each with its folder", rows=batched.folders
    ),
    **{
        f"mlp_{size}": Benchmark(
            text=f"8 networks of {weights:,} weights on images, batches of 64, 100 updates",
            rows=batched.engines((*batched.MLP, f"model.hidden={hidden}"), 8, 8, prepared=True),
        )
        for size, hidden, weights in (
            ("8", "[8]", 6_370),
            ("32", "[32]", 25_450),
            ("64", "[64]", 50_890),
            ("128", "[128]", 101_770),
            ("512", "[512,512]", 669_706),
        )
    },
}


def main(argv: Sequence[str]) -> int:
    """Run the benchmarks that are asked for, print their tables and write the files.

    Args:
        argv: the arguments of the command.

    Returns:
        The exit code.
    """
    parser = _parser()
    options = parser.parse_args(argv)
    os.environ[VARIABLE] = options.clock
    unknown = [name for name in options.names if name not in BENCHMARKS]
    if unknown:
        parser.error(f"{unknown[0]}: no such benchmark; see --list")
    if options.repeats < 1 or not 0 < options.fraction <= 1:
        parser.error("--repeats must be >= 1 and --fraction in (0, 1]")
    if options.list:
        _list()
        return 0
    effort = table.Effort(repeats=options.repeats, fraction=options.fraction)
    rows = [row for name in options.names or BENCHMARKS for row in _measure(name, effort)]
    machine = {**table.machine(), "clock": options.clock}
    print("  ".join(f"{key} {value}" for key, value in machine.items()))
    table.write(rows, machine, as_csv=options.csv, as_json=options.json)
    if options.chart:
        from benchmarks import chart

        chart.draw(rows, options.chart)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("scripts/bench", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="benchmarks; default: all")
    parser.add_argument("--list", action="store_true", help="describe the benchmarks")
    parser.add_argument("--repeats", type=int, default=5, metavar="N", help="default 5")
    parser.add_argument(
        "--fraction",
        type=float,
        default=0.02,
        metavar="F",
        help="part of the plain script's runs that runs14 trains; default 0.02",
    )
    parser.add_argument("--csv", type=Path, metavar="FILE", help="write the rows to FILE")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write rows and machine to FILE")
    parser.add_argument("--chart", type=Path, metavar="FILE", help="draw the rows, one figure a benchmark")
    parser.add_argument(
        "--clock", choices=("wall", "cpu"), default="wall", help="cpu: processor time, for a loaded machine"
    )
    return parser


def _list() -> None:
    for name, benchmark in BENCHMARKS.items():
        goal = f"; goal: {benchmark.goal}" if benchmark.goal else ""
        cores = "" if benchmark.cores else "; on all cores"
        print(f"{name:14} {benchmark.text}{goal}{cores}; about {benchmark.minutes:g} min")


def _measure(name: str, effort: table.Effort) -> list[table.Row]:
    benchmark = BENCHMARKS[name]
    print(f"{name}: {benchmark.text}", flush=True)
    table.pin(benchmark.cores)
    repeats = min(effort.repeats, benchmark.max_repeats or effort.repeats)
    with tempfile.TemporaryDirectory(prefix="sgdlab-bench-") as folder:
        rows = benchmark.rows(replace(effort, repeats=repeats), Path(folder))
    rows = [replace(row, benchmark=name) for row in rows]
    table.show(rows)
    return rows
