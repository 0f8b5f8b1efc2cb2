"""`sgdlab plot`: draw runs, a sweep or an experiment into a PNG, SVG or PDF, or a GIF that moves."""

import argparse
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sgdlab.base.errors import UsageError

if TYPE_CHECKING:
    from sgdlab.figures.layout import Drawing
    from sgdlab.records import Selection

_DESCRIPTION = """\
Draw recorded runs. A sweep is drawn as its experiment says, options overrule it; the legend names the
settings in which the runs differ. Prints the path of the picture.

Kinds of figures: curves (a column against progress), grid (several columns, a panel each), trajectories
(paths of runs with two weights over contours), sweep (a number of each run against a setting), heatmap (it
as a colour over two settings).
"""

_EXAMPLES = """\
examples:
  sgdlab plot                                        the newest run or sweep
  sgdlab plot notes/sgd_batch_size                   a sweep, drawn as its experiment says
  sgdlab plot fashion_mnist --panels lr --smooth 10  all runs of one name, a panel for each lr
  sgdlab plot 3fa8c2d1 77d0 --y test_accuracy --x epochs -o two.pdf
  sgdlab plot rosenbrock --kind trajectories -o paths.gif      paths that grow step by step
"""

# The keys of figures as options: name, metavar (None: a flag), meaning.
_OPTIONS: tuple[tuple[str, str | None, str], ...] = (
    ("--kind", "KIND", "curves (default), grid, trajectories, sweep or heatmap"),
    ("--x", "AXIS", "curves, grid: samples (default), steps, epochs, seconds; sweep, heatmap: a setting"),
    ("--y", "COLUMN", "curves: loss (default), gap, w0 or another column, or regret; heatmap: a setting"),
    ("--value", "NAME,...", "sweep, heatmap: loss, gap, rate or another number, or a measured quantity"),
    ("--tail", "PART", "sweep: mean over the last PART of the run, such as 0.5 (default: the end)"),
    ("--lines", "KEY", "sweep: one line for each value of this setting or of case"),
    ("--theory", "NAME", "sweep: a measured quantity, dashed; heatmap: heavy_ball or another method"),
    ("--curvature", "M,L", "heatmap: least and largest eigenvalue, for --theory (default: as recorded)"),
    ("--clim", "LOW,HIGH", "heatmap: ends of the scale of colours"),
    ("--columns", "A,B,...", "grid: columns, a panel each"),
    ("--panels", "KEY", "one panel for each value of this setting or of case (null: one panel)"),
    ("--legend", "KEY,...", "curves: the settings that the legend names (default: all that differ)"),
    ("--best", "KEY", "curves: of runs that differ in this setting, those at its best value (test_loss)"),
    ("--smooth", "N", "mean over the last N logged points; the raw curve stays, faint"),
    ("--band", "MODE", "seeds: minmax (default), a quantile such as 0.1, or none: single lines"),
    ("--from-epoch", "E", "curves: leave out what comes before"),
    ("--baseline", "LOSS", "regret: the comparator's mean loss (default: the least value, where known)"),
    ("--lengths", None, "trajectories: say how long each path is"),
    ("--contours", "N", "trajectories: lines of equal height (default 18; 0: none)"),
    ("--logx", None, "logarithmic x axis"),
    ("--logy", None, "logarithmic y axis"),
    ("--xlim", "LOW,HIGH", "trajectories: ends of the x axis"),
    ("--ylim", "LOW,HIGH", "ends of the y axis, in its unit"),
    ("--title", "TEXT", "default: the settings that the runs share; '' for none"),
    ("--panel-title", "TEXT", "such as 'lr-{lr:g} mt-{momentum}'; default: KEY=value"),
    ("--x-title", "TEXT", "what the x axis says"),
    ("--y-title", "TEXT", "what the y axis says"),
    ("--size", "WxH", "inches, such as 7x4; a legend outside is added to it"),
)
_PAIRS = (
    ("--rates", "curves of gap or distance: factor a step of the line LABEL in theory, dashed"),
    ("--levels", "a dotted line at this y, in the colour of the line LABEL"),
)
_NUMBERS = ("smooth", "band", "from_epoch", "baseline", "contours", "tail")
_MAYBE = ("panels", "baseline", "tail", "lines", "theory", "best")
_LISTS = ("columns", "value", "legend")
_ENDS = {
    "size": ("[x,]", "7x4"),
    "xlim": (",", "0,2.5"),
    "ylim": (",", "0,2.5"),
    "clim": (",", "0.8,1"),
    "curvature": (",", "1,100"),
}


