"""Figures of kinds `curves` and `grid`: recorded columns against progress, a line per run or mean of runs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sgdlab.base.errors import UserError
from sgdlab.figures import reference_lines
from sgdlab.figures.axes import make_panels, set_limits
from sgdlab.figures.columns import X_AXES, source
from sgdlab.figures.labels import Labels, resolve_setting
from sgdlab.figures.layout import AnimatedArtist, Drawing, Notes, make_drawing, set_titles
from sgdlab.figures.legend import LegendEntry, add_legend, add_notes, draw_cross
from sgdlab.figures.panels import panel_keys, split_panels, subject
from sgdlab.figures.run_values import plot_options
from sgdlab.figures.selection import (
    best_values,
    edge_notes,
    selected,
    selection_details,
    selection_notes,
)
from sgdlab.figures.series import Curve, Series, group_seeds, read_curve
from sgdlab.figures.smoothing import smoothing_details, y_title
from sgdlab.figures.spec import Curves, Grid
from sgdlab.figures.style import LineStyle, styles_by_label
from sgdlab.figures.titles import figure_title
from sgdlab.records import Run

FEW_POINTS = 3  # a line of at most this many points shows every point
MOST_POINTS = 60  # of a path that shows each of its points
MOST_MARKS = 25  # on a line of evaluations, which are marked
RARE_MARKS = 9  # on a line that its marker tells from another of its colour
# The format in which an animation writes its position on the x axis.
CLOCKS = {
    "steps": "step {:,.0f}",
    "samples": "{:,.0f} samples",
    "evaluations": "{:,.0f} evaluations",
    "epochs": "epoch {:.1f}",
    "seconds": "{:.1f} s",
}

Styles = Mapping[str, LineStyle]
ONE_POINT = "each run has one logged loss: train with a smaller log_every, or draw --y train_loss --x epochs"


@dataclass(frozen=True, kw_only=True)
class Panel:
    """One panel.

    title: over it. series: its lines. spec: how they are drawn. smoothed: of each curve, whether it is.
    notes: label -> a further note of the legend.
    """

    title: str
    series: tuple[Series, ...]
    spec: Curves
    smoothed: tuple[bool, ...]
    notes: Mapping[str, str]


def draw_curves(runs: Sequence[Run], spec: Curves, notes: Notes) -> Drawing:
    """Draw one column of the runs.

    Args:
        runs: the runs, in the order of the legend.
        spec: the figure.
        notes: what it says besides.

    Returns:
        The drawing.

    Raises:
        UserError: nothing can be drawn, or not in this way.
    """
    best = best_values(runs, spec.best, spec.select_by) if spec.best else []
    curves = _read(selected(runs, best) if best else runs, spec)
    shown = {id(curve.run): curve for curve in curves if _is_shown(curve)}
    drawn = [curve.run for curve in shown.values()]
    named = [resolve_setting(name, drawn, said=f"legend={name}") for name in spec.legend or ()]
    labels = Labels(drawn, skip=panel_keys(drawn, spec), only=named)
    if best:
        notes = notes.with_lines(selection_notes(best, spec.select_by), selection_details(best, named))
    edges = edge_notes(best, labels)
    panels = [
        _panel(title, [shown[id(run)] for run in group], labels, spec, spec, edges)
        for title, group in split_panels(drawn, spec)
    ]
    reference_lines.check_rates(spec, [line for panel in panels for line in panel.series])
    return _drawing([curve.run for curve in curves], drawn, panels, spec, notes, lacking=spec.y)


def draw_grid(runs: Sequence[Run], spec: Grid, notes: Notes) -> Drawing:
    """Draw several columns of the runs, one per panel.

    Args:
        runs: the runs, in the order of the legend.
        spec: the figure.
        notes: what it says besides.

    Returns:
        The drawing.

    Raises:
        UserError: no run has a value of one of the columns.
    """
    panels: list[Panel] = []
    shown: set[int] = set()
    for pane in spec.columns:
        keys = {key.name: getattr(pane, key.name) for key in fields(pane) if key.name != "title"}
        curves_spec = Curves(**keys, x=spec.x, smooth=spec.smooth, band=spec.band, logx=spec.logx)
        curves = [curve for curve in _read(runs, curves_spec) if _is_shown(curve)]
        shown |= {id(curve.run) for curve in curves}
        late = f"from epoch {pane.from_epoch:g} on" if pane.from_epoch > 0 else ""
        panels.append(_panel(pane.title or late, curves, Labels(runs), spec, curves_spec, {}))
    drawn = [run for run in runs if id(run) in shown]
    lacking = ", ".join(dict.fromkeys(pane.y for pane in spec.columns))
    return _drawing(runs, drawn, panels, spec, notes, lacking=lacking)


def _panel(
    title: str,
    curves: Sequence[Curve],
    labels: Labels,
    spec: Curves | Grid,
    own: Curves,
    notes: Mapping[str, str],
) -> Panel:
    series = group_seeds(curves, labels, spec, own.y)
    smoothed = tuple(curve.smoothed for curve in curves)
    return Panel(title=title, series=tuple(series), spec=own, smoothed=smoothed, notes=notes)


def _drawing(
    runs: Sequence[Run],
    drawn: Sequence[Run],
    panels: Sequence[Panel],
    spec: Curves | Grid,
    notes: Notes,
    lacking: str,
) -> Drawing:
    notes = notes.with_absent(runs, drawn, lacking)
    for owned in _sharing(panels, spec):
        flags = [flag for panel in owned for flag in panel.smoothed]
        notes = notes.with_lines([], smoothing_details(owned[0].spec, flags))
        points = max((len(each.x) for panel in owned for each in panel.series), default=0)
        if points == 1 and owned[0].spec.y == "loss":
            notes = notes.with_lines([], [ONE_POINT])
    title = figure_title(drawn, spec)
    return make_drawing(
        lambda animated: _draw(panels, title, spec, notes, animated),
        runs,
        drawn,
        lacking,
        notes=notes,
        clock=CLOCKS[spec.x],
    )


def _sharing(panels: Sequence[Panel], spec: Curves | Grid) -> list[Sequence[Panel]]:
    """Return the groups of panels that share their axes: those of a grid have axes of their own."""
    return [[panel] for panel in panels] if isinstance(spec, Grid) else [panels]


def _read(runs: Sequence[Run], spec: Curves) -> list[Curve]:
    """Return each run's curve. Raises UserError when none has anything to draw."""
    curves = [read_curve(run, spec) for run in runs]
    shown = [curve for curve in curves if _is_shown(curve)]
    # A run that diverged at its first step has no loss, but an entry in the legend.
    by_loss = source(spec.y) == "train.csv"
    if not any(len(curve.x) for curve in shown) and not (shown and by_loss):
        raise UserError(_nothing_to_draw(runs, spec))
    return curves


