"""Specifications of figures, one class per kind, filled by an experiment's `figure:` and by options."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar

from sgdlab.analysis.selection import CRITERIA, SELECT_BY
from sgdlab.analysis.theory import METHODS
from sgdlab.base.checks import Anything, Bool, Check, Choice, Int, ListOf, LiteralOr, Number, Optional, Text
from sgdlab.base.errors import UsageError, did_you_mean
from sgdlab.base.formatting import format_value
from sgdlab.figures.checks import ColumnName, Interval, LabelledNumbers, Names, Title, checks_of, normalise
from sgdlab.figures.columns import SHRINKING, X_AXES
from sgdlab.records import AMBIGUOUS, WHICH_LOSS

MOST_PANES = 20  # of a grid


class Panes:
    """A list of the columns of a grid: names, or mappings such as {y: test_loss, from_epoch: 5}."""

    def __call__(self, value: Any) -> tuple["Pane", ...]:
        members = ListOf(Anything())(value)
        if not 0 < len(members) <= MOST_PANES:
            raise ValueError(f"must be a list of 1 to {MOST_PANES} columns")
        return tuple(member if isinstance(member, Pane) else self._pane(member) for member in members)

    def _pane(self, member: Any) -> "Pane":
        raw = {"y": member} if isinstance(member, str) else member
        if not isinstance(raw, Mapping):
            raise ValueError(
                f"{format_value(member)}: each must be a column, or like {{y: test_loss, from_epoch: 5}}"
            )
        for key in raw:
            if key not in checks_of(Pane):
                raise ValueError(f"{key}: no such key of a column; {did_you_mean(key, checks_of(Pane))}")
        return Pane(**raw)


X_AXIS = Annotated[str, Choice(tuple(X_AXES))]
SMOOTH = Annotated[int, Int(low=1)]
FROM_EPOCH = Annotated[float, Number(low=0)]
BAND = Annotated[
    str | float,
    LiteralOr("minmax", LiteralOr("none", Number(low=0, low_open=True, high=0.5, high_open=True))),
]
AVERAGE = Annotated[str, Choice(("mean", "median"))]
LIMITS = Annotated[tuple[float, float] | None, Optional(Interval())]
NAME = Annotated[str | None, Optional(Text())]
FLAG = Annotated[bool, Bool()]
LEVELS = Annotated[tuple[tuple[str, float], ...], LabelledNumbers(inner=Number())]


@dataclasses.dataclass(frozen=True, kw_only=True)
class FigureSpec:
    """The keys of every kind of figure. An illegal value raises ValueError, which names its key.

    title             a text, with settings in braces: "{steps} updates, {lr:count learning rate}" becomes
                      "200 updates, 5 learning rates"; null: the settings that all runs share; empty: none
    x_title, y_title  titles of the axes; null: the quantity, with its unit
    size              width and height in inches, without a legend outside; null: as needed
    """

    kind: ClassVar[str]
    title: Annotated[str | None, Optional(Title())] = None
    x_title: NAME = None
    y_title: NAME = None
    size: Annotated[
        tuple[float, float] | None,
        Optional(ListOf(Number(low=2, high=50), length=2)),  # below 2 inches titles leave no room
    ] = None

    def __post_init__(self) -> None:
        normalise(self)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Panelled(FigureSpec):
    """The keys of figures that can have several panels.

    panels       a setting, or `case`: one panel for each of its values; null: one panel
    panel_title  a template such as "lr-{lr:g} mt-{momentum}" (sgdlab.figures.titles); null: "KEY=value"
    """

    panels: NAME = None
    panel_title: NAME = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Curves(Panelled):
    """A recorded column against progress, one line a run.

    x           samples, evaluations (of gradients), steps, epochs or seconds
    y           a column of train.csv (loss: of batches), eval.csv, time.csv or trajectory.csv (a weight too:
                w0), or regret
    baseline    the comparator's mean loss, which regret is counted from; null: f* of run.json
    from_epoch  the first epoch shown
    smooth      points of the moving mean of logged values; 1: none. Each value is the mean of that one and
                those before it. A curve of fewer than five times as many points is not smoothed
    band        runs that differ by seed alone become their mean with a band: minmax, or a quantile q in
                (0, 0.5) for the q to 1-q band; none: each is a line of its own
    average     of seeds: mean, of those that did not diverge; median, of all, those that diverged last
    logx, logy  logarithmic axes; around 0 linear, where values are not above 0
    ylim        limits of the y axis, in its unit; null: as the runs need
    rates       label of the legend -> theoretical factor of the error per step; dashed (y: gap, distance)
    levels      label -> value of y at which a dotted line is drawn, in the colour of the line of that label
    legend      the settings that the legend names; null: all in which the runs differ
    best        a setting: of runs that differ in it and the seed alone, only those at its best value are
                drawn, by the mean over the seeds of their number `select_by`; null: all runs
    select_by   the final number that selects: train_loss, or another metric. The test set selects only if it
                is named
    """

    kind = "curves"
    x: X_AXIS = "samples"
    y: Annotated[str, ColumnName()] = "loss"
    baseline: Annotated[float | None, Optional(Number())] = None
    from_epoch: FROM_EPOCH = 0.0
    smooth: SMOOTH = 1
    band: BAND = "minmax"
    average: AVERAGE = "mean"
    logx: FLAG = False
    logy: FLAG = False
    ylim: LIMITS = None
    rates: Annotated[
        tuple[tuple[str, float], ...], LabelledNumbers(inner=Number(low=0, low_open=True, high=2))
    ] = ()
    levels: LEVELS = ()
    legend: Annotated[tuple[str, ...] | None, Optional(Names())] = None
    best: NAME = None
    select_by: Annotated[str, Choice(CRITERIA)] = SELECT_BY

    def __post_init__(self) -> None:
        normalise(self)
        _above_zero(self, ylim=self.logy)
        if self.select_by != SELECT_BY and self.best is None:
            raise ValueError(f"select_by={self.select_by}: selects nothing without best, such as best=lr")
        if self.rates and self.y not in SHRINKING:
            raise ValueError(f"y={self.y}: rates shrink an error: draw {' or '.join(SHRINKING)} with them")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Pane:
    """One panel of a grid: a column, and its keys as in `Curves`."""

    y: Annotated[str, ColumnName()]
    from_epoch: FROM_EPOCH = 0.0
    logy: FLAG = False
    ylim: LIMITS = None
    title: NAME = None

    def __post_init__(self) -> None:
        normalise(self)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Grid(FigureSpec):
    """Several columns of the same runs, one per panel; other keys as in `Curves`.

    columns  names, or mappings {y: NAME, from_epoch: 5, logy: true, ylim: [0, 1], title: TEXT}
    """

    kind = "grid"
    columns: Annotated[tuple[Pane, ...], Panes()] = (Pane(y="train_loss"), Pane(y="test_loss"))
    x: X_AXIS = "epochs"
    smooth: SMOOTH = 1
    band: BAND = "minmax"
    average: AVERAGE = "mean"
    logx: FLAG = False


@dataclasses.dataclass(frozen=True, kw_only=True)
class Trajectories(Panelled):
    """The paths of runs with two weights over contours of the function that they minimise.

    x_title, y_title  the names of the weights; null: w0, w1
    lengths           whether the legend states the length of each path and of the straight line
    contours          number of contours, whose heights form a geometric sequence; 0: none
    xlim, ylim        limits of the axes; null: as the paths and the minimum need
    """

    kind = "trajectories"
    lengths: FLAG = False
    contours: Annotated[int, Int(high=60)] = 18
    xlim: LIMITS = None
    ylim: LIMITS = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class SweepFigure(Panelled):
    """A number of each run against a setting, one line for each value of another.

    x           a setting that is a number; null: the x of measured quantities in measure.csv
    value       a number of run.json (train_loss, test_accuracy, ...), a column of trajectory.csv, `rate` (the
                factor of the distance per step), or a quantity of measure.csv; or a list of these
    tail        the mean of the value's column over the last part of the run, in (0, 1]; null: its end; `loss`
                is then that of the batches
    lines       a setting or `case`; null: all settings in which the runs differ, but for x
    theory      a quantity of measure.csv, drawn as a dashed line
    band, average, logx, logy, ylim  as in curves
    levels      label -> value of a dotted line
    """

    kind = "sweep"
    x: NAME = None
    value: Annotated[tuple[str, ...], Names()] = ("train_loss",)
    tail: Annotated[float | None, Optional(Number(low=0, low_open=True, high=1))] = None
    lines: NAME = None
    theory: NAME = None
    band: BAND = "minmax"
    average: AVERAGE = "mean"
    logx: FLAG = True
    logy: FLAG = True
    ylim: LIMITS = None
    levels: LEVELS = ()

    def __post_init__(self) -> None:
        normalise(self)
        _above_zero(self, ylim=self.logy)
        if self.tail is None:
            _check_loss(self.value)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Heatmap(Panelled):
    """A number of each run as a colour, over two settings.

    x, y        settings that are numbers
    value       `rate`: the factor of the distance per step over the second half of a path; or as in sweep
    theory      a method of sgdlab.analysis.theory whose optimum and stability limit are drawn
    curvature   least and largest eigenvalue, for `theory`; null: those of the Hessian in run.json
    average, logx, logy  as in curves      clim  limits of the scale of colours
    """

    kind = "heatmap"
    x: NAME = None
    y: NAME = None
    value: Annotated[str, Text()] = "rate"
    theory: Annotated[str | None, Optional(Choice(tuple(METHODS)))] = None
    curvature: LIMITS = None
    average: AVERAGE = "mean"
    logx: FLAG = False
    logy: FLAG = False
    clim: LIMITS = None

    def __post_init__(self) -> None:
        normalise(self)
        _above_zero(self, curvature=True)
        _check_loss([self.value])


KINDS: dict[str, type[FigureSpec]] = {
    spec.kind: spec for spec in (Curves, Grid, Trajectories, SweepFigure, Heatmap)
}
MOVING = ("trajectories", "curves", "grid")  # kinds that can be animated
# Of an animation: frames per second (viewers slow down faster ones), and the most frames.
SPEED: dict[str, Check] = {"fps": Number(low=1, high=50), "frames": Int(low=2, high=200)}

# Keys that a figure keeps when an option changes its kind.
KEPT = ("title", "size", "panels", "panel_title", "band", "average", "smooth")


def read_spec(
    raw: Mapping[str, Any], *, base: FigureSpec | None = None, name: Callable[[str], str] = "figure.{}".format
) -> FigureSpec:
    """Read the specification of a figure.

    Args:
        raw: key -> value as written; `kind` selects the class.
        base: the figure whose keys `raw` changes; None for curves with their defaults.
        name: writes a key as the user did, for errors: `figure.smooth` in YAML, `--smooth` as an option.

    Returns:
        The specification.

    Raises:
        UsageError: a key is unknown or a value illegal.
    """
    base = base or Curves()
    kind = raw.get("kind", base.kind)
    if kind not in KINDS:
        raise UsageError(
            f"{name('kind')}={format_value(kind)}: {did_you_mean(str(kind), KINDS, what='kind')}"
        )
    checks = checks_of(KINDS[kind])
    for key in (str(key) for key in raw if key != "kind"):
        if key not in checks:
            others = [other for other, spec in KINDS.items() if key in checks_of(spec)]
            hint = f"kind {' or '.join(others)} has it" if others else did_you_mean(key, [*checks, "kind"])
            raise UsageError(f"{name(key)}: no such key of a figure of kind {kind}; {hint}")
    before = checks_of(type(base))
    kept = [key for key in checks if key in before and (base.kind == kind or key in KEPT)]
    given = {key: value for key, value in raw.items() if key != "kind"}
    try:
        return KINDS[kind](**{key: getattr(base, key) for key in kept} | given)
    except ValueError as err:
        key, _, rest = str(err).partition("=")
        raise UsageError(f"{name(key)}={rest}") from None


def check_moving(spec: FigureSpec, path: Path) -> None:
    """Check that a figure can be animated.

    Args:
        spec: the figure.
        path: the file of the animation, for the error.

    Raises:
        UsageError: figures of this kind do not change with the steps of their runs.
    """
    if spec.kind not in MOVING:
        raise UsageError(
            f"{path}: a figure of kind {spec.kind} does not move, one of kind {', '.join(MOVING)} does;\n"
            f"give a file that ends in .png, .svg or .pdf"
        )


def check_options(raw: Mapping[str, Any], *, name: Callable[[str], str]) -> None:
    """Check keys before the figure that they change is known.

    Args:
        raw: key -> value as written.
        name: writes a key as the user did, for errors.

    Raises:
        UsageError: no figure can have these keys.
    """
    kinds = [raw["kind"]] if "kind" in raw else list(KINDS)
    refusals = []
    for kind in kinds:
        try:
            read_spec({**raw, "kind": kind}, name=name)
        except UsageError as err:
            refusals.append(err)
    if len(refusals) == len(kinds):
        raise next((err for err in refusals if "no such key" not in str(err)), refusals[0])


def _check_loss(names: Sequence[str]) -> None:
    if any(name in AMBIGUOUS for name in names):
        raise ValueError(f"value={','.join(names)}: {WHICH_LOSS}")


def _above_zero(spec: FigureSpec, **wanted: bool) -> None:
    for key, must in wanted.items():
        limits = getattr(spec, key)
        if must and limits is not None and limits[0] <= 0:
            why = ", as the axis is logarithmic" if key.endswith("lim") else ""
            raise ValueError(f"{key}={format_value(limits)}: must be above 0{why}")
