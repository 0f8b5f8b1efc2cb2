"""What was measured: rows, variants that take turns, the printed table and the files."""

import csv
import itertools
import json
import os
import platform
import statistics
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

Variant = Callable[[], float]  # does the work once; returns the seconds that it took, scaled


@dataclass(frozen=True, kw_only=True)
class Effort:
    """How much to measure. fraction: of the plain script's training runs, which whole would take an hour."""

    repeats: int = 5
    fraction: float = 0.02


@dataclass(frozen=True, kw_only=True)
class Benchmark:
    """One comparison.

    rows: measures, with a folder that is its own. goal: in words, for --list. cores: 1, pinned to the last
    core, or 0, all of them. minutes: how long it takes, about, with the default effort on the full data.
    """

    text: str
    rows: Callable[[Effort, Path], "list[Row]"]
    goal: str = ""
    cores: int = 1
    minutes: float = 0.5


@dataclass(frozen=True, kw_only=True)
class Row:
    """What was measured of one variant in one case, in `unit` of `of`.

    faster: than the first variant of the case, minimum by minimum. limit: share of the best that arithmetic
    allows. rate: GFLOP/s. goal: what was aimed at, and `met` whether it was reached. note: why there are no
    numbers, or what they leave out. x: where on an axis, of rows that make a curve.
    """

    benchmark: str
    case: str = ""
    variant: str
    of: str
    unit: str = "s"
    minimum: float | None = None
    median: float | None = None
    repeats: int = 0
    faster: float | None = None
    limit: float | None = None
    rate: float | None = None
    x: float | None = None
    goal: str = ""
    met: bool | None = None
    note: str = ""


def in_turn(variants: Mapping[str, Variant], repeats: int) -> dict[str, list[float]]:
    """The seconds of each variant, which take turns, so that a change of the machine's speed meets them all;
    a first turn warms up and does not count."""
    times: dict[str, list[float]] = {variant: [] for variant in variants}
    for repeat in range(repeats + 1):
        for variant, work in variants.items():
            seconds = work()
            if repeat:
                times[variant].append(seconds)
    return times


def row(found: Sequence[float], **about: Any) -> Row:
    """The row of repeated measurements."""
    return Row(minimum=min(found), median=statistics.median(found), repeats=len(found), **about)


def compared(name: str, of: str, variants: Mapping[str, Variant], repeats: int) -> list[Row]:
    """Rows of variants in seconds, each beside the first."""
    times = in_turn(variants, repeats)
    first = min(next(iter(times.values())))
    return [
        row(found, benchmark=name, variant=variant, of=of, faster=first / min(found))
        for variant, found in times.items()
    ]


# Title of a column, how to write it, whether it stands right.
_COLUMNS: tuple[tuple[str, Callable[[Row], str], bool], ...] = (
    ("variant", lambda row: row.variant, False),
    ("min", lambda row: quantity(row.minimum, row.unit), True),
    ("median", lambda row: quantity(row.median, row.unit), True),
    ("of", lambda row: row.of, False),
    ("times faster", lambda row: "" if row.faster is None else f"{row.faster:,.3g}", True),
    ("of the limit", lambda row: "" if row.limit is None else f"{100 * row.limit:.0f} %", True),
    ("GFLOP/s", lambda row: "" if row.rate is None else f"{row.rate:.1f}", True),
    ("", lambda row: "; ".join(filter(None, (_goal(row), row.note))), False),
)


def show(rows: Sequence[Row]) -> None:
    """Print a table for each benchmark, without columns that nothing fills."""
    console = Console(width=max(110, Console().width))
    for (name, case), group in itertools.groupby(rows, lambda row: (row.benchmark, row.case)):
        found = list(group)
        table = Table(box=None, pad_edge=False, header_style="bold")
        used = [column for column in _COLUMNS if any(column[1](row) for row in rows)]
        for title, _, right in used:
            table.add_column(title, justify="right" if right else "left")
        for row in found:
            table.add_row(*(Text(write(row)) for _, write, _ in used))
        console.print(Text(f"{name}: {case}" if case else name, style="bold"))
        console.print(table)


def quantity(value: float | None, unit: str) -> str:
    """A measured number with its unit: seconds from microseconds up, or megabytes."""
    if value is None:
        return ""
    if unit != "s":
        return f"{value:,.4g} {unit}"
    scale, name = next((each for each in ((1, "s"), (1e-3, "ms")) if value >= 0.1 * each[0]), (1e-6, "us"))
    number = value / scale
    return f"{number:,.0f} {name}" if number >= 1000 else f"{number:.3g} {name}"


def _goal(row: Row) -> str:
    return f"{row.goal}: {'met' if row.met else 'MISSED'}" if row.goal else ""


def write(
    rows: Sequence[Row], machine: Mapping[str, object], *, as_csv: Path | None, as_json: Path | None
) -> None:
    """Keep the rows in files."""
    records = [asdict(row) for row in rows]
    if as_json:
        as_json.write_text(json.dumps({"machine": machine, "rows": records}, indent=1) + "\n")
    if as_csv:
        with as_csv.open("w", newline="") as file:
            writer = csv.DictWriter(file, fieldnames=[field.name for field in fields(Row)])
            writer.writeheader()
            writer.writerows(records)


def machine() -> dict[str, object]:
    """Where and with what this was measured."""
    import torch

    from sgdlab.execution.run.provenance import facts

    known = facts("cpu")
    return {
        **known["versions"],
        "processor": known["device_name"],
        "cores": os.cpu_count(),
        "system": platform.platform(),
        "commit": known["git"],
        "threads": torch.get_num_threads(),
        "load": os.getloadavg()[0],
    }


EVERY_CORE = os.sched_getaffinity(0) if sys.platform == "linux" else set()

THREADS = len(EVERY_CORE) or os.cpu_count() or 1


def pin(cores: int) -> None:
    """Keep this process, and those that it starts from now on, to the last core and itself to one thread, as
    two threads on one core wait for each other; 0: to none."""
    import torch

    torch.set_num_threads(1 if cores else THREADS)
    if sys.platform == "linux":
        os.sched_setaffinity(0, {max(EVERY_CORE)} if cores else EVERY_CORE)
