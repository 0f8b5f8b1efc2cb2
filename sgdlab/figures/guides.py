"""Lines of theory over curves: the rates at which errors should shrink, dashed, and levels, dotted.

A line with the label of a series has its colour and is named in that series' entry of the legend.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patheffects import Normal, Stroke

from sgdlab.base.errors import UsageError, did_you_mean
from sgdlab.base.formatting import format_value
from sgdlab.figures.keys import SHRINKING
from sgdlab.figures.legend import Entry
from sgdlab.figures.series import Series
from sgdlab.figures.spec import Curves, Sweep
from sgdlab.figures.style import LineStyle

DASHED, DOTTED = (0, (4, 2.5)), (0, (1, 1.2))
GREY = "#555555"
# White below the dashes, so that they show upon a curve of their own colour.
_EDGE = [Stroke(linewidth=3.2, foreground="white"), Normal()]


def check(spec: Curves, every: Sequence[Series]) -> None:
    """Raise UsageError when a rate has the label of no series."""
    names = [each.label for each in every]
    for label, _ in spec.rates:
        if label not in names:
            raise UsageError(f"rates={label}: no run has this label; {did_you_mean(label, names)}")


def draw(ax: Axes, spec: Curves, every: Sequence[Series], looks: Mapping[str, LineStyle]) -> None:
    """Draw the rates from the first point of their series on, and the levels."""
    rates = dict(spec.rates)
    for each in every:
        if each.label in rates and len(each.x):
            error = rates[each.label] ** (SHRINKING[spec.y] * (each.step - each.step[0]))
            ax.plot(
                each.x,
                np.maximum(each.y[0] * error, np.finfo(float).tiny),
                color=looks[each.label].color,
                linestyle=DASHED,
                linewidth=1.3,
                path_effects=_EDGE,
                zorder=3,
                gid="theory",
            )
    levels(ax, spec, looks)


def levels(ax: Axes, spec: Curves | Sweep, looks: Mapping[str, LineStyle]) -> None:
    """Draw the levels across the panel."""
    for label, y in spec.levels:
        color = looks[label].color if label in looks else GREY
        ax.axhline(y, color=color, linestyle=DOTTED, linewidth=1.6, zorder=2.5, gid="theory")


def text(spec: Curves, label: str) -> str:
    """What a series' entry in the legend says of the lines of theory beside it."""
    rates, levels = dict(spec.rates), dict(spec.levels)
    parts = [f"theory {format_value(rates[label])} a step, dashed"] if label in rates else []
    return "; ".join(parts + ([f"theory {format_value(levels[label])}, dotted"] if label in levels else []))


def entries(spec: Curves | Sweep, looks: Mapping[str, LineStyle]) -> list[Entry]:
    """Entries of the legend for levels of a label of their own."""
    look = LineStyle(color=GREY, dash=DOTTED, marker="", marked=False)
    return [
        Entry(text=label, look=look, line=True, marked=False, band=False, cross=False)
        for label, _ in spec.levels
        if label not in looks
    ]
