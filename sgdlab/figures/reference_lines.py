"""Reference lines of theory: the rates at which errors should shrink, dashed, and levels, dotted.

A line with the label of a series has its colour and is named in that series' entry of the legend.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patheffects import Normal, Stroke

from sgdlab.base.errors import UsageError, did_you_mean
from sgdlab.base.formatting import format_value
from sgdlab.figures.columns import SHRINKING
from sgdlab.figures.legend import LegendEntry
from sgdlab.figures.series import Series
from sgdlab.figures.spec import Curves, SweepFigure
from sgdlab.figures.style import LineStyle

DASHED, DOTTED = (0, (4, 2.5)), (0, (1, 1.2))
THEORY: dict[str, Any] = {"linestyle": DASHED, "zorder": 3, "gid": "theory"}
GREY = "#555555"
# White below the dashes, so that they show upon a curve of their own colour.
_EDGE = [Stroke(linewidth=3.2, foreground="white"), Normal()]


def check_rates(spec: Curves, series: Sequence[Series]) -> None:
    """Check the labels of rates.

    Args:
        spec: the figure.
        series: its series.

    Raises:
        UsageError: a rate has the label of no series.
    """
    names = [line.label for line in series]
    for label, _ in spec.rates:
        if label not in names:
            raise UsageError(f"rates={label}: no run has this label; {did_you_mean(label, names)}")


def draw_rates(ax: Axes, spec: Curves, series: Sequence[Series], styles: Mapping[str, LineStyle]) -> None:
    """Draw the rates, from the first point of their series on.

    Args:
        ax: the panel.
        spec: the figure.
        series: the series in the panel.
        styles: label -> style.
    """
    rates = dict(spec.rates)
    for line in series:
        if line.label in rates and len(line.x):
            error = rates[line.label] ** (SHRINKING[spec.y] * (line.step - line.step[0]))
            y = np.maximum(line.y[0] * error, np.finfo(float).tiny)
            color = styles[line.label].color
            ax.plot(line.x, y, color=color, linewidth=1.3, path_effects=_EDGE, **THEORY)


def draw_levels(ax: Axes, spec: Curves | SweepFigure, styles: Mapping[str, LineStyle]) -> None:
    """Draw the levels across the panel.

    Args:
        ax: the panel.
        spec: the figure.
        styles: label -> style; a level with the label of a line has its colour.
    """
    for label, y in spec.levels:
        color = styles[label].color if label in styles else GREY
        ax.axhline(y, color=color, linestyle=DOTTED, linewidth=1.6, zorder=2.5, gid="theory")


def note(spec: Curves | SweepFigure, label: str) -> str:
    """Write a note on the reference lines of a line, for its entry in the legend.

    Args:
        spec: the figure.
        label: of the line.

    Returns:
        The note; empty where the line has no reference.
    """
    rates = dict(spec.rates) if isinstance(spec, Curves) else {}
    levels = dict(spec.levels)
    parts = [f"theory {format_value(rates[label])} a step, dashed"] if label in rates else []
    return "; ".join(parts + ([f"theory {format_value(levels[label])}, dotted"] if label in levels else []))


def entries(spec: Curves | SweepFigure, styles: Mapping[str, LineStyle]) -> list[LegendEntry]:
    """Write the entries of levels that belong to no line.

    Args:
        spec: the figure.
        styles: label -> style of the lines.

    Returns:
        The entries of the legend.
    """
    style = LineStyle(color=GREY, dash=DOTTED, marker="", marked=False)
    return [LegendEntry(text=label, style=style) for label, _ in spec.levels if label not in styles]