def main(argv: list[str]) -> int:
    """Draw what argv names; exit code 0. Raises UserError when it cannot be drawn or written."""
    options = vars(_parser().parse_intermixed_args(argv))
    targets, output = options.pop("targets"), options.pop("output")
    runs_dir = Path(options.pop("runs_dir"))
    animation: dict[str, str] = {key: options.pop(key) for key in ("fps", "frames") if key in options}
    keys = _spec_keys(options)

    from sgdlab.figures import animate, check_moving, check_options, draw, read_spec, save
    from sgdlab.figures.output import check_path, is_animation
    from sgdlab.records import select

    check_options(keys, name=_option)  # an option that cannot be meant is refused before any run is read
    path = Path(output) if output else None
    if path:
        check_path(path, animation=True)
    moving = path is not None and is_animation(path)
    speed = _speed(animation, moving=moving)
    selection = select(targets, runs_dir)
    spec = read_spec(keys, base=read_spec(selection.figure), name=_option)
    path = path or runs_dir / "figures" / f"{_file_name(selection.name)}.png"
    if moving:
        check_moving(spec, path)
    drawing = draw(selection.runs, spec)
    if moving:
        animate(drawing, path, **speed)
    else:
        save(drawing.figure, path)
    _report(path, drawing, selection)
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
    add(
        "-o",
        "--output",
        metavar="FILE",
        default=None,
        help="ending in .png, .svg, .pdf, or .gif: an animation",
    )
    for name, metavar, meaning in _OPTIONS:
        if metavar:
            add(name, metavar=metavar, help=meaning)
        else:
            add(name, action=argparse.BooleanOptionalAction, help=meaning)
    for name, meaning in _PAIRS:
        add(name, metavar="LABEL=NUMBER", action="append", help=meaning)
    add("--fps", metavar="N", help="of a .gif: frames a second, 1 to 50 (default 15)")
    add("--frames", metavar="N", help="of a .gif: at most so many frames, 2 to 200 (default 80)")
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
    """The options as a figure's keys: numbers as numbers, `7x4` and `0,1` as lists, LABEL=NUMBER as pairs."""
    keys = dict(options)
    for key in keys:
        if key in _NUMBERS or (key in _MAYBE and keys[key] == "null"):
            keys[key] = _scalar(keys[key])
        elif key in _LISTS:
            parts = keys[key].split(",")
            keys[key] = parts if len(parts) > 1 or key != "value" else parts[0]
        elif key in _ENDS:
            separator, example = _ENDS[key]
            parts = re.split(separator, keys[key])
            if len(parts) != 2:
                raise UsageError(f"{_option(key)}={keys[key]}: write it like {example}")
            keys[key] = [_scalar(part) for part in parts]
        elif _option(key) in dict(_PAIRS):
            keys[key] = dict(_pair(key, text) for text in keys[key])
    return keys


def _speed(options: Mapping[str, str], *, moving: bool) -> dict[str, Any]:
    """The options of an animation, checked before anything is drawn."""
    from sgdlab.figures.spec import SPEED

    found = {}
    for key, text in options.items():
        if not moving:
            raise UsageError(
                f"{_option(key)}={text}: only an animation has it; give -o a file that ends in .gif"
            )
        try:
            found[key] = SPEED[key](_scalar(text))
        except ValueError as err:
            raise UsageError(f"{_option(key)}={text}: {err}") from None
    return found


def _pair(key: str, text: str) -> tuple[str, Any]:
    label, equals, number = text.rpartition("=")
    if not equals or not label:
        raise UsageError(f'{_option(key)}={text}: write it like "gradient descent=0.98"')
    return label, _scalar(number)


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


def _report(path: Path, drawing: "Drawing", selection: "Selection") -> None:
    count = len(drawing.drawn)
    print(f"{path} ({count} run{'' if count == 1 else 's'})")
    for run in drawing.empty:
        print(f"not drawn: {run.folder}: no value of {drawing.lacking} ({run.status})")
    for missing in selection.missing:
        print(f"not drawn: {missing}")
