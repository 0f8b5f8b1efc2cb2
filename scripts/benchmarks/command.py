"""Benchmarks: how long sgdlab takes, variant beside variant.

  scripts/bench                      all of them
  scripts/bench step startup         some, by name; scripts/bench --list says what there is
  scripts/bench --repeats 7 --csv FILE --json FILE --chart FILE.png

The variants of a benchmark take turns, so that a change of the machine's speed meets them all; minimum and
median over the repeats are shown, and how many times faster than the first variant each is. Where --list does
not say otherwise, all processes keep to one core and one thread.
"""

import argparse
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks import batched, memory, records, runs14, scaling, startup, step, sweeps, table
from benchmarks.clock import VARIABLE
from benchmarks.table import Benchmark

BENCHMARKS: dict[str, Benchmark] = {
    **step.BENCHMARKS,
    **records.BENCHMARKS,
    **runs14.BENCHMARKS,
    **startup.BENCHMARKS,
    **memory.BENCHMARKS,
    **sweeps.BENCHMARKS,
    **scaling.BENCHMARKS,
    **batched.BENCHMARKS,
}


def main(argv: Sequence[str]) -> int:
    """Measure what was asked for, print the table, write the files."""
    parser = argparse.ArgumentParser("scripts/bench", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="benchmarks; default: all")
    parser.add_argument("--list", action="store_true", help="say what there is")
    parser.add_argument("--repeats", type=int, default=5, metavar="N", help="default 5")
    parser.add_argument(
        "--fraction",
        type=float,
        default=0.02,
        metavar="F",
        help="of the plain script's runs (runs14); default 0.02",
    )
    parser.add_argument("--csv", type=Path, metavar="FILE", help="write the rows there")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write rows and machine there")
    parser.add_argument("--chart", type=Path, metavar="FILE", help="draw the rows, one figure a benchmark")
    parser.add_argument(
        "--clock", choices=("wall", "cpu"), default="wall", help="cpu: processor time, for a loaded machine"
    )
    asked = parser.parse_args(argv)
    os.environ[VARIABLE] = asked.clock
    unknown = [name for name in asked.names if name not in BENCHMARKS]
    if unknown:
        parser.error(f"{unknown[0]}: no such benchmark; see --list")
    if asked.repeats < 1 or not 0 < asked.fraction <= 1:
        parser.error("--repeats must be >= 1 and --fraction in (0, 1]")
    if asked.list:
        for name, benchmark in BENCHMARKS.items():
            goal = f"; goal: {benchmark.goal}" if benchmark.goal else ""
            cores = "" if benchmark.cores else "; on all cores"
            print(f"{name:14} {benchmark.text}{goal}{cores}; about {benchmark.minutes:g} min")
        return 0
    effort = table.Effort(repeats=asked.repeats, fraction=asked.fraction)
    rows: list[table.Row] = []
    for name in asked.names or BENCHMARKS:
        rows += _measured(name, effort)
    where = {**table.machine(), "clock": asked.clock}
    print("  ".join(f"{key} {value}" for key, value in where.items()))
    table.write(rows, where, as_csv=asked.csv, as_json=asked.json)
    if asked.chart:
        from benchmarks import chart

        chart.draw(rows, asked.chart)
    return 0


def _measured(name: str, effort: table.Effort) -> list[table.Row]:
    benchmark = BENCHMARKS[name]
    print(f"{name}: {benchmark.text}", flush=True)
    table.pin(benchmark.cores)
    with tempfile.TemporaryDirectory(prefix="sgdlab-bench-") as folder:
        rows = benchmark.rows(effort, Path(folder))
    table.show(rows)
    return rows
