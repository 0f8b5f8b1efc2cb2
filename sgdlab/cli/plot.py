"""`sgdlab plot`: draw runs, a sweep or an experiment into a PNG, SVG or PDF, or into an animated GIF."""

import argparse
import json
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sgdlab.base.errors import UsageError
from sgdlab.base.formatting import counted, format_value
from sgdlab.cli.arguments import add_runs_dir, command_parser, print_notes
from sgdlab.cli.broken import warn_of_broken

if TYPE_CHECKING:
    from sgdlab.figures.layout import Drawing
    from sgdlab.records import Selection

_DESCRIPTION = """\
Draw recorded runs. A sweep is drawn as its experiment says; options override that. The legend names the
settings in which the runs differ. Prints the path of the picture.

Kinds of figures: curves (a column against progress), grid (several columns, a panel each), trajectories
(paths of runs with two weights over contours), sweep (a number of each run against a setting), heatmap (the
number as a colour over two settings).
"""

_EXAMPLES = """\
examples:
  sgdlab plot                                        the newest run or sweep
  sgdlab plot notes/sgd_batch_size                   a sweep, drawn as its experiment says
  sgdlab plot fashion_mnist --panels lr --smooth 10  all runs of one name, a panel for each lr
  sgdlab plot 3fa8c2d1 77d0 --y test_accuracy --x epochs -o two.pdf
  sgdlab plot rosenbrock --kind trajectories -o paths.gif      paths that grow step by step
"""

# The keys of figures as options, and those of animations: name, metavar (None: a flag), meaning.
_OPTIONS: tuple[tuple[str, str | None, str], ...] = (
    ("--kind", "KIND", "curves (default), grid, trajectories, sweep or heatmap"),
    (
        "--x",
        "AXIS",
        "curves, grid: samples (default), evaluations, steps, epochs, seconds; sweep, heatmap: a setting",
    ),
    ("--y", "COLUMN", "curves: loss (of batches, default), gap, w0, ..., or regret; heatmap: a setting"),
    ("--value", "NAME,...", "sweep, heatmap: train_loss, gap, rate or another number, or one measured"),
    ("--tail", "PART", "sweep: mean over the last PART of the run, such as 0.5 (default: the end)"),
    ("--lines", "KEY", "sweep: one line for each value of this setting or of case"),
    ("--theory", "NAME", "sweep: a measured quantity, dashed; heatmap: heavy_ball or another method"),
    ("--curvature", "M,L", "heatmap: least and largest eigenvalue, for --theory (default: as recorded)"),
    ("--clim", "LOW,HIGH", "heatmap: ends of the scale of colours"),
    ("--columns", "A,B,...", "grid: columns, a panel each"),
    ("--panels", "KEY", "one panel for each value of this setting or of case (null: one panel)"),
    ("--legend", "KEY,...", "curves: the settings that the legend names (default: all that differ)"),
    ("--best", "KEY", "curves: of runs that differ in this setting, those at its best value"),
    ("--select-by", "NAME", "what --best compares: train_loss (default) or another final number"),
    ("--smooth", "N", "mean over the last N logged points, of curves of 5 N or more; the raw curve stays"),
    ("--band", "MODE", "seeds: minmax (default), a quantile such as 0.1, or none: single lines"),
    ("--average", "MODE", "seeds: mean of those that did not diverge (default), or median of all"),
    ("--from-epoch", "E", "curves: leave out earlier points"),
    ("--baseline", "LOSS", "regret: the comparator's mean loss (default: the minimum, where known)"),
    ("--lengths", None, "trajectories: show the length of each path"),
    ("--contours", "N", "trajectories: lines of equal height (default 18; 0: none)"),
    ("--logx", None, "logarithmic x axis (linear around 0, where values are not above 0)"),
    ("--logy", None, "logarithmic y axis (likewise)"),
    ("--xlim", "LOW,HIGH", "trajectories: ends of the x axis"),
    ("--ylim", "LOW,HIGH", "ends of the y axis, in its unit"),
    ("--title", "TEXT", "such as '{steps} updates'; default: the settings that the runs share; '': none"),
    ("--panel-title", "TEXT", "such as 'lr-{lr:g} mt-{momentum}'; default: KEY=value"),
    ("--x-title", "TEXT", "label of the x axis"),
    ("--y-title", "TEXT", "label of the y axis"),
    ("--size", "WxH", "inches, such as 7x4; a legend outside is added to it"),
    ("--rates", "LABEL=NUMBER", "curves of gap or distance: the theory's factor per step, dashed"),
    ("--levels", "LABEL=NUMBER", "a dotted line at this y, in the colour of the line LABEL"),
    ("--fps", "N", "of a .gif: frames a second, 1 to 50 (default 15)"),
    ("--frames", "N", "of a .gif: largest number of frames, 2 to 200 (default 80)"),
)

MOST_LINES = 30  # below the path of the picture

# Readers of an option's text: they take the option's name, for messages, and the text.
Reader = Callable[[str, str], Any]


def _name(option: str, text: str) -> str | None:
    return None if text == "null" else text


def _list(option: str, text: str) -> list[str]:
    return text.split(",")


def _names(option: str, text: str) -> str | list[str]:
    return text.split(",") if "," in text else text


def _number(option: str, text: str) -> Any:
    """Return a number or None where the text is one, else the text, for the figure's checks."""
    try:
        value = json.loads(text)
    except ValueError:
        return text
    return value if value is None or isinstance(value, int | float) else text


