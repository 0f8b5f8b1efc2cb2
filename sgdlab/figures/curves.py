"""Figures of kind `curves`: a recorded column against progress, one line a run or mean of runs."""

import textwrap
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sgdlab.config import show
from sgdlab.errors import UsageError, UserError
from sgdlab.figures.axes import grid, set_limits
from sgdlab.figures.legend import Entry, add_legend, add_notes, cross
from sgdlab.figures.series import Curve, Series, read_curve, series
from sgdlab.figures.spec import SOURCES, FigureSpec
from sgdlab.figures.style import PANELS_A_ROW, LineStyle, line_styles
from sgdlab.figures.titles import common_title, panel_title
from sgdlab.records import Run, differing, resolve

FEW_POINTS = 3  # so few points make no line to speak of, so that each of them is shown
MOST_MARKS = 25  # on a line of evaluations, which has a mark at each
RARE_MARKS = 9  # on a line that is told by its mark from another of its colour
MOST_PANELS = 36
CHARACTER = 0.085  # inches: the mean width of a title's letter, generously


@dataclass(frozen=True, kw_only=True)
class Drawing:
    """A figure, the runs in it, and those that have nothing to draw."""

    figure: Figure
    drawn: tuple[Run, ...]
    empty: tuple[Run, ...]


@dataclass(frozen=True, kw_only=True)
class Panel:
    """One panel: its title and its series."""

    title: str
    series: tuple[Series, ...]


def draw_curves(runs: Sequence[Run], spec: FigureSpec) -> Drawing:
    """Draw the runs, in their order. Raises UserError when there is nothing to draw, or not so."""
    curves = [read_curve(run, spec) for run in runs]
    shown = [curve for curve in curves if len(curve.x) or curve.diverged]
    by_loss = SOURCES[spec.y] == "train.csv"  # a run that diverged at once has no loss, and says so
    if not any(len(curve.x) for curve in shown) and not (shown and by_loss):
        raise UserError(_nothing(runs, spec))
    drawn = [curve.run for curve in shown]
    figure = _laid_out(_panels(shown, spec), drawn, spec)
    empty = tuple(curve.run for curve in curves if not len(curve.x) and not curve.diverged)
    return Drawing(figure=figure, drawn=tuple(drawn), empty=empty)


def _nothing(runs: Sequence[Run], spec: FigureSpec) -> str:
    if not runs:
        return "nothing to draw: no run was recorded"
    who = f"{runs[0].folder} ({runs[0].status})" if len(runs) == 1 else f"any of {len(runs)} runs"
    why = "; only classification has one" if spec.y == "test_accuracy" else ""
    where = "value above 0, as a logarithmic axis needs," if spec.logx or spec.logy else "value"
    return f"nothing to draw: no {where} of {spec.y} in {SOURCES[spec.y]} of {who}{why}"


def _panels(curves: Sequence[Curve], spec: FigureSpec) -> list[Panel]:
    runs = [curve.run for curve in curves]
    keys = differing(runs)
    if spec.panels is None:
        title = panel_title(spec.panel_title, runs, runs) if spec.panel_title else ""
        return [Panel(title=title, series=tuple(series(curves, keys, spec)))]
    key = resolve(spec.panels, (key for run in runs for key in run.settings), said=f"panels={spec.panels}")
    if key not in keys:
        also = f"they differ in: {', '.join(keys)}" if keys else "they do not differ in any setting"
        raise UsageError(f"panels={spec.panels}: all these runs have the same {key}; {also}")
    groups: dict[str, list[Curve]] = {}
    for curve in curves:
        groups.setdefault(show(curve.run.settings.get(key, "none")), []).append(curve)
    if len(groups) > MOST_PANELS:
        raise UsageError(f"panels={spec.panels}: {len(groups)} values; the most panels is {MOST_PANELS}")
    rest = [other for other in keys if other != key]
    return [
        Panel(title=_panel_title(value, key, group, runs, spec), series=tuple(series(group, rest, spec)))
        for value, group in groups.items()
    ]


def _panel_title(value: str, key: str, group: Sequence[Curve], every: Sequence[Run], spec: FigureSpec) -> str:
    if spec.panel_title is None:
        return f"{key.rpartition('.')[2]}={value}"
    return panel_title(spec.panel_title, [curve.run for curve in group], every)


