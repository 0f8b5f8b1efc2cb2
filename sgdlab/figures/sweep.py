"""Figures of kind `sweep`: a number of each run against a setting, one line for each value of another."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle

from sgdlab.base.errors import UsageError
from sgdlab.base.formatting import format_value
from sgdlab.figures import reference_lines
from sgdlab.figures.axes import label_decades, make_panels, padded_limits
from sgdlab.figures.labels import CASE, Labels, resolve_setting, setting_text, with_notes
from sgdlab.figures.layout import Drawing, make_drawing, set_titles
from sgdlab.figures.legend import LegendEntry, add_legend, cross
from sgdlab.figures.panels import panel_keys, split_panels
from sgdlab.figures.run_values import (
    axis_value,
    check_values,
    measured_values,
    run_value,
    setting_key,
    setting_title,
    value_title,
)
from sgdlab.figures.series import bounds
from sgdlab.figures.spec import SweepFigure
from sgdlab.figures.style import LineStyle, styles_by_label
from sgdlab.figures.titles import VALUES_ALONE, figure_title
from sgdlab.records import Run, differing

BARE = (CASE, *VALUES_ALONE, "scheduler")  # settings whose values label a line without the setting
HUGE = 1e6  # times the median: a larger number is marked at the edge, as it would flatten the others
STACK, STACKS = 0.045, 0.3  # of the panel's height: one mark at its upper edge, and all marks together
MANY, TALL = 8, (7.2, 5.6)  # from this many lines on, a single panel has this size (inches)
Point = tuple[str, float | None, float]


@dataclass(kw_only=True)
class Line:
    """One line: at each x its runs and their numbers (inf: diverged), and the value of theory."""

    label: str
    settings: dict[str, str]
    runs: dict[float, list[Run]] = field(default_factory=dict)
    values: dict[float, list[float]] = field(default_factory=dict)
    theory: dict[float, float] = field(default_factory=dict)

    def finite(self, x: float) -> list[float]:
        """Return the numbers at x of the runs that did not diverge."""
        return [value for value in self.values[x] if math.isfinite(value)]


@dataclass(frozen=True, kw_only=True)
class Panel:
    """One panel: its title and its lines."""

    title: str
    lines: tuple[Line, ...]


def draw_sweep(runs: Sequence[Run], spec: SweepFigure) -> Drawing:
    """Draw a number of each run against a setting.

    Args:
        runs: the runs, in the order of the legend.
        spec: the figure.

    Returns:
        The drawing.

    Raises:
        UserError: no run has the number.
        UsageError: the runs cannot be drawn in this way.
    """
    points = {id(run): _points(run, spec) for run in runs}
    drawn = [run for run in runs if points[id(run)]]
    check_values(spec.value, runs, any(math.isfinite(y) for each in points.values() for _, _, y in each))
    measured = any(x is not None for each in points.values() for _, x, _ in each)
    x_key = None if measured else setting_key(spec.x, drawn, key="x", kind="sweep")
    by = resolve_setting(spec.lines, drawn, said=f"lines={spec.lines}") if spec.lines else None
    labels = Labels(drawn, skip=[*panel_keys(drawn, spec), *([x_key] if x_key else [])])
    panels = [
        Panel(title=title, lines=tuple(_lines(group, points, x_key, by, labels, spec)))
        for title, group in split_panels(drawn, spec)
    ]
    x_title = spec.x_title or (setting_title(x_key) if x_key else "x")
    title = figure_title(drawn, spec)
    return make_drawing(lambda _: _draw(panels, title, x_title, spec), runs, drawn, ", ".join(spec.value))


def _points(run: Run, spec: SweepFigure) -> list[Point]:
    """Return a run's points: the name of the number, its own x if it has one, its value (inf: diverged)."""
    points: list[Point] = []
    for name in spec.value:
        quantity = measured_values(run, name) if spec.x is None else {}
        points += [(name, x, value) for x, value in quantity.items() if x is not None]
        if not quantity and not math.isnan(value := run_value(run, name, spec.tail)):
            points.append((name, None, value))
    return points


