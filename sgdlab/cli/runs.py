"""`sgdlab runs`: the newest sweeps and runs, the runs of a sweep, or those that pass filters; or CSV."""

import argparse
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sgdlab.base.errors import UserError
from sgdlab.base.formatting import counted, format_value
from sgdlab.cli.arguments import add_runs_dir, command_parser, print_notes
from sgdlab.cli.broken import warn_of_broken

if TYPE_CHECKING:
    from sgdlab.records import Run
    from sgdlab.records.filters import Filter

NEWEST = 20  # sweeps and runs that are listed where nothing is asked for

_DESCRIPTION = """\
List the newest 20 sweeps and runs: a line for each sweep, with its best run, and for each run that belongs to
none. With a TARGET or a FILTER, list runs, a line for each: status, the settings that differ, results.
A table longer than the terminal is shown by the pager ($PAGER, else less).
"""

_EXAMPLES = """\
examples:
  sgdlab runs                                  the newest sweeps and runs
  sgdlab runs notes/sgd_momentum               the runs of a sweep, experiment or folder
  sgdlab runs status=done lr=1e-3              the runs that pass every filter
  sgdlab runs 'test_accuracy>80%' --sort test_accuracy,desc
  sgdlab runs --csv all.csv                    every run, setting and number, for a spreadsheet
A filter is KEY=VALUE, KEY!=VALUE, or KEY with <, <=, >, >= (quote < and >). KEY is a setting,
status, hash, name, started, seconds, or a number such as train_loss, test_accuracy, last_batch_loss.
"""


def parser() -> argparse.ArgumentParser:
    """Return the arguments of `sgdlab runs`."""
    parser = command_parser("runs", _DESCRIPTION, _EXAMPLES)
    add = parser.add_argument
    words = "which runs: an experiment, sweep, folder or hash; and filters such as lr=0.1"
    add("words", nargs="*", metavar="TARGET or FILTER", help=words)
    order = "list runs by a setting or number (default: as started, or as in the sweep)"
    add("--sort", metavar="KEY[,desc]", help=order)
    csv = "all runs, settings and numbers, printed or to a file"
    add("--csv", nargs="?", const="-", metavar="FILE.csv", help=csv)
    add("--all", action="store_true", help="list every run, those of sweeps and the recorded baselines, too")
    add_runs_dir(parser)
    return parser


def main(argv: list[str]) -> int:
    """Print a table; exit code 0, also when there is nothing to show. Raises UserError."""
    arguments = parser().parse_intermixed_args(argv)
    words, csv = arguments.words, arguments.csv
    if csv and csv != "-" and not csv.endswith(".csv"):  # `--csv lr=0.1`: the word after --csv is a filter
        words, csv = [*words, csv], "-"
    if words or csv or arguments.sort or arguments.all:
        _list_runs(words, csv, arguments)
    else:
        _list_newest(arguments.runs_dir)
    return 0


def _list_newest(runs_dir: Path) -> None:
    from sgdlab.cli.runs_tables import show_overview
    from sgdlab.records.overview import overview

    found = overview(runs_dir, NEWEST)
    warn_of_broken(found.broken)
    if found.entries:
        show_overview(found)
    elif not found.broken:
        _say_none(runs_dir)


def _list_runs(words: Sequence[str], csv: str | None, arguments: argparse.Namespace) -> None:
    from sgdlab.cli.runs_tables import show_runs
    from sgdlab.records import matching, ordered, parse_filter

    parsed: dict[str, Filter | None] = {
        word: None if os.path.exists(word) else parse_filter(word) for word in words
    }
    filters = [each for each in parsed.values() if each]
    targets = [word for word, each in parsed.items() if not each]
    candidates, any_broken = _find(targets, arguments.runs_dir, baselines=arguments.all)
    runs = matching(candidates, filters)
    if arguments.sort:
        runs = ordered(runs, arguments.sort)
    if csv:
        _write_csv(runs, csv)
    elif not candidates:
        if not any_broken:  # of these, warnings have been printed
            _say_none(arguments.runs_dir)
    elif not runs:
        print(f"none of {len(candidates)} runs passes {' '.join(map(str, filters))}")
    else:
        show_runs(runs)


def _say_none(runs_dir: Path) -> None:
    print(f"no runs yet in {runs_dir}; make one with: sgdlab train")


def _find(targets: Sequence[str], runs_dir: Path, *, baselines: bool) -> tuple[list["Run"], bool]:
    """Return runs, and whether records were left out that cannot be read."""
    from sgdlab.records import is_baseline, list_runs, select

    if targets:
        selection = select(targets, runs_dir)
        print_notes(selection)
        warn_of_broken(selection.broken)
        return list(selection.runs), bool(selection.broken)
    listing = list_runs(runs_dir)
    warn_of_broken(listing.broken)
    runs = list(listing.runs)
    if not baselines:
        runs = [run for run in runs if not is_baseline(run.folder, runs_dir)]
    return sorted(runs, key=lambda run: str(run.info.get("started") or "")), bool(listing.broken)


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