def _laid_out(panels: Sequence[Panel], runs: Sequence[Run], spec: FigureSpec) -> Figure:
    """The figure; UsageError when its words leave the panels no room."""
    with warnings.catch_warnings():
        warnings.filterwarnings("error", "constrained_layout not applied")
        try:
            figure = _draw(panels, runs, spec)
            figure.draw_without_rendering()
            figure.set_layout_engine("none")  # what was measured is what is saved
        except UserWarning:
            raise UsageError("size: too small for these panels and their words; give a larger one") from None
    return figure


def _draw(panels: Sequence[Panel], runs: Sequence[Run], spec: FigureSpec) -> Figure:
    figure, axes = grid(len(panels), spec)
    every = [each for panel in panels for each in panel.series]
    lines = {each.label: each.settings for each in every}
    looks = dict(zip(lines, line_styles(list(lines.values())), strict=True))
    set_limits(axes, every, spec)
    _set_titles(figure, axes, panels, common_title(runs) if spec.title is None else spec.title)
    for ax, panel in zip(axes, panels, strict=True):
        for each in panel.series:
            _draw_series(ax, each, looks[each.label], points=_shows_points(spec))
    add_legend(figure, axes, _entries(panels, looks, spec))
    if len(panels) > 1:
        add_notes(figure, [(ax, _notes(panel, looks, spec)) for ax, panel in zip(axes, panels, strict=True)])
    return figure


def _set_titles(figure: Figure, axes: Sequence[Axes], panels: Sequence[Panel], title: str) -> None:
    width = figure.get_figwidth() / CHARACTER
    if len(axes) == 1:
        lines = [textwrap.fill(text, int(width)) for text in (title, panels[0].title) if text]
        axes[0].set_title("\n".join(lines))
        return
    if title:
        figure.suptitle(textwrap.fill(title, int(width)))
    columns = min(len(axes), PANELS_A_ROW)
    for ax, panel in zip(axes, panels, strict=True):
        ax.set_title(textwrap.fill(panel.title, int(width / columns)))


def _draw_series(ax: Axes, each: Series, look: LineStyle, *, points: bool) -> None:
    if each.low is not None and each.high is not None:
        ax.fill_between(each.x, each.low, each.high, color=look.color, alpha=0.2, linewidth=0)
    if each.raw is not None:
        ax.plot(each.x, each.raw, color=look.color, alpha=0.25, linewidth=0.8, zorder=1.5)
    if len(each.x):
        line = ax.plot(each.x, each.y, color=look.color, linestyle=look.dash)[0]
        if points or look.marked or len(each.x) <= FEW_POINTS:
            gap = max(1, len(each.x) // (MOST_MARKS if points else RARE_MARKS))
            line.set(marker=look.marker, markersize=4.5, markevery=gap)
    for curve in each.lost:
        if len(curve.x):
            _draw_lost(ax, curve, look)


def _draw_lost(ax: Axes, curve: Curve, look: LineStyle) -> None:
    """A diverged run up to its last finite point, with a cross there; at the edge where it is beyond."""
    y = np.clip(curve.y, *ax.get_ylim())
    ax.plot(curve.x, y, color=look.color, linestyle=look.dash)
    mark = cross(look.color, [float(curve.x[-1])], [float(y[-1])])
    mark.set(clip_on=False, zorder=5, transform=ax.transData)
    ax.add_line(mark)


def _entries(panels: Sequence[Panel], looks: Mapping[str, LineStyle], spec: FigureSpec) -> list[Entry]:
    """The figure's legend, each text once; with several panels, notes in these say what became of runs."""
    fate = len(panels) == 1
    entries: dict[str, Entry] = {}
    for each in (each for panel in panels for each in panel.series):
        text = each.text(fate=fate)
        line = not fate or not each.lost or len(each.x) > 0
        entries.setdefault(text, _entry(text, each, looks, spec, line=line, cross=fate and bool(each.lost)))
    return [entry for text, entry in entries.items() if text]


def _notes(panel: Panel, looks: Mapping[str, LineStyle], spec: FigureSpec) -> list[Entry]:
    """What a panel says of its runs that did not come to their end."""
    return [
        _entry(
            f"{each.label}: {each.fate}" if each.label else each.fate,
            each,
            looks,
            spec,
            line=not each.lost,
            cross=bool(each.lost),
        )
        for each in panel.series
        if each.fate
    ]


def _entry(
    text: str, each: Series, looks: Mapping[str, LineStyle], spec: FigureSpec, *, line: bool, cross: bool
) -> Entry:
    look = looks[each.label]
    marked = look.marked or _shows_points(spec)
    return Entry(
        text=text, look=look, line=line, marked=marked, band=line and each.low is not None, cross=cross
    )


def _shows_points(spec: FigureSpec) -> bool:
    return SOURCES[spec.y] != "train.csv"
