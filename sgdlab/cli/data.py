"""`sgdlab data`: which image data sets are on this computer, where, how large; `sgdlab data fetch NAME`."""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sgdlab.problem.data.image_data import Status

WIDE = 200  # columns where no terminal has a say: in a file or a pipe a row of the list stays one line


def main(argv: list[str]) -> int:
    """List the image data sets (exit code 0 whatever their state), or fetch one. Raises UserError."""
    options = vars(_parser().parse_args(argv))
    chosen = options.get("data_dir")
    data_dir = Path(chosen) if chosen else None
    return _fetch(options["name"], data_dir) if options["action"] == "fetch" else _list(data_dir)


def _parser() -> argparse.ArgumentParser:
    folder = argparse.ArgumentParser(add_help=False)
    folder.add_argument(
        "--data-dir",
        metavar="DIR",
        default=argparse.SUPPRESS,  # else `fetch` without it would overrule `data --data-dir DIR fetch`
        help="where data sets are kept (default: the variable SGDLAB_DATA, else the user's cache folder)",
    )
    parser = argparse.ArgumentParser(
        prog="sgdlab data",
        usage="sgdlab data [-h] [--data-dir DIR]\n       sgdlab data fetch [-h] [--data-dir DIR] NAME",
        parents=[folder],
        description="List the image data sets: what is on this computer, where, and how large."
        " Every file is read and compared with its known SHA-256.",
        epilog="`sgdlab data fetch NAME` gets one and verifies it.",
    )
    fetch = parser.add_subparsers(dest="action", help=argparse.SUPPRESS).add_parser(
        "fetch",
        parents=[folder],
        prog="sgdlab data fetch",
        description="Get a data set from the first source that has it, verify it, and keep it in DIR.",
    )
    fetch.add_argument("name", metavar="NAME", help="such as fashion_mnist; `sgdlab data` lists them")
    return parser


def _fetch(name: str, data_dir: Path | None) -> int:
    from sgdlab.problem.data.image_data import load_images

    images = load_images(name, data_dir)
    print(
        f"{name}: {len(images.train_y):,} training and {len(images.test_y):,} test examples, verified"
        f" ({images.source})"
    )
    return 0


def _list(data_dir: Path | None) -> int:
    from sgdlab.problem.data.image_data import data_folder, dataset_names, dataset_status

    statuses = [dataset_status(name, data_dir) for name in dataset_names()]
    print(f"data folder: {data_folder(data_dir)}")
    print(_table(statuses))
    for status in statuses:
        for problem in status.problems:
            print(f"{status.name}: {problem}")
    for name in (status.name for status in statuses if status.state in ("corrupt", "incomplete")):
        print(f"To mend it: sgdlab data fetch {name}")
    return 0


def _table(statuses: "list[Status]") -> str:
    """The list as text, without spaces at the ends of lines."""
    from rich.console import Console
    from rich.table import Table

    console = Console(width=None if sys.stdout.isatty() else WIDE)
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("data set", no_wrap=True)
    table.add_column("state", no_wrap=True)
    table.add_column("on disk", no_wrap=True, justify="right")
    table.add_column("train / test", no_wrap=True)
    table.add_column("where", overflow="fold")
    table.add_column("sources", overflow="fold")
    for status in statuses:
        size = f"{status.size / 1e6:.1f} MB" if status.size else "-"
        examples = f"{status.train:,} / {status.test:,}"
        where = "-" if status.state == "absent" else status.folder
        table.add_row(status.name, status.state, size, examples, where, status.source)
    with console.capture() as capture:
        console.print(table, markup=False)
    return "\n".join(line.rstrip() for line in capture.get().splitlines())
