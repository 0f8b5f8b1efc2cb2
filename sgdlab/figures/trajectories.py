"""Figures of kind `trajectories`: paths of two weights over contours of the function."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.path import Path as Shape
from matplotlib.transforms import Affine2D

from sgdlab.base.errors import UserError
from sgdlab.base.formatting import format_value
from sgdlab.figures.axes import grid_shape, make_panels
from sgdlab.figures.contours import LINE, Field, draw_contours, field_of
from sgdlab.figures.labels import Labels, with_notes
from sgdlab.figures.layout import AnimatedArtist, Drawing, Notes, make_drawing, set_titles
from sgdlab.figures.legend import LegendEntry, add_legend, add_notes, draw_cross
from sgdlab.figures.panels import panel_keys, split_panels, subject
from sgdlab.figures.scales import Scale, padded_limits
from sgdlab.figures.series import Values
from sgdlab.figures.spec import Trajectories
from sgdlab.figures.style import LineStyle, styles_by_label
from sgdlab.figures.titles import figure_title
from sgdlab.records import Run

MOST_POINTS = 60  # of a path that marks each of its points
# A path that ends this many times farther from the minimum than any path starts leaves the panel, which has
# room around starts and minima, as a share of their distance, to show it leaving.
REACH, BEYOND = 2.0, 0.35
FLATTEST, STEEPEST = 0.55, 1.25  # height of a panel per width; between them both axes have one scale
# A path has an arrowhead where it first reaches these shares of its largest distance from the start.
ARROWS = (0.3, 0.7)
# An arrowhead to the right; longer than wide, as the direction of an equilateral one is ambiguous.
HEAD = Shape([(1, 0), (-0.75, 0.55), (-0.4, 0), (-0.75, -0.55), (1, 0)], closed=True)
SHORT = 0.05  # of the panel's width: a shorter path has no arrowhead
Interval = tuple[float, float]  # the lower and the upper end
BLACK = LineStyle(color="#000000", dash=(0, (1, 1.5)), marker="", marked=False)


@dataclass(frozen=True, kw_only=True)
class Path:
    """One run's path: the weights `w` (points, 2) after `step` updates (points,).

    fits: whether the axes show all of it; other paths are drawn up to where they leave the panel.
    """

    run: Run
    label: str
    settings: Mapping[str, str]
    step: Values
    w: Values
    fits: bool

    @property
    def length(self) -> float:
        """The sum of the lengths of its steps."""
        return float(np.linalg.norm(np.diff(self.w, axis=0), axis=1).sum())


@dataclass(frozen=True, kw_only=True)
class Panel:
    """One panel: its title, its paths, and the function below them."""

    title: str
    paths: tuple[Path, ...]
    field: Field | None

    @property
    def minima(self) -> Values:
        """The known minima, (n, 2)."""
        return self.field.minima if self.field else np.empty((0, 2))


def draw_trajectories(runs: Sequence[Run], spec: Trajectories, notes: Notes) -> Drawing:
    """Draw the paths of runs over contours.

    Args:
        runs: the runs, in the order of the legend.
        spec: the figure.
        notes: what it says besides.

    Returns:
        The drawing.

    Raises:
        UserError: no run recorded a path, or a run does not have two weights.
    """
    tables = {id(run): _weights(run) for run in runs}
    drawn = [run for run in runs if len(tables[id(run)][0])]
    if not drawn:
        hint = "train with trajectory_every=1"
        raise UserError(f"nothing to draw: no path in trajectory.csv of {subject(runs)}; {hint}")
    labels = Labels(drawn, skip=panel_keys(drawn, spec))
    panels = []
    for title, group in split_panels(drawn, spec):
        field = field_of(group[0])
        far = max(_distance(tables[id(run)][1][0], field) for run in drawn) or np.inf
        paths = tuple(_path(run, *tables[id(run)], labels, field, far) for run in group)
        panels.append(Panel(title=title, paths=paths, field=field))
    if spec.lengths:
        _check_lengths(panels)
    heading = figure_title(drawn, spec)
    notes = notes.with_absent(runs, drawn, "two weights")
    return make_drawing(
        lambda animated: _draw(panels, heading, spec, notes, animated),
        runs,
        drawn,
        "two weights",
        notes=notes,
        passes=2,
    )


def _weights(run: Run) -> tuple[Values, Values]:
    """Return a run's steps, (points,), and weights, (points, 2)."""
    table = run.columns("trajectory.csv")
    step = np.asarray(table["step"], np.float64)
    names = [name for name in table if name.startswith("w")]
    if len(step) and len(names) != 2:
        hint = "draw it with kind=curves y=w0" if names else "train it with trajectory_every=1"
        count = f"{len(names)} weight{'' if len(names) == 1 else 's'}"
        raise UserError(f"{run.folder}: a path over contours has two weights, this run has {count}; {hint}")
    w = np.column_stack([table[name] for name in names]) if len(step) else np.empty((0, 2))
    keep = np.isfinite(w).all(axis=1)
    return step[keep], w[keep]