def _lines(
    runs: Sequence[Run],
    points: Mapping[int, list[Point]],
    x_key: str | None,
    by: str | None,
    labels: Labels,
    spec: SweepFigure,
) -> list[Line]:
    lines: dict[str, Line] = {}
    for run in runs:
        run_label, settings = _name(run, by, labels)
        theory = measured_values(run, spec.theory).get(None) if spec.theory else None
        for name, own_x, value in points[id(run)]:
            label = ", ".join(part for part in (run_label, name if len(spec.value) > 1 else "") if part)
            line = lines.setdefault(label, Line(label=label, settings={**settings, "value": name}))
            x = own_x if own_x is not None else axis_value(run, str(x_key), said=f"x={spec.x}")
            line.runs.setdefault(x, []).append(run)
            line.values.setdefault(x, []).append(value)
            if theory is not None:
                line.theory[x] = theory
    for line in lines.values():
        _check_seeds(line, spec)
    return list(lines.values())


def _name(run: Run, by: str | None, labels: Labels) -> tuple[str, dict[str, str]]:
    if by is None:
        return labels.text(run, seed=False), labels.settings(run, seed=False)
    value = setting_text(run, by)
    return value if by in BARE else f"{by.rpartition('.')[2]}={value}", {by: value}


def _check_seeds(line: Line, spec: SweepFigure) -> None:
    """Refuse to average runs that differ in more than the seed."""
    for x, runs in line.runs.items():
        keys = [key for key in differing(runs) if key != "seed"]
        if keys:
            where = f"lines={spec.lines}" if spec.lines else f"x={spec.x}"
            what = f"{line.label}, " if line.label else ""
            raise UsageError(
                f"{where}: {len(runs)} runs at {what}{format_value(x)} differ in {', '.join(keys)}; "
                f"choose lines or panels that tell them apart"
            )


def _draw(panels: Sequence[Panel], title: str, x_title: str, spec: SweepFigure) -> Figure:
    all_lines = [line for panel in panels for line in panel.lines]
    settings = {line.label: line.settings for line in all_lines}
    seeds = {len(values) for line in all_lines for values in line.values.values()}
    names = [spec.y_title or value_title(spec.value, spec.tail)]
    if len(seeds) == 1 and seeds != {1}:
        names = [f"{names[0]},\nmean of {seeds.pop()} seeds"]
    size = spec.size or (TALL if len(panels) == 1 and len(settings) >= MANY else None)
    figure, axes = make_panels(len(panels), size, x_title, names)
    styles = styles_by_label(settings)
    top = _top(all_lines, spec)
    most = max((_most_marks(panel.lines, top) for panel in panels), default=0)
    stack = min(STACK, STACKS / most) if most else 0.0
    _set_limits(axes[0], all_lines, spec, top, stack * most)
    set_titles(figure, axes, [panel.title for panel in panels], title)
    for ax, panel in zip(axes, panels, strict=True):
        if stack:
            _draw_zone(ax, stack * most)
        used: Counter[float] = Counter()
        for line in panel.lines:
            _draw_line(ax, line, styles[line.label], spec, top)
            _draw_edges(ax, line, styles[line.label].color, spec, top, stack, used)
        reference_lines.draw_levels(ax, spec, styles)
    add_legend(figure, axes, _entries(all_lines, styles, spec, top, seeds_said=not seeds))
    return figure


def _draw_zone(ax: Axes, height: float) -> None:
    """Draw the upper part of the panel, where marks stand for values outside the axis."""
    y = 1 - height
    zone = Rectangle((0, y), 1, height, transform=ax.transAxes, color="#f0f0f0", linewidth=0, zorder=0.5)
    ax.add_patch(zone)
    ax.plot([0, 1], [y, y], color="#bbbbbb", linewidth=0.8, zorder=0.6, gid="zone", transform=ax.transAxes)


def _shown(line: Line, spec: SweepFigure, top: float) -> list[float]:
    """Return the x at which a line has a point within the axes."""
    means = {x: float(np.mean(line.finite(x))) for x in sorted(line.values) if line.finite(x)}
    return [x for x, y in means.items() if y <= top and (y > 0 or not spec.logy) and (x > 0 or not spec.logx)]


def _top(lines: Sequence[Line], spec: SweepFigure) -> float:
    """Return the largest value that is drawn as a point."""
    if spec.ylim:
        return spec.ylim[1]
    values = [y for line in lines for x in line.values for y in line.finite(x) if y > 0]
    return HUGE * float(np.median(values)) if values else math.inf


