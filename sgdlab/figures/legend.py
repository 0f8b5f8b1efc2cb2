"""The legend: where it is laid out, in a free corner of the panel or beside or below it, and its entries."""

import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from sgdlab.figures.style import LineStyle

INSIDE = 6  # a legend of more entries is always outside the panel
MOST = 60  # entries of a legend; further ones are counted
LINE_LENGTH = 46  # characters of a legend's line, about half the width of a single panel
LONG_LINE = 70  # characters of a line below the panels
NOTE_LENGTHS = (32, 20)  # characters of a note's line in one of several panels; shorter where that helps
# Positions of a legend inside a panel, as fractions of the room that it leaves: corners come first.
PLACES = sorted(
    ((x / 6, y / 6) for x in range(7) for y in range(7)),
    key=lambda at: (abs(at[0] - 0.5) + abs(at[1] - 0.5) < 1, -at[1], -at[0]),
)
GAP = 0.02  # of a panel, between its edge and a legend
FINE = 8  # points tested between two points of a curve: steep stretches count too
MOST_BESIDE, MOST_BELOW = 3, 6  # columns of a legend beside the panel, and below several


BACKGROUND = "background"  # gid of artists that a legend may cover
PLAIN = LineStyle(color="black", dash="solid", marker="", marked=False)


@dataclass(frozen=True, kw_only=True)
class LegendEntry:
    """One entry: its text, and the line, band and marks before it; or an artist in place of these."""

    text: str
    style: LineStyle = PLAIN
    line: bool = True
    marked: bool = False
    band: bool = False
    cross: bool = False
    artist: Artist | None = None

    def handles(self) -> tuple[Artist, ...]:
        """Return the artists before the text, one over the other."""
        if self.artist is not None:
            return (self.artist,)
        color = self.style.color
        artists: list[Artist] = []
        if self.band:
            artists.append(Patch(color=color, alpha=0.2, linewidth=0))
        if self.line:
            marker = self.style.marker if self.marked else "none"
            dash = self.style.dash
            artists.append(Line2D([], [], color=color, linestyle=dash, marker=marker, markersize=4.5))
        if self.cross:
            artists.append(cross(color))
        return tuple(artists)


def cross(color: Any, x: Sequence[float] = (), y: Sequence[float] = ()) -> Line2D:
    """Make the mark of a diverged run.

    Args:
        color: its colour.
        x, y: its position; none for a legend.

    Returns:
        A line that consists of the mark.
    """
    edge: dict[str, Any] = {"markeredgecolor": "white", "markeredgewidth": 0.8}
    return Line2D(x, y, color=color, linestyle="none", marker="X", markersize=9, **edge)


def draw_cross(ax: Axes, color: Any, x: float, y: float) -> Line2D:
    """Draw the mark of a diverged run above everything, at the panel's edge too.

    Args:
        ax: the panel.
        color: of the run's line.
        x, y: the mark's position.

    Returns:
        The mark.
    """
    mark = cross(color, [x], [y])
    mark.set(clip_on=False, zorder=5, transform=ax.transData)
    ax.add_line(mark)
    return mark


def add_legend(figure: Figure, axes: Sequence[Axes], entries: Sequence[LegendEntry]) -> None:
    """Add the legend.

    Several panels have it below them. A single panel has it inside if it covers nothing, else on the right.

    Args:
        figure: the figure, with everything drawn.
        axes: its panels.
        entries: of the legend.
    """
    if not entries:
        return
    entries = _wrapped(entries, LINE_LENGTH)
    if len(axes) > 1:
        _below(figure, _cut(entries, MOST))
    elif not axes[0].lines:
        _legend(axes[0], entries, loc="center")
    elif len(entries) > INSIDE:
        _beside(figure, entries)
    else:
        figure.draw_without_rendering()  # for the panel's final position
        legend, covered = _put_inside(figure, axes[0], entries)
        if covered:
            legend.remove()
            _beside(figure, entries)


def add_below(figure: Figure, entries: Sequence[LegendEntry]) -> None:
    """Add a legend below all panels.

    Args:
        figure: the figure.
        entries: of the legend.
    """
    if entries:
        _below(figure, _cut(_wrapped(entries, LONG_LINE), MOST))


def add_notes(figure: Figure, notes: Sequence[tuple[Axes, Sequence[LegendEntry]]]) -> None:
    """Add notes inside panels, where they cover the least; in the middle of an empty panel.

    Args:
        figure: the figure, with everything drawn.
        notes: a panel and its notes.
    """
    figure.draw_without_rendering()  # for the panels' final positions
    for ax, entries in notes:
        if entries and not ax.lines:
            _legend(ax, _wrapped(entries, NOTE_LENGTHS[0]), loc="center")
        for length in NOTE_LENGTHS if entries and ax.lines else ():
            if not _put_inside(figure, ax, _wrapped(entries, length))[1]:
                break


