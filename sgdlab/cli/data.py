"""`sgdlab data`: the image data sets, where they lie and how large they are; `sgdlab data fetch NAME`."""

import argparse
from pathlib import Path

from sgdlab.base.formatting import command_line
from sgdlab.cli.arguments import add_data_dir, command_parser
from sgdlab.cli.text import table


def parser() -> argparse.ArgumentParser:
    """Return the arguments of `sgdlab data` and of `sgdlab data fetch NAME`."""
    parser = command_parser(
        "data",
        "List the image data sets: state, folder and size on this computer.\n"
        "Every file is read and compared with its known SHA-256.",
        "`sgdlab data fetch NAME` gets one from the first source that has it, and verifies it.",
        usage="sgdlab data [-h] [--data-dir DIR]\n       sgdlab data fetch [-h] [--data-dir DIR] NAME",
    )
    add = parser.add_argument
    add("action", nargs="?", choices=["fetch"], help="fetch a data set; without it, list them")
    add("name", nargs="?", metavar="NAME", help="such as fashion_mnist; `sgdlab data` lists them")
    add_data_dir(parser)
    return parser


def main(argv: list[str]) -> int:
    """List the image data sets (exit code 0 whatever their state), or fetch one. Raises UserError."""
    arguments = parser().parse_intermixed_args(argv)
    if arguments.action is None:
        _list(arguments.data_dir)
    elif arguments.name is None:
        parser().error("fetch: the NAME of a data set is missing")
    else:
        _fetch(arguments.name, arguments.data_dir)
    return 0


def _fetch(name: str, data_dir: Path | None) -> None:
    from sgdlab.problem.data.image_data import load_images

    images = load_images(name, data_dir)
    sizes = f"{len(images.train_y):,} training and {len(images.test_y):,} test examples"
    print(f"{name}: {sizes}, verified ({images.source})")


def _list(data_dir: Path | None) -> None:
    from sgdlab.problem.data.image_data import data_folder, dataset_status
    from sgdlab.problem.settings import IMAGE_SIZES

    statuses = [dataset_status(name, data_dir) for name in IMAGE_SIZES]
    rows = [("data set", "state", "on disk", "train / test", "where", "sources")]
    for status in statuses:
        size = f"{status.size / 1e6:.1f} MB" if status.size else "-"
        where = "-" if status.state == "absent" else str(status.folder)
        examples = f"{status.train:,} / {status.test:,}"
        rows.append((status.name, status.state, size, examples, where, status.source))
    print(f"data folder: {data_folder(data_dir)}")
    print(table(rows))
    for status in statuses:
        for problem in status.problems:
            print(f"{status.name}: {problem}")
    for status in statuses:
        if status.state in ("corrupt", "incomplete"):
            place = ["--data-dir", data_dir] if data_dir else []
            print(f"To repair it: {command_line('data', 'fetch', *place, status.name)}")
