"""Figures of kind `sweep`: a number of each run against a setting, one line for each value of another."""

import math
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
from sgdlab.figures import guides
from sgdlab.figures.axes import grid, padded, plain_decades
from sgdlab.figures.labels import CASE, Labels, resolve_setting, setting, split
from sgdlab.figures.layout import Drawing, laid_out, set_titles
from sgdlab.figures.legend import Entry, add_legend, cross
from sgdlab.figures.series import bounds
from sgdlab.figures.spec import Sweep
from sgdlab.figures.style import LineStyle, line_styles
from sgdlab.figures.titles import common_title, title_of_panel
from sgdlab.figures.values import (
    check_known,
    measured,
    number,
    place,
    setting_key,
    setting_title,
    value_title,
)
from sgdlab.records import Run, differing

BARE = (CASE, "dataset", "model", "loss", "optimizer", "scheduler")  # their values say what they are
HUGE = 1e6  # times the median: such a number is shown at the edge, as it would flatten all others
STACK, STACKS = 0.045, 0.3  # of the panel's height: each of several marks at its upper edge, and all of them
MANY, TALL = 8, (7.2, 5.6)  # of so many lines, a single panel is so large (inches)
GREY = "#555555"


@dataclass(kw_only=True)
class Line:
    """One line: at each x the runs there and their numbers (inf: diverged), and what theory says."""

    label: str
    settings: dict[str, str]
    runs: dict[float, list[Run]] = field(default_factory=dict)
    values: dict[float, list[float]] = field(default_factory=dict)
    theory: dict[float, float] = field(default_factory=dict)

    def add(self, x: float, run: Run, value: float) -> None:
        """One more number."""
        self.runs.setdefault(x, []).append(run)
        self.values.setdefault(x, []).append(value)

    def finite(self, x: float) -> list[float]:
        """The numbers at x of the runs that did not diverge."""
        return [value for value in self.values[x] if math.isfinite(value)]


@dataclass(frozen=True, kw_only=True)
class Panel:
    """One panel: its title and its lines."""

    title: str
    lines: tuple[Line, ...]


def draw_sweep(runs: Sequence[Run], spec: Sweep) -> Drawing:
    """Draw a number of each run. Raises UserError when there is none, UsageError when it cannot be so."""
    rows = {id(run): _rows(run, spec) for run in runs}
    drawn = [run for run in runs if rows[id(run)]]
    check_known(spec.value, runs, any(math.isfinite(y) for each in rows.values() for _, _, y in each))
    x_key = None if _over_measured(spec, drawn) else setting_key(spec.x, drawn, key="x", kind="sweep")
    groups = split(drawn, spec.panels)
    key = [resolve_setting(spec.panels, drawn, said=f"panels={spec.panels}")] if spec.panels else []
    panels = []
    for value, group in groups.items():
        lines = _lines(group, drawn, rows, x_key, key, spec)
        panels.append(Panel(title=title_of_panel(spec, value, key, group, drawn), lines=tuple(lines)))
    title = common_title(drawn) if spec.title is None else spec.title
    x_title = spec.x_title or (setting_title(x_key) if x_key else "x")
    figure = laid_out(lambda: _draw(panels, title, x_title, spec))
    empty = tuple(run for run in runs if not rows[id(run)])
    return Drawing(figure=figure, drawn=tuple(drawn), empty=empty, lacking=", ".join(spec.value))


def _over_measured(spec: Sweep, runs: Sequence[Run]) -> bool:
    """Whether the x axis is that of the measured quantities themselves."""
    return spec.x is None and any(
        None not in measured(run, name) for run in runs for name in spec.value if measured(run, name)
    )


def _rows(run: Run, spec: Sweep) -> list[tuple[str, float | None, float]]:
    """What there is of a run: name of the number, its own x if it has one, its value (inf: diverged)."""
    found: list[tuple[str, float | None, float]] = []
    for name in spec.value:
        own = measured(run, name) if spec.x is None else {}
        found += [(name, x, value) for x, value in own.items() if x is not None]
        if not own:
            value = number(run, name, spec.tail)
            found += [] if math.isnan(value) else [(name, None, value)]
    return found


