"""Figures of kind `trajectories`: the paths of runs with two weights over contours of what they minimise."""

import math
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
from sgdlab.figures.axes import grid, padded
from sgdlab.figures.contours import Field, draw_contours, field_of
from sgdlab.figures.labels import Labels, resolve_setting, split
from sgdlab.figures.layout import Drawing, Growing, laid_out, set_titles
from sgdlab.figures.legend import Entry, add_legend, add_notes, cross
from sgdlab.figures.series import Values
from sgdlab.figures.spec import Trajectories
from sgdlab.figures.style import PANELS_A_ROW, LineStyle, line_styles
from sgdlab.figures.titles import common_title, title_of_panel
from sgdlab.records import Run

MOST_POINTS = 60  # of a path, each of which is still marked
REACH = 2.0  # a path that ends so many times farther from the minimum than any began is not held by the axes
BEYOND = (
    0.35  # room around the start and the minimum in which such a path is seen to leave, of their distance
)
FLATTEST, STEEPEST = 0.55, 1.25  # height of a panel per width; in between, both axes have one scale
ARROWS = (
    0.3,
    0.7,
)  # a path has an arrowhead where it first is so far from its start, of the farthest it comes
# An arrowhead that points to the right; longer than wide, as an equilateral one could point three ways.
HEAD = Shape([(1, 0), (-0.75, 0.55), (-0.4, 0), (-0.75, -0.55), (1, 0)], closed=True)
SHORT = 0.05  # of the panel's width: a path that goes less far has no arrowhead
BLACK = LineStyle(color="#000000", dash=(0, (1, 1.5)), marker="", marked=False)


@dataclass(frozen=True, kw_only=True)
class Path:
    """One run's way: the weights `w` (points, 2) after `step` updates (points,).

    held: whether the axes must hold all of it; a path that went away is shown up to where it leaves them.
    """

    run: Run
    label: str
    settings: Mapping[str, str]
    step: Values
    w: Values
    held: bool

    @property
    def length(self) -> float:
        """The sum of its steps' lengths."""
        return float(np.linalg.norm(np.diff(self.w, axis=0), axis=1).sum())


@dataclass(frozen=True, kw_only=True)
class Panel:
    """One panel: its title, its paths, and the function below them."""

    title: str
    paths: tuple[Path, ...]
    field: Field | None


def draw_trajectories(runs: Sequence[Run], spec: Trajectories) -> Drawing:
    """Draw the runs' paths. Raises UserError when there is none, or a run has not two weights."""
    tables = {id(run): _weights(run) for run in runs}
    drawn = [run for run in runs if len(tables[id(run)][0])]
    if not drawn:
        who = f"{runs[0].folder} ({runs[0].status})" if len(runs) == 1 else f"any of {len(runs)} runs"
        what = (
            f"no path in trajectory.csv of {who}; train with trajectory_every=1"
            if runs
            else "no run was recorded"
        )
        raise UserError(f"nothing to draw: {what}")
    groups = split(drawn, spec.panels)
    key = [resolve_setting(spec.panels, drawn, said=f"panels={spec.panels}")] if spec.panels else []
    labels = Labels(drawn, skip=key)
    panels = []
    for value, group in groups.items():
        field = field_of(group[0])
        far = _farthest(drawn, tables, field)
        paths = tuple(_path(run, *tables[id(run)], labels, field, far) for run in group)
        panels.append(Panel(title=title_of_panel(spec, value, key, group, drawn), paths=paths, field=field))
    if spec.lengths:
        _check_lengths(panels)
    title = common_title(drawn) if spec.title is None else spec.title
    growing: list[Growing] = []
    figure = laid_out(lambda: _draw(panels, title, spec, growing), layouts=2)
    empty = tuple(run for run in runs if not len(tables[id(run)][0]))
    return Drawing(
        figure=figure, drawn=tuple(drawn), empty=empty, lacking="two weights", growing=tuple(growing)
    )


