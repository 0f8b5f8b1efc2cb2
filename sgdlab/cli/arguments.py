"""Command-line arguments that commands share: the form of a parser, the folders of runs and of data."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sgdlab.base.errors import UserError

if TYPE_CHECKING:
    from sgdlab.records import Selection


def command_parser(
    name: str, description: str, examples: str = "", **options: Any
) -> argparse.ArgumentParser:
    """Return a parser of the form that all commands share: no abbreviated options, line breaks kept.

    Args:
        name: name of the command.
        description: text above the arguments in --help.
        examples: text below them.
        options: further arguments of argparse.ArgumentParser.

    Returns:
        The parser, without arguments but --help.
    """
    parser = argparse.ArgumentParser(
        prog=f"sgdlab {name}",
        description=description,
        epilog=examples,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
        add_help=False,
        **options,
    )
    parser.add_argument("-h", "--help", action=_PrintHelp, help="show this help message and exit")
    return parser


class _PrintHelp(argparse.Action):
    """The action of --help. argparse's own drops what cannot be written, without an error."""

    def __init__(self, option_strings: Sequence[str], **options: Any) -> None:
        super().__init__(option_strings, **options | {"dest": argparse.SUPPRESS, "nargs": 0})
        self.default = argparse.SUPPRESS

    def __call__(self, parser: argparse.ArgumentParser, *arguments: object) -> None:
        print(parser.format_help(), end="")
        parser.exit()


def default_runs_dir() -> Path:
    """Return the folder of runs where no option names one: the variable SGDLAB_RUNS, else `runs`."""
    return Path(os.environ.get("SGDLAB_RUNS") or "runs")


def print_notes(selection: "Selection") -> None:
    """Print on standard error what targets turned out to be, where their words do not say it."""
    for note in selection.notes:
        print(f"sgdlab: {note}", file=sys.stderr)


def add_data_dir(parser: argparse.ArgumentParser) -> None:
    """Add the option --data-dir, whose value is a Path or None."""
    parser.add_argument(
        "--data-dir",
        metavar="DIR",
        type=Path,
        help="where data sets are kept (default: the variable SGDLAB_DATA, else the user's cache folder)",
    )


def add_runs_dir(parser: argparse.ArgumentParser, *, must_exist: bool = True) -> None:
    """Add the option --runs-dir, whose value is a Path. A folder that does not exist raises UserError.

    Args:
        parser: parser to which the option is added.
        must_exist: whether the command reads runs only, so that a missing folder is an error.
    """

    def folder(text: str) -> Path:
        path = Path(text).expanduser()
        if must_exist and not path.is_dir():
            raise UserError(f"{text}: no such folder of runs; give --runs-dir the folder that holds them")
        return path

    parser.add_argument(
        "--runs-dir",
        metavar="DIR",
        type=folder,
        default=default_runs_dir(),
        help="folder of runs (default: the variable SGDLAB_RUNS, else runs)",
    )