def _lines(
    group: Sequence[Run],
    every: Sequence[Run],
    rows: Mapping[int, list[tuple[str, float | None, float]]],
    x_key: str | None,
    panel_key: Sequence[str],
    spec: Sweep,
) -> list[Line]:
    by = resolve_setting(spec.lines, every, said=f"lines={spec.lines}") if spec.lines else None
    labels = Labels(every, skip=[*panel_key, *([x_key] if x_key else [])])
    lines: dict[str, Line] = {}
    for run in group:
        own, settings = _name(run, by, labels)
        theory = measured(run, spec.theory).get(None) if spec.theory else None
        for name, own_x, value in rows[id(run)]:
            label = own if len(spec.value) == 1 else ", ".join(part for part in (own, name) if part)
            line = lines.setdefault(label, Line(label=label, settings={**settings, "value": name}))
            x = own_x if own_x is not None else place(run, str(x_key), said=f"x={spec.x}")
            line.add(x, run, value)
            if theory is not None:
                line.theory[x] = theory
    for line in lines.values():
        _check_seeds(line, spec)
    return list(lines.values())


def _name(run: Run, by: str | None, labels: Labels) -> tuple[str, dict[str, str]]:
    if by is None:
        return labels.text(run, seed=False), labels.settings(run, seed=False)
    value = setting(run, by)
    return value if by in BARE else f"{by.rpartition('.')[2]}={value}", {by: value}


def _check_seeds(line: Line, spec: Sweep) -> None:
    """Runs at one place of a line may differ by seed alone: anything else would be averaged away unseen."""
    for x, runs in line.runs.items():
        keys = [key for key in differing(runs) if key != "seed"]
        if keys:
            where = f"lines={spec.lines}" if spec.lines else f"x={spec.x}"
            what = f"{line.label}, " if line.label else ""
            raise UsageError(
                f"{where}: {len(runs)} runs at {what}{format_value(x)} differ in {', '.join(keys)}; "
                f"choose lines or panels that tell them apart"
            )


def _draw(panels: Sequence[Panel], title: str, x_title: str, spec: Sweep) -> Figure:
    every = [line for panel in panels for line in panel.lines]
    known = {line.label: line.settings for line in every}
    seeds = {len(values) for line in every for values in line.values.values()}
    names = [spec.y_title or value_title(spec.value, spec.tail)]
    if len(seeds) == 1 and seeds != {1}:
        names = [f"{names[0]},\nmean of {seeds.pop()} seeds"]
    size = spec.size or (TALL if len(panels) == 1 and len(known) >= MANY else None)
    figure, axes = grid(len(panels), size, x_title, names)
    looks = dict(zip(known, line_styles(list(known.values())), strict=True))
    top = _top(every, spec)
    most = max((_most_marks(panel.lines, top) for panel in panels), default=0)
    stack = min(STACK, STACKS / most) if most else 0.0
    _set_limits(axes[0], every, spec, top, stack * most)
    set_titles(figure, axes, [panel.title for panel in panels], title)
    for ax, panel in zip(axes, panels, strict=True):
        if stack:
            _draw_zone(ax, stack * most)
        used: dict[float, int] = {}
        for line in panel.lines:
            _draw_line(ax, line, looks[line.label], spec, top)
            _draw_edges(ax, line, looks[line.label], spec, top, stack, used)
        guides.levels(ax, spec, looks)
    add_legend(figure, axes, _entries(every, looks, spec, top, seeds_said=not seeds))
    return figure


def _draw_zone(ax: Axes, height: float) -> None:
    """The upper part of the panel, where marks stand for what has no place on the axis."""
    zone = Rectangle(
        (0, 1 - height), 1, height, transform=ax.transAxes, color="#f0f0f0", linewidth=0, zorder=0.5
    )
    ax.add_patch(zone)
    ax.plot(
        [0, 1],
        [1 - height] * 2,
        transform=ax.transAxes,
        color="#bbbbbb",
        linewidth=0.8,
        zorder=0.6,
        gid="zone",
    )


def _shown(line: Line, spec: Sweep, top: float) -> list[float]:
    """The x at which a line has a point within the axes."""
    means = {x: float(np.mean(line.finite(x))) for x in sorted(line.values) if line.finite(x)}
    return [x for x, y in means.items() if y <= top and (y > 0 or not spec.logy) and (x > 0 or not spec.logx)]


def _top(every: Sequence[Line], spec: Sweep) -> float:
    """Up to where a value is shown in its place."""
    if spec.ylim:
        return spec.ylim[1]
    values = [y for line in every for x in line.values for y in line.finite(x) if y > 0]
    return HUGE * float(np.median(values)) if values else math.inf