def _is_shown(curve: Curve) -> bool:
    return len(curve.x) > 0 or curve.diverged


def _nothing_to_draw(runs: Sequence[Run], spec: Curves) -> str:
    options = plot_options(runs[0])
    if options:
        return f"nothing to draw as curves: {subject(runs)} was measured; draw that with {options}"
    hint = ""
    if spec.y.endswith("accuracy"):
        hint = "; only classification has one"
    elif source(spec.y) == "trajectory.csv":
        hint = "; train with trajectory_every=1, and see sgdlab runs for what is known of the minimum"
    late = f" from epoch {spec.from_epoch:g} on" if spec.from_epoch > 0 else ""
    return f"nothing to draw: no value of {spec.y}{late} in {source(spec.y)} of {subject(runs)}{hint}"


def _draw(
    panels: Sequence[Panel],
    title: str,
    spec: Curves | Grid,
    notes: Notes,
    animated: list[AnimatedArtist],
) -> Figure:
    separate = isinstance(spec, Grid)
    groups = _sharing(panels, spec)
    y_titles = [y_title(each[0].spec, [flag for panel in each for flag in panel.smoothed]) for each in groups]
    figure, axes = make_panels(len(panels), spec.size, spec.x_title or X_AXES[spec.x], y_titles)
    lines = {line.label: line.settings for panel in panels for line in panel.series}
    styles = styles_by_label(lines)
    for owners, group in zip([[ax] for ax in axes] if separate else [axes], groups, strict=True):
        set_limits(owners, [line for panel in group for line in panel.series], group[0].spec)
    set_titles(figure, axes, [panel.title for panel in panels], title, notes)
    for ax, panel in zip(axes, panels, strict=True):
        for line in panel.series:
            _draw_series(ax, line, styles[line.label], animated, points=_shows_points(panel.spec, line))
        reference_lines.draw_rates(ax, panel.spec, panel.series, styles)
        reference_lines.draw_levels(ax, panel.spec, styles)
    add_legend(figure, axes, [*_entries(panels, styles), *reference_lines.entries(panels[0].spec, styles)])
    if len(panels) > 1 and not separate:
        add_notes(figure, [(ax, _notes(panel, styles)) for ax, panel in zip(axes, panels, strict=True)])
    return figure


