"""Drawing of sweeps: lines of averages over seeds, and marks for what has no place within the axes."""

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

from sgdlab.analysis.seeds import average
from sgdlab.figures import reference_lines
from sgdlab.figures.axes import make_panels
from sgdlab.figures.labels import with_notes
from sgdlab.figures.layout import Notes, set_titles
from sgdlab.figures.legend import LegendEntry, add_legend, cross
from sgdlab.figures.run_values import value_title
from sgdlab.figures.scales import choose_scale, padded_limits
from sgdlab.figures.series import bounds
from sgdlab.figures.spec import SweepFigure
from sgdlab.figures.style import LineStyle, styles_by_label
from sgdlab.figures.ticks import label_decades
from sgdlab.records import Run

HUGE = 1e6  # times the median: a larger number is marked at the edge, as it would flatten the others
STACK, STACKS = 0.045, 0.3  # of the panel's height: one mark at its upper edge, and all marks together
MANY, TALL = 8, (7.2, 5.6)  # from this many lines on, a single panel has this size (inches)
MOST_COUNTS = 12  # points with their number of seeds beside them; of more, the legend says it alone
_HOLLOW: dict[str, Any] = {"linestyle": "none", "markerfacecolor": "white"}


@dataclass(kw_only=True)
class Line:
    """One line: at each x its runs and their numbers, and the value of theory.

    The number of a run that diverged is inf or, where larger is better, -inf. how: mean or median.
    """

    label: str
    settings: dict[str, str]
    runs: dict[float, list[Run]] = field(default_factory=dict)
    values: dict[float, list[float]] = field(default_factory=dict)
    theory: dict[float, float] = field(default_factory=dict)
    how: str = "mean"

    def finite(self, x: float) -> list[float]:
        """Return the numbers at x of the runs that did not diverge."""
        return [value for value in self.values[x] if math.isfinite(value)]

    def diverged(self, x: float) -> bool:
        """Whether a run at x diverged."""
        return len(self.finite(x)) < len(self.values[x])

    def average(self, x: float) -> float:
        """Return the average over the seeds; not finite where all diverged, or half of them in a median."""
        return float(average(self.values[x], self.how))

    @property
    def partial(self) -> list[float]:
        """The x at which the mean is that of a part of the seeds, as the others diverged."""
        return [x for x in sorted(self.values) if self.how == "mean" and self.finite(x) and self.diverged(x)]

    def count(self, x: float) -> str:
        """Return the number of seeds in the average at x: `6 of 8`."""
        return f"{len(self.finite(x))} of {len(self.values[x])}"


@dataclass(frozen=True, kw_only=True)
class Panel:
    """One panel: its title and its lines."""

    title: str
    lines: tuple[Line, ...]


def draw_panels(panels: Sequence[Panel], title: str, x_title: str, spec: SweepFigure, notes: Notes) -> Figure:
    """Draw the panels of a sweep.

    Args:
        panels: the panels.
        title: of the figure.
        x_title: of its x axis.
        spec: the figure.
        notes: what it says besides.

    Returns:
        The figure.
    """
    all_lines = [line for panel in panels for line in panel.lines]
    settings = {line.label: line.settings for line in all_lines}
    size = spec.size or (TALL if len(panels) == 1 and len(settings) >= MANY else None)
    counts = {len(values) for line in all_lines for values in line.values.values()}
    figure, axes = make_panels(len(panels), size, x_title, [_y_title(spec, all_lines, counts)])
    styles = styles_by_label(settings)
    top = _top(all_lines, spec)
    most = max((_most_marks(panel.lines, top) for panel in panels), default=0)
    stack = min(STACK, STACKS / most) if most else 0.0
    _set_limits(axes[0], all_lines, spec, top, stack * most)
    set_titles(figure, axes, [panel.title for panel in panels], title, notes)
    written = sum(len(line.partial) for line in all_lines) <= MOST_COUNTS
    for ax, panel in zip(axes, panels, strict=True):
        if stack:
            _draw_zone(ax, stack * most)
        used: Counter[float] = Counter()
        for line in panel.lines:
            _draw_line(ax, line, styles[line.label], spec, top)
            _mark_partial(ax, line, styles[line.label], top, written=written)
            _draw_edges(ax, line, styles[line.label].color, top, stack, used)
        reference_lines.draw_levels(ax, spec, styles)
    add_legend(figure, axes, _entries(all_lines, styles, spec, axes[0], top, said=len(counts) == 1))
    return figure


