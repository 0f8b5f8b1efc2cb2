"""`sgdlab plot`: draw runs, a sweep or an experiment into a PNG, SVG or PDF."""

import argparse
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sgdlab.errors import UsageError

if TYPE_CHECKING:
    from sgdlab.figures.curves import Drawing
    from sgdlab.records import Selection

_DESCRIPTION = """\
Draw recorded runs. A sweep is drawn as its experiment says, options overrule it; the legend names the
settings in which the runs differ. Prints the path of the picture.
"""

_EXAMPLES = """\
examples:
  sgdlab plot                                        the newest run or sweep
  sgdlab plot notes/sgd_batch_size                   a sweep, drawn as its experiment says
  sgdlab plot fashion_mnist --panels lr --smooth 10  all runs of one name, a panel for each lr
  sgdlab plot 3fa8c2d1 77d0 --y test_accuracy --x epochs -o two.pdf
"""


def main(argv: list[str]) -> int:
    """Draw what argv names; exit code 0. Raises UserError when it cannot be drawn or written."""
    options = vars(_parser().parse_intermixed_args(argv))
    targets, output = options.pop("targets"), options.pop("output")
    runs_dir = Path(options.pop("runs_dir"))
    keys = _spec_keys(options)

    from sgdlab.figures import draw, read_spec, save
    from sgdlab.figures.output import check_path
    from sgdlab.records import select

    read_spec(keys, name=_option)  # an option that cannot be meant is refused before any run is read
    if output:
        check_path(Path(output))
    selection = select(targets, runs_dir)
    spec = read_spec(keys, base=read_spec(selection.figure), name=_option)
    drawing = draw(selection.runs, spec)
    path = Path(output) if output else runs_dir / "figures" / f"{_file_name(selection.name)}.png"
    save(drawing.figure, path)
    _report(path, drawing, selection, spec.y)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="sgdlab plot",
        description=_DESCRIPTION,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        argument_default=argparse.SUPPRESS,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add(
        "targets",
        nargs="*",
        metavar="TARGET",
        default=[],
        help="experiment, sweep, folder or hash (default: the newest)",
    )
    add("-o", "--output", metavar="FILE", default=None, help="ending in .png, .svg or .pdf")
    add("--x", metavar="AXIS", help="samples (default), steps, epochs or seconds")
    add("--y", metavar="COLUMN", help="loss (default), lr, train_loss, test_loss, test_accuracy or seconds")
    add("--panels", metavar="KEY", help="one panel for each value of this setting (null: one panel)")
    add("--smooth", metavar="N", help="mean over the last N logged points; the raw curve stays, faint")
    add(
        "--band",
        metavar="MODE",
        help="seeds: minmax (default), a quantile such as 0.1, or none: single lines",
    )
    add("--logx", action=argparse.BooleanOptionalAction, help="logarithmic x axis")
    add("--logy", action=argparse.BooleanOptionalAction, help="logarithmic y axis")
    add("--ylim", metavar="LOW,HIGH", help="ends of the y axis, in its unit")
    add("--title", metavar="TEXT", help="default: the settings that the runs share; '' for none")
    add("--panel-title", metavar="TEXT", help="such as 'lr-{lr:g} mt-{momentum}'; default: KEY=value")
    add("--size", metavar="WxH", help="inches, such as 7x4; a legend beside the curves is added to it")
    add(
        "--runs-dir",
        metavar="DIR",
        default=os.environ.get("SGDLAB_RUNS") or "runs",
        help="where runs are (default: the variable SGDLAB_RUNS, else runs)",
    )
    return parser


def _option(key: str) -> str:
    return f"--{key.replace('_', '-')}"


def _spec_keys(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options as a figure's keys: numbers as numbers, `7x4` and `0,1` as lists."""
    keys = dict(options)
    for key in ("smooth", "band", "panels"):
        if key in keys and (key != "panels" or keys[key] == "null"):
            keys[key] = _scalar(keys[key])
    for key, separator, example in (("size", "[x,]", "7x4"), ("ylim", ",", "0,2.5")):
        if key in keys:
            parts = re.split(separator, keys[key])
            if len(parts) != 2:
                raise UsageError(f"{_option(key)}={keys[key]}: write it like {example}")
            keys[key] = [_scalar(part) for part in parts]
    return keys


def _scalar(text: str) -> Any:
    """A number or null where the text is one, else the text."""
    try:
        value = json.loads(text)
    except ValueError:
        return text
    return value if value is None or isinstance(value, int | float) else text


def _file_name(name: str) -> str:
    """A target's name as a file's: `notes/sgd_momentum` is notes-sgd_momentum."""
    return re.sub(r"[^\w.+=,-]+", "-", name).strip(".-") or "runs"


def _report(path: Path, drawing: "Drawing", selection: "Selection", y: str) -> None:
    count = len(drawing.drawn)
    print(f"{path} ({count} run{'' if count == 1 else 's'})")
    for run in drawing.empty:
        print(f"not drawn: {run.folder}: no value of {y} ({run.status})")
    for missing in selection.missing:
        print(f"not drawn: {missing}")