def _weights(run: Run) -> tuple[Values, Values]:
    """Steps (points,) and weights (points, 2) of a run."""
    frame = run.trajectory()
    names = [name for name in frame if str(name).startswith("w")]
    if len(frame) and len(names) != 2:
        hint = "draw it with kind=curves y=w0" if names else "train it with trajectory_every=1"
        count = f"{len(names)} weight{'' if len(names) == 1 else 's'}"
        raise UserError(f"{run.folder}: a path over contours has two weights, this run has {count}; {hint}")
    step = frame["step"].to_numpy(dtype=np.float64)
    w = frame[names].to_numpy(dtype=np.float64) if len(frame) else np.empty((0, 2))
    keep = np.isfinite(w).all(axis=1)
    return step[keep], w[keep]


def _farthest(runs: Sequence[Run], tables: Mapping[int, tuple[Values, Values]], field: Field | None) -> float:
    """How far from a minimum the farthest start is; infinite where no minimum is known."""
    if field is None or not len(field.minima):
        return np.inf
    return max(_away(tables[id(run)][1][0], field) for run in runs) or np.inf


def _away(w: Values, field: Field) -> float:
    return float(np.linalg.norm(field.minima - w, axis=1).min())


def _path(run: Run, step: Values, w: Values, labels: Labels, field: Field | None, far: float) -> Path:
    gone = run.status == "diverged" or (
        field is not None and far < np.inf and _away(w[-1], field) > REACH * far
    )
    return Path(
        run=run,
        label=labels.text(run, seed=True),
        settings=labels.settings(run, seed=True),
        step=step,
        w=w,
        held=not gone,
    )


def _check_lengths(panels: Sequence[Panel]) -> None:
    for path in (path for panel in panels for path in panel.paths):
        if not np.array_equal(path.step, np.arange(len(path.step))):
            raise UserError(f"{path.run.folder}: the length needs every step: train with trajectory_every=1")


def _draw(panels: Sequence[Panel], title: str, spec: Trajectories, growing: list[Growing]) -> Figure:
    growing.clear()
    paths = [path for panel in panels for path in panel.paths]
    models = {format_value(path.run.info["config"]["model"]) for path in paths}
    own = len(panels) > 1 and len(models) > 1  # other functions have other places
    limits = [_limits(panel.paths if own else paths, panel.field, spec) for panel in panels]
    names = [spec.y_title or "w1"] * (len(panels) if own else 1)
    size = spec.size or _size(len(panels), max(aspect for _, _, aspect in limits))
    figure, axes = grid(len(panels), size, spec.x_title or "w0", names)
    looks = _looks(paths)
    set_titles(figure, axes, [panel.title for panel in panels], title)
    for ax, panel, (x, y, aspect) in zip(axes, panels, limits, strict=True):
        ax.set(xlim=x, ylim=y, box_aspect=aspect)
        ax.set_title(ax.get_title(), pad=9)  # room for the mark of a path that left
        ax.grid(visible=False)
        if panel.field is not None:
            draw_contours(ax, panel.field, spec.contours)
        for path in panel.paths:
            _draw_path(ax, path, looks[path.label], growing)
        _draw_ends(ax, panel, growing, lengths=spec.lengths)
    add_legend(figure, axes, _entries(panels, looks, spec))
    if len(panels) > 1:
        add_notes(figure, [(ax, _notes(panel, looks)) for ax, panel in zip(axes, panels, strict=True)])
    return figure


def _size(count: int, aspect: float) -> tuple[float, float]:
    """Inches of a figure that panels of this height per width fill."""
    rows = math.ceil(count / PANELS_A_ROW)
    columns = math.ceil(count / rows)
    width, height = (5.9, 4.6) if count == 1 else (2.6, 2.6)  # at most, of a panel
    width = min(width, height / aspect)
    return columns * (width + 0.8), rows * (width * aspect + 0.85)


def _looks(paths: Sequence[Path]) -> dict[str, LineStyle]:
    lines = {path.label: path.settings for path in paths}
    return dict(zip(lines, line_styles(list(lines.values())), strict=True))


def _limits(
    paths: Sequence[Path], field: Field | None, spec: Trajectories
) -> tuple[tuple[float, float], tuple[float, float], float]:
    """Limits that hold the paths, except for those that went away, and the minimum nearest to each; and the
    panel's height per width."""
    ends = [path.w[0] for path in paths]
    if field is not None and len(field.minima):
        ends += [_nearest(field.minima, path.w[-1 if path.held else 0]) for path in paths]
    held = [path.w for path in paths if path.held]
    points = np.concatenate([np.array(ends), *held])
    low, high = points.min(axis=0), points.max(axis=0)
    if len(held) < len(paths):
        room = BEYOND * max(*(high - low), 1e-9)
        low, high = low - room, high + room
    x, y = (padded(np.array(pair), log=False) for pair in zip(low, high, strict=True))
    x, y = _proportioned(spec.xlim or x, spec.ylim or y, fixed=bool(spec.xlim or spec.ylim))
    return x, y, min(max((y[1] - y[0]) / (x[1] - x[0]), FLATTEST), STEEPEST)