def _y_title(spec: SweepFigure, lines: Sequence[Line], counts: set[int]) -> str:
    """Return the title of the y axis, with the number of seeds where all points have the same."""
    title = spec.y_title or value_title(spec.value, spec.tail)
    if len(counts) != 1 or counts == {1}:
        return title
    exception = " (hollow: of fewer)" if any(line.partial for line in lines) else ""
    if spec.average == "median" and any(line.diverged(x) for line in lines for x in line.values):
        exception = " (diverged: worst)"
    return f"{title},\n{spec.average} of {next(iter(counts))} seeds{exception}"


def _draw_zone(ax: Axes, height: float) -> None:
    """Draw the upper part of the panel, where marks stand for values outside the axis."""
    y = 1 - height
    zone = Rectangle((0, y), 1, height, transform=ax.transAxes, color="#f0f0f0", linewidth=0, zorder=0.5)
    ax.add_patch(zone)
    ax.plot([0, 1], [y, y], color="#bbbbbb", linewidth=0.8, zorder=0.6, gid="zone", transform=ax.transAxes)


def _shown(line: Line, top: float) -> list[float]:
    """Return the x at which a line has a point, if perhaps below the axis."""
    return [x for x in sorted(line.values) if math.isfinite(y := line.average(x)) and y <= top]


def _top(lines: Sequence[Line], spec: SweepFigure) -> float:
    """Return the largest value that is drawn as a point."""
    if spec.ylim:
        return spec.ylim[1]
    values = [y for line in lines for x in line.values for y in line.finite(x) if y > 0]
    return HUGE * float(np.median(values)) if values else math.inf


def _set_limits(ax: Axes, lines: Sequence[Line], spec: SweepFigure, top: float, room: float) -> None:
    """Set the limits of the shared axes; `room` is the part of the height that marks take at the top."""
    values = [y for line in lines for x in line.values for y in line.finite(x) if y <= top]
    theory = [y for line in lines for y in line.theory.values()]
    y = np.array(spec.ylim or [*values, *theory, *(level for _, level in spec.levels)])
    x = np.array([x for line in lines for x in line.values])
    x_scale = choose_scale(x, log=spec.logx, deepest=0)
    x_scale.set(ax, "x")
    ax.set_xlim(padded_limits(x, x_scale))
    y_scale = choose_scale(y, log=spec.logy)
    y_scale.set(ax, "y")
    if len(y):
        low, high = y_scale.forward(np.array(spec.ylim or padded_limits(y, y_scale)))
        high += room / (1 - room) * (high - low)
        ax.set_ylim(*y_scale.inverse(np.array([low, high])))
    label_decades(ax)


def _most_marks(lines: Sequence[Line], top: float) -> int:
    """How many lines have a mark on the upper edge at one x."""
    edges = [x for line in lines for x in line.values if line.diverged(x) or line.average(x) > top]
    return max(Counter(edges).values(), default=0)


def _draw_line(ax: Axes, line: Line, style: LineStyle, spec: SweepFigure, top: float) -> None:
    x = _shown(line, top)
    dash = "none" if line.theory else style.dash  # points of what was measured, lines of theory
    y = [line.average(each) for each in x]
    ax.plot(x, y, color=style.color, linestyle=dash, marker=style.marker, markersize=5)
    spread = [np.array(line.finite(each) if line.how == "mean" else line.values[each]) for each in x]
    if spec.band != "none" and any(len(values) > 1 for values in spread):
        bottom, ceiling = ax.get_ylim()
        ends = np.array([bounds(values, spec.band) for values in spread]).T
        low, high = np.nan_to_num(ends, neginf=bottom, posinf=ceiling)
        ax.fill_between(x, low, high, color=style.color, alpha=0.18, linewidth=0)
    known = [each for each in sorted(line.theory) if line.theory[each] > 0 or ax.get_yscale() != "log"]
    if known:
        theory = [line.theory[each] for each in known]
        ax.plot(known, theory, color=style.color, linewidth=1.2, **reference_lines.THEORY)


