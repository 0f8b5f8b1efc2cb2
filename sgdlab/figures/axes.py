"""The axes of panels: their arrangement, ticks, and limits that a diverged run does not stretch."""

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, MaxNLocator

from sgdlab.figures.scales import choose_scale, padded_limits
from sgdlab.figures.series import REACH, Series, Values
from sgdlab.figures.spec import Curves
from sgdlab.figures.style import PANEL, PANELS_A_ROW, SINGLE
from sgdlab.figures.ticks import label_decades

ESCAPE = 0.1  # room above the others in which a diverged run is seen to leave, in the same units
STEEP = 100.0  # when every run diverged: growth of the loss above which the axis is logarithmic
LONG = 10_000  # from here on counts are written as 10k


def grid_shape(count: int) -> tuple[int, int]:
    """Return the rows and columns of a number of panels, at most PANELS_A_ROW in a row."""
    rows = math.ceil(count / PANELS_A_ROW)
    return rows, math.ceil(count / rows)


def make_panels(
    count: int, size: tuple[float, float] | None, x_title: str, y_titles: Sequence[str]
) -> tuple[Figure, list[Axes]]:
    """Make a figure with panels, and titles at its left and lower edge.

    Args:
        count: of panels.
        size: width and height in inches, or None for the usual size.
        x_title: the title of all x axes.
        y_titles: one title for all panels, which then share their axes; or one for each.

    Returns:
        The figure and its panels.
    """
    rows, columns = grid_shape(count)
    width, height = SINGLE if count == 1 else (columns * PANEL[0], rows * PANEL[1])
    figure = Figure(figsize=size or (width, height), layout="constrained")
    separate = len(y_titles) > 1
    grid = figure.subplots(rows, columns, sharex=not separate, sharey=not separate, squeeze=False)
    axes: list[Axes] = list(grid.flat)
    for ax in axes[count:]:
        ax.remove()
    for i, ax in enumerate(axes[:count]):
        if separate or i % columns == 0:
            ax.set_ylabel(y_titles[i if separate else 0])
        if i + columns >= count:
            ax.set_xlabel(x_title)
            ax.tick_params(labelbottom=True)
    return figure, axes[:count]


def set_limits(axes: Sequence[Axes], series: Sequence[Series], spec: Curves) -> None:
    """Set limits and ticks of shared axes.

    Args:
        axes: the panels, of which the first is set.
        series: all series in these panels.
        spec: the figure; its levels lie inside the limits too.
    """
    x = np.concatenate([line.x for line in series] + [curve.x for line in series for curve in line.diverged])
    y, logy = _y(series, spec)
    y = np.concatenate([y, [level for _, level in spec.levels]])
    ax = axes[0]
    if not len(x):
        ax.set_xticks([])
        ax.set_yticks([])
        return
    x_scale = choose_scale(x, log=spec.logx, deepest=0)
    y_scale = choose_scale(np.array(spec.ylim) if spec.ylim else y, log=logy)
    x_scale.set(ax, "x")
    y_scale.set(ax, "y")
    ax.set_xlim(padded_limits(x, x_scale))
    ax.set_ylim(spec.ylim or padded_limits(y, y_scale))
    _set_ticks(ax, spec, few=len(axes) > 1)


def _set_ticks(ax: Axes, spec: Curves, *, few: bool) -> None:
    if not spec.logx:
        ax.xaxis.set_major_locator(MaxNLocator(4 if few else 7, integer=spec.x != "seconds"))
    if spec.x in ("samples", "evaluations", "steps") and ax.get_xlim()[1] >= LONG:
        ax.xaxis.set_major_formatter(EngFormatter(sep=""))
    label_decades(ax)


def _y(series: Sequence[Series], spec: Curves) -> tuple[Values, bool]:
    """Return the values that the y axis includes, and whether it is logarithmic.

    It includes the values of a diverged run that lie near the other runs, but not its explosion. Where all
    runs diverged, it includes all values.
    """
    parts = [part for line in series for part in (line.y, line.low, line.high, line.raw) if part is not None]
    finished = np.concatenate([np.empty(0), *parts])
    finished = finished[np.isfinite(finished)]  # the end of a band may be a seed that diverged
    diverged = np.concatenate([np.empty(0), *(curve.y for line in series for curve in line.diverged)])
    if len(finished):
        low, high = finished.min(), finished.max()
        reach = REACH * (high - low)
        near = diverged[(diverged >= low - reach) & (diverged <= high + reach)]
        escape = [high + ESCAPE * (high - low)] if len(near) < len(diverged) else []
        return np.concatenate([finished, near, escape]), spec.logy
    steep = len(diverged) > 0 and diverged.min() > 0 and diverged.max() > STEEP * diverged.min()
    return diverged, spec.logy or (steep and spec.ylim is None)