def _draw_series(
    ax: Axes, each: Series, style: LineStyle, animated: list[AnimatedArtist], *, points: bool
) -> None:
    if each.low is not None and each.high is not None:
        bottom, top = ax.get_ylim()
        low, high = (np.nan_to_num(end, neginf=bottom, posinf=top) for end in (each.low, each.high))
        band = ax.fill_between(each.x, low, high, color=style.color, alpha=0.2, linewidth=0)
        animated.append(AnimatedArtist(artist=band, moments=each.x))
    if each.raw is not None:
        raw = ax.plot(each.x, each.raw, color=style.color, alpha=0.25, linewidth=0.8, zorder=1.5)[0]
        animated.append(AnimatedArtist(artist=raw, moments=each.x))
    if len(each.x):
        line = ax.plot(each.x, each.y, color=style.color, linestyle=style.dash)[0]
        if points or style.marked or len(each.x) <= FEW_POINTS:
            gap = max(1, len(each.x) // (MOST_MARKS if points else RARE_MARKS))
            line.set(marker=style.marker, markersize=4.5, markevery=gap)
        animated.append(AnimatedArtist(artist=line, moments=each.x))
    for curve in each.diverged:
        if len(curve.x):
            _draw_diverged(ax, curve, style, animated)


def _draw_diverged(ax: Axes, curve: Curve, style: LineStyle, animated: list[AnimatedArtist]) -> None:
    """Draw a diverged run up to its last finite point, with a cross there or at the edge of the panel."""
    y = np.clip(curve.y, *ax.get_ylim())
    line = ax.plot(curve.x, y, color=style.color, linestyle=style.dash)[0]
    mark = draw_cross(ax, style.color, curve.x[-1], y[-1])
    animated.append(AnimatedArtist(artist=line, moments=curve.x))
    animated.append(AnimatedArtist(artist=mark, moments=curve.x[-1:]))


def _entries(panels: Sequence[Panel], styles: Styles) -> list[LegendEntry]:
    """Return the figure's legend, each text once.

    Several panels of different runs say in notes how their runs ended; the panels of a grid show the same
    runs, so there the legend does.
    """
    outcome = len({id(panel.spec) for panel in panels}) == len(panels)
    entries: dict[str, LegendEntry] = {}
    for panel in panels:
        for each in panel.series:
            more = [panel.notes.get(each.label, ""), reference_lines.note(panel.spec, each.label)]
            text = each.text(outcome=outcome, more="; ".join(filter(None, more)))
            line = not outcome or not each.diverged or len(each.x) > 0
            entry = _entry(text, each, styles, panel, line=line, cross=outcome and bool(each.diverged))
            entries.setdefault(text, entry)
    return [entry for text, entry in entries.items() if text]


def _notes(panel: Panel, styles: Styles) -> list[LegendEntry]:
    """Return a panel's notes on runs that are not done."""
    entries = []
    for each in panel.series:
        if each.outcome:
            text = f"{each.label}: {each.outcome}" if each.label else each.outcome
            diverged = bool(each.diverged)
            entries.append(_entry(text, each, styles, panel, line=not diverged, cross=diverged))
    return entries


def _entry(text: str, each: Series, styles: Styles, panel: Panel, *, line: bool, cross: bool) -> LegendEntry:
    style = styles[each.label]
    marked = style.marked or _shows_points(panel.spec, each)
    band = line and each.low is not None
    return LegendEntry(text=text, style=style, line=line, marked=marked, band=band, cross=cross)


def _shows_points(spec: Curves, each: Series) -> bool:
    """Whether each value has a mark: yes for an evaluation and a short path, no for a mini-batch's loss."""
    if source(spec.y) == "trajectory.csv":
        return len(each.x) <= MOST_POINTS
    return source(spec.y) != "train.csv"
