"""Figures of kind `heatmap`: a number of each run as a colour over two settings, with lines of theory."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Colormap, LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.patheffects import Normal, Stroke

from sgdlab.analysis.seeds import average
from sgdlab.analysis.selection import worst
from sgdlab.analysis.theory import METHODS, Method
from sgdlab.base.errors import UsageError, UserError
from sgdlab.base.formatting import format_value
from sgdlab.figures.axes import make_panels
from sgdlab.figures.layout import Drawing, Notes, make_drawing, set_titles
from sgdlab.figures.legend import LegendEntry, add_below
from sgdlab.figures.panels import split_panels
from sgdlab.figures.run_values import (
    RATE,
    axis_value,
    check_values,
    run_value,
    setting_key,
    setting_title,
    value_title,
)
from sgdlab.figures.scales import Scale, choose_scale
from sgdlab.figures.series import Values
from sgdlab.figures.spec import Heatmap
from sgdlab.figures.ticks import label_decades
from sgdlab.figures.titles import figure_title
from sgdlab.records import Run, differing

DIVERGED = "#bdbdbd"  # a run that diverged or whose error grows; the scale of colours has no grey
SINGLE = (6.4, 5.0)  # inches, of one panel
POINTS = 200  # on a line of theory
LEAST = 1e-6  # share of the largest step size from which on lines of theory are drawn
STEP = ("lr",)  # settings that are step sizes
MOST_WRITTEN = 10  # cells in a row or column with room for a text
_EDGE = [Stroke(linewidth=3.4, foreground="black"), Normal()]
_LINE: dict[str, Any] = {"color": "white", "linewidth": 1.8, "path_effects": _EDGE}
_THIN_EDGE = [Stroke(linewidth=2.0, foreground="black"), Normal()]
_DOT: dict[str, Any] = {"linestyle": "none", "marker": "o", "markersize": 3, "color": "white"}
_DOT |= {"markeredgecolor": "black", "markeredgewidth": 0.5}
_STAR: dict[str, Any] = {
    **{"linestyle": "none", "marker": "*", "markersize": 15, "markerfacecolor": "white"},
    **{"markeredgecolor": "black", "markeredgewidth": 1.0},
}


@dataclass(frozen=True, kw_only=True)
class Panel:
    """One panel.

    Attributes:
        title: its title.
        x, y: (columns,) and (rows,), the values of the settings.
        values: (rows, columns), a number for each cell: inf where the run diverged, NaN where none was made.
        runs: the runs in it.
        partial: the cells that are means of a part of the seeds, as the others diverged: the number of seeds
            by column and row.
    """

    title: str
    x: Values
    y: Values
    values: Values
    runs: tuple[Run, ...]
    partial: dict[tuple[float, float], str]


def draw_heatmap(runs: Sequence[Run], spec: Heatmap, notes: Notes) -> Drawing:
    """Draw a number of each run as a colour.

    Args:
        runs: the runs.
        spec: the figure.
        notes: what it says besides.

    Returns:
        The drawing.

    Raises:
        UserError: no run has the number.
        UsageError: the runs do not form a map of these settings.
    """
    numbers = {id(run): _number(run, spec.value) for run in runs}
    drawn = [run for run in runs if not math.isnan(numbers[id(run)])]
    check_values([spec.value], runs, any(math.isfinite(number) for number in numbers.values()))
    keys = [setting_key(getattr(spec, axis), drawn, key=axis, kind="heatmap") for axis in ("x", "y")]
    panels = [
        _panel(title, group, [numbers[id(run)] for run in group], keys, spec.average)
        for title, group in split_panels(drawn, spec)
    ]
    if spec.theory and sum(key in STEP for key in keys) != 1:
        raise UsageError(
            f"theory={spec.theory}: one axis must be lr, the other the momentum; not {', '.join(keys)}"
        )
    title = figure_title(drawn, spec)
    notes = notes.with_absent(runs, drawn, spec.value).with_lines([], _details(panels, keys))
    return make_drawing(
        lambda _: _draw(panels, title, keys, spec, notes), runs, drawn, spec.value, notes=notes
    )


def _number(run: Run, name: str) -> float:
    value = run_value(run, name)
    return worst(name) if math.isinf(value) else value


def _details(panels: Sequence[Panel], keys: Sequence[str]) -> list[str]:
    """Say which cells are means of a part of the seeds."""
    names = [key.rpartition(".")[2] for key in keys]
    lines = []
    for panel in panels:
        for at, count in panel.partial.items():
            cell = " ".join(f"{name}={format_value(value)}" for name, value in zip(names, at, strict=True))
            where = ", ".join(filter(None, (panel.title, cell)))
            lines.append(f"{where}: mean of {count} seeds, the others diverged")
    return lines


def _panel(title: str, runs: Sequence[Run], numbers: Sequence[float], keys: Sequence[str], how: str) -> Panel:
    """Average the runs of each cell, which may differ by seed alone."""
    cells: dict[tuple[float, float], list[int]] = {}
    for i, run in enumerate(runs):
        at = (axis_value(run, keys[0], said=f"x={keys[0]}"), axis_value(run, keys[1], said=f"y={keys[1]}"))
        cells.setdefault(at, []).append(i)
    x, y = (sorted({cell[axis] for cell in cells}) for axis in (0, 1))
    for axis, key, positions in zip("xy", keys, (x, y), strict=True):
        if len(positions) < 2:
            raise UsageError(f"{axis}={key}: all these runs have the same; a map needs two")
    values = np.full((len(y), len(x)), np.nan)
    partial = {}
    for (column, row), members in cells.items():
        others = [key for key in differing([runs[i] for i in members]) if key != "seed"]
        if others:
            where = f"{keys[0]}={format_value(column)} {keys[1]}={format_value(row)}"
            raise UsageError(
                f"panels: the runs at {where} differ in {', '.join(others)}; choose panels by it"
            )
        found = [numbers[i] for i in members]
        values[y.index(row), x.index(column)] = average(found, how)
        finite = sum(map(math.isfinite, found))
        if how == "mean" and 0 < finite < len(found):
            partial[column, row] = f"{finite} of {len(found)}"
    return Panel(title=title, x=np.array(x), y=np.array(y), values=values, runs=tuple(runs), partial=partial)


def _draw(panels: Sequence[Panel], title: str, keys: Sequence[str], spec: Heatmap, notes: Notes) -> Figure:
    x_title = spec.x_title or setting_title(keys[0])
    size = spec.size or (SINGLE if len(panels) == 1 else None)
    figure, axes = make_panels(len(panels), size, x_title, [spec.y_title or setting_title(keys[1])])
    set_titles(figure, axes, [panel.title for panel in panels], title, notes)
    norm, colors = _scale(panels, spec)
    handles: dict[str, Artist] = {}
    places = [np.concatenate([getattr(panel, axis) for panel in panels]) for axis in "xy"]
    x_scale = choose_scale(places[0], log=spec.logx, deepest=0)
    y_scale = choose_scale(places[1], log=spec.logy, deepest=0)
    x_scale.set(axes[0], "x")
    y_scale.set(axes[0], "y")
    for ax, panel in zip(axes, panels, strict=True):
        edges = [_cell_edges(panel.x, x_scale), _cell_edges(panel.y, y_scale)]
        values = np.where(np.isinf(panel.values), 1e300, panel.values)  # above any scale
        if isinstance(norm, LogNorm):
            values = np.maximum(values, norm.vmin or 0.0)  # it would leave out what is not above 0
        mesh = ax.pcolormesh(*edges, np.ma.masked_invalid(values), norm=norm, cmap=colors, rasterized=True)
        mesh.set_gid("background")
        ax.set(xlim=edges[0][[0, -1]], ylim=edges[1][[0, -1]])
        ax.grid(visible=False)
        label_decades(ax)
        _write_counts(ax, panel)
        if spec.theory:
            handles |= _draw_theory(ax, panel, METHODS[spec.theory], spec, swapped=keys[0] not in STEP)
    bar = figure.colorbar(ScalarMappable(norm, colors), ax=axes, pad=0.02)
    bar.set_label(value_title([spec.value], None))
    known = np.concatenate([panel.values[~np.isnan(panel.values)] for panel in panels])
    if (np.isinf(known) | (known > norm.vmax)).any():
        above = "diverged" if spec.clim is None else "above the scale"
        handles["diverged or growing" if spec.value == RATE else above] = Patch(color=DIVERGED)
    if (known[np.isfinite(known)] < norm.vmin).any():
        handles["at or below the scale's lower end"] = Patch(color=colors(0.0))
    handles |= _partial_handle(panels)
    add_below(figure, [LegendEntry(text=text, artist=handle) for text, handle in handles.items()])
    return figure


def _partial_handle(panels: Sequence[Panel]) -> dict[str, Artist]:
    """Return the entry of the legend on cells that are means of a part of the seeds: label -> handle."""
    counts = list(dict.fromkeys(count for panel in panels for count in panel.partial.values()))
    if not counts:
        return {}
    if max(size for panel in panels for size in panel.values.shape) > MOST_WRITTEN:
        return {f"mean of fewer seeds, such as {counts[0]}; the others diverged": Line2D([], [], **_DOT)}
    return {f"{counts[0]}: mean of the seeds that did not diverge": Line2D([], [], linestyle="none")}


def _scale(panels: Sequence[Panel], spec: Heatmap) -> tuple[Normalize, Colormap]:
    """Return the scale of colours, grey above; that of a rate ends at 1, where errors grow."""
    finite = np.concatenate([panel.values[np.isfinite(panel.values)] for panel in panels])
    rate = spec.value == RATE
    low, high = float(finite.min()), 1.0 if rate else float(finite.max())
    low, high = spec.clim or (low if low < high else high - 1, high)
    wide = not rate and low > 0 and high > 100 * low
    colors = colormaps["viridis"].with_extremes(over=DIVERGED, bad="white")
    return (LogNorm if wide else Normalize)(low, high), colors


def _cell_edges(places: Values, scale: Scale) -> Values:
    """Return the edges, (n + 1,), of cells around positions, (n,): halfway between neighbours."""
    at = scale.forward(places)
    middle = (at[1:] + at[:-1]) / 2
    return scale.inverse(np.concatenate([[2 * at[0] - middle[0]], middle, [2 * at[-1] - middle[-1]]]))


def _write_counts(ax: Axes, panel: Panel) -> None:
    """Write the number of seeds into cells that are means of a part of them; a dot where there is no room."""
    for at, count in panel.partial.items():
        if max(panel.values.shape) > MOST_WRITTEN:
            ax.plot(*at, gid="partial", **_DOT)
        else:
            ax.text(*at, count, ha="center", va="center", fontsize=8, color="white", path_effects=_THIN_EDGE)


def _draw_theory(
    ax: Axes, panel: Panel, method: Method, spec: Heatmap, *, swapped: bool
) -> dict[str, Artist]:
    """Draw the stability limit, the best momentum at each step size, and the optimum: label -> handle."""
    low, high = spec.curvature or _curvature(panel.runs)
    across = [(max(start, 0.0), end) for start, end in (ax.get_xlim(), ax.get_ylim())]
    steps, momenta = reversed(across) if swapped else across
    b = np.linspace(*momenta, POINTS)
    a = np.geomspace(max(steps[0], LEAST * steps[1]), steps[1], POINTS)
    tuned = method.tuned(low, high)
    limit = np.array([method.stability_limit(each, high) for each in b])
    lines: dict[str, tuple[Values, Values, Any]] = {"stability limit": (limit, b, "solid")}
    if method.best_momentum is not None:
        best = np.array([method.best_momentum(each, low, high) for each in a])
        below = best < 1
        lines["best momentum at each step size"] = (a[below], best[below], "dashed")
    handles: dict[str, Artist] = {}
    for text, (x, y, dash) in lines.items():
        ax.plot(*((y, x) if swapped else (x, y)), linestyle=dash, gid="theory", **_LINE)
        handles[text] = Line2D([], [], linestyle=dash, **_LINE)
    star = (tuned.momentum, tuned.lr) if swapped else (tuned.lr, tuned.momentum)
    ax.plot(*star, gid="theory", zorder=5, **_STAR)
    name = f"optimum of theory: rate {tuned.rate:.4f} at lr {tuned.lr:.4g}, momentum {tuned.momentum:.4g}"
    return {name: Line2D([], [], **_STAR), **handles}


def _curvature(runs: Sequence[Run]) -> tuple[float, float]:
    """Return the least and the largest eigenvalue of the Hessian of the runs' function."""
    hessians = {
        str(hessian): hessian for run in runs if (hessian := (run.info.get("objective") or {}).get("hessian"))
    }
    if len(hessians) != 1:
        why = "the runs have several" if hessians else "run.json has no Hessian"
        raise UserError(f"theory: {why}; give the least and largest eigenvalue as curvature=[m,L]")
    eigenvalues = np.linalg.eigvalsh(np.array(next(iter(hessians.values())), dtype=np.float64))
    return float(eigenvalues[0]), float(eigenvalues[-1])
