"""`sgdlab runs`: what was run, how it differs, and what came of it, as a table or as CSV."""

import argparse
import os
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sgdlab.base.errors import UserError
from sgdlab.base.formatting import format_duration, format_number, format_percent, format_value

if TYPE_CHECKING:
    from rich.table import Table

    from sgdlab.records import Run

REASONS = 5  # reasons printed below the table; more are counted
UNBOUNDED = 100_000
NARROWEST = 80  # columns: a terminal with fewer gets long lines rather than cut ones
SETTINGS_WIDTH = 24  # characters, at least, of settings that share a column
STYLES = {"done": "green", "diverged": "magenta", "failed": "red", "interrupted": "yellow", "running": "cyan"}

_DESCRIPTION = """\
List runs: status, the settings that differ, last training loss, test accuracy, training time.
"""

_EXAMPLES = """\
examples:
  sgdlab runs                                  all runs in the runs folder but the recorded baselines
  sgdlab runs notes/sgd_momentum               those of a sweep, experiment or folder
  sgdlab runs status=done lr=1e-3              those that pass all filters
  sgdlab runs 'test_accuracy>80%' --sort test_accuracy,desc
  sgdlab runs --csv all.csv                    every setting and number, for a spreadsheet
A filter is KEY=VALUE, KEY!=VALUE, or KEY with <, <=, >, >= (quoted, for the shell's sake). KEY is a setting,
status, hash, name, started, seconds, or a number such as loss, test_loss, test_accuracy, step.
"""


def main(argv: list[str]) -> int:
    """Print the table; exit code 0, also when there is nothing to show. Raises UserError."""
    args = _parser().parse_intermixed_args(argv)
    runs_dir = Path(args.runs_dir or os.environ.get("SGDLAB_RUNS") or "runs")
    if args.runs_dir and not runs_dir.is_dir():
        raise UserError(f"{runs_dir}: no such folder of runs")
    words, csv = _csv_target(args.words, args.csv)

    from sgdlab.records import matching, ordered, parse_filter

    filters = [found for word in words if not Path(word).exists() and (found := parse_filter(word))]
    targets = [word for word in words if Path(word).exists() or not parse_filter(word)]
    every = _find(targets, runs_dir, baselines=args.all)
    runs = matching(every, filters)
    if args.sort:
        runs = ordered(runs, args.sort)
    if csv:
        return _write_csv(runs, csv)
    if not every:
        print(f"no runs yet in {runs_dir}; make one with: sgdlab train")
    elif not runs:
        print(f"none of {len(every)} runs passes {' '.join(map(str, filters))}")
    else:
        _print_table(runs)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="sgdlab runs",
        description=_DESCRIPTION,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add(
        "words",
        nargs="*",
        metavar="TARGET or FILTER",
        help="which runs: an experiment, sweep, folder or hash; and filters such as lr=0.1",
    )
    add(
        "--sort",
        metavar="KEY[,desc]",
        help="by a setting or number (default: as started, or as in the sweep)",
    )
    add(
        "--csv",
        nargs="?",
        const="-",
        metavar="FILE.csv",
        help="all settings and numbers, printed or to a file",
    )
    add("--all", action="store_true", help="with the recorded baselines")
    add("--runs-dir", metavar="DIR", help="where runs are (default: the variable SGDLAB_RUNS, else runs)")
    return parser


def _csv_target(words: list[str], csv: str | None) -> tuple[list[str], str | None]:
    """`--csv` may stand before a target or filter, which is then no file's name."""
    if csv is None or csv == "-" or csv.endswith(".csv"):
        return words, csv
    return [*words, csv], "-"


def _find(targets: Sequence[str], runs_dir: Path, *, baselines: bool) -> list["Run"]:
    from sgdlab.records import BASELINES, find_runs, select

    if targets:
        return list(select(targets, runs_dir).runs)
    runs = find_runs(runs_dir)
    if not baselines:
        runs = [run for run in runs if run.folder.relative_to(runs_dir).parts[0] != BASELINES]
    return sorted(runs, key=lambda run: str(run.info.get("started") or ""))


