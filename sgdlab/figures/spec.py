"""What a figure shows: one frozen `FigureSpec`, filled by an experiment's `figure:` and by options."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Annotated, Any, get_type_hints

from sgdlab.checks import Check, Choice, Each, Either, Flag, Number, Optional, Text, Whole
from sgdlab.config import show
from sgdlab.errors import UsageError, did_you_mean
from sgdlab.records import FILES

X_AXES = ("samples", "steps", "epochs", "seconds")
# A column of whole numbers counts (step, epoch, samples): it is an x axis, nothing to draw against one.
SOURCES: dict[str, str] = {
    column.name: file for file, columns in FILES.items() for column in columns if not column.whole
}
PERCENT = ("test_accuracy",)  # recorded as fractions, drawn as percentages


class Title:
    """A text that may be empty: an empty title is no title."""

    def __call__(self, value: Any) -> str:
        if not isinstance(value, str):
            raise ValueError("must be a text")
        return value


class Interval:
    """Two numbers, the lower one first."""

    def __call__(self, value: Any) -> tuple[float, float]:
        low, high = Each(Number(), length=2)(value)
        if low >= high:
            raise ValueError("must be a list of two numbers, the lower one first")
        return low, high


@dataclasses.dataclass(frozen=True, kw_only=True)
class FigureSpec:
    """How runs are drawn. A value that is not legal raises ValueError naming its key.

    kind         curves: a recorded column against progress, one line a run
    x            samples, steps, epochs or seconds
    y            a column of train.csv, eval.csv or time.csv
    panels       a setting: one panel for each of its values; null: one panel
    title        null: the settings that all runs share; empty: none
    panel_title  a template such as "lr-{lr:g} mt-{momentum}" (sgdlab.figures.titles); null: "KEY=value"
    smooth       mean over the last so many logged points; 1: none
    band         runs that differ by seed alone become their mean with a band: minmax, or a quantile q in
                 (0, 0.5) for the q to 1-q band; none: each is a line of its own
    logx, logy   logarithmic axes
    ylim         lower and upper end of the y axis, in its unit; null: what the runs need
    size         width and height in inches, to which a legend beside the curves is added; null: as needed
    """

    kind: Annotated[str, Choice(("curves",))] = "curves"
    x: Annotated[str, Choice(X_AXES)] = "samples"
    y: Annotated[str, Choice(tuple(SOURCES))] = "loss"
    panels: Annotated[str | None, Optional(Text())] = None
    title: Annotated[str | None, Optional(Title())] = None
    panel_title: Annotated[str | None, Optional(Text())] = None
    smooth: Annotated[int, Whole(low=1)] = 1
    band: Annotated[
        str | float,
        Either("minmax", Either("none", Number(low=0, low_open=True, high=0.5, high_open=True))),
    ] = "minmax"
    logx: Annotated[bool, Flag()] = False
    logy: Annotated[bool, Flag()] = False
    ylim: Annotated[tuple[float, float] | None, Optional(Interval())] = None
    size: Annotated[
        tuple[float, float] | None,
        Optional(Each(Number(low=2, high=50), length=2)),  # below 2 inches the words leave no room
    ] = None

    def __post_init__(self) -> None:
        for key, check in _checks().items():
            value = getattr(self, key)
            try:
                object.__setattr__(self, key, check(value))
            except ValueError as err:
                raise ValueError(f"{key}={show(value)}: {err}") from None
        if self.logy and self.ylim is not None and self.ylim[0] <= 0:
            raise ValueError(f"ylim={show(self.ylim)}: must be above 0, as the axis is logarithmic")


def read_spec(
    raw: Mapping[str, Any],
    *,
    base: FigureSpec | None = None,
    name: Callable[[str], str] = "figure.{}".format,
) -> FigureSpec:
    """`base` with the keys of `raw` changed. Raises UsageError for an unknown key or an illegal value.

    `name` says how the person wrote a key: `figure.smooth` in YAML, `--smooth` as an option.
    """
    checks = _checks()
    for key in raw:
        if key not in checks:
            raise UsageError(f"{name(str(key))}: no such key of a figure; {did_you_mean(str(key), checks)}")
    try:
        return dataclasses.replace(base or FigureSpec(), **raw)
    except ValueError as err:
        key, _, rest = str(err).partition("=")
        raise UsageError(f"{name(key)}={rest}") from None


def _checks() -> dict[str, Check]:
    hints = get_type_hints(FigureSpec, include_extras=True)
    return {key: hint.__metadata__[0] for key, hint in hints.items()}
