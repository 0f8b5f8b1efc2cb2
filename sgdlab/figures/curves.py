"""Figures of kinds `curves` and `grid`: recorded columns against progress, one line a run or mean of runs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sgdlab.base.errors import UserError
from sgdlab.figures import guides
from sgdlab.figures.axes import grid, set_limits
from sgdlab.figures.best import best_of
from sgdlab.figures.labels import Labels, resolve_setting, split
from sgdlab.figures.layout import Drawing, Growing, laid_out, set_titles
from sgdlab.figures.legend import Entry, add_legend, add_notes, cross
from sgdlab.figures.series import Curve, Series, read_curve, series, source
from sgdlab.figures.spec import Curves, Grid
from sgdlab.figures.style import LineStyle, line_styles
from sgdlab.figures.titles import X_TITLES, common_title, title_of_panel, y_title
from sgdlab.figures.values import how_to_draw
from sgdlab.records import Run

FEW_POINTS = 3  # so few points make no line to speak of, so that each of them is shown
MOST_POINTS = 60  # of a path, each of which is still marked
MOST_MARKS = 25  # on a line of evaluations, which has a mark at each
RARE_MARKS = 9  # on a line that is told by its mark from another of its colour
# How an animation says how far along the x axis it has come.
CLOCKS = {
    "steps": "step {:,.0f}",
    "samples": "{:,.0f} samples",
    "epochs": "epoch {:.1f}",
    "seconds": "{:.1f} s",
}

Looks = Mapping[str, LineStyle]


@dataclass(frozen=True, kw_only=True)
class Panel:
    """One panel: its title, its series, and how they are drawn."""

    title: str
    series: tuple[Series, ...]
    spec: Curves


def draw_curves(runs: Sequence[Run], spec: Curves) -> Drawing:
    """Draw the runs, in their order. Raises UserError when there is nothing to draw, or not so."""
    curves = _read(best_of(runs, spec.best) if spec.best else runs, spec)
    shown = {id(curve.run): curve for curve in curves if _is_shown(curve)}
    drawn = [curve.run for curve in shown.values()]
    groups = split(drawn, spec.panels)
    key = [resolve_setting(spec.panels, drawn, said=f"panels={spec.panels}")] if spec.panels else []
    named = [resolve_setting(name, drawn, said=f"legend={name}") for name in spec.legend or ()]
    labels = Labels(drawn, skip=key, only=named)
    panels = []
    for value, group in groups.items():
        found = series([shown[id(run)] for run in group], labels, band=spec.band, smooth=spec.smooth)
        title = title_of_panel(spec, value, key, group, drawn)
        panels.append(Panel(title=title, series=tuple(found), spec=spec))
    guides.check(spec, [each for panel in panels for each in panel.series])
    growing: list[Growing] = []
    title = common_title(drawn) if spec.title is None else spec.title
    figure = laid_out(lambda: _draw(panels, title, spec, growing))
    empty = tuple(curve.run for curve in curves if not _is_shown(curve))
    return Drawing(
        figure=figure,
        drawn=tuple(drawn),
        empty=empty,
        lacking=spec.y,
        growing=tuple(growing),
        clock=CLOCKS[spec.x],
    )


def draw_grid(runs: Sequence[Run], spec: Grid) -> Drawing:
    """Draw several columns of the runs, a panel each. Raises UserError when one of them has no value."""
    panels: list[Panel] = []
    found: dict[int, Run] = {}
    growing: list[Growing] = []
    for pane in spec.columns:
        own = {each.name: getattr(pane, each.name) for each in fields(pane) if each.name != "title"}
        curves_spec = Curves(**own, x=spec.x, smooth=spec.smooth, band=spec.band, logx=spec.logx)
        shown = [curve for curve in _read(runs, curves_spec) if _is_shown(curve)]
        found |= {id(curve.run): curve.run for curve in shown}
        lines = series(shown, Labels(runs), band=spec.band, smooth=spec.smooth)
        panels.append(
            Panel(title=_pane_title(curves_spec, pane.title), series=tuple(lines), spec=curves_spec)
        )
    drawn = tuple(run for run in runs if id(run) in found)
    title = common_title(drawn) if spec.title is None else spec.title
    figure = laid_out(lambda: _draw(panels, title, spec, growing))
    empty = tuple(run for run in runs if id(run) not in found)
    lacking = ", ".join(pane.y for pane in spec.columns)
    return Drawing(
        figure=figure, drawn=drawn, empty=empty, lacking=lacking, growing=tuple(growing), clock=CLOCKS[spec.x]
    )


def _pane_title(spec: Curves, title: str | None) -> str:
    if title is None and spec.from_epoch > 0:
        return f"from epoch {spec.from_epoch:g} on"
    return title or ""


def _read(runs: Sequence[Run], spec: Curves) -> list[Curve]:
    """Each run's curve. Raises UserError when there is nothing to draw at all."""
    curves = [read_curve(run, spec) for run in runs]
    shown = [curve for curve in curves if _is_shown(curve)]
    by_loss = source(spec.y) == "train.csv"  # a run that diverged at once has no loss, and says so
    if not any(len(curve.x) for curve in shown) and not (shown and by_loss):
        raise UserError(_nothing(runs, spec))
    return curves


def _is_shown(curve: Curve) -> bool:
    return len(curve.x) > 0 or curve.diverged