def _mark_partial(ax: Axes, line: Line, style: LineStyle, top: float, *, written: bool) -> None:
    """Draw the means of a part of the seeds hollow, with the number of seeds beside them."""
    partial = set(line.partial)
    x = [each for each in _shown(line, top) if each in partial]
    if not x:
        return
    y = [line.average(each) for each in x]
    options = {**_HOLLOW, "markeredgecolor": style.color, "markersize": 6, "gid": "partial", "zorder": 3.5}
    ax.plot(x, y, marker=style.marker or "o", **options)
    middle = 0.5
    for at in zip(x, y, strict=True) if written else ():
        right = ax.transAxes.inverted().transform(ax.transData.transform(at))[0] > middle
        text = ax.annotate(
            line.count(at[0]),
            at,
            xytext=(-5 if right else 5, 5),
            textcoords="offset points",
            ha="right" if right else "left",
            fontsize=8,
            color=style.color,
        )
        text.set_in_layout(False)


def _draw_edges(ax: Axes, line: Line, color: Any, top: float, stack: float, used: Counter[float]) -> None:
    """Draw marks on the edges for values outside the axes: diverged, far above, or below."""
    bottom = min(ax.get_ylim())
    for x in line.values:
        if line.diverged(x) or line.average(x) > top:
            y = 1 - stack * (used[x] + 0.5)
            used[x] += 1
            mark = cross(color, [x], [y]) if line.diverged(x) else _mark("^", color, x, y)
            mark.set_markersize(7)
        elif line.average(x) < bottom:
            mark = _mark("v", color, x, 0.0)
        else:
            continue
        mark.set(transform=ax.get_xaxis_transform(), clip_on=False, zorder=5)
        ax.add_line(mark)


def _mark(marker: str, color: Any, x: float, y: float) -> Line2D:
    return Line2D([x], [y], marker=marker, markersize=7, markeredgecolor=color, **_HOLLOW)


def _entries(
    lines: Sequence[Line],
    styles: Mapping[str, LineStyle],
    spec: SweepFigure,
    ax: Axes,
    top: float,
    *,
    said: bool,
) -> list[LegendEntry]:
    """Return an entry for each line, then the meaning of dashes and of marks.

    said: whether the y axis says the number of seeds.
    """
    entries: dict[str, LegendEntry] = {}
    for line in lines:
        counts = sorted({len(values) for values in line.values.values()})
        seeds = " to ".join(str(count) for count in dict.fromkeys([counts[0], counts[-1]]))
        notes = [f"{line.how} of {seeds} seeds"] if counts[-1] > 1 and not said else []
        text = with_notes(line.label, *notes, reference_lines.note(spec, line.label))
        style = replace(styles[line.label], dash="none") if line.theory else styles[line.label]
        band = counts[-1] > 1 and spec.band != "none"
        entries.setdefault(text, LegendEntry(text=text, style=style, marked=True, band=band))
    shown = [entry for entry in entries.values() if entry.text]
    if any(line.theory for line in lines):
        dashed = LineStyle(color=reference_lines.GREY, dash=reference_lines.DASHED, marker="", marked=False)
        shown.append(LegendEntry(text="theory", style=dashed))
    return [*shown, *reference_lines.entries(spec, styles), *_meanings(lines, ax, top)]


def _meanings(lines: Sequence[Line], ax: Axes, top: float) -> list[LegendEntry]:
    """Return the meanings of the marks that are drawn."""
    grey, points = reference_lines.GREY, [(line, x) for line in lines for x in line.values]
    entries = []
    if any(line.partial for line in lines):
        part = list(dict.fromkeys(line.count(x) for line in lines for x in line.partial))
        which = f"{part[0]} seeds" if len(part) == 1 else f"fewer seeds, such as {part[0]}"
        hollow = Line2D([], [], marker="o", markersize=6, markeredgecolor=grey, **_HOLLOW)
        entries.append(LegendEntry(text=f"mean of {which}; the others diverged", artist=hollow))
    if any(line.diverged(x) for line, x in points):
        entries.append(LegendEntry(text="diverged", artist=cross(grey)))
    if any(top < line.average(x) < math.inf and not line.diverged(x) for line, x in points):
        entries.append(LegendEntry(text="above the axis", artist=_mark("^", grey, 0, 0)))
    below = [y for line, x in points if math.isfinite(y := line.average(x)) and y < min(ax.get_ylim())]
    if below:
        text = "not above 0" if ax.get_yscale() == "log" and max(below) <= 0 else "below the axis"
        entries.append(LegendEntry(text=text, artist=_mark("v", grey, 0, 0)))
    return entries