def _wrapped(entries: Sequence[LegendEntry], length: int) -> list[LegendEntry]:
    """Return the entries, with their texts in lines of at most `length` characters."""
    return [replace(entry, text=textwrap.fill(entry.text, length)) for entry in entries]


def _cut(entries: Sequence[LegendEntry], count: int) -> Sequence[LegendEntry]:
    """At most `count` entries; when there are more, the last one says how many."""
    if len(entries) <= count:
        return entries
    rest = f"and {len(entries) - count + 1} more"
    return [*entries[: count - 1], LegendEntry(text=rest, artist=Line2D([], [], linestyle="none"))]


def _legend(owner: Axes | Figure, entries: Sequence[LegendEntry], **options: Any) -> Legend:
    handles, labels = [entry.handles() for entry in entries], [entry.text for entry in entries]
    legend = owner.legend(handles=handles, labels=labels, **options)
    legend.set_in_layout(isinstance(owner, Figure))  # a legend inside a panel must not shrink it
    return legend


def _put_inside(figure: Figure, ax: Axes, entries: Sequence[LegendEntry]) -> tuple[Legend, float]:
    """Put a legend where it covers the fewest points of the curves: it, and their number (inf: no room)."""
    width, height = _inches(figure, entries, 1)
    panel = ax.get_window_extent()
    pixels = np.array([panel.width, panel.height])
    size = np.array([width, height]) * figure.dpi / pixels  # as fractions of the panel
    if (size > 1 - 2 * GAP).any():
        return _legend(ax, entries, loc="center"), math.inf
    points = (_curve_points(ax) - panel.min) / pixels
    room = 1 - 2 * GAP - size
    corners = [GAP + room * place for place in np.array(PLACES)]
    covered = [int(((points > at - GAP) & (points < at + size + GAP)).all(axis=1).sum()) for at in corners]
    best = int(np.argmin(covered))
    return _legend(ax, entries, loc=tuple(corners[best]), borderaxespad=0), covered[best]


def _curve_points(ax: Axes) -> np.ndarray:
    """Return points (n, 2), in pixels, on the curves and bands' edges, dense enough to test for overlap."""
    lines = [line.get_transform().transform(np.column_stack(line.get_data())) for line in ax.lines]
    shown = [each for each in ax.collections if each.get_gid() != BACKGROUND]
    bands = [ax.transData.transform(path.vertices) for each in shown for path in each.get_paths()]
    points = [_densely(xy[np.isfinite(xy).all(axis=1)]) for xy in lines + bands]
    return np.concatenate([np.empty((0, 2)), *points])


def _densely(xy: np.ndarray) -> np.ndarray:
    if len(xy) < 2:
        return xy
    at = np.linspace(0, len(xy) - 1, (len(xy) - 1) * FINE + 1)
    return np.column_stack([np.interp(at, np.arange(len(xy)), xy[:, i]) for i in range(2)])


def _beside(figure: Figure, entries: Sequence[LegendEntry]) -> None:
    """Right of the panel, in up to MOST_BESIDE columns; the figure grows by the legend's width."""
    count = min(len(entries), MOST)
    for columns in (*range(1, MOST_BESIDE), *[MOST_BESIDE] * count):
        shown = _cut(entries, count)
        width, height = _inches(figure, shown, columns)
        if height <= figure.get_figheight():
            break
        if columns == MOST_BESIDE:
            count = max(1, min(count - 1, int(count * figure.get_figheight() / height)))
    figure.set_figwidth(figure.get_figwidth() + width)
    _legend(figure, shown, loc="outside right upper", ncols=columns)


def _below(figure: Figure, entries: Sequence[LegendEntry]) -> None:
    """Below the panels, in as many columns as fit; the figure grows by the legend's height."""
    for columns in range(min(len(entries), MOST_BELOW), 0, -1):
        width, height = _inches(figure, entries, columns)
        if width <= figure.get_figwidth():
            break
    figure.set_figheight(figure.get_figheight() + height)
    _legend(figure, entries, loc="outside lower center", ncols=columns)


def _inches(figure: Figure, entries: Sequence[LegendEntry], columns: int) -> tuple[float, float]:
    """Return the width and height of a legend, measured on one that takes no part in the layout."""
    legend = _legend(figure, entries, loc="center", ncols=columns)
    box = legend.get_window_extent(FigureCanvasAgg(figure).get_renderer())  # type: ignore[no-untyped-call]
    legend.remove()
    return box.width / figure.dpi, box.height / figure.dpi
