"""Charts of rows: bars, or curves if the rows have places on an axis."""

import itertools
from collections.abc import Sequence
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from benchmarks.table import Row, quantity

COLUMNS = 3  # panels side by side
OWN, OTHER = "#1f77b4", "#b8bec6"  # bars of sgdlab, and of what it is compared with
OTHERS = ("import ", "plain script", "Lightning", "JAX", "products alone", "serial")


def draw(rows: Sequence[Row], path: Path) -> list[Path]:
    """Draw one figure for each benchmark.

    Args:
        rows: of all benchmarks.
        path: the image file; of several benchmarks, their names are inserted before its suffix.

    Returns:
        The files.
    """
    groups = [(name, list(group)) for name, group in itertools.groupby(rows, lambda row: row.benchmark)]
    written = []
    for name, members in groups:
        file = path if len(groups) == 1 else path.with_name(f"{path.stem}-{name}{path.suffix}")
        figure = _figure([row for row in members if row.minimum is not None])
        figure.savefig(file, dpi=120)
        plt.close(figure)
        written.append(file)
    return written


def _figure(rows: Sequence[Row]) -> Figure:
    panels = [list(group) for _, group in itertools.groupby(rows, lambda row: (row.case, row.of, row.unit))]
    columns = min(COLUMNS, max(1, len(panels)))
    lines = max(1, -(-len(panels) // columns))
    tallest = max((len(panel) for panel in panels), default=1)
    width, height = (4.6 * columns + 1.4, lines * (0.9 + 0.34 * tallest))
    if any(row.x is not None for row in rows):
        width, height = (5.6 * columns, 3.8 * lines)
    figure, axes = plt.subplots(lines, columns, squeeze=False, figsize=(width, height), layout="constrained")
    for place, panel in itertools.zip_longest(axes.flat, panels):
        if panel is None:
            place.set_axis_off()
        elif panel[0].x is not None:
            _curve(place, panel)
        else:
            _bars(place, panel)
    if rows:
        figure.suptitle(rows[0].benchmark)
    return figure


def _bars(axes: Axes, rows: Sequence[Row]) -> None:
    """Draw the minimum of each variant with its number, top to bottom; a thin line ends at the median."""
    names = [row.variant for row in rows]
    small = rows[0].unit == "s" and max(row.median or 0.0 for row in rows) < 1
    scale, unit = (1e3, "milliseconds") if small else (1.0, {"s": "seconds"}.get(rows[0].unit, rows[0].unit))
    values = [scale * (row.minimum or 0.0) for row in rows]
    medians = [scale * (row.median or 0.0) for row in rows]
    places = range(len(rows))
    colours = [OTHER if row.variant.startswith(OTHERS) else OWN for row in rows]
    axes.barh(places, values, color=colours)
    axes.hlines(places, values, medians, color="0.3", linewidth=1)
    axes.set_yticks(places, names)
    axes.invert_yaxis()
    widest = max([*values, *medians])
    for place, row in zip(places, rows, strict=True):
        right = max(values[place], medians[place]) + 0.02 * widest
        axes.text(right, place, quantity(row.minimum, row.unit), va="center", fontsize=8)
    axes.set_xlim(0, 1.25 * widest)
    axes.xaxis.set_major_locator(MaxNLocator(4))
    axes.set_xlabel(f"{unit} of {rows[0].of}")
    axes.set_title(rows[0].case, fontsize=10)
    axes.spines[["top", "right"]].set_visible(False)


def _curve(axes: Axes, rows: Sequence[Row]) -> None:
    """Draw the minimum against x, both logarithmic, and the line of proportional cost."""
    x = [row.x or 0.0 for row in rows]
    y = [row.minimum or 0.0 for row in rows]
    axes.loglog(x, y, "o-", color=OWN, label="measured")
    axes.loglog(x, [y[-1] * place / x[-1] for place in x], "--", color="0.6", label="in proportion")
    axes.set_xlabel(rows[0].case)
    axes.set_ylabel(f"seconds of {rows[0].of}")
    axes.grid(True, which="major", color="0.9")
    axes.legend(frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