def _distance(w: Values, field: Field | None) -> float:
    """Return the distance to the nearest minimum; infinite where no minimum is known."""
    return float(np.linalg.norm(field.minima - w, axis=1).min(initial=np.inf)) if field else np.inf


def _path(run: Run, step: Values, w: Values, labels: Labels, field: Field | None, far: float) -> Path:
    return Path(
        run=run,
        label=labels.text(run, seed=True),
        settings=labels.settings(run, seed=True),
        step=step,
        w=w,
        fits=run.status != "diverged" and _distance(w[-1], field) <= REACH * far,
    )


def _check_lengths(panels: Sequence[Panel]) -> None:
    for path in (path for panel in panels for path in panel.paths):
        if not np.array_equal(path.step, np.arange(len(path.step))):
            raise UserError(f"{path.run.folder}: the length needs every step: train with trajectory_every=1")


def _draw(
    panels: Sequence[Panel], title: str, spec: Trajectories, notes: Notes, animated: list[AnimatedArtist]
) -> Figure:
    paths = [path for panel in panels for path in panel.paths]
    models = {format_value(path.run.info["config"]["model"]) for path in paths}
    separate = len(panels) > 1 and len(models) > 1  # different functions need different limits
    limits = [_limits(panel.paths if separate else paths, panel.minima, spec) for panel in panels]
    names = [spec.y_title or "w1"] * (len(panels) if separate else 1)
    size = spec.size or _size(len(panels), max(aspect for _, _, aspect in limits))
    figure, axes = make_panels(len(panels), size, spec.x_title or "w0", names)
    styles = styles_by_label({path.label: path.settings for path in paths})
    set_titles(figure, axes, [panel.title for panel in panels], title, notes)
    for ax, panel, (x, y, aspect) in zip(axes, panels, limits, strict=True):
        ax.set(xlim=x, ylim=y, box_aspect=aspect)
        ax.set_title(ax.get_title(), pad=9)  # room for the mark of a path that left
        ax.grid(visible=False)
        if panel.field is not None:
            draw_contours(ax, panel.field, spec.contours)
        for path in panel.paths:
            _draw_path(ax, path, styles[path.label], animated)
        _draw_ends(ax, panel, animated, lengths=spec.lengths)
    add_legend(figure, axes, _entries(panels, styles, spec))
    if len(panels) > 1:
        add_notes(figure, [(ax, _notes(panel, styles)) for ax, panel in zip(axes, panels, strict=True)])
    return figure


def _size(count: int, aspect: float) -> tuple[float, float]:
    """Return inches of a figure that panels of this height per width fill."""
    rows, columns = grid_shape(count)
    width, height = (5.9, 4.6) if count == 1 else (2.6, 2.6)  # at most, of a panel
    width = min(width, height / aspect)
    return columns * (width + 0.8), rows * (width * aspect + 0.85)