def _set_limits(ax: Axes, every: Sequence[Line], spec: Sweep, top: float, room: float) -> None:
    """Limits of the shared axes; `room` is the part of the height that marks take at the upper edge."""
    values = [y for line in every for x in line.values for y in line.finite(x) if y <= top]
    theory = [y for line in every for y in line.theory.values()]
    y = np.array([*values, *theory, *(level for _, level in spec.levels)])
    y = y[y > 0] if spec.logy else y
    x = np.array([x for line in every for x in line.values if x > 0 or not spec.logx])
    ax.set_xscale("log" if spec.logx else "linear")
    ax.set_yscale("log" if spec.logy else "linear")
    if len(x):
        ax.set_xlim(padded(x, log=spec.logx))
    if spec.ylim or len(y):
        low, high = spec.ylim or padded(y, log=spec.logy)
        more = room / (1 - room)
        ax.set_ylim(low, high * (high / low) ** more if spec.logy else high + more * (high - low))
    plain_decades(ax)


def _most_marks(lines: Sequence[Line], top: float) -> int:
    """How many lines have a mark on the upper edge at one x."""
    edges = [x for line in lines for x in line.values if max(line.values[x]) > top or not line.finite(x)]
    return max((edges.count(x) for x in edges), default=0)


def _draw_line(ax: Axes, line: Line, look: LineStyle, spec: Sweep, top: float) -> None:
    x = _shown(line, spec, top)
    y = [float(np.mean(line.finite(each))) for each in x]
    dash = "none" if line.theory else look.dash  # points of what was measured, lines of theory
    ax.plot(x, y, color=look.color, linestyle=dash, marker=look.marker, markersize=5)
    spread = [np.array(line.finite(each)) for each in x]
    if spec.band != "none" and any(len(values) > 1 for values in spread):
        low, high = np.array([bounds(values, spec.band) for values in spread]).T
        ax.fill_between(x, low, high, color=look.color, alpha=0.18, linewidth=0)
    known = [each for each in sorted(line.theory) if line.theory[each] > 0 or not spec.logy]
    if known:
        theory = [line.theory[each] for each in known]
        ax.plot(
            known, theory, color=look.color, linestyle=guides.DASHED, linewidth=1.2, gid="theory", zorder=3
        )


def _draw_edges(
    ax: Axes, line: Line, look: LineStyle, spec: Sweep, top: float, stack: float, used: dict[float, int]
) -> None:
    """Marks on the edges for what no axis holds: diverged, far above, or not above 0."""
    for x, values in line.values.items():
        mean = float(np.mean(line.finite(x))) if line.finite(x) else math.inf
        if math.inf in values or mean > top:
            y = 1 - stack * (used.get(x, 0) + 0.5)
            used[x] = used.get(x, 0) + 1
            mark = cross(look.color, [x], [y]) if math.inf in values else _mark("^", look.color, x, y)
            mark.set_markersize(7)
        elif spec.logy and mean <= 0:
            mark = _mark("v", look.color, x, 0.0)
        else:
            continue
        mark.set(transform=ax.get_xaxis_transform(), clip_on=False, zorder=5)
        ax.add_line(mark)


def _mark(marker: str, color: Any, x: float, y: float) -> Line2D:
    line = Line2D([x], [y], linestyle="none", marker=marker, markersize=7, markerfacecolor="white")
    line.set_markeredgecolor(color)
    return line


def _entries(
    every: Sequence[Line], looks: Mapping[str, LineStyle], spec: Sweep, top: float, *, seeds_said: bool
) -> list[Entry]:
    """A line each, then what the marks on the edges and the dashes mean."""
    entries: dict[str, Entry] = {}
    for line in every:
        seeds = max(len(values) for values in line.values.values())
        band = seeds > 1 and spec.band != "none"
        notes = [f"mean of {seeds} seeds"] if seeds > 1 and not seeds_said else []
        level = dict(spec.levels).get(line.label)
        notes += [f"theory {format_value(level)}, dotted"] if level is not None else []
        text = (
            f"{line.label} ({'; '.join(notes)})" if line.label and notes else line.label or "; ".join(notes)
        )
        drawn = replace(looks[line.label], dash="none") if line.theory else looks[line.label]
        entry = Entry(text=text, look=drawn, line=True, marked=True, band=band, cross=False)
        entries.setdefault(text, entry)
    found = [entry for entry in entries.values() if entry.text]
    if any(line.theory for line in every):
        dashes = LineStyle(color=GREY, dash=guides.DASHED, marker="", marked=False)
        found.append(Entry(text="theory", look=dashes, line=True, marked=False, band=False, cross=False))
    found += guides.entries(spec, looks)
    values = [value for line in every for each in line.values.values() for value in each]
    if math.inf in values:
        found.append(Entry.of("diverged", cross(GREY)))
    if any(top < value < math.inf for value in values):
        found.append(Entry.of("above the axis", _mark("^", GREY, 0, 0)))
    if spec.logy and any(value <= 0 for value in values):
        found.append(Entry.of("not above 0", _mark("v", GREY, 0, 0)))
    return found
