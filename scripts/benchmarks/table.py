"""Results: rows, variants that take turns, the printed table and the files."""

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

Variant = Callable[[], float]  # does the work once and returns its seconds, scaled


@dataclass(frozen=True, kw_only=True)
class Effort:
    """How much to measure.

    Attributes:
        repeats: of each variant.
        fraction: of the plain script's training runs, which would take an hour as a whole.
    """

    repeats: int = 5
    fraction: float = 0.02


@dataclass(frozen=True, kw_only=True)
class Row:
    """The results of one variant in one case.

    Attributes:
        benchmark: its name, which the command fills in.
        of: what the numbers are the time or size of, such as "one update".
        unit: of minimum and median.
        faster: how many times faster than the first variant of the case, by the minima.
        limit: fraction of the best speed that the arithmetic allows.
        rate: GFLOP/s.
        x: place on the axis of a curve.
        goal, met: what was aimed at, and whether it was reached.
        note: why numbers are missing, or what they leave out.
    """

    benchmark: str = ""
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


Measure = Callable[[Effort, Path], list[Row]]


@dataclass(frozen=True, kw_only=True)
class Benchmark:
    """One comparison.

    Attributes:
        text: what it measures, for --list.
        rows: measures, in an empty folder.
        goal: for --list.
        cores: 1, pinned to the last core; 0: all cores.
        max_repeats: of a slow benchmark; None: as many as are asked for.
        minutes: its duration with the default effort on the full data.
    """

    text: str
    rows: Measure
    goal: str = ""
    cores: int = 1
    max_repeats: int | None = None
    minutes: float = 0.5


def in_turn(variants: Mapping[str, Variant], repeats: int) -> dict[str, list[float]]:
    """Run the variants in turn, so that a change of the machine's speed affects them all.

    Args:
        variants: by name.
        repeats: of each, after a first turn that warms up and does not count.

    Returns:
        The seconds of each variant.
    """
    times: dict[str, list[float]] = {variant: [] for variant in variants}
    for repeat in range(repeats + 1):
        for variant, work in variants.items():
            seconds = work()
            if repeat:
                times[variant].append(seconds)
    return times


def row(results: Sequence[float], **fields: Any) -> Row:
    """Make the row of repeated measurements.

    Args:
        results: the measured numbers.
        fields: the other fields of the row.

    Returns:
        The row.
    """
    return Row(minimum=min(results), median=statistics.median(results), repeats=len(results), **fields)


def compare(times: Mapping[str, Sequence[float]], **fields: Any) -> list[Row]:
    """Make a row for each variant, compared with the first one.

    Args:
        times: the seconds of each variant.
        fields: the other fields of the rows.

    Returns:
        The rows.
    """
    first = min(next(iter(times.values())))
    return [
        row(seconds, variant=variant, faster=first / min(seconds), **fields)
        for variant, seconds in times.items()
    ]


# Title of a column, its text, whether it is aligned right.
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
    """Print a table for each benchmark, without the columns that are empty."""
    console = Console(width=max(110, Console().width))
    for (name, case), group in itertools.groupby(rows, lambda row: (row.benchmark, row.case)):
        table = Table(box=None, pad_edge=False, header_style="bold")
        used = [column for column in _COLUMNS if any(column[1](row) for row in rows)]
        for title, _, right in used:
            table.add_column(title, justify="right" if right else "left")
        for row in group:
            table.add_row(*(Text(text(row)) for _, text, _ in used))
        console.print(Text(f"{name}: {case}" if case else name, style="bold"))
        console.print(table)


def quantity(value: float | None, unit: str) -> str:
    """Write a measured number with its unit; seconds as us, ms or s.

    Args:
        value: the number, or None when there is none.
        unit: "s" or another unit.

    Returns:
        The text.
    """
    if value is None:
        return ""
    if unit != "s":
        return f"{value:,.4g} {unit}"
    scale, name = next((unit for unit in ((1, "s"), (1e-3, "ms")) if value >= 0.1 * unit[0]), (1e-6, "us"))
    number = value / scale
    return f"{number:,.0f} {name}" if number >= 1000 else f"{number:.3g} {name}"


def _goal(row: Row) -> str:
    return f"{row.goal}: {'met' if row.met else 'MISSED'}" if row.goal else ""


def write(
    rows: Sequence[Row], machine: Mapping[str, object], *, as_csv: Path | None, as_json: Path | None
) -> None:
    """Write the rows to files.

    Args:
        rows: of all benchmarks.
        machine: what `machine` returns.
        as_csv: the CSV file, or None.
        as_json: the JSON file, or None.
    """
    records = [asdict(row) for row in rows]
    if as_json:
        as_json.write_text(json.dumps({"machine": machine, "rows": records}, indent=1) + "\n")
    if as_csv:
        with as_csv.open("w", newline="") as file:
            writer = csv.DictWriter(file, fieldnames=[field.name for field in fields(Row)])
            writer.writeheader()
            writer.writerows(records)


def machine() -> dict[str, object]:
    """Return versions, processor, system, commit and load."""
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
    """Pin this process and those that it starts to the last core, with one thread.

    Args:
        cores: 1, or 0 to undo it.
    """
    import torch

    torch.set_num_threads(1 if cores else THREADS)
    if sys.platform == "linux":
        os.sched_setaffinity(0, {max(EVERY_CORE)} if cores else EVERY_CORE)