def _nearest(minima: Values, w: Values) -> Values:
    return np.asarray(minima[np.linalg.norm(minima - w, axis=1).argmin()])


def _proportioned(
    x: tuple[float, float], y: tuple[float, float], *, fixed: bool
) -> tuple[tuple[float, float], tuple[float, float]]:
    """Limits whose shorter side is widened where they are a little too flat or steep for one scale."""
    ratio = (y[1] - y[0]) / (x[1] - x[0])
    if fixed or FLATTEST <= ratio <= STEEPEST or not FLATTEST / 3 < ratio < STEEPEST * 3:
        return x, y
    if ratio < FLATTEST:
        return x, _widened(y, FLATTEST * (x[1] - x[0]))
    return _widened(x, (y[1] - y[0]) / STEEPEST), y


def _widened(ends: tuple[float, float], width: float) -> tuple[float, float]:
    middle = (ends[0] + ends[1]) / 2
    return middle - width / 2, middle + width / 2


def _draw_path(ax: Axes, path: Path, look: LineStyle, growing: list[Growing]) -> None:
    """The path up to where it leaves the panel for good, arrowheads on it, and a mark at its end."""
    step, w, left = _visible(ax, path)
    line = ax.plot(*w.T, color=look.color, linestyle=look.dash, zorder=3)[0]
    if len(w) <= MOST_POINTS:
        line.set(marker="o", markersize=2.6)
    growing.append(Growing(artist=line, at=step))
    for at, angle in _arrows(ax, w):
        x, y = (w[at] + w[at + 1]) / 2
        shape = HEAD.transformed(Affine2D().rotate_deg(angle))
        size = 9 * np.abs(shape.vertices).max()  # matplotlib shrinks a shape to its longer side
        head = ax.plot(x, y, color=look.color, marker=shape, markersize=size, zorder=3.2)[0]
        head.set_linestyle("none")
        growing.append(Growing(artist=head, at=step[at + 1 : at + 2]))
    if left:
        end = cross(look.color, [float(w[-1, 0])], [float(w[-1, 1])])
        end.set(clip_on=False, zorder=5, transform=ax.transData)
        ax.add_line(end)
        growing.append(Growing(artist=end, at=step[-1:]))
        return
    end = ax.plot(*w.T, color=look.color, linestyle="none", marker="o", markersize=6, zorder=4)[0]
    end.set(markevery=[-1], markeredgecolor="white", markeredgewidth=0.8)
    growing.append(Growing(artist=end, at=step))


def _visible(ax: Axes, path: Path) -> tuple[Values, Values, bool]:
    """Steps and points, up to the panel's edge where the path ends outside; and whether it does."""
    low, high = np.array([ax.get_xlim(), ax.get_ylim()]).T
    inside = ((path.w >= low) & (path.w <= high)).all(axis=1)
    if inside[-1] or not inside.any():
        return path.step, np.clip(path.w, low - (high - low), high + (high - low)), not inside[-1]
    last = int(np.flatnonzero(inside)[-1])
    start, way = path.w[last], path.w[last + 1] - path.w[last]
    with np.errstate(divide="ignore", invalid="ignore"):
        shares = np.where(way > 0, (high - start) / way, np.where(way < 0, (low - start) / way, np.inf))
    edge = start + way * min(1.0, float(np.nanmin(shares)))
    between = np.clip(path.w[: last + 1], low - (high - low), high + (high - low))
    return path.step[: last + 2], np.vstack([between, edge]), True