def _limits(paths: Sequence[Path], minima: Values, spec: Trajectories) -> tuple[Interval, Interval, float]:
    """Return limits around the fitting paths and their nearest minima, and the panel's height per width."""
    ends = [path.w[0] for path in paths]
    if len(minima):
        ends += [_nearest(minima, path.w[-1 if path.fits else 0]) for path in paths]
    fitting = [path.w for path in paths if path.fits]
    points = np.concatenate([np.array(ends), *fitting])
    low, high = points.min(axis=0), points.max(axis=0)
    if len(fitting) < len(paths):
        room = BEYOND * max(*(high - low), 1e-9)
        low, high = low - room, high + room
    x, y = (padded_limits(np.array(pair), Scale(kind="linear")) for pair in zip(low, high, strict=True))
    x, y = _proportioned(spec.xlim or x, spec.ylim or y, fixed=bool(spec.xlim or spec.ylim))
    return x, y, min(max((y[1] - y[0]) / (x[1] - x[0]), FLATTEST), STEEPEST)


def _nearest(minima: Values, w: Values) -> Values:
    return np.asarray(minima[np.linalg.norm(minima - w, axis=1).argmin()])


def _proportioned(x: Interval, y: Interval, *, fixed: bool) -> tuple[Interval, Interval]:
    """Widen the shorter side of limits that are slightly too flat or steep for equal scales."""
    ratio = (y[1] - y[0]) / (x[1] - x[0])
    if fixed or FLATTEST <= ratio <= STEEPEST or not FLATTEST / 3 < ratio < STEEPEST * 3:
        return x, y
    if ratio < FLATTEST:
        return x, _widened(y, FLATTEST * (x[1] - x[0]))
    return _widened(x, (y[1] - y[0]) / STEEPEST), y


def _widened(ends: Interval, width: float) -> Interval:
    middle = (ends[0] + ends[1]) / 2
    return middle - width / 2, middle + width / 2


def _draw_path(ax: Axes, path: Path, style: LineStyle, animated: list[AnimatedArtist]) -> None:
    """Draw a path up to where it leaves the panel for good, with arrowheads and a mark at its end."""
    step, w, leaves = _visible(ax, path)
    line = ax.plot(*w.T, color=style.color, linestyle=style.dash, zorder=3)[0]
    if len(w) <= MOST_POINTS:
        line.set(marker="o", markersize=2.6)
    animated.append(AnimatedArtist(artist=line, moments=step))
    for at, angle in _arrows(ax, w):
        x, y = (w[at] + w[at + 1]) / 2
        shape = HEAD.transformed(Affine2D().rotate_deg(angle))
        size = 9 * np.abs(shape.vertices).max()  # matplotlib shrinks a shape to its longer side
        head = ax.plot(x, y, color=style.color, marker=shape, markersize=size, zorder=3.2)[0]
        head.set_linestyle("none")
        animated.append(AnimatedArtist(artist=head, moments=step[at + 1 : at + 2]))
    if leaves:
        end = draw_cross(ax, style.color, *w[-1])
        animated.append(AnimatedArtist(artist=end, moments=step[-1:]))
        return
    end = ax.plot(*w.T, color=style.color, linestyle="none", marker="o", markersize=6, zorder=4)[0]
    end.set(markevery=[-1], markeredgecolor="white", markeredgewidth=0.8)
    animated.append(AnimatedArtist(artist=end, moments=step))


def _visible(ax: Axes, path: Path) -> tuple[Values, Values, bool]:
    """Return steps and points up to the panel's edge if the path ends outside, and whether it does."""
    low, high = np.array([ax.get_xlim(), ax.get_ylim()]).T
    inside = ((path.w >= low) & (path.w <= high)).all(axis=1)
    if inside[-1] or not inside.any():
        return path.step, np.clip(path.w, low - (high - low), high + (high - low)), not inside[-1]
    last = int(np.flatnonzero(inside)[-1])
    start, move = path.w[last], path.w[last + 1] - path.w[last]
    with np.errstate(divide="ignore", invalid="ignore"):
        shares = np.where(move > 0, (high - start) / move, np.where(move < 0, (low - start) / move, np.inf))
    edge = start + move * min(1.0, float(np.nanmin(shares)))
    between = np.clip(path.w[: last + 1], low - (high - low), high + (high - low))
    return path.step[: last + 2], np.vstack([between, edge]), True