def _write_csv(runs: Sequence["Run"], target: str) -> int:
    """Every field of every run, a row each; an empty cell is a setting that the run does not have."""
    import csv
    import io

    from sgdlab.records import fields, write_text

    rows = [fields(run) for run in runs]
    names = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(names)
    writer.writerows(
        [["" if row.get(name) is None else format_value(row[name]) for name in names] for row in rows]
    )
    if target == "-":
        print(text.getvalue(), end="")
        return 0
    try:
        Path(target).parent.mkdir(parents=True, exist_ok=True)
        write_text(Path(target), text.getvalue())
    except OSError as err:
        raise UserError(f"{target} cannot be written: {err.strerror}; choose another file") from None
    print(f"{target} ({_count(len(runs))})")
    return 0


def _print_table(runs: Sequence["Run"]) -> None:
    from rich.console import Console
    from rich.measure import Measurement

    from sgdlab.figures.titles import common_title

    console = Console(highlight=False)
    room = console.width if console.is_terminal else UNBOUNDED  # a pipe or file has no width
    for layout in ("wide", "narrow", "stacked"):
        table = _table(runs, layout)
        width = Measurement.get(console, console.options.update(max_width=UNBOUNDED), table)
        if width.maximum <= room:
            break
    console.width = max(min(width.maximum, room), NARROWEST)
    console.print(table)
    console.print(_summary(runs), style="bold", soft_wrap=True)
    shared = common_title(runs)
    if shared:
        console.print(f"in common: {shared}", markup=False, soft_wrap=True)
    for line in _reasons(runs):
        console.print(line, markup=False, soft_wrap=True)


def _table(runs: Sequence["Run"], layout: str) -> "Table":
    """One row a run: wide, narrow (without the start), or stacked (the settings share a column and wrap)."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from sgdlab.records import differing, label

    keys = differing(runs)
    stacked = layout == "stacked"
    columns = {"settings": [label(run, keys) for run in runs]} if stacked else _setting_columns(runs, keys)
    if not stacked and any(run.case is not None for run in runs):
        columns = {"case": [run.case or "-" for run in runs], **columns}
    columns |= _result_columns(runs)
    if layout != "wide":
        columns.pop("started")
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 0, 0, 1), show_edge=False)
    table.add_column("hash", no_wrap=True)
    table.add_column("status", no_wrap=True)
    for title in columns:
        if title == "settings":
            table.add_column(title, overflow="fold", min_width=SETTINGS_WIDTH)
        else:
            table.add_column(title, no_wrap=True, justify="right")
    for i, run in enumerate(runs):
        status = Text(run.status, style=STYLES.get(run.status, ""))
        table.add_row(run.id, status, *(Text(cells[i]) for cells in columns.values()))
    return table


def _setting_columns(runs: Sequence["Run"], keys: Sequence[str]) -> dict[str, list[str]]:
    lasts = Counter(key.rpartition(".")[2] for key in keys)
    columns = {}
    for key in keys:
        last = key.rpartition(".")[2]
        title = last if lasts[last] == 1 else key
        columns[title] = [format_value(run.settings[key]) if key in run.settings else "-" for run in runs]
    return columns


def _result_columns(runs: Sequence["Run"]) -> dict[str, list[str]]:
    columns = {"last loss": [format_number(run.metrics.get("loss"), missing="-") for run in runs]}
    if any(run.metrics.get("test_accuracy") is not None for run in runs):
        accuracies = (run.metrics.get("test_accuracy") for run in runs)
        columns["test acc."] = [format_percent(value, decimals=1, missing="-") for value in accuracies]
    else:
        columns["test loss"] = [format_number(run.metrics.get("test_loss"), missing="-") for run in runs]
    columns["time"] = [format_duration(run.info.get("seconds"), missing="-") for run in runs]
    columns["started"] = [_moment(run.info.get("started")) for run in runs]
    return columns


def _moment(started: Any) -> str:
    """A recorded time (UTC) as this computer's clock showed it."""
    return datetime.fromisoformat(started).astimezone().strftime("%Y-%m-%d %H:%M") if started else "-"


def _count(runs: int) -> str:
    return f"{runs} run{'' if runs == 1 else 's'}"


def _summary(runs: Sequence["Run"]) -> str:
    kinds = Counter(run.status for run in runs)
    return f"{_count(len(runs))}: {', '.join(f'{count} {status}' for status, count in kinds.items())}"


def _reasons(runs: Sequence["Run"]) -> list[str]:
    lines = [f"{run.id} {run.status}: {run.reason}" for run in runs if run.reason]
    more = len(lines) - REASONS
    return [*lines[:REASONS], *([f"and {more} more; --csv has every reason"] if more > 0 else [])]