def _pair(example: str) -> Reader:
    """Return a reader of two numbers, such as 7x4 or 0,2.5."""

    def read(option: str, text: str) -> list[Any]:
        parts = re.split("[x,]", text)
        if len(parts) != 2:
            raise UsageError(f"{option}={text}: write it like {example}")
        return [_number(option, part) for part in parts]

    return read


def _labelled(option: str, text: str) -> tuple[str, Any]:
    label, _, number = text.rpartition("=")
    if not label:
        raise UsageError(f'{option}={text}: write it like "gradient descent=0.98"')
    return label, _number(option, number)


def _speed(option: str, text: str) -> Any:
    from sgdlab.figures.spec import SPEED

    try:
        return SPEED[option.removeprefix("--")](_number(option, text))
    except ValueError as err:
        raise UsageError(f"{option}={text}: {err}") from None


# The readers of options; the others take their text as it is.
_READERS: dict[str, Reader] = {
    **dict.fromkeys(("--smooth", "--band", "--from-epoch", "--baseline", "--contours", "--tail"), _number),
    **dict.fromkeys(("--panels", "--lines", "--theory", "--best"), _name),
    **dict.fromkeys(("--columns", "--legend"), _list),
    **dict.fromkeys(("--xlim", "--ylim"), _pair("0,2.5")),
    **dict.fromkeys(("--rates", "--levels"), _labelled),
    **dict.fromkeys(("--fps", "--frames"), _speed),
    "--value": _names,
    "--clim": _pair("0.8,1"),
    "--curvature": _pair("1,100"),
    "--size": _pair("7x4"),
}


def parser() -> argparse.ArgumentParser:
    """Return the arguments of `sgdlab plot`; an option that is not given is absent from the result."""
    parser = command_parser("plot", _DESCRIPTION, _EXAMPLES, argument_default=argparse.SUPPRESS)
    add = parser.add_argument
    targets = "experiment (its newest sweep), sweep, folder or hash (default: the newest)"
    add("targets", nargs="*", metavar="TARGET", default=[], help=targets)
    formats = "file ending in .png, .svg, .pdf, or .gif (an animation)"
    add("-o", "--output", metavar="FILE", type=Path, default=None, help=formats)
    for name, metavar, meaning in _OPTIONS:
        read = _READERS.get(name)
        if metavar is None:
            add(name, action=argparse.BooleanOptionalAction, help=meaning)
        else:
            action = "append" if read is _labelled else "store"
            add(name, metavar=metavar, type=partial(read, name) if read else str, action=action, help=meaning)
    add_runs_dir(parser)
    return parser


def main(argv: list[str]) -> int:
    """Draw the targets; exit code 0. Raises UserError when they cannot be drawn or written."""
    arguments = vars(parser().parse_intermixed_args(argv))
    targets, path, runs_dir = (arguments.pop(key) for key in ("targets", "output", "runs_dir"))
    speed = {key: arguments.pop(key) for key in ("fps", "frames") if key in arguments}
    keys = {key: dict(value) if key in ("rates", "levels") else value for key, value in arguments.items()}

    from sgdlab.figures import animate, check_moving, check_options, draw, read_spec, save
    from sgdlab.figures.output import check_path, is_animation
    from sgdlab.records import select

    # Refuse illegal options before any run is read.
    check_options(keys, name=_option)
    if path:
        check_path(path, animation=True)
    animated = path is not None and is_animation(path)
    if speed and not animated:
        key, value = next(iter(speed.items()))
        only = "applies only to animations; use -o NAME.gif"
        raise UsageError(f"{_option(key)}={format_value(value)}: {only}")

    selection = select(targets, runs_dir)
    warn_of_broken(selection.broken)
    spec = read_spec(keys, base=read_spec(selection.figure), name=_option)
    name = re.sub(r"[^\w.+=,-]+", "-", selection.name).strip(".-")  # notes-sgd_momentum
    path = path or runs_dir / "figures" / f"{name or 'runs'}.png"
    if animated:
        check_moving(spec, path)
    drawing = draw(selection.runs, spec, _notes(selection), missing=len(selection.missing))
    known = {error.path for error in selection.broken}
    warn_of_broken(error for error in drawing.broken if error.path not in known)
    if animated:
        animate(drawing, path, **speed)
    else:
        save(drawing.figure, path)
    print_notes(selection)
    _report(path, drawing, selection)
    return 0


def _option(key: str) -> str:
    return f"--{key.replace('_', '-')}"


def _notes(selection: "Selection") -> list[str]:
    """Return what the figure says of its runs: that they are recorded, how they differ from others."""
    from sgdlab.analysis.changes import changes

    changed = changes(selection)
    recorded = ["recorded baselines"] if selection.baselines else []
    return recorded + ([f"not the experiment's own settings: {changed}"] if changed else [])


def _report(path: Path, drawing: "Drawing", selection: "Selection") -> None:
    print(f"{path} ({counted(len(drawing.drawn), 'run')})")
    lines = [*drawing.notes.shown, *drawing.notes.details]
    lines += [
        f"not drawn: {run.folder}: no value of {drawing.lacking} ({run.status})" for run in drawing.empty
    ]
    lines += [f"not drawn: {missing}" for missing in selection.missing]
    if len(lines) > MOST_LINES:
        lines[MOST_LINES - 1 :] = [f"and {len(lines) - MOST_LINES + 1} more lines like these"]
    print("\n".join(lines), end="\n" if lines else "")