def _arrows(ax: Axes, w: Values) -> list[tuple[int, float]]:
    """Return the segments with an arrowhead in the middle: first point, angle in degrees."""
    low, high = np.array([ax.get_xlim(), ax.get_ylim()]).T
    aspect = ax.get_box_aspect() or 1.0
    scaled = (w - low) / (high - low) * np.array([1.0, aspect])  # in units of the panel's width
    away = np.linalg.norm(scaled - scaled[0], axis=1)
    if away.max() < SHORT:
        return []
    at = {int(np.argmax(away >= part * away.max())) for part in ARROWS}
    moves = {end - 1: scaled[end] - scaled[end - 1] for end in sorted(at)}
    return [(i, float(np.degrees(np.arctan2(move[1], move[0])))) for i, move in moves.items()]


def _draw_ends(ax: Axes, panel: Panel, animated: list[AnimatedArtist], *, lengths: bool) -> None:
    """Mark the starts and the minima; with `lengths`, draw the straight line between them."""
    starts = np.unique(np.array([path.w[0] for path in panel.paths]), axis=0)
    if lengths and len(panel.minima):
        ends = np.array(_straight(panel)).T
        ax.plot(*ends, color=BLACK.color, linestyle=BLACK.dash, linewidth=1.2, zorder=2)
    marks = ax.plot(*starts.T, linestyle="none", marker="o", markersize=7, zorder=4.5, **_HOLLOW)
    if len(panel.minima):
        marks += ax.plot(*panel.minima.T, linestyle="none", marker="*", markersize=13, zorder=4.6, **_SOLID)
    # Visible from the beginning, but above the paths in every frame.
    animated += [AnimatedArtist(artist=mark, moments=np.empty(0)) for mark in marks]


_HOLLOW: dict[str, Any] = {"markerfacecolor": "white", "markeredgecolor": "black", "markeredgewidth": 1.4}
_SOLID: dict[str, Any] = {"markerfacecolor": "black", "markeredgecolor": "white", "markeredgewidth": 0.8}


def _straight(panel: Panel) -> tuple[Values, Values]:
    """Return the first path's start and the minimum nearest to its end."""
    first = panel.paths[0].w
    return first[0], _nearest(panel.minima, first[-1])


def _entries(
    panels: Sequence[Panel], styles: Mapping[str, LineStyle], spec: Trajectories
) -> list[LegendEntry]:
    """Return an entry for each path with its outcome and length, then the marks and the straight line."""
    entries: dict[str, LegendEntry] = {}
    for path in (path for panel in panels for path in panel.paths):
        notes = [_outcome(path)] if len(panels) == 1 else []
        notes += [f"length {path.length:.4f}"] if spec.lengths and path.fits else []
        text = with_notes(path.label, *notes)
        escaped = not path.fits and len(panels) == 1
        entries.setdefault(text, LegendEntry(text=text, style=styles[path.label], cross=escaped))
    known = [panel for panel in panels if len(panel.minima)]
    if spec.lengths and known:
        start, end = _straight(known[0])
        text = f"straight line (length {np.linalg.norm(end - start):.4f})"
        entries[text] = LegendEntry(text=text, style=BLACK)
    handles = {"start": Line2D([], [], linestyle="none", marker="o", markersize=7, **_HOLLOW)}
    if known:
        handles["minimum"] = Line2D([], [], linestyle="none", marker="*", markersize=12, **_SOLID)
    if any(panel.field is not None and not panel.field.exact for panel in panels) and spec.contours:
        handles["contours of the quadratic at the minimum"] = Line2D([], [], color=LINE, linewidth=0.8)
    marks = [LegendEntry(text=text, artist=artist) for text, artist in handles.items()]
    return [*(entry for entry in entries.values() if entry.text), *marks]


def _notes(panel: Panel, styles: Mapping[str, LineStyle]) -> list[LegendEntry]:
    """Return a panel's notes on paths that do not end in it."""
    entries = []
    for path in panel.paths:
        outcome = _outcome(path)
        if outcome:
            text = f"{path.label}: {outcome}" if path.label else outcome
            style = styles[path.label]
            entries.append(LegendEntry(text=text, style=style, line=path.fits, cross=not path.fits))
    return entries


def _outcome(path: Path) -> str:
    if path.run.status != "done":
        return f"{path.run.status} after step {path.step[-1]:.0f}"
    return "" if path.fits else "leaves the picture"