def _arrows(ax: Axes, w: Values) -> list[tuple[int, float]]:
    """Segments (their first point) in whose middle an arrowhead stands, and its angle in degrees."""
    low, high = np.array([ax.get_xlim(), ax.get_ylim()]).T
    aspect = ax.get_box_aspect() or 1.0
    seen = (w - low) / (high - low) * np.array([1.0, aspect])  # in units of the panel's width
    away = np.linalg.norm(seen - seen[0], axis=1)
    if away.max() < SHORT:
        return []
    at = {int(np.argmax(away >= part * away.max())) for part in ARROWS}
    ways = {end - 1: seen[end] - seen[end - 1] for end in sorted(at)}
    return [(i, float(np.degrees(np.arctan2(way[1], way[0])))) for i, way in ways.items()]


def _draw_ends(ax: Axes, panel: Panel, growing: list[Growing], *, lengths: bool) -> None:
    """Where the paths start, and the minima; with `lengths`, the straight line from one to the other."""
    starts = np.unique(np.array([path.w[0] for path in panel.paths]), axis=0)
    known = panel.field is not None and len(panel.field.minima) > 0
    if lengths and known:
        ends = np.array(_straight(panel)).T
        ax.plot(*ends, color=BLACK.color, linestyle=BLACK.dash, linewidth=1.2, zorder=2)
    marks = ax.plot(*starts.T, linestyle="none", marker="o", markersize=7, zorder=4.5, **_HOLLOW)
    if panel.field is not None and known:
        minima = panel.field.minima.T
        marks += ax.plot(*minima, linestyle="none", marker="*", markersize=13, zorder=4.6, **_SOLID)
    # There from the beginning, but above the paths in every frame.
    growing += [Growing(artist=mark, at=np.empty(0)) for mark in marks]


_HOLLOW: dict[str, Any] = {"markerfacecolor": "white", "markeredgecolor": "black", "markeredgewidth": 1.4}
_SOLID: dict[str, Any] = {"markerfacecolor": "black", "markeredgecolor": "white", "markeredgewidth": 0.8}


def _straight(panel: Panel) -> tuple[Values, Values]:
    """The first path's start and the minimum nearest to its end."""
    assert panel.field is not None
    first = panel.paths[0].w
    return first[0], _nearest(panel.field.minima, first[-1])


def _entries(panels: Sequence[Panel], looks: Mapping[str, LineStyle], spec: Trajectories) -> list[Entry]:
    """A path each, what became of it and how long it is; then the marks and the straight line."""
    entries: dict[str, Entry] = {}
    for path in (path for panel in panels for path in panel.paths):
        notes = [_fate(path)] if len(panels) == 1 else []
        notes += [f"length {path.length:.4f}"] if spec.lengths and path.held else []
        more = "; ".join(note for note in notes if note)
        text = f"{path.label} ({more})" if path.label and more else path.label or more
        lost = not path.held and len(panels) == 1
        look = looks[path.label]
        entries.setdefault(text, Entry(text=text, look=look, line=True, marked=False, band=False, cross=lost))
    known = [panel for panel in panels if panel.field is not None and len(panel.field.minima)]
    if spec.lengths and known:
        start, end = _straight(known[0])
        text = f"straight line (length {np.linalg.norm(end - start):.4f})"
        entries[text] = Entry(text=text, look=BLACK, line=True, marked=False, band=False, cross=False)
    signs = [Line2D([], [], linestyle="none", marker="o", markersize=7, **_HOLLOW)]
    entries["start"] = Entry.of("start", signs[0])
    if known:
        entries["minimum"] = Entry.of(
            "minimum", Line2D([], [], linestyle="none", marker="*", markersize=12, **_SOLID)
        )
    if any(panel.field is not None and not panel.field.exact for panel in panels) and spec.contours:
        note = Line2D([], [], color="#8d99a8", linewidth=0.8)
        entries["contours"] = Entry.of("contours of the quadratic at the minimum", note)
    return [entry for entry in entries.values() if entry.text]


def _notes(panel: Panel, looks: Mapping[str, LineStyle]) -> list[Entry]:
    """What one of several panels says of paths that did not come to their end."""
    return [
        Entry(
            text=f"{path.label}: {_fate(path)}" if path.label else _fate(path),
            look=looks[path.label],
            line=path.held,
            marked=False,
            band=False,
            cross=not path.held,
        )
        for path in panel.paths
        if _fate(path)
    ]


def _fate(path: Path) -> str:
    if path.run.status != "done":
        return f"{path.run.status} after step {path.step[-1]:.0f}"
    return "" if path.held else "leaves the picture"