def _nothing(runs: Sequence[Run], spec: Curves) -> str:
    if not runs:
        return "nothing to draw: no run was recorded"
    who = f"{runs[0].folder} ({runs[0].status})" if len(runs) == 1 else f"any of {len(runs)} runs"
    why = ""
    how = how_to_draw(runs[0])
    if how:
        return f"nothing to draw as curves: {who} was measured; draw that with {how}"
    if spec.y.endswith("accuracy"):
        why = "; only classification has one"
    elif source(spec.y) == "trajectory.csv":
        why = "; train with trajectory_every=1, and see sgdlab runs for what is known of the minimum"
    where = "value above 0, as a logarithmic axis needs," if spec.logx or spec.logy else "value"
    late = f" from epoch {spec.from_epoch:g} on" if spec.from_epoch > 0 else ""
    return f"nothing to draw: no {where} of {spec.y}{late} in {source(spec.y)} of {who}{why}"


def _draw(panels: Sequence[Panel], title: str, spec: Curves | Grid, growing: list[Growing]) -> Figure:
    growing.clear()
    own = isinstance(spec, Grid)
    y_titles = [y_title(panel.spec) for panel in panels] if own else [y_title(panels[0].spec)]
    figure, axes = grid(len(panels), spec.size, spec.x_title or X_TITLES[spec.x], y_titles)
    every = [each for panel in panels for each in panel.series]
    lines = {each.label: each.settings for each in every}
    looks = dict(zip(lines, line_styles(list(lines.values())), strict=True))
    for group in [[i] for i in range(len(axes))] if own else [range(len(axes))]:
        each_of = [each for i in group for each in panels[i].series]
        set_limits([axes[i] for i in group], each_of, panels[group[0]].spec)
    set_titles(figure, axes, [panel.title for panel in panels], title)
    for ax, panel in zip(axes, panels, strict=True):
        for each in panel.series:
            _draw_series(ax, each, looks[each.label], growing, points=_shows_points(panel.spec, each))
        guides.draw(ax, panel.spec, panel.series, looks)
    add_legend(figure, axes, [*_entries(panels, looks), *guides.entries(panels[0].spec, looks)])
    if len(panels) > 1 and not own:
        add_notes(figure, [(ax, _notes(panel, looks)) for ax, panel in zip(axes, panels, strict=True)])
    return figure


def _draw_series(ax: Axes, each: Series, look: LineStyle, growing: list[Growing], *, points: bool) -> None:
    if each.low is not None and each.high is not None:
        band = ax.fill_between(each.x, each.low, each.high, color=look.color, alpha=0.2, linewidth=0)
        growing.append(Growing(artist=band, at=each.x))
    if each.raw is not None:
        raw = ax.plot(each.x, each.raw, color=look.color, alpha=0.25, linewidth=0.8, zorder=1.5)[0]
        growing.append(Growing(artist=raw, at=each.x))
    if len(each.x):
        line = ax.plot(each.x, each.y, color=look.color, linestyle=look.dash)[0]
        if points or look.marked or len(each.x) <= FEW_POINTS:
            gap = max(1, len(each.x) // (MOST_MARKS if points else RARE_MARKS))
            line.set(marker=look.marker, markersize=4.5, markevery=gap)
        growing.append(Growing(artist=line, at=each.x))
    for curve in each.lost:
        if len(curve.x):
            _draw_lost(ax, curve, look, growing)


def _draw_lost(ax: Axes, curve: Curve, look: LineStyle, growing: list[Growing]) -> None:
    """A diverged run up to its last finite point, with a cross there; at the edge where it is beyond."""
    y = np.clip(curve.y, *ax.get_ylim())
    line = ax.plot(curve.x, y, color=look.color, linestyle=look.dash)[0]
    mark = cross(look.color, [float(curve.x[-1])], [float(y[-1])])
    mark.set(clip_on=False, zorder=5, transform=ax.transData)
    ax.add_line(mark)
    growing.append(Growing(artist=line, at=curve.x))
    growing.append(Growing(artist=mark, at=curve.x[-1:]))


def _entries(panels: Sequence[Panel], looks: Looks) -> list[Entry]:
    """The figure's legend, each text once; with several panels of runs, notes in these say what became of
    runs; in a grid all panels have the same runs, so that the legend does."""
    fate = len({id(panel.spec) for panel in panels}) == len(panels)
    entries: dict[str, Entry] = {}
    for panel in panels:
        for each in panel.series:
            more = guides.text(panel.spec, each.label)
            text = each.text(fate=fate, more=more)
            line = not fate or not each.lost or len(each.x) > 0
            entry = _entry(text, each, looks, panel.spec, line=line, cross=fate and bool(each.lost))
            entries.setdefault(text, entry)
    return [entry for text, entry in entries.items() if text]


def _notes(panel: Panel, looks: Looks) -> list[Entry]:
    """What a panel says of its runs that did not come to their end."""
    return [
        _entry(
            f"{each.label}: {each.fate}" if each.label else each.fate,
            each,
            looks,
            panel.spec,
            line=not each.lost,
            cross=bool(each.lost),
        )
        for each in panel.series
        if each.fate
    ]


def _entry(text: str, each: Series, looks: Looks, spec: Curves, *, line: bool, cross: bool) -> Entry:
    look = looks[each.label]
    marked = look.marked or _shows_points(spec, each)
    return Entry(
        text=text, look=look, line=line, marked=marked, band=line and each.low is not None, cross=cross
    )


def _shows_points(spec: Curves, each: Series) -> bool:
    """Whether each value has a mark: an evaluation has, a mini-batch's loss has not, a short path has."""
    if source(spec.y) == "trajectory.csv":
        return len(each.x) <= MOST_POINTS
    return source(spec.y) != "train.csv"