def _set_limits(ax: Axes, lines: Sequence[Line], spec: SweepFigure, top: float, room: float) -> None:
    """Return limits of the shared axes; `room` is the part of the height that marks take at the top."""
    values = [y for line in lines for x in line.values for y in line.finite(x) if y <= top]
    theory = [y for line in lines for y in line.theory.values()]
    y = np.array([*values, *theory, *(level for _, level in spec.levels)])
    y = y[y > 0] if spec.logy else y
    x = np.array([x for line in lines for x in line.values if x > 0 or not spec.logx])
    ax.set_xscale("log" if spec.logx else "linear")
    ax.set_yscale("log" if spec.logy else "linear")
    if len(x):
        ax.set_xlim(padded_limits(x, log=spec.logx))
    if spec.ylim or len(y):
        low, high = spec.ylim or padded_limits(y, log=spec.logy)
        more = room / (1 - room)
        ax.set_ylim(low, high * (high / low) ** more if spec.logy else high + more * (high - low))
    label_decades(ax)


def _most_marks(lines: Sequence[Line], top: float) -> int:
    """Return how many lines have a mark on the upper edge at one x."""
    edges = [x for line in lines for x in line.values if max(line.values[x]) > top or not line.finite(x)]
    return max(Counter(edges).values(), default=0)


def _draw_line(ax: Axes, line: Line, style: LineStyle, spec: SweepFigure, top: float) -> None:
    x = _shown(line, spec, top)
    y = [float(np.mean(line.finite(each))) for each in x]
    dash = "none" if line.theory else style.dash  # points of what was measured, lines of theory
    ax.plot(x, y, color=style.color, linestyle=dash, marker=style.marker, markersize=5)
    spread = [np.array(line.finite(each)) for each in x]
    if spec.band != "none" and any(len(values) > 1 for values in spread):
        low, high = np.array([bounds(values, spec.band) for values in spread]).T
        ax.fill_between(x, low, high, color=style.color, alpha=0.18, linewidth=0)
    known = [each for each in sorted(line.theory) if line.theory[each] > 0 or not spec.logy]
    if known:
        theory = [line.theory[each] for each in known]
        ax.plot(known, theory, color=style.color, linewidth=1.2, **reference_lines.THEORY)


def _draw_edges(
    ax: Axes, line: Line, color: Any, spec: SweepFigure, top: float, stack: float, used: Counter[float]
) -> None:
    """Draw marks on the edges for values outside the axes: diverged, far above, or not above 0."""
    for x, values in line.values.items():
        mean = float(np.mean(line.finite(x))) if line.finite(x) else math.inf
        if math.inf in values or mean > top:
            y = 1 - stack * (used[x] + 0.5)
            used[x] += 1
            mark = cross(color, [x], [y]) if math.inf in values else _mark("^", color, x, y)
            mark.set_markersize(7)
        elif spec.logy and mean <= 0:
            mark = _mark("v", color, x, 0.0)
        else:
            continue
        mark.set(transform=ax.get_xaxis_transform(), clip_on=False, zorder=5)
        ax.add_line(mark)


def _mark(marker: str, color: Any, x: float, y: float) -> Line2D:
    colors: dict[str, Any] = {"markerfacecolor": "white", "markeredgecolor": color}
    return Line2D([x], [y], linestyle="none", marker=marker, markersize=7, **colors)


def _entries(
    lines: Sequence[Line], styles: Mapping[str, LineStyle], spec: SweepFigure, top: float, *, seeds_said: bool
) -> list[LegendEntry]:
    """Return an entry for each line, then the meaning of dashes and of marks on the edges."""
    entries: dict[str, LegendEntry] = {}
    for line in lines:
        seeds = max(len(values) for values in line.values.values())
        notes = [f"mean of {seeds} seeds"] if seeds > 1 and not seeds_said else []
        text = with_notes(line.label, *notes, reference_lines.note(spec, line.label))
        style = replace(styles[line.label], dash="none") if line.theory else styles[line.label]
        band = seeds > 1 and spec.band != "none"
        entries.setdefault(text, LegendEntry(text=text, style=style, marked=True, band=band))
    shown = [entry for entry in entries.values() if entry.text]
    if any(line.theory for line in lines):
        dashed = LineStyle(color=reference_lines.GREY, dash=reference_lines.DASHED, marker="", marked=False)
        shown.append(LegendEntry(text="theory", style=dashed))
    shown += reference_lines.entries(spec, styles)
    values = [value for line in lines for each in line.values.values() for value in each]
    if math.inf in values:
        shown.append(LegendEntry(text="diverged", artist=cross(reference_lines.GREY)))
    if any(top < value < math.inf for value in values):
        shown.append(LegendEntry(text="above the axis", artist=_mark("^", reference_lines.GREY, 0, 0)))
    if spec.logy and any(value <= 0 for value in values):
        shown.append(LegendEntry(text="not above 0", artist=_mark("v", reference_lines.GREY, 0, 0)))
    return shown
