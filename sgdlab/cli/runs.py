"""`sgdlab runs`: a table of runs, or CSV: status, the settings that differ, results."""

import argparse
import os
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sgdlab.base.errors import UserError
from sgdlab.base.formatting import counted, format_duration, format_number, format_percent, format_value
from sgdlab.cli.arguments import add_runs_dir, command_parser
from sgdlab.cli.broken import warn_of_broken
from sgdlab.execution.outcome import STYLES

if TYPE_CHECKING:
    from rich.table import Table

    from sgdlab.records import Run

REASONS = 5  # reasons printed below the table; the rest are counted
UNBOUNDED = 100_000
NARROWEST = 80  # columns: a terminal with fewer gets long lines rather than cut ones
SETTINGS_WIDTH = 24  # characters, at least, of settings that share a column

_DESCRIPTION = """\
List runs: status, the settings that differ, last training loss, test accuracy, training time.
"""

_EXAMPLES = """\
examples:
  sgdlab runs                                  all runs but the recorded baselines
  sgdlab runs notes/sgd_momentum               those of a sweep, experiment or folder
  sgdlab runs status=done lr=1e-3              those that pass every filter
  sgdlab runs 'test_accuracy>80%' --sort test_accuracy,desc
  sgdlab runs --csv all.csv                    every setting and number, for a spreadsheet
A filter is KEY=VALUE, KEY!=VALUE, or KEY with <, <=, >, >= (quote < and >). KEY is a setting,
status, hash, name, started, seconds, or a number such as loss, test_loss, test_accuracy, step.
"""


def parser() -> argparse.ArgumentParser:
    """Return the arguments of `sgdlab runs`."""
    parser = command_parser("runs", _DESCRIPTION, _EXAMPLES)
    add = parser.add_argument
    words = "which runs: an experiment, sweep, folder or hash; and filters such as lr=0.1"
    add("words", nargs="*", metavar="TARGET or FILTER", help=words)
    order = "by a setting or number (default: as started, or as in the sweep)"
    add("--sort", metavar="KEY[,desc]", help=order)
    csv = "all settings and numbers, printed or to a file"
    add("--csv", nargs="?", const="-", metavar="FILE.csv", help=csv)
    add("--all", action="store_true", help="include the recorded baselines")
    add_runs_dir(parser)
    return parser


def main(argv: list[str]) -> int:
    """Print the table; exit code 0, also when there is nothing to show. Raises UserError."""
    arguments = parser().parse_intermixed_args(argv)
    words, csv = arguments.words, arguments.csv
    if csv and csv != "-" and not csv.endswith(".csv"):  # `--csv lr=0.1`: the word after --csv is a filter
        words, csv = [*words, csv], "-"

    from sgdlab.records import matching, ordered, parse_filter

    parsed = {word: None if os.path.exists(word) else parse_filter(word) for word in words}
    filters = [each for each in parsed.values() if each]
    targets = [word for word, each in parsed.items() if not each]
    candidates = _find(targets, arguments.runs_dir, baselines=arguments.all)
    runs = matching(candidates, filters)
    if arguments.sort:
        runs = ordered(runs, arguments.sort)
    if csv:
        _write_csv(runs, csv)
    elif not candidates:
        print(f"no runs yet in {arguments.runs_dir}; make one with: sgdlab train")
    elif not runs:
        print(f"none of {len(candidates)} runs passes {' '.join(map(str, filters))}")
    else:
        _print_table(runs)
    return 0


def _find(targets: Sequence[str], runs_dir: Path, *, baselines: bool) -> list["Run"]:
    from sgdlab.records import BASELINES, list_runs, select

    if targets:
        selection = select(targets, runs_dir)
        warn_of_broken(selection.broken)
        return list(selection.runs)
    listing = list_runs(runs_dir)
    warn_of_broken(listing.broken)
    runs = list(listing.runs)
    if not baselines:
        runs = [run for run in runs if run.folder.relative_to(runs_dir).parts[0] != BASELINES]
    return sorted(runs, key=lambda run: str(run.info.get("started") or ""))


def _write_csv(runs: Sequence["Run"], target: str) -> None:
    """Write a row for each run; a cell is empty where a run does not have the setting or number."""
    import pandas as pd

    from sgdlab.records import fields, write_text

    rows = ({key: v if v is None else format_value(v) for key, v in fields(run).items()} for run in runs)
    text = pd.DataFrame(rows).to_csv(index=False, lineterminator="\n")
    if target == "-":
        print(text, end="")
        return
    try:
        Path(target).parent.mkdir(parents=True, exist_ok=True)
        write_text(Path(target), text)
    except OSError as err:
        raise UserError(f"{target} cannot be written: {err.strerror}; choose another file") from None
    print(f"{target} ({counted(len(runs), 'run')})")


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
    statuses = Counter(run.status for run in runs)
    summary = ", ".join(f"{count} {status}" for status, count in statuses.items())
    console.print(f"{counted(len(runs), 'run')}: {summary}", style="bold", soft_wrap=True)
    lines = [f"{run.id} {run.status}: {run.reason}" for run in runs if run.reason]
    if len(lines) > REASONS:
        lines[REASONS:] = [f"and {len(lines) - REASONS} more; --csv has every reason"]
    shared = common_title(runs)
    for line in [*[f"in common: {shared}"] * bool(shared), *lines]:
        console.print(line, markup=False, soft_wrap=True)


def _table(runs: Sequence["Run"], layout: str) -> "Table":
    """Return a row for each run: wide, narrow (no start), or stacked (settings share a column and wrap)."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from sgdlab.records import differing, label

    keys = differing(runs)
    if layout == "stacked":
        columns = {"settings": [label(run, keys) for run in runs]}
    else:
        columns = _setting_columns(runs, keys)
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
    for run, *cells in zip(runs, *columns.values(), strict=True):
        table.add_row(run.id, Text(run.status, style=STYLES.get(run.status, "")), *map(Text, cells))
    return table


def _setting_columns(runs: Sequence["Run"], keys: Sequence[str]) -> dict[str, list[str]]:
    """Return a column for each setting, titled by the last part of its key where no other key ends so."""
    columns = {"case": [run.case or "-" for run in runs]} if any(run.case is not None for run in runs) else {}
    lasts = Counter(key.rpartition(".")[2] for key in keys)
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
    columns["started"] = [_local_time(run.info.get("started")) for run in runs]
    return columns


def _local_time(utc: Any) -> str:
    return datetime.fromisoformat(utc).astimezone().strftime("%Y-%m-%d %H:%M") if utc else "-"
