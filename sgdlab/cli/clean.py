"""`sgdlab clean`: free what runs have left on the disk and can be made again. Records are never removed."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sgdlab.base.formatting import format_size
from sgdlab.cli.arguments import add_runs_dir, command_parser
from sgdlab.cli.text import table

if TYPE_CHECKING:
    from sgdlab.records.disk import Removable

_DESCRIPTION = """\
Free what can be made again: the checkpoints of finished runs, and what killed processes have left. Says how
much that is, and asks before it removes anything. Records stay (CSV files, run.json, config.yaml,
sweep.json), and so do the checkpoints of unfinished runs, from which these resume.
"""

_EXAMPLES = """\
examples:
  sgdlab clean --dry-run            say what would be removed
  sgdlab clean notes/sgd_momentum   the runs of one sweep
  sgdlab clean --weights --yes      the weights of finished runs, too; without a question
The setting keep=checkpoint, weights or none says what a run keeps in the first place.
"""


def parser() -> argparse.ArgumentParser:
    """Return the arguments of `sgdlab clean`."""
    parser = command_parser("clean", _DESCRIPTION, _EXAMPLES)
    add = parser.add_argument
    targets = "experiment, sweep, folder or hash (default: all runs)"
    add("targets", nargs="*", metavar="TARGET", help=targets)
    add("--weights", action="store_true", help="remove the weights of finished runs, too")
    add("-n", "--dry-run", action="store_true", help="say what would be removed, and remove nothing")
    add("-y", "--yes", action="store_true", help="do not ask")
    add_runs_dir(parser)
    return parser


def main(argv: list[str]) -> int:
    """Free what can be made again; exit code 0, also when nothing is removed. Raises UserError."""
    arguments = parser().parse_intermixed_args(argv)
    from sgdlab.records.disk import remove

    runs_dir: Path = arguments.runs_dir
    found = _find(arguments.targets, runs_dir, weights=arguments.weights)
    if not found:
        print(f"nothing to free in {' '.join(arguments.targets) or runs_dir}")
        return 0
    print(table([(str(kind), format_size(kind.size)) for kind in found]))
    total = format_size(sum(kind.size for kind in found))
    if arguments.dry_run:
        print(f"would free {total}")
    elif arguments.yes or _agreed(total):
        print(f"freed {format_size(remove(found))}")
    elif _on_terminal():
        print("nothing was removed")
    else:
        print(f"nothing was removed; --yes frees {total}")
    return 0


def _find(targets: Sequence[str], runs_dir: Path, *, weights: bool) -> "list[Removable]":
    from sgdlab.records import find_runs, select
    from sgdlab.records.disk import removable

    runs = select(targets, runs_dir).runs if targets else find_runs(runs_dir)
    folders = [run.folder for run in runs] if targets else [runs_dir]
    return removable(runs, folders, weights=weights)


def _on_terminal() -> bool:
    """Return whether a person can answer: the input may come from elsewhere, or be closed."""
    return sys.stdin is not None and sys.stdin.isatty()


def _agreed(total: str) -> bool:
    """Ask a person at a terminal; anything but y or yes means no."""
    if not _on_terminal():
        return False
    try:
        return input(f"Free {total}? [y/N] ").strip().lower() in ("y", "yes")
    except EOFError:
        print()
        return False
