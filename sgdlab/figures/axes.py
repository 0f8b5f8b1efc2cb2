"""The panels' axes: their grid, limits that a diverged run cannot wreck, ticks."""

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, LogLocator, MaxNLocator, NullFormatter

from sgdlab.figures import style
from sgdlab.figures.series import Series, Values
from sgdlab.figures.spec import Curves

MARGIN = 0.04  # of an axis, around what is drawn
REACH = 0.5  # how far a diverged run may extend the y axis, in units of what the others need
ESCAPE = 0.1  # room above the others in which a diverged run is seen to leave, in the same units
STEEP = 100.0  # when every run diverged, losses that grow so many times are shown on a logarithmic axis
LONG = 10_000  # counts from here on are written 10k
DECADES = 3  # a logarithmic axis of fewer is labelled at 1, 2, 5 of each


def grid(
    count: int, size: tuple[float, float] | None, x_title: str, y_titles: Sequence[str]
) -> tuple[Figure, list[Axes]]:
    """A figure with `count` panels, at most four a row; words at its left and lower edge.

    y_titles: one for all panels, whose axes are then shared; or one for each, of axes of its own.
    """
    rows = math.ceil(count / style.PANELS_A_ROW)
    columns = math.ceil(count / rows)
    width, height = style.SINGLE if count == 1 else (columns * style.PANEL[0], rows * style.PANEL[1])
    figure = Figure(figsize=size or (width, height), layout="constrained")
    own = len(y_titles) > 1
    axes: list[Axes] = list(
        figure.subplots(rows, columns, sharex=not own, sharey=not own, squeeze=False).flat
    )
    for ax in axes[count:]:
        ax.remove()
    for i, ax in enumerate(axes[:count]):
        if own or i % columns == 0:
            ax.set_ylabel(y_titles[i if own else 0])
        if i + columns >= count:
            ax.set_xlabel(x_title)
            ax.tick_params(labelbottom=True)
    return figure, axes[:count]


def set_limits(axes: Sequence[Axes], every: Sequence[Series], spec: Curves) -> None:
    """Limits and ticks of the shared axes for all series, and the levels that the spec draws in."""
    x = np.concatenate([each.x for each in every] + [curve.x for each in every for curve in each.lost])
    y, logy = _y(every, spec)
    levels = [level for _, level in spec.levels if level > 0 or not logy]
    ax = axes[0]
    if not len(x):
        ax.set_xticks([])
        ax.set_yticks([])
        return
    ax.set_xscale("log" if spec.logx else "linear")
    ax.set_yscale("log" if logy else "linear")
    ax.set_xlim(padded(x, log=spec.logx))
    ax.set_ylim(spec.ylim or padded(np.concatenate([y, levels]), log=logy))
    _set_ticks(ax, spec, few=len(axes) > 1)


def _set_ticks(ax: Axes, spec: Curves, *, few: bool) -> None:
    if not spec.logx:
        ax.xaxis.set_major_locator(MaxNLocator(4 if few else 7, integer=spec.x != "seconds"))
    if spec.x in ("samples", "steps") and ax.get_xlim()[1] >= LONG:
        ax.xaxis.set_major_formatter(EngFormatter(sep=""))
    plain_decades(ax)


def plain_decades(ax: Axes) -> None:
    """Label a short logarithmic axis at 1, 2, 5 of each decade, as plain numbers."""
    for axis, scale, (low, high) in (
        (ax.xaxis, ax.get_xscale(), ax.get_xlim()),
        (ax.yaxis, ax.get_yscale(), ax.get_ylim()),
    ):
        if scale == "log" and high < low * 10**DECADES:
            axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axis.set_major_formatter("{x:g}")
            axis.set_minor_formatter(NullFormatter())


def _y(every: Sequence[Series], spec: Curves) -> tuple[Values, bool]:
    """The values that the y axis has to hold, and whether it is logarithmic.

    Of a diverged run that is what lies near the others, not its explosion; unless there is nothing else to
    see: then the axis is made for it.
    """
    parts = [part for each in every for part in (each.y, each.low, each.high, each.raw) if part is not None]
    calm = np.concatenate([np.empty(0), *parts])
    lost = np.concatenate([np.empty(0), *(curve.y for each in every for curve in each.lost)])
    if len(calm):
        low, high = calm.min(), calm.max()
        near = lost[(lost >= low - REACH * (high - low)) & (lost <= high + REACH * (high - low))]
        escape = [high + ESCAPE * (high - low)] if len(near) < len(lost) else []
        return np.concatenate([calm, near, escape]), spec.logy
    steep = len(lost) > 0 and lost.min() > 0 and lost.max() > STEEP * lost.min()
    return lost, spec.logy or (steep and spec.ylim is None)


def padded(values: Values, *, log: bool) -> tuple[float, float]:
    """Limits that hold all values, with some room around them."""
    low, high = float(values.min()), float(values.max())
    if log:
        factor = (high / low) ** MARGIN if high > low else 2.0
        return low / factor, high * factor
    pad = MARGIN * (high - low) if high > low else 0.05 * abs(high) or 0.5
    return low - pad, high + pad
